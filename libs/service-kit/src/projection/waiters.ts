import type { Log } from '../log/log.ts';

/** Those who wait for a position, and those who want to hear of each. */
export interface Waiters {
  waitFor(sequence: number, timeoutMs: number): Promise<boolean>;
  onAdvance(listener: (sequence: number) => void): () => void;
  advance(sequence: number, log: Log): void;
  /** Tells everyone who waits that it will not happen. Waiting is possible again after the next advance. */
  fail(): void;
}

export function waiters(): Waiters {
  const waiting = new Set<{ sequence: number; settle(reached: boolean): void }>();
  const listeners = new Set<(sequence: number) => void>();
  let position = 0;
  let failed = false;
  return {
    waitFor: (sequence, timeoutMs) => {
      if (position >= sequence) return Promise.resolve(true);
      if (failed) return Promise.resolve(false);
      return new Promise((resolve) => {
        const timer = setTimeout(() => entry.settle(false), timeoutMs);
        const entry = {
          sequence,
          settle: (reached: boolean) => {
            clearTimeout(timer);
            waiting.delete(entry);
            resolve(reached);
          },
        };
        waiting.add(entry);
      });
    },
    onAdvance: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    advance: (sequence, log) => {
      position = sequence;
      failed = false;
      for (const entry of waiting) if (entry.sequence <= sequence) entry.settle(true);
      for (const listener of listeners) {
        try {
          listener(sequence);
        } catch (error) {
          log.error({ err: error }, 'a listener of the projection failed');
        }
      }
    },
    fail: () => {
      failed = true;
      for (const entry of waiting) entry.settle(false);
    },
  };
}
