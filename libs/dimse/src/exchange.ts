import type { CommandSet } from './command-set.ts';

export interface FinalResponse {
  readonly command: CommandSet;
  readonly dataSet: Buffer | undefined;
}

/** One request of ours, from its command set to the final response. */
export class Exchange {
  readonly contextId: number;
  readonly messageId: number;
  /** How long the peer may be silent while we wait for it. */
  readonly timeoutMs: number;
  /** All of the request has been handed to the socket: from here on the peer is to act. */
  isSent = false;
  readonly #onPending: ((command: CommandSet, dataSet: Buffer | undefined) => void) | undefined;
  readonly #final = Promise.withResolvers<FinalResponse>();
  #cancelTimer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(facts: {
    contextId: number;
    messageId: number;
    timeoutMs: number;
    onPending?: (command: CommandSet, dataSet: Buffer | undefined) => void;
  }) {
    this.contextId = facts.contextId;
    this.messageId = facts.messageId;
    this.timeoutMs = facts.timeoutMs;
    this.#onPending = facts.onPending;
    // The sender may not have come to wait for it yet.
    this.#final.promise.catch(() => undefined);
  }

  get final(): Promise<FinalResponse> {
    return this.#final.promise;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get isCancelled(): boolean {
    return this.#cancelTimer !== undefined;
  }

  pending(command: CommandSet, dataSet: Buffer | undefined): void {
    this.#onPending?.(command, dataSet);
  }

  /** C-CANCEL was sent; without a final response in time `expired` is called. */
  cancelled(timeoutMs: number, expired: () => void): void {
    this.#cancelTimer = setTimeout(expired, timeoutMs);
  }

  finish(response: FinalResponse): void {
    this.#over();
    this.#final.resolve(response);
  }

  fail(error: Error): void {
    this.#over();
    this.#final.reject(error);
  }

  #over(): void {
    this.#isOver = true;
    clearTimeout(this.#cancelTimer);
  }
}
