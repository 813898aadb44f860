import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { writeSync } from 'node:fs';
import { writeFailure } from './corpus.ts';

/** An input for which the thread has not come back after this time never will. */
const stuckMs = 20_000;
const lookEveryMs = 1_000;
const inputBytesMax = 1024 * 1024;

interface Shared {
  readonly target: string;
  /** Number of the input, and its length. */
  readonly state: Int32Array;
  readonly bytes: Uint8Array;
}

/**
 * Looks from another thread whether inputs come to an end: one that does not is written to the corpus and the process
 * is ended, since nothing in the stuck thread can do that.
 */
export class Watchdog {
  readonly #shared: Shared;
  readonly #worker: Worker;

  constructor(target: string) {
    this.#shared = {
      target,
      state: new Int32Array(new SharedArrayBuffer(8)),
      bytes: new Uint8Array(new SharedArrayBuffer(inputBytesMax)),
    };
    this.#worker = new Worker(new URL(import.meta.url), { workerData: this.#shared });
    this.#worker.unref();
  }

  /** To be called before each input. */
  begin(input: Buffer): void {
    this.#shared.bytes.set(input.subarray(0, inputBytesMax));
    Atomics.store(this.#shared.state, 1, Math.min(input.length, inputBytesMax));
    Atomics.add(this.#shared.state, 0, 1);
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}

function watch({ target, state, bytes }: Shared): void {
  let last = -1;
  let stillSince = performance.now();
  setInterval(() => {
    const now = Atomics.load(state, 0);
    if (now !== last) {
      last = now;
      stillSince = performance.now();
    } else if (performance.now() - stillSince > stuckMs) {
      const input = Buffer.from(bytes.subarray(0, Atomics.load(state, 1)));
      const path = writeFailure(target, 'failure-hang', input);
      writeSync(2, `${target}: input ${now} does not come to an end: ${path}\n`);
      process.kill(process.pid, 'SIGKILL');
    }
  }, lookEveryMs);
}

if (!isMainThread) watch(workerData as Shared);
