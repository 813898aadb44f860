/**
 * A fragment is charged this much beyond its bytes, so that a million tiny ones cannot hide from the limit.
 */
const overheadBytes = 128;

export interface FlowQueueOptions {
  readonly bytesMax: number;
  readonly bytesResume: number;
  readonly pause: () => void;
  readonly resume: () => void;
  /** Takes back the memory of what a reader had borrowed. */
  readonly recycle?: (memory: ArrayBufferLike) => void;
}

/**
 * Hands buffers from a socket to one reader with back-pressure: says `pause` when more than `bytesMax` wait
 * and `resume` when fewer than `bytesResume` do. A reader that stops early turns it into a drain: what still
 * comes is thrown away.
 */
export class FlowQueue implements AsyncIterable<Buffer> {
  readonly #options: FlowQueueOptions;
  #queue: Buffer[] = [];
  #head = 0;
  #queuedBytes = 0;
  #paused = false;
  #state: 'open' | 'finished' | 'failed' = 'open';
  #discarding = false;
  #isClosed = false;
  #error: unknown;
  #wake: (() => void) | undefined;

  constructor(options: FlowQueueOptions) {
    this.#options = options;
  }

  push(buffer: Buffer): void {
    if (this.#discarding || this.#state !== 'open') return;
    this.#queue.push(buffer);
    this.#queuedBytes += cost(buffer);
    if (this.#queuedBytes > this.#options.bytesMax && !this.#paused) {
      this.#paused = true;
      this.#options.pause();
    }
    this.#wakeReader();
  }

  /** No more will come; what waits can still be read. */
  finish(): void {
    if (this.#state === 'open') this.#state = 'finished';
    this.#wakeReader();
  }

  /** The rest will never come: the reader gets `error` at once. Has no effect after `finish`. */
  fail(error: unknown): void {
    if (this.#state !== 'open') return;
    this.#state = 'failed';
    this.#error = error;
    this.#drop();
    this.#wakeReader();
  }

  /** The reader's time is over: `discard`, and nothing is taken back from it any more. */
  close(): void {
    this.#isClosed = true;
    this.discard();
  }

  /** Throws away what waits and what still comes. */
  discard(): void {
    this.#discarding = true;
    this.#drop();
    this.#wakeReader();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    try {
      while (await this.#ready()) {
        const buffer = this.#queue[this.#head] as Buffer;
        this.#head += 1;
        if (this.#head === this.#queue.length) {
          this.#queue = [];
          this.#head = 0;
        }
        yield buffer;
        this.#consumed(cost(buffer));
      }
    } finally {
      this.discard();
    }
  }

  /** As the iterator, but all that waits in one step: for gathered writes. */
  batches(): AsyncIterableIterator<Buffer[]> {
    return new Batches(
      (before) => this.#nextBatch(before, false),
      () => this.discard(),
    );
  }

  /**
   * As `batches`, but the memory of a batch is taken back when the next is asked for: its buffers are empty
   * then. Memory that is used again at once is what makes receiving cheap; the collector comes late.
   */
  borrowed(): AsyncIterableIterator<Buffer[]> {
    return new Batches(
      (before) => this.#nextBatch(before, true),
      () => this.discard(),
    );
  }

  /** The reader is done with `before`, and wants what has come since; `undefined` at the end. */
  async #nextBatch(before: Buffer[] | undefined, isBorrowed: boolean): Promise<Buffer[] | undefined> {
    if (before !== undefined) {
      let bytes = 0;
      for (const buffer of before) bytes += cost(buffer);
      if (isBorrowed) this.giveBack(before);
      this.#consumed(bytes);
    }
    while (!this.#isReady()) {
      if (this.#isOver()) {
        this.discard();
        return undefined;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const batch = this.#head === 0 ? this.#queue : this.#queue.slice(this.#head);
    this.#queue = [];
    this.#head = 0;
    return batch;
  }

  /**
   * Takes back the memory of whole batches of `batches()`, for readers that are still at one while they ask
   * for the next.
   */
  giveBack(batch: readonly Buffer[]): void {
    const { recycle } = this.#options;
    // After `close` it may be in use for somebody else.
    if (recycle === undefined || this.#isClosed) return;
    let last: ArrayBufferLike | undefined;
    for (const { buffer } of batch) {
      // Neighbours mostly lie in the same memory.
      if (buffer !== last) recycle(buffer);
      last = buffer;
    }
  }

  #isReady(): boolean {
    return this.#state !== 'failed' && !this.#discarding && this.#queue.length > 0;
  }

  /** Nothing will come any more. Throws what `fail` said. */
  #isOver(): boolean {
    if (this.#state === 'failed') throw this.#error;
    return this.#discarding || this.#state === 'finished';
  }

  /** Whether there is something to read; waits until that is known. Throws what `fail` said. */
  async #ready(): Promise<boolean> {
    while (!this.#isReady()) {
      if (this.#isOver()) return false;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return true;
  }

  /** What the reader has in hand counts until it asks for more, so that memory is bounded by one number. */
  #consumed(bytes: number): void {
    this.#queuedBytes = Math.max(0, this.#queuedBytes - bytes);
    this.#resumeBelow(this.#options.bytesResume);
  }

  #drop(): void {
    this.#queue = [];
    this.#head = 0;
    this.#queuedBytes = 0;
    this.#resumeBelow(this.#options.bytesResume);
  }

  #resumeBelow(bytes: number): void {
    if (!this.#paused || this.#queuedBytes >= bytes) return;
    this.#paused = false;
    this.#options.resume();
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

/** An iterator by hand: an async generator makes three promises for each batch. */
class Batches implements AsyncIterableIterator<Buffer[]> {
  readonly #next: (before: Buffer[] | undefined) => Promise<Buffer[] | undefined>;
  readonly #stop: () => void;
  #inHand: Buffer[] | undefined;

  constructor(next: (before: Buffer[] | undefined) => Promise<Buffer[] | undefined>, stop: () => void) {
    this.#next = next;
    this.#stop = stop;
  }

  async next(): Promise<IteratorResult<Buffer[], undefined>> {
    const value = await this.#next(this.#inHand);
    this.#inHand = value;
    return value === undefined ? { done: true, value } : { done: false, value };
  }

  return(): Promise<IteratorResult<Buffer[], undefined>> {
    this.#stop();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

function cost(buffer: Buffer): number {
  return buffer.length + overheadBytes;
}
