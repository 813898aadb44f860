import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readFileMeta } from '@isthmus/dicom';
import { requestSubjects } from '@isthmus/domain';
import type { SendAnswer, SendRequest } from '@isthmus/domain';
import { startEdge } from './edge.ts';
import type { EdgeUnderTest } from './edge.ts';
import { makeObjects, studyInstanceUid } from './objects.ts';
import type { ObjectSet } from './objects.ts';
import { startStoreScp } from './peers.ts';
import type { Peer } from './peers.ts';
import { secondsOf } from './programs.ts';
import { ratioFinding } from './report.ts';
import type { Rig } from './rig.ts';
import { rotated } from './store-in.ts';

const sendMs = 120_000;

/** Parts of the study: one association sends the first, four associations send one each. */
const parts = 4;

/**
 * C-STORE out: 500 images of a study that the edge has over one association, and 500 over each of four, against storescu
 * with the same files; both into storescp.
 */
export async function storeOut(rig: Rig): Promise<void> {
  const objects = makeObjects(rig.folder('objects'), (rig.options.quick ? 50 : 500) * parts, 512 * 1024);
  const edge = await startEdge(rig, { fsync: 'group' });
  await edge.federate(0);
  const one = await startStoreScp(rig, { aeTitle: 'ONE' });
  const several = await startStoreScp(rig, { aeTitle: 'SEVERAL', fork: true });
  await edge.station(one);
  await edge.station(several);
  await secondsOf('storescu', [
    ['-R', '-aec', edge.aeTitle, '127.0.0.1', String(edge.port), ...objects.files],
  ]);

  const senders = [
    { name: 'edge × 1', to: one, send: () => sendFromEdge(edge, one, objects, 1) },
    { name: 'edge × 4', to: several, send: () => sendFromEdge(edge, several, objects, 4) },
    { name: 'storescu × 1', to: one, send: () => sendFromFiles(one, objects, 1) },
    { name: 'storescu × 4', to: several, send: () => sendFromFiles(several, objects, 4) },
  ];
  const rates = new Map<string, number[]>(senders.map(({ name }) => [name, []]));
  for (let run = 0; run <= rig.options.runs; run++) {
    if (run > 1 && !rig.timeLeft) {
      rig.report.note(`C-STORE out: time for ${run - 1} runs only`);
      break;
    }
    for (const { name, to, send } of rotated(senders, run)) {
      const count = (objects.files.length / parts) * (to === one ? 1 : parts);
      const rate = count / (await send());
      rig.say(`run ${run}, ${name} to ${to.name}: ${rate.toFixed(0)} objects/s`);
      if (run > 0) rates.get(name)!.push(rate);
      if (run === 0 && name.startsWith('edge')) assertSameBytes(to, objects, count);
      to.empty();
    }
  }
  rig.report.note(
    'C-STORE out: data sets bit for bit those that were sent in, each object, one and four associations',
  );
  const compared = (ours: string, peer: string, atLeast?: number): void => {
    const what = `C-STORE out to storescp, 512 KB, ${ours} / ${peer}`;
    const options = { unit: 'objects/s', ...(atLeast === undefined ? {} : { atLeast }) };
    rig.report.add(ratioFinding(what, rates.get(ours)!, rates.get(peer)!, options));
  };
  compared('edge × 1', 'storescu × 1', 0.7);
  compared('edge × 4', 'storescu × 1', 1.2);
  compared('edge × 4', 'storescu × 4');
}

/** Seconds. As many requests at once as associations are wanted, each for its part of the study. */
async function sendFromEdge(
  edge: EdgeUnderTest,
  to: Peer,
  objects: ObjectSet,
  associations: number,
): Promise<number> {
  const from = performance.now();
  await Promise.all(
    Array.from({ length: associations }, async (_, part) => {
      const sopInstanceUids = objects.sopInstanceUids.filter((_uid, index) => index % parts === part);
      const { aeTitle } = to;
      const request: SendRequest = {
        aeTitle,
        studyInstanceUid,
        sopInstanceUids,
        reason: 'user',
        deadlineMs: sendMs,
      };
      await sendOne(edge, request, sopInstanceUids.length);
    }),
  );
  return (performance.now() - from) / 1_000;
}

/** @throws {Error} Not every object was taken. */
export async function sendOne(edge: EdgeUnderTest, request: SendRequest, expected: number): Promise<void> {
  const answers = edge.eventLog.requests.askStream<SendRequest, SendAnswer>(requestSubjects.send, request, {
    timeoutMs: sendMs,
  });
  for await (const answer of answers) {
    if (!('done' in answer)) continue;
    const { outcome, sent, detail } = answer.done;
    if (outcome === 'complete' && sent === expected) return;
    throw new Error(
      `sent ${sent} of ${expected} to ${request.aeTitle}: ${outcome}, ${detail ?? 'no detail'}`,
    );
  }
}

function sendFromFiles(to: Peer, objects: ObjectSet, associations: number): Promise<number> {
  const destination = ['-R', '-aec', to.aeTitle, '127.0.0.1', String(to.port)];
  const files = objects.split(parts).slice(0, associations);
  return secondsOf(
    'storescu',
    files.map((part) => [...destination, ...part]),
  );
}

/** @throws {Error} Other than `count` objects are at the destination, or one has other bytes. */
function assertSameBytes(to: Peer, objects: ObjectSet, count: number): void {
  const arrived = new Map(
    readdirSync(to.directory).map((name) => {
      const bytes = readFileSync(join(to.directory, name));
      const { sopInstanceUid, dataSetOffset } = readFileMeta(bytes);
      return [sopInstanceUid, bytes.subarray(dataSetOffset)];
    }),
  );
  if (arrived.size !== count) throw new Error(`${arrived.size} of ${count} objects arrived at ${to.name}`);
  for (const [index, file] of objects.files.entries()) {
    const uid = objects.sopInstanceUids[index]!;
    const dataSet = arrived.get(uid);
    if (dataSet === undefined) continue;
    const bytes = readFileSync(file);
    if (!dataSet.equals(bytes.subarray(readFileMeta(bytes).dataSetOffset))) {
      throw new Error(`${uid} did not arrive at ${to.name} as it was sent`);
    }
  }
}
