import { encodeCommandSet } from './command-set.ts';
import type { CommandSet } from './command-set.ts';
import type { MessageSender } from './message-sender.ts';
import { pduHeaderBytes, pduType } from './pdu.ts';

/**
 * PDU header (6), PDV length (4), context id (1), message control header (1): what goes before each fragment.
 */
export const fragmentHeaderBytes = pduHeaderBytes + 6;

/** PDV header: what a fragment takes of the announced maximum beside its own bytes (PS3.8 9.3.5). */
const pdvHeaderBytes = 6;

/**
 * Largest even number of data bytes in one P-DATA-TF of one PDV.
 *
 * @param peerMaxPduBytes - What the peer announced; 0 or nothing = no limit, then ours holds.
 */
export function fragmentBytesMax(peerMaxPduBytes: number | undefined, ourMax: number): number {
  const max =
    peerMaxPduBytes === undefined || peerMaxPduBytes === 0 ? ourMax : Math.min(peerMaxPduBytes, ourMax);
  return (max - pdvHeaderBytes) & ~1;
}

/** Writes the 12 bytes before a fragment of `length` bytes. */
export function writeFragmentHeader(
  into: Buffer,
  at: number,
  fragment: { contextId: number; isCommand: boolean; isLast: boolean; length: number },
): void {
  into.writeUInt8(pduType.data, at);
  into.writeUInt8(0, at + 1);
  into.writeUInt32BE(fragment.length + pdvHeaderBytes, at + 2);
  into.writeUInt32BE(fragment.length + 2, at + 6);
  into.writeUInt8(fragment.contextId, at + 10);
  into.writeUInt8((fragment.isCommand ? 1 : 0) | (fragment.isLast ? 2 : 0), at + 11);
}

/** A command set or an in-memory data set as P-DATA-TF PDUs, copied into one buffer. */
export function encodeFragments(
  contextId: number,
  isCommand: boolean,
  bytes: Buffer,
  fragmentMax: number,
): Buffer {
  const count = Math.max(1, Math.ceil(bytes.length / fragmentMax));
  const whole = Buffer.allocUnsafe(bytes.length + count * fragmentHeaderBytes);
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    const start = index * fragmentMax;
    const length = Math.min(fragmentMax, bytes.length - start);
    writeFragmentHeader(whole, at, { contextId, isCommand, isLast: index === count - 1, length });
    bytes.copy(whole, at + fragmentHeaderBytes, start, start + length);
    at += fragmentHeaderBytes + length;
  }
  return whole;
}

/** One message as P-DATA-TF PDUs. For small ones: everything is copied. */
export function encodeMessage(
  contextId: number,
  command: CommandSet,
  dataSet: Buffer | undefined,
  fragmentMax: number,
): Buffer {
  const head = encodeFragments(contextId, true, encodeCommandSet(command), fragmentMax);
  if (dataSet === undefined) return head;
  return Buffer.concat([head, encodeFragments(contextId, false, dataSet, fragmentMax)]);
}

/**
 * Gathers small messages and writes them in batches: at once when the producer pauses (next turn of the event
 * loop), and at `batchBytes` with the peer's pace awaited. What is added is copied into the batch.
 */
export class BatchWriter {
  readonly #to: Pick<MessageSender, 'write' | 'drained' | 'isBehind'>;
  readonly #batchBytes: number;
  #batch: Buffer | undefined;
  #bytes = 0;
  #scheduled: NodeJS.Immediate | undefined;

  constructor(to: Pick<MessageSender, 'write' | 'drained' | 'isBehind'>, batchBytes: number) {
    this.#to = to;
    this.#batchBytes = batchBytes;
  }

  /**
   * Adds a message: its command set, which is in fragments already, and its data set. When it answers true,
   * `flush` must be awaited before the next.
   */
  add(command: Buffer, dataSet: Buffer, contextId: number, fragmentMax: number): boolean {
    const isOne = dataSet.length <= fragmentMax;
    const data = isOne ? dataSet : encodeFragments(contextId, false, dataSet, fragmentMax);
    const length = command.length + (isOne ? fragmentHeaderBytes : 0) + data.length;
    if (this.#batch !== undefined && this.#bytes + length > this.#batch.length) this.writeNow();
    // A few bytes more than the limit, so that the message that reaches it still fits.
    this.#batch ??= Buffer.allocUnsafeSlow(Math.max(length, this.#batchBytes + (this.#batchBytes >> 2)));
    const batch = this.#batch;
    command.copy(batch, this.#bytes);
    let at = this.#bytes + command.length;
    if (isOne) {
      writeFragmentHeader(batch, at, { contextId, isCommand: false, isLast: true, length: data.length });
      at += fragmentHeaderBytes;
    }
    data.copy(batch, at);
    this.#bytes = at + data.length;
    // A slow producer must not keep its first rows waiting for a full batch.
    this.#scheduled ??= setImmediate(() => this.writeNow());
    return this.#bytes >= this.#batchBytes || this.#to.isBehind;
  }

  /** Writes what is there, waits for the peer, and lets the event loop turn, so that a C-CANCEL is seen. */
  async flush(): Promise<void> {
    this.writeNow();
    await this.#to.drained();
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Forgets what was not yet written. */
  discard(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    this.#batch = undefined;
    this.#bytes = 0;
  }

  /** Writes what is there without waiting. */
  writeNow(): void {
    const batch = this.#batch?.subarray(0, this.#bytes);
    this.discard();
    if (batch !== undefined && batch.length > 0) this.#to.write(batch);
  }
}
