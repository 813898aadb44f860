import { encodeCommandSet } from './command-set.ts';
import type { CommandSet } from './command-set.ts';
import type { Connection } from './connection.ts';
import type { OpenDataSet } from './data-set-sender.ts';
import { encodeFragments, encodeMessage } from './message-writer.ts';

/**
 * Writes messages one after the other: the fragments of two messages must not mix (PS3.8 Annex E), and a data
 * set that is streamed from a file takes a while.
 */
export class MessageSender {
  /** Data bytes in one fragment; known when the association is. */
  fragmentMax = 0;
  readonly #connection: Connection;
  #isStreaming = false;
  /** Messages made while a data set is streamed. As many as operations may be under way. */
  #held: Buffer[] = [];
  readonly #streams: (() => void)[] = [];

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  get isBehind(): boolean {
    return this.#connection.isBehind;
  }

  /** A whole small message: at once, or right after the data set that is being streamed. */
  send(contextId: number, command: CommandSet, dataSet?: Buffer): void {
    this.write(encodeMessage(contextId, command, dataSet, this.fragmentMax));
  }

  /** As `send`, for what is in fragments already. Nothing is written any more when the connection has ended. */
  write(message: Buffer): void {
    if (this.#connection.isEnded) return;
    if (this.#isStreaming) this.#held.push(message);
    else this.#connection.write(message);
  }

  /** Resolves when the peer has taken enough; rejects when the connection ends. */
  drained(): Promise<void> {
    return this.#connection.drained();
  }

  /**
   * Sends a message whose data set is streamed, when those before it have been. Resolves when all of it was
   * handed over. Rejects with DataSetSourceError or the error of the connection: the message is broken then.
   */
  async stream(contextId: number, command: CommandSet, dataSet: OpenDataSet): Promise<void> {
    while (this.#isStreaming) await new Promise<void>((begin) => this.#streams.push(begin));
    this.#isStreaming = true;
    try {
      const head = encodeFragments(contextId, true, encodeCommandSet(command), this.fragmentMax);
      await dataSet.send(this.#connection, contextId, this.fragmentMax, head);
    } finally {
      this.#isStreaming = false;
      const held = this.#held;
      this.#held = [];
      for (const message of held) this.write(message);
      this.#streams.shift()?.();
    }
  }
}
