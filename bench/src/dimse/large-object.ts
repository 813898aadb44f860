import { createHash } from 'node:crypto';
import { createReadStream, globSync, openSync, closeSync, readSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { element, readFileMeta, tags, uids } from '@isthmus/dicom';
import { requestAssociation } from '@isthmus/dimse';
import { startEdge } from './edge.ts';
import type { EdgeUnderTest } from './edge.ts';
import { sendLargeObject } from './large-sender.ts';
import { makeObjects, studyInstanceUid } from './objects.ts';
import { startStoreScp } from './peers.ts';
import type { Peer } from './peers.ts';
import { residentMib } from './process-state.ts';
import { secondsOf } from './programs.ts';
import { boundFinding } from './report.ts';
import type { Rig } from './rig.ts';

const MIB = 1024 * 1024;
const sampleMs = 20;
/** The edge's copy, the destination's copy, and room to breathe. */
const copies = 2.5;

/** A 2 GB object in by C-STORE and out by C-MOVE: memory and event loop of the edge, and every byte. */
export async function largeObject(rig: Rig): Promise<void> {
  const pixelBytes = (rig.options.quick ? 200 : 2_048) * MIB;
  const disk = statfsSync(rig.directory);
  if (disk.bavail * disk.bsize < pixelBytes * copies) {
    throw new Error(`${rig.directory} has less than ${((pixelBytes * copies) / MIB).toFixed(0)} MiB free`);
  }
  const edge = await startEdge(rig, { fsync: 'group' });
  await edge.federate(0);
  const scp = await startStoreScp(rig, { aeTitle: 'LARGESCP' });
  await edge.station(scp);
  await warmUp(rig, edge, scp);

  const into = { growth: [] as number[], lag: [] as number[] };
  const out = { growth: [] as number[], lag: [] as number[] };
  for (let run = 1; run <= rig.options.runs; run++) {
    if (run > 1 && !rig.timeLeft) {
      rig.report.note(`large object: time for ${run - 1} runs only`);
      break;
    }
    const sopInstanceUid = `${studyInstanceUid}.7.${run}`;
    let sent = '';
    const stored = await watched(edge, async () => {
      sent = await sendLargeObject(edge, { sopInstanceUid, pixelBytes });
    });
    const moved = await watched(edge, () => moveImage(edge, scp, sopInstanceUid));
    for (const [list, one] of [[into, stored] as const, [out, moved] as const]) {
      list.growth.push(one.growthMib);
      list.lag.push(one.lagMs);
    }
    rig.say(
      `run ${run}, ${pixelBytes / MIB} MiB in: ${stored.seconds.toFixed(1)} s, +${stored.growthMib.toFixed(0)} MiB, lag ` +
        `${stored.lagMs.toFixed(0)} ms; C-MOVE: ${moved.seconds.toFixed(1)} s, +${moved.growthMib.toFixed(0)} MiB, lag ` +
        `${moved.lagMs.toFixed(0)} ms`,
    );
    await assertBytes('the edge', globSync(join(edge.directory, 'objects/*/*.dcm')), sent);
    await assertBytes(scp.name, globSync(join(scp.directory, '*')), sent);
    edge.empty();
    scp.empty();
  }
  const size = `${pixelBytes / MIB} MiB object`;
  rig.report.note(
    `${size}: SHA-256 of the data set the same at the sender, in the edge and at the destination`,
  );
  rig.report.add(
    boundFinding(`${size} in: resident memory grows by`, into.growth, { unit: 'MiB', below: 64 }),
  );
  rig.report.add(boundFinding(`${size} in: event-loop lag, longest`, into.lag, { unit: 'ms', below: 50 }));
  rig.report.add(boundFinding(`${size} by C-MOVE: memory grows by`, out.growth, { unit: 'MiB', below: 64 }));
  rig.report.add(boundFinding(`${size} by C-MOVE: lag, longest`, out.lag, { unit: 'ms', below: 50 }));
}

/** An edge that has just started grows with the first ordinary objects; that is not what is asked. */
async function warmUp(rig: Rig, edge: EdgeUnderTest, scp: Peer): Promise<void> {
  const objects = makeObjects(rig.folder('objects'), 100, 512 * 1024);
  await secondsOf('storescu', [
    ['-R', '-aec', edge.aeTitle, '127.0.0.1', String(edge.port), ...objects.files],
  ]);
  for (const uid of objects.sopInstanceUids.slice(0, 20)) await moveImage(edge, scp, uid);
  edge.empty();
  scp.empty();
}

/** What an operation does to the edge: memory is looked at all the while, from outside. */
async function watched(
  edge: EdgeUnderTest,
  work: () => Promise<void>,
): Promise<{ seconds: number; growthMib: number; lagMs: number }> {
  await edge.lagMs();
  const before = residentMib(edge.pid);
  let most = before;
  const timer = setInterval(() => (most = Math.max(most, residentMib(edge.pid))), sampleMs);
  const from = performance.now();
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  const seconds = (performance.now() - from) / 1_000;
  return { seconds, growthMib: Math.max(most, residentMib(edge.pid)) - before, lagMs: await edge.lagMs() };
}

/** @throws {Error} The destination did not take it. */
async function moveImage(edge: EdgeUnderTest, to: Peer, sopInstanceUid: string): Promise<void> {
  const association = await requestAssociation({
    host: '127.0.0.1',
    port: edge.port,
    calledAeTitle: edge.aeTitle,
    callingAeTitle: 'BENCHSCU',
    contexts: [{ sopClassUid: uids.StudyRootMove, transferSyntaxUids: [uids.ExplicitVrLittleEndian] }],
  });
  const { status, counts, errorComment } = await association.cMove({
    sopClassUid: uids.StudyRootMove,
    destinationAeTitle: to.aeTitle,
    identifier: {
      [tags.QueryRetrieveLevel]: element('CS', 'IMAGE'),
      [tags.StudyInstanceUID]: element('UI', studyInstanceUid),
      [tags.SOPInstanceUID]: element('UI', sopInstanceUid),
    },
  });
  await association.release();
  if (status !== 0 || counts.completed !== 1) {
    throw new Error(`C-MOVE of ${sopInstanceUid}: ${status.toString(16)} ${errorComment ?? ''}`);
  }
}

/** @throws {Error} There is other than one file, or its data set has another hash. */
async function assertBytes(where: string, files: readonly string[], expected: string): Promise<void> {
  const [file] = files;
  if (file === undefined || files.length > 1) throw new Error(`${where} has ${files.length} files`);
  const head = Buffer.alloc(4_096);
  const descriptor = openSync(file, 'r');
  readSync(descriptor, head, 0, head.length, 0);
  closeSync(descriptor);
  const hash = createHash('sha256');
  const start = readFileMeta(head).dataSetOffset;
  for await (const chunk of createReadStream(file, { start, highWaterMark: MIB }))
    hash.update(chunk as Buffer);
  const found = hash.digest('hex');
  if (found !== expected) throw new Error(`the data set at ${where} has the hash ${found}, not ${expected}`);
}
