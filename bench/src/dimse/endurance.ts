import { globSync } from 'node:fs';
import { uids } from '@isthmus/dicom';
import { requestAssociation } from '@isthmus/dimse';
import {
  abortsInMidObject,
  halfOpen,
  linkedPeer,
  requestsForGarbage,
  scriptGarbage,
  slowPeers,
  storesWithoutRoom,
} from './attacks.ts';
import { startEdge } from './edge.ts';
import type { EdgeUnderTest } from './edge.ts';
import { healthySender } from './healthy-sender.ts';
import type { HealthySender } from './healthy-sender.ts';
import { isBack, settledState, shownState, stateOf } from './process-state.ts';
import type { ProcessState } from './process-state.ts';
import { median, shown } from './report.ts';
import type { Rig } from './rig.ts';
import { startSmallDisk } from './small-disk.ts';

const MIB = 1024 * 1024;
/** Batches of the healthy sender alone, before each attack and after it. */
const batchesAlone = 3;
const settleMs = 15_000;
/** Longer than the window over which the rate of a message is measured. */
const slowSeconds = 33;

interface Part {
  readonly rig: Rig;
  readonly edge: EdgeUnderTest;
  readonly healthy: HealthySender;
  /** What the edge held before the first attack. */
  readonly before: ProcessState;
}

/**
 * What hostile and broken peers, a full disk and failing services cost everybody else: the throughput of a healthy sender
 * beside each, as a ratio of its throughput alone directly before and after, and what the edge still holds afterwards.
 */
export async function endurance(rig: Rig): Promise<void> {
  const { quick } = rig.options;
  const many = quick ? 100 : 1_000;
  const edge = await startEdge(rig, { fsync: 'group' });
  await edge.station({ aeTitle: linkedPeer, port: 9, kind: 'cluster', cluster: 'garbage' });
  const healthy = healthySender(rig, edge);
  for (let warm = 0; warm < batchesAlone; warm++) await healthy.batch();
  const part: Part = { rig, edge, healthy, before: await stateOf(edge) };

  await beside(part, `${many} aborts in mid-object`, 0.5, () => abortsInMidObject(edge, many));
  await beside(part, `${many} half-open connections`, 0.8, () => halfOpen(edge, many));
  const stop = scriptGarbage(edge);
  await beside(part, `${many} requests for garbage`, 0.5, () => requestsForGarbage(edge, many));
  await stop();
  if (quick) rig.report.note('endurance: slow peers take half a minute; left out with --quick');
  else await beside(part, '100 slow peers', 0.8, () => slowPeers(edge, 100, slowSeconds));
  await fullDisk(rig, many);
}

/** The healthy sender alone, beside the attack, alone again; then what is left of the attack. */
async function beside(
  part: Part,
  what: string,
  atLeast: number,
  attack: () => Promise<string>,
): Promise<void> {
  const { rig, edge, healthy, before } = part;
  const alone = await ratesAlone(healthy);
  const attacking = attack();
  const rates = await healthy.batchesBeside(attacking);
  rig.say(`${what}: ${await attacking}, beside it ${rates.length} batches`);
  alone.push(...(await ratesAlone(healthy)));
  addRatio(rig, `C-STORE in beside ${what} / alone`, rates, alone, atLeast);
  addState(rig, what, await settledState(edge, before, settleMs), before);
}

/** The sender's own disk is full, so there is no throughput beside it: that after it, once there is room again. */
async function fullDisk(rig: Rig, many: number): Promise<void> {
  const disk = startSmallDisk(rig, 256);
  const edge = await startEdge(rig, { fsync: 'group', store: disk.directory, settings: disk.settings });
  const healthy = healthySender(rig, edge);
  for (let warm = 0; warm < batchesAlone; warm++) await healthy.batch();
  const before = await stateOf(edge);
  const alone = await ratesAlone(healthy);

  disk.fill(2 * MIB);
  const from = performance.now();
  const full = await storesWithoutRoom(edge, many);
  const rate = many / ((performance.now() - from) / 1_000);
  if (full.putOff === 0) throw new Error('the disk was not full');
  await echo(edge);
  const kept = globSync('objects/*/*.dcm', { cwd: edge.directory }).length;
  if (kept !== full.stored) throw new Error(`${kept} objects are in place, ${full.stored} were acknowledged`);
  rig.say(`disk full (${disk.what}): ${full.putOff} × A700, ${full.stored} stored, ${shown(rate)} answers/s`);
  addState(rig, 'a full disk', await settledState(edge, before, settleMs), before);

  disk.giveRoom();
  edge.empty();
  addRatio(
    rig,
    `C-STORE in after a full disk (${disk.what}) / before`,
    await ratesAlone(healthy),
    alone,
    0.8,
  );
}

/** @throws {Error} It is not answered with success. */
async function echo(edge: EdgeUnderTest): Promise<void> {
  const association = await requestAssociation({
    host: '127.0.0.1',
    port: edge.port,
    calledAeTitle: edge.aeTitle,
    callingAeTitle: 'BENCHSCU',
    contexts: [{ sopClassUid: uids.VerificationSopClass, transferSyntaxUids: [uids.ExplicitVrLittleEndian] }],
  });
  const { status } = await association.cEcho();
  await association.release();
  if (status !== 0) throw new Error(`C-ECHO: status ${status.toString(16)}`);
}

async function ratesAlone(healthy: HealthySender): Promise<number[]> {
  const rates: number[] = [];
  for (let batch = 0; batch < batchesAlone; batch++) rates.push(await healthy.batch());
  return rates;
}

function addRatio(
  rig: Rig,
  what: string,
  rates: readonly number[],
  alone: readonly number[],
  atLeast: number,
): void {
  const ratio = median(rates) / median(alone);
  const refused = rates.filter((rate) => rate === 0).length;
  rig.report.add({
    what,
    ours: `${shown(median(rates))} objects/s`,
    peer: `${shown(median(alone))} objects/s`,
    reached: `${ratio.toFixed(2)} (${rates.length} batches${refused === 0 ? '' : `, ${refused} not served`})`,
    asked: `at least ${atLeast}, all served`,
    met: ratio >= atLeast && refused === 0,
  });
}

function addState(rig: Rig, what: string, now: ProcessState, before: ProcessState): void {
  rig.report.add({
    what: `what the edge holds after ${what}`,
    ours: shownState(now, before),
    peer: '',
    reached: isBack(now, before) ? 'as before' : 'more than before',
    asked: `as before within ${settleMs / 1_000} s`,
    met: isBack(now, before),
  });
}
