import { uids } from '@isthmus/dicom';
import { linkAllows, requestSubjects, stationOfPeer } from '@isthmus/domain';
import type { Configuration, DimseStoreAnswer, DimseStoreRequest, Station } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import { backoff } from '@isthmus/service-kit';
import type { Backoff, ConfigurationWatch, Log } from '@isthmus/service-kit';
import { createBell } from './bell.ts';
import type { Bell } from './bell.ts';
import { compose } from './compose.ts';
import type { Shipment } from './compose.ts';
import { createIsolation, judge } from './delivery-attempt.ts';
import type { Isolation } from './delivery-attempt.ts';
import { clusterPeers } from './link-state.ts';
import type { PeerHealth } from './peer-health.ts';
import { readWork } from './outbox.ts';
import type { Unit, Work } from './outbox.ts';
import { settle } from './positions.ts';
import type { RelayStore } from './store/rows.ts';

export interface DeliveryStatus {
  /** Position of the peer in our log. */
  readonly position: number;
  readonly failures: number;
  readonly lastError: string | undefined;
  readonly lastSentMs: number | undefined;
  readonly nextAttemptMs: number | undefined;
  readonly sentUpdates: number;
  readonly sentItems: number;
}

export interface Delivery {
  /** There may be something to send, to all peers or to one. */
  wake(peer?: string): void;
  /** A peer that was away answers: no need to sit out its pause. */
  recovered(peer: string): void;
  status(peer: string): DeliveryStatus;
  stop(): Promise<void>;
}

export interface DeliveryParts {
  readonly cluster: string;
  readonly store: RelayStore;
  /** As they were last written, by peer. */
  readonly positions: ReadonlyMap<string, number>;
  readonly eventLog: EventLog;
  readonly configuration: ConfigurationWatch;
  readonly log: Log;
  /** Of the STUDY projection. */
  checkpoint(): number;
  health(peer: string): PeerHealth;
  /** Asks the peer for its Link State: after a failure we want to know what is the matter. */
  askLinkState(peer: string): void;
  readonly itemsMax: number;
  readonly timeoutMs: number;
  readonly backoffMaxMs: number;
  readonly refusalsMax: number;
}

/** How long a queue rests when nothing rings; a lost ring costs this much. */
const idleMs = 30_000;
const nothingSent: DeliveryStatus = {
  position: 0,
  failures: 0,
  lastError: undefined,
  lastSentMs: undefined,
  nextAttemptMs: undefined,
  sentUpdates: 0,
  sentItems: 0,
};

interface Queue {
  readonly peer: string;
  readonly stopping: AbortController;
  /** Rung for new work. */
  readonly work: Bell;
  /** Rung when a pause after a failure may be cut short. */
  readonly retry: Bell;
  readonly pause: Backoff;
  readonly isolation: Isolation;
  position: number;
  sentUpdates: number;
  sentItems: number;
  done: Promise<void>;
}

/**
 * Starts one queue per linked cluster. Each follows our effective entries by position; none waits for
 * another.
 */
