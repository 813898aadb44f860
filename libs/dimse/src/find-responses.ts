import { FlowQueue } from './flow-queue.ts';
import type { DimseLimits } from './limits.ts';

export interface FindOutcome {
  readonly status: number;
  readonly errorComment?: string;
  /** Some rows came as FF01: the peer did not apply all optional keys. */
  readonly withWarnings: boolean;
}

/**
 * The answers to one C-FIND: identifiers as encoded bytes, in `transferSyntaxUid`, then the final status.
 * Iterate once. The iterator returns the outcome; `final` has it too, for `for await`. Rows wait unread up to
 * `queuedBytesMax`, then the peer has to.
 */
export class FindResponses implements AsyncIterable<Buffer, FindOutcome> {
  /** Of the identifiers; set when the first row can be read. */
  transferSyntaxUid = '';
  readonly #rows: FlowQueue;
  readonly #final = Promise.withResolvers<FindOutcome>();
  #isOver = false;
  #isCancelled = false;
  #onCancel: (() => void) | undefined;

  constructor(options: { limits: DimseLimits; pause: () => void; resume: () => void }) {
    const { limits, pause, resume } = options;
    this.#rows = new FlowQueue({
      bytesMax: limits.queuedBytesMax,
      bytesResume: limits.queuedBytesResume,
      pause,
      resume,
    });
    // Those who iterate get the error there.
    this.#final.promise.catch(() => undefined);
  }

  /** The final status. Rejects when the association ends before. Needs the rows to be read. */
  get final(): Promise<FindOutcome> {
    return this.#final.promise;
  }

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /**
   * Sends C-CANCEL; rows that still come are dropped. The outcome is what the peer makes of it, usually FE00.
   */
  cancel(): void {
    if (this.#isOver || this.#isCancelled) return;
    this.#isCancelled = true;
    this.#onCancel?.();
    this.#rows.discard();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, FindOutcome, undefined> {
    try {
      yield* this.#rows;
      return await this.#final.promise;
    } finally {
      if (!this.#isOver) {
        this.cancel();
        // The association is free again only when the peer has said its last word.
        await this.#final.promise.catch(() => undefined);
      }
    }
  }

  /** Called by the association. */
  push(row: Buffer): void {
    this.#rows.push(row);
  }

  /** Called by the association: how to send C-CANCEL, once there is something to cancel. */
  onCancel(send: () => void): void {
    this.#onCancel = send;
  }

  /** Called by the association: the operation that fills it. */
  follow(operation: Promise<FindOutcome>): void {
    operation.then(
      (outcome) => {
        this.#isOver = true;
        this.#rows.finish();
        this.#final.resolve(outcome);
      },
      (error: unknown) => {
        this.#isOver = true;
        this.#rows.fail(error);
        this.#final.reject(error);
      },
    );
  }
}
