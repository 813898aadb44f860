import { randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';

import type { EventEnvelope, StoredEvent } from '@isthmus/domain';

import type { EventLog, EventLogOptions } from '../src/index.ts';

/** What the contract suite needs of an implementation: a log of its own, and ways to hurt it. */
export interface LogUnderTest {
  connect(options?: Pick<EventLogOptions, 'streams' | 'appendTimeoutMs'>): Promise<EventLog>;
  /** The process that keeps the log dies without warning. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** All its data are gone. Only while it is not running. */
  wipe(): Promise<void>;
}

export type LogFactory = (t: TestContext) => Promise<LogUnderTest>;

export const studyA = 'study.1.1-2-3';
export const studyB = 'study.2.4-5-6';

export function event(data: unknown = {}, id: string = randomUUID()): EventEnvelope {
  return {
    id,
    type: 'SomethingHappened',
    source: 'north/test',
    subject: '1.2.3',
    time: '2026-01-01T00:00:00.000Z',
    origin: 'north',
    hlc: '0'.repeat(16),
    path: ['north'],
    v: 1,
    data,
  };
}

export function numbered(
  count: number,
  subject: string = studyA,
): { subject: string; event: EventEnvelope }[] {
  return Array.from({ length: count }, (_, number) => ({ subject, event: event({ number }) }));
}

/** Follows in the background, and keeps what came. */
export function following(
  t: TestContext,
  log: EventLog,
  stream: 'STUDY' | 'INSTANCES',
  options: { after?: number; filter?: string; batchMax?: number } = {},
): { events: StoredEvent[]; sizes: number[]; error: unknown; ended: Promise<void>; stop(): void } {
  const controller = new AbortController();
  t.after(() => controller.abort());
  const follower = {
    events: [] as StoredEvent[],
    sizes: [] as number[],
    error: undefined as unknown,
    ended: Promise.resolve(),
    stop: () => controller.abort(),
  };
  follower.ended = (async () => {
    try {
      for await (const batch of log.follow(stream, { after: 0, ...options, signal: controller.signal })) {
        follower.events.push(...batch);
        follower.sizes.push(batch.length);
      }
    } catch (error) {
      follower.error = error;
    }
  })();
  return follower;
}

export function numbersOf(events: readonly StoredEvent[]): number[] {
  return events.map((stored) => (stored.event.data as { number: number }).number);
}

export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number);
}