export function startDelivery(parts: DeliveryParts): Delivery {
  const { configuration } = parts;
  const statuses = new Map<string, DeliveryStatus>();
  const queues = new Map<string, Queue>();
  const ending: Promise<void>[] = [];
  const note = (peer: string, facts: Partial<DeliveryStatus>): void => {
    statuses.set(peer, { ...(statuses.get(peer) ?? nothingSent), ...facts });
  };
  for (const [peer, position] of parts.positions) note(peer, { position });

  const begin = (peer: string): void => {
    const queue: Queue = {
      peer,
      stopping: new AbortController(),
      work: createBell(),
      retry: createBell(),
      pause: backoff({ baseMs: Math.min(250, parts.backoffMaxMs), maxMs: parts.backoffMaxMs }),
      isolation: createIsolation(parts.refusalsMax),
      position: statuses.get(peer)?.position ?? 0,
      sentUpdates: statuses.get(peer)?.sentUpdates ?? 0,
      sentItems: statuses.get(peer)?.sentItems ?? 0,
      done: Promise.resolve(),
    };
    queue.done = run(parts, queue, (facts) => note(peer, facts));
    queues.set(peer, queue);
  };
  const follow = (now: Configuration): void => {
    const wanted = new Set(clusterPeers(now));
    for (const [peer, queue] of queues) {
      if (wanted.has(peer)) continue;
      queue.stopping.abort();
      ending.push(queue.done);
      queues.delete(peer);
    }
    for (const peer of wanted) if (!queues.has(peer)) begin(peer);
    for (const queue of queues.values()) {
      queue.retry.ring();
      queue.work.ring();
    }
  };
  const unsubscribe = configuration.onChange(follow);
  if (configuration.isReady()) follow(configuration.current());

  return {
    wake: (peer) => {
      for (const queue of queues.values()) if (peer === undefined || queue.peer === peer) queue.work.ring();
    },
    recovered: (peer) => queues.get(peer)?.retry.ring(),
    status: (peer) => statuses.get(peer) ?? nothingSent,
    stop: async () => {
      unsubscribe();
      for (const queue of queues.values()) queue.stopping.abort();
      await Promise.allSettled([...ending, ...[...queues.values()].map((queue) => queue.done)]);
    },
  };
}

type Note = (facts: Partial<DeliveryStatus>) => void;

async function run(parts: DeliveryParts, queue: Queue, note: Note): Promise<void> {
  const { signal } = queue.stopping;
  while (!signal.aborted) {
    let outcome: 'idle' | 'sent' | 'pause';
    try {
      outcome = await sendOnce(parts, queue, note);
    } catch (error) {
      if (signal.aborted) return;
      outcome = 'pause';
      note({ lastError: (error as Error).message });
      parts.log.warn({ err: error, peer: queue.peer }, 'delivery: interrupted; trying again');
      parts.askLinkState(queue.peer);
    }
    if (outcome === 'idle') {
      await queue.work.wait(idleMs, signal);
    } else if (outcome === 'sent') {
      queue.pause.reset();
      note({ failures: 0, lastError: undefined, nextAttemptMs: undefined });
    } else {
      const waitMs = queue.pause.next();
      note({ failures: queue.pause.attempts, nextAttemptMs: Date.now() + waitMs });
      await queue.retry.wait(waitMs, signal);
    }
  }
}

/**
 * The station to send to, as long as the link lets updates out and the peer has shown that it speaks our
 * syntax.
 */
function destination(parts: DeliveryParts, peer: string): Station | undefined {
  const configuration = parts.configuration.current();
  if (!linkAllows(configuration.links.get(peer), 'updates', 'out')) return undefined;
  // A promiscuous archive would answer success to anything: nothing leaves before the peer answered Link
  // State.
  return parts.health(peer).answered ? stationOfPeer(configuration, peer) : undefined;
}

async function sendOnce(parts: DeliveryParts, queue: Queue, note: Note): Promise<'idle' | 'sent' | 'pause'> {
  const { peer, isolation } = queue;
  const station = destination(parts, peer);
  if (!station) return 'idle';
  const configuration = parts.configuration.current();
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
    const answer = await ship(parts, station, shipment, queue.stopping.signal);
    const outcome = await settleAnswer(parts, queue, work, shipment, answer, note);
    if (outcome !== 'sent') return outcome;
  }
  return 'sent';
}

/** Nothing in this stretch of the log concerns the peer. The new position is written now and then only. */
async function passOver(
  parts: DeliveryParts,
  queue: Queue,
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
  parts: DeliveryParts,
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
  parts: DeliveryParts,
  queue: Queue,
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
  parts: DeliveryParts,
  queue: Queue,
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
  parts: DeliveryParts,
  queue: Queue,
  work: Work,
  unit: Unit,
  why: { readonly reason: string; readonly status: number; readonly refusals: number },
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
