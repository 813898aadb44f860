/**
 * A fragment is charged this much beyond its bytes, so that a million tiny ones cannot hide from the limit.
 */
const overheadBytes = 128;

/**
 * Hands buffers from a socket to one reader with back-pressure: says `pause` when more than `bytesMax` wait
 * and `resume` when fewer than `bytesResume` do. A reader that stops early turns it into a drain: what still
 * comes is thrown away.
 */
export class FlowQueue implements AsyncIterable<Buffer> {
  readonly #options: { bytesMax: number; bytesResume: number; pause: () => void; resume: () => void };
  #queue: Buffer[] = [];
  #head = 0;
  #queuedBytes = 0;
  #paused = false;
  #state: 'open' | 'finished' | 'failed' = 'open';
  #discarding = false;
  #error: unknown;
  #wake: (() => void) | undefined;

  constructor(options: { bytesMax: number; bytesResume: number; pause: () => void; resume: () => void }) {
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
  async *batches(): AsyncGenerator<Buffer[], void, undefined> {
    try {
      while (await this.#ready()) {
        const batch = this.#head === 0 ? this.#queue : this.#queue.slice(this.#head);
        this.#queue = [];
        this.#head = 0;
        yield batch;
        this.#consumed(batch.reduce((sum, buffer) => sum + cost(buffer), 0));
      }
    } finally {
      this.discard();
    }
  }

  /** Whether there is something to read; waits until that is known. Throws what `fail` said. */
  async #ready(): Promise<boolean> {
    for (;;) {
      if (this.#state === 'failed') throw this.#error;
      if (this.#discarding) return false;
      if (this.#queue.length > 0) return true;
      if (this.#state === 'finished') return false;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
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

function cost(buffer: Buffer): number {
  return buffer.length + overheadBytes;
}
