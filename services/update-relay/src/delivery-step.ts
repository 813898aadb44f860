import { uids } from '@isthmus/dicom';
import { linkAllows, requestSubjects, stationOfPeer } from '@isthmus/domain';
import type { Configuration, DimseStoreAnswer, DimseStoreRequest, Station } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import type { Log } from '@isthmus/service-kit';
import { compose } from './compose.ts';
import type { Shipment } from './compose.ts';
import { judge } from './delivery-attempt.ts';
import type { Isolation } from './delivery-attempt.ts';
import { clusterPeers } from './link-map.ts';
import { readWork } from './outbox.ts';
import type { Unit, Work } from './outbox.ts';
import type { PeerHealth } from './peer-health.ts';
import { settle } from './positions.ts';
import type { ParkReason, RelayStore } from './store/rows.ts';

/** What one step of delivery needs of its cluster. */
export interface DeliveryStepParts {
  readonly cluster: string;
  readonly store: RelayStore;
  readonly eventLog: Pick<EventLog, 'incarnation'> & { readonly requests: Pick<EventLog['requests'], 'ask'> };
  readonly log: Log;
  configuration(): Configuration;
  /** Of the STUDY projection. */
  checkpoint(): number;
  health(peer: string): Pick<PeerHealth, 'answered'>;
  /** Asks the peer for its Link State: after a failure we want to know what is the matter. */
  askLinkState(peer: string): void;
  readonly itemsMax: number;
  readonly timeoutMs: number;
  readonly refusalsMax: number;
}

/** How far one peer is, between steps. */
export interface QueueState {
  readonly peer: string;
  readonly isolation: Isolation;
  position: number;
  sentUpdates: number;
  sentItems: number;
}

export type StepOutcome = 'idle' | 'sent' | 'pause';

/** What people see of a queue. */
export interface DeliveryFacts {
  /** Position of the peer in our log. */
  readonly position: number;
  readonly lastError: string | undefined;
  readonly lastSentMs: number | undefined;
  readonly sentUpdates: number;
  readonly sentItems: number;
}

export type Note = (facts: Partial<DeliveryFacts>) => void;

/**
 * The station to send to, as long as the link lets updates out and the peer has shown that it speaks our
 * syntax.
 */
function destination(parts: DeliveryStepParts, peer: string): Station | undefined {
  const configuration = parts.configuration();
  if (!linkAllows(configuration.links.get(peer), 'updates', 'out')) return undefined;
  // A promiscuous archive would answer success to anything: nothing leaves before the peer answered Link
  // State.
  return parts.health(peer).answered ? stationOfPeer(configuration, peer) : undefined;
}

/**
 * Sends a peer the next of what it is to get, and notes what came of it.
 *
 * @returns `idle`: there is nothing to send, or nobody to send it to. `sent`: go on. `pause`: the peer takes
 *   nothing now.
 * @throws When the edge, the log or the database cannot be asked; the same step can be tried again.
 */
export async function deliverOnce(
  parts: DeliveryStepParts,
  queue: QueueState,
  note: Note,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const { peer, isolation } = queue;
  const station = destination(parts, peer);
  if (!station) return 'idle';
  const configuration = parts.configuration();
  const checkpoint = parts.checkpoint();
  const work = await readWork(parts.store, {
    peer,
    facts: {
      self: parts.cluster,
      served: clusterPeers(configuration).filter((name) =>
        linkAllows(configuration.links.get(name), 'updates', 'out'),
      ),
    },
    after: queue.position,
    checkpoint,
    itemsMax: isolation.unitsMax(parts.itemsMax),
  });
  if (work.units.length === 0) return passOver(parts, queue, work, note);

  const composed = compose(work.units.slice(0, isolation.unitsMax(parts.itemsMax)), {
    sender: parts.cluster,
    incarnation: parts.eventLog.incarnation,
    after: queue.position,
    upto: work.upto,
  });
  if ('oversized' in composed) {
    const reason = 'larger than one linked update may be';
    await park(parts, queue, work, composed.oversized, { reason, status: 0, refusals: 0 }, note);
    return 'sent';
  }
  for (const shipment of composed.shipments) {
    const answer = await ship(parts, station, shipment, signal);
    const outcome = await settleAnswer(parts, queue, work, shipment, answer, note);
    if (outcome !== 'sent') return outcome;
  }
  return 'sent';
}

