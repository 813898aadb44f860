import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@isthmus/testing';
import { sharedBySuite, startPair } from '../test/clusters.ts';
import type { Cluster, Federation } from '../test/clusters.ts';
import { ctObject } from '../test/objects.ts';
import { shareStudy, studyAt, timelineCount, untilIdle, untilSettled } from '../test/reading.ts';

interface Killable {
  kill(): Promise<void>;
  restart(): Promise<void>;
}

async function killAndStart(server: Killable): Promise<void> {
  await server.kill();
  await server.restart();
}

const study = '1.8.1';
const changes = 30;

describe('servers that are killed while changes are made', { concurrency: false }, () => {
  let federation: Federation;
  let north: Cluster;
  let south: Cluster;
  const shared = sharedBySuite();
  after(shared.end);
  before(async () => {
    ({ federation, north, south } = await startPair(shared));
    await shareStudy(federation, study, 'north', ['south'], [ctObject(study, 1)]);
  });

  /** A client that keeps sending one change until it is accepted. */
  const insist = async (cluster: Cluster, key: string, text: string): Promise<void> => {
    const body = { comment: { text, author: 'A' } };
    const answered = await eventually(
      `an answer to ${text}`,
      async () => {
        const headers = { 'idempotency-key': key };
        const answer = await cluster.call('PATCH', `/api/v1/studies/${study}`, body, headers);
        return ![409, 503].includes(answer.status) && answer;
      },
      { timeoutMs: 120_000 },
    );
    assert.ok([200, 202].includes(answered.status), answered.text);
  };

  const comments = async (cluster: Cluster): Promise<number> =>
    (await studyAt(cluster, study))?.comments.length ?? 0;

  for (const [what, victim] of [
    ['the sender’s nats-server', (): Killable => north.servers.nats],
    ['the receiver’s nats-server', (): Killable => south.servers.nats],
    ['PostgreSQL of both', (): Killable => north.servers.postgres],
  ] as const) {
    it(`[U11] loses no accepted change, and doubles none, over a kill of ${what}`, async () => {
      const before = await comments(north);
      const entriesBefore = await timelineCount(south, study, 'StudyCommented');
      let killing: Promise<unknown> = Promise.resolve();
      for (let number = 1; number <= changes; number++) {
        if (number === 10) killing = killAndStart(victim());
        await insist(north, `${what} ${number}`.replaceAll(/[^!-~]/g, '-'), `${what} ${number}`);
      }
      await killing;
      for (const cluster of [north, south]) {
        await eventually(`all at ${cluster.id}`, async () => (await comments(cluster)) === before + changes, {
          timeoutMs: 120_000,
        });
      }
      await untilIdle(federation, ['north', 'south']);
      await untilSettled(federation, ['north', 'south'], study);
      assert.equal(await timelineCount(south, study, 'StudyCommented'), entriesBefore + changes);
    });
  }
});
