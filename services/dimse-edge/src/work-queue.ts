/** Items that one task adds and others take. As long as what was asked for; its maker bounds it. */
export interface WorkQueue<Item> {
  push(item: Item): void;
  /** No more will come; what waits can still be taken. */
  close(): void;
  readonly isClosed: boolean;
  /** What waits, first the next one. */
  waiting(): readonly Item[];
  /** The first item that `fits`, at once; `undefined` when none does. */
  takeNow(fits?: (item: Item) => boolean): Item | undefined;
  /** The next item; `nothing` when none came within `waitMs`; `closed` when none will come. */
  take(options: {
    readonly waitMs: number;
    readonly signal: AbortSignal;
  }): Promise<Item | 'nothing' | 'closed' | 'aborted'>;
  /** Hears of every item that comes, and of the end. @returns Stops listening. */
  onChange(listener: () => void): () => void;
}

/** A queue for any number of takers. */
export function workQueue<Item extends object>(): WorkQueue<Item> {
  const items: Item[] = [];
  const listeners = new Set<() => void>();
  let closed = false;

  const tell = (): void => {
    for (const listener of [...listeners]) listener();
  };
  const onChange = (listener: () => void): (() => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
  /** Resolves when there may be something to take, or at the end of the wait. */
  const changed = (waitMs: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        stopListening();
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      signal.addEventListener('abort', done, { once: true });
      const stopListening = onChange(done);
    });

  return {
    push: (item) => {
      items.push(item);
      tell();
    },
    close: () => {
      closed = true;
      tell();
    },
    get isClosed() {
      return closed;
    },
    waiting: () => items,
    takeNow: (fits) => {
      const at = fits === undefined ? 0 : items.findIndex(fits);
      return at < 0 ? undefined : items.splice(at, 1)[0];
    },
    take: async ({ waitMs, signal }) => {
      if (items.length === 0 && !closed && !signal.aborted) await changed(waitMs, signal);
      if (signal.aborted) return 'aborted';
      return items.shift() ?? (closed ? 'closed' : 'nothing');
    },
    onChange,
  };
}