/** Nothing in this stretch of the log concerns the peer. The new position is written now and then only. */
async function passOver(
  parts: DeliveryStepParts,
  queue: QueueState,
  work: Work,
  note: Note,
): Promise<'idle' | 'sent'> {
  if (work.upto <= queue.position) return 'idle';
  const writeEvery = 500;
  if (Math.floor(work.upto / writeEvery) !== Math.floor(queue.position / writeEvery)) {
    await settle(parts.store, queue.peer, work.upto, []);
  }
  queue.position = work.upto;
  note({ position: work.upto });
  // There may be more behind it: look again before resting.
  return parts.checkpoint() > work.upto ? 'sent' : 'idle';
}

async function ship(
  parts: DeliveryStepParts,
  station: Station,
  shipment: Shipment,
  signal: AbortSignal,
): Promise<DimseStoreAnswer> {
  const { update } = shipment;
  const request: DimseStoreRequest = {
    aeTitle: station.aeTitle,
    sopClassUid: uids.IsthmusLinkedUpdateStorage,
    sopInstanceUid: update.sopInstanceUid,
    transferSyntaxUid: update.transferSyntaxUid,
    timeoutMs: parts.timeoutMs,
  };
  return parts.eventLog.requests.ask<DimseStoreRequest, DimseStoreAnswer>(
    requestSubjects.dimseStore,
    request,
    {
      timeoutMs: parts.timeoutMs + 1_000,
      attachment: update.bytes,
      signal,
    },
  );
}

async function settleAnswer(
  parts: DeliveryStepParts,
  queue: QueueState,
  work: Work,
  shipment: Shipment,
  answer: DimseStoreAnswer,
  note: Note,
): Promise<'sent' | 'pause'> {
  const { peer, isolation } = queue;
  const status = answer.status.toString(16).padStart(4, '0').toUpperCase();
  const facts = {
    peer,
    items: shipment.items,
    upto: work.upto,
    status,
    sopInstanceUid: shipment.update.sopInstanceUid,
  };
  const verdict = judge(answer.status);
  if (verdict === 'delivered') {
    await acknowledge(parts, queue, work, shipment.units, note);
    isolation.delivered(shipment.units.length);
    parts.log.info(facts, 'delivery: the peer has it');
    return 'sent';
  }
  const reason = `${status}${answer.errorComment ? `: ${answer.errorComment}` : ''}`;
  note({ lastError: reason });
  if (verdict === 'later') {
    parts.log.warn({ ...facts, reason }, 'delivery: the peer takes no updates now');
    parts.askLinkState(peer);
    return 'pause';
  }
  // A part of a manifest is refused for the unit that it travels ahead of.
  const units = shipment.units.length === 0 ? work.units.slice(0, 1) : shipment.units;
  const [first] = units;
  if (!first) return 'pause';
  parts.log.warn({ ...facts, reason }, 'delivery: the peer refuses the content');
  if (isolation.refused(units.length, keyOf(first)) === 'again') return units.length > 1 ? 'sent' : 'pause';
  const refusals = parts.refusalsMax;
  await park(parts, queue, work, first, { reason, status: answer.status, refusals }, note);
  return 'sent';
}

async function acknowledge(
  parts: DeliveryStepParts,
  queue: QueueState,
  work: Work,
  units: readonly Unit[],
  note: Note,
): Promise<void> {
  if (units.length === 0) return;
  const position = positionAfter(work, units);
  await settle(parts.store, queue.peer, position, units);
  queue.position = position;
  queue.sentUpdates += 1;
  queue.sentItems += units.length;
  note({ position, lastSentMs: Date.now(), sentUpdates: queue.sentUpdates, sentItems: queue.sentItems });
}

/** The position once these units, the first of the work, are done. */
export function positionAfter(work: Work, done: readonly Unit[]): number {
  const [next] = work.units
    .slice(done.length)
    .flatMap(({ source }) => (source.kind === 'entry' ? [source.sequence] : []));
  return next === undefined ? work.upto : next - 1;
}

function keyOf(unit: Unit): string {
  const { source } = unit;
  switch (source.kind) {
    case 'entry':
      return `entry ${source.sequence}`;
    case 'due':
      return `due ${source.study}`;
    case 'parked':
      return `parked ${source.id}`;
  }
}

/** Sets the first unit aside, visible to operators, and goes on behind it. */
async function park(
  parts: DeliveryStepParts,
  queue: QueueState,
  work: Work,
  unit: Unit,
  why: ParkReason,
  note: Note,
): Promise<void> {
  const position = positionAfter(work, [unit]);
  await settle(parts.store, queue.peer, position, [unit], why);
  queue.position = position;
  note({ position });
  parts.log.error(
    { peer: queue.peer, source: unit.source, reason: why.reason },
    'delivery: parked an update',
  );
}
