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

/** C-STORE out: a study of 500 images that the edge has, against storescu with the same files; both into storescp. */
export async function storeOut(rig: Rig): Promise<void> {
  const objects = makeObjects(rig.folder('objects'), rig.options.quick ? 50 : 500, 512 * 1024);
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
      const rate = objects.files.length / (await send());
      rig.say(`run ${run}, ${name} to ${to.name}: ${rate.toFixed(0)} objects/s`);
      if (run > 0) rates.get(name)!.push(rate);
      if (run === 0 && name.startsWith('edge')) assertSameBytes(to, objects);
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
  parts: number,
): Promise<number> {
  const from = performance.now();
  await Promise.all(
    Array.from({ length: parts }, async (_, part) => {
      const sopInstanceUids = objects.sopInstanceUids.filter((_uid, index) => index % parts === part);
      const request: SendRequest = {
        aeTitle: to.aeTitle,
        studyInstanceUid,
        ...(parts === 1 ? {} : { sopInstanceUids }),
        reason: 'user',
        deadlineMs: sendMs,
      };
      const expected = parts === 1 ? objects.files.length : sopInstanceUids.length;
      await sendOne(edge, request, expected);
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

function sendFromFiles(to: Peer, objects: ObjectSet, parts: number): Promise<number> {
  const destination = ['-R', '-aec', to.aeTitle, '127.0.0.1', String(to.port)];
  return secondsOf(
    'storescu',
    objects.split(parts).map((files) => [...destination, ...files]),
  );
}

/** @throws {Error} An object is missing at the destination or has other bytes. */
function assertSameBytes(to: Peer, objects: ObjectSet): void {
  const arrived = new Map(
    readdirSync(to.directory).map((name) => {
      const bytes = readFileSync(join(to.directory, name));
      const { sopInstanceUid, dataSetOffset } = readFileMeta(bytes);
      return [sopInstanceUid, bytes.subarray(dataSetOffset)];
    }),
  );
  for (const [index, file] of objects.files.entries()) {
    const uid = objects.sopInstanceUids[index]!;
    const bytes = readFileSync(file);
    const same = arrived.get(uid)?.equals(bytes.subarray(readFileMeta(bytes).dataSetOffset)) ?? false;
    if (!same) throw new Error(`${uid} did not arrive at ${to.name} as it was sent`);
  }
}
