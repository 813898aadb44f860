import { setTimeout as delay } from 'node:timers/promises';

export interface BackoffOptions {
  /** First pause, in ms. */
  readonly baseMs: number;
  /** Longest pause, in ms. */
  readonly maxMs: number;
  /** 0 up to, not including, 1. @default Math.random */
  readonly random?: () => number;
}

export interface Backoff {
  /** Pauses given since the last reset. */
  readonly attempts: number;
  /**
   * The next pause in ms: doubling from `baseMs` to `maxMs`, then spread over its upper half so that many
   * waiters part.
   */
  next(): number;
  /** Sleeps for `next()`. Returns early, without an error, when the signal is aborted. */
  wait(signal?: AbortSignal): Promise<void>;
  /** Call after a success: the next pause is short again. */
  reset(): void;
}

/** Pauses between tries: exponential, with a ceiling and jitter. Keeps no timer of its own. */
export function backoff(options: BackoffOptions): Backoff {
  const random = options.random ?? Math.random;
  let attempts = 0;
  const next = (): number => {
    const ceiling = Math.min(options.maxMs, options.baseMs * 2 ** Math.min(attempts, 30));
    attempts += 1;
    return Math.round(ceiling / 2 + (ceiling / 2) * random());
  };
  return {
    get attempts() {
      return attempts;
    },
    next,
    wait: (signal) => sleep(next(), signal),
    reset: () => {
      attempts = 0;
    },
  };
}

/** Sleeps. Returns early, without an error, when the signal is (or gets) aborted. */
export async function sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
  try {
    await delay(durationMs, undefined, { signal });
  } catch (error) {
    if ((error as Error).name !== 'AbortError') throw error;
  }
}
