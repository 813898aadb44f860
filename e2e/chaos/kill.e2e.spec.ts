/**
 * kill -9 of one part at a random moment of a run of changes: every accepted change is at every holder, once.
 *
 * `CHAOS_SEED=n` repeats a run; `CHAOS_ROUNDS=n` plays more victims (default 4, in an order given by the seed).
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@isthmus/testing';
import { missingTool, runTool } from '@isthmus/testing/dcmtk';
import { call, getStudy } from '../src/api.ts';
import { studiesOnDisk, studyUidsOf } from '../src/studies.ts';
import { startSystem, type SystemUnderTest } from '../src/system-under-test.ts';

const changes = 200;
const seed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const rounds = Number(process.env['CHAOS_ROUNDS'] ?? 4);
const random = randomFrom(seed);

/** Every kind of part, at the sender (north) or the receiver (south). */
const victims = [
  ...['nats-server', 'postgres', 'update-relay', 'dimse-edge'].flatMap((part) => [
    `north/${part}`,
    `south/${part}`,
  ]),
  ...['query-federator', 'config-store', 'console', 'prefetcher', 'ris-gateway'].map(
    (part, index) => `${index % 2 === 0 ? 'north' : 'south'}/${part}`,
  ),
];

function randomFrom(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

interface TimelinePage {
  readonly items: readonly {
    readonly id: string;
    readonly type: string;
    readonly intent?: { readonly text?: string };
  }[];
  readonly nextCursor?: string | null;
}

describe(`kill -9 during ${changes} changes (CHAOS_SEED=${seed})`, { skip: missingTool('storescu') }, () => {
  let system: SystemUnderTest;
  const study = studiesOnDisk()[0]!;
  const uid = studyUidsOf(study.files)[0]!;
  const http = (id: string): string => system.cluster(id).http;

  before(async () => {
    system = await startSystem({ clusters: 2, isolate: true });
    const { aeTitle, dicom } = system.cluster('north');
    const stored = await runTool('storescu', [
      '-aec',
      aeTitle,
      dicom.host,
      String(dicom.port),
      ...study.files,
    ]);
    assert.equal(stored.code, 0, stored.output);
    await eventually('SOUTH knows of the study', async () => {
      return (await call(http('south'), 'POST', `/api/v1/studies/${uid}:retrieve`, {})).status === 202;
    });
    await eventually('both hold the study', async () => {
      for (const id of ['north', 'south']) {
        const { body } = await getStudy(http(id), uid);
        assert.equal(body.holders.filter((holder) => holder.complete).length, 2);
      }
      return true;
    });
  });
  after(() => system?.stop());

  /** One change, repeated under the same key until it is accepted: what a careful RIS does. */
  async function comment(text: string): Promise<void> {
    const key = randomUUID();
    await eventually(
      `${text} is accepted`,
      async () => {
        const headers = { 'idempotency-key': key };
        const body = { comment: { text, author: 'chaos' } };
        const answer = await call(http('north'), 'PATCH', `/api/v1/studies/${uid}`, body, headers);
        if (answer.status >= 400 && answer.status < 500) {
          throw new Error(`refused: ${answer.status} ${JSON.stringify(answer.body)}`);
        }
        return answer.status === 200 || answer.status === 202;
      },
      { timeoutMs: 60_000 },
    );
  }

  async function timelineTexts(id: string): Promise<string[]> {
    const texts: string[] = [];
    let cursor: string | undefined;
    do {
      const query = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const { body } = await call<TimelinePage>(
        http(id),
        'GET',
        `/api/v1/studies/${uid}/timeline?limit=500${query}`,
      );
      for (const item of body.items) if (item.intent?.text !== undefined) texts.push(item.intent.text);
      cursor = body.nextCursor ?? undefined;
    } while (cursor !== undefined);
    return texts;
  }

  for (const [round, victim] of shuffled(victims).slice(0, rounds).entries()) {
    it(`[U11] loses and doubles nothing when ${victim} is killed`, async () => {
      const [cluster, part] = victim.split('/') as [string, string];
      const killAt = Math.floor(random() * changes);
      const expected = Array.from({ length: changes }, (_, index) => `round ${round} change ${index}`);
      for (const [index, text] of expected.entries()) {
        if (index === killAt) {
          const pid = system.cluster(cluster).pids[part];
          assert.ok(pid, `${victim} runs`);
          process.kill(pid, 'SIGKILL');
        }
        await comment(text);
      }
      for (const id of ['north', 'south']) {
        await eventually(
          `all changes are at ${id}`,
          async () => {
            const { body } = await getStudy(http(id), uid);
            const texts = body.comments
              .map((one) => one.text)
              .filter((text) => text.startsWith(`round ${round} `));
            assert.deepEqual(texts.sort(), [...expected].sort());
            return true;
          },
          { timeoutMs: 60_000, everyMs: 250 },
        );
        const texts = (await timelineTexts(id)).filter((text) => text.startsWith(`round ${round} `));
        assert.deepEqual(texts.sort(), [...expected].sort(), `${id}: each once in the timeline`);
      }
      await eventually(`${victim} runs again`, () => system.cluster(cluster).pids[part] !== undefined);
    });
  }
});
