import { TooMuchWaitingError } from './errors.ts';

/** Lets a bounded number of tasks run at once; a bounded number waits, first come first served. */
export interface Turns {
  /**
   * Waits for a turn and takes it. Call what it returns when done.
   * @throws {TooMuchWaitingError} Too many wait already.
   * @throws The signal's reason when it is aborted first.
   */
  take(signal?: AbortSignal): Promise<() => void>;
  /** As `take`, but only if a turn is free now. */
  takeNow(): (() => void) | undefined;
  /** Somebody waits for a turn. */
  readonly isWanted: boolean;
}

/** @param options.what - For the error, e.g. `retrieves (RETRIEVES_WAITING_MAX)`. */
export function turns(options: {
  readonly runningMax: number;
  readonly waitingMax: number;
  readonly what: string;
}): Turns {
  let running = 0;
  const waiting: { readonly start: () => void }[] = [];

  const release = (): (() => void) => {
    let done = false;
    return () => {
      if (done) return;
      done = true;
      running -= 1;
      waiting.shift()?.start();
    };
  };
  const takeNow = (): (() => void) | undefined => {
    if (running >= options.runningMax) return undefined;
    running += 1;
    return release();
  };
  return {
    takeNow,
    get isWanted() {
      return waiting.length > 0;
    },
    take: async (signal) => {
      signal?.throwIfAborted();
      const turn = takeNow();
      if (turn !== undefined) return turn;
      if (waiting.length >= options.waitingMax)
        throw new TooMuchWaitingError(options.what, options.waitingMax);
      return new Promise((resolve, reject) => {
        const giveUp = (): void => {
          const at = waiting.indexOf(entry);
          if (at >= 0) waiting.splice(at, 1);
          reject(signal?.reason as Error);
        };
        const entry = {
          start: () => {
            signal?.removeEventListener('abort', giveUp);
            running += 1;
            resolve(release());
          },
        };
        waiting.push(entry);
        signal?.addEventListener('abort', giveUp, { once: true });
      });
    },
  };
}
