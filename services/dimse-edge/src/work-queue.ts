/** Items that one task adds and another takes. As long as what was asked for; its maker bounds it. */
export interface WorkQueue<Item> {
  push(item: Item): void;
  /** No more will come; what waits can still be taken. */
  close(): void;
  /** What waits, first the next one. */
  waiting(): readonly Item[];
  /** The next item; `nothing` when none came within `waitMs`; `closed` when none will come. */
  take(options: {
    readonly waitMs: number;
    readonly signal: AbortSignal;
  }): Promise<Item | 'nothing' | 'closed' | 'aborted'>;
}

/** A queue for one taker. */
export function workQueue<Item extends object>(): WorkQueue<Item> {
  const items: Item[] = [];
  let closed = false;
  let wake: (() => void) | undefined;

  const changed = (waitMs: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      signal.addEventListener('abort', done, { once: true });
      wake = done;
    });

  return {
    push: (item) => {
      items.push(item);
      wake?.();
    },
    close: () => {
      closed = true;
      wake?.();
    },
    waiting: () => items,
    take: async ({ waitMs, signal }) => {
      if (items.length === 0 && !closed && !signal.aborted) await changed(waitMs, signal);
      if (signal.aborted) return 'aborted';
      return items.shift() ?? (closed ? 'closed' : 'nothing');
    },
  };
}
