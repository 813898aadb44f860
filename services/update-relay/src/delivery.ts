import type { Configuration } from '@isthmus/domain';
import { backoff } from '@isthmus/service-kit';
import type { Backoff, ConfigurationWatch } from '@isthmus/service-kit';
import { createBell } from './bell.ts';
import type { Bell } from './bell.ts';
import { createIsolation } from './delivery-attempt.ts';
import { deliverOnce } from './delivery-step.ts';
import type { DeliveryFacts, DeliveryStepParts, QueueState, StepOutcome } from './delivery-step.ts';
import { clusterPeers } from './link-map.ts';

export interface DeliveryStatus extends DeliveryFacts {
  readonly failures: number;
  readonly nextAttemptMs: number | undefined;
}

export interface Delivery {
  /** There may be something to send, to all peers or to one. */
  wake(peer?: string): void;
  /** A peer that was away answers: no need to sit out its pause. */
  recovered(peer: string): void;
  status(peer: string): DeliveryStatus;
  stop(): Promise<void>;
}

export interface DeliveryParts extends Omit<DeliveryStepParts, 'configuration'> {
  /** As they were last written, by peer. */
  readonly positions: ReadonlyMap<string, number>;
  readonly configuration: ConfigurationWatch;
  readonly backoffMaxMs: number;
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

interface Queue extends QueueState {
  readonly stopping: AbortController;
  /** Rung for new work. */
  readonly work: Bell;
  /** Rung when a pause after a failure may be cut short. */
  readonly retry: Bell;
  readonly pause: Backoff;
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
  const step = { ...parts, configuration: () => parts.configuration.current() };
  while (!signal.aborted) {
    let outcome: StepOutcome;
    try {
      outcome = await deliverOnce(step, queue, note, signal);
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
