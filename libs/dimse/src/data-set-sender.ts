import { close, fstat, open, read, readv } from 'node:fs';
import type { Connection } from './connection.ts';
import { DataSetSourceError } from './errors.ts';
import { fragmentHeaderBytes, writeFragmentHeader } from './message-writer.ts';

/**
 * An encoded data set: in memory, or a file from `offset` (behind its file meta information) to its end. A
 * function finds the offset in the first 64 KiB of the file; what it throws becomes a DataSetSourceError.
 */
export type DataSetSource =
  Buffer | { readonly file: string; readonly offset: number | ((head: Buffer) => number) };

/** Bytes handed to the socket at a time, about; the next block is read while this one leaves. */
const blockBytes = 512 * 1024;
/** Up to here one block holds the whole data set: one read, one write. */
const wholeBytesMax = 1024 * 1024;
/** What is read to find the offset: first about as much as file meta information has, then all that it may have. */
const headBytes = [4 * 1024, 64 * 1024] as const;
/** Blocks are made in sizes like this, so that the next data set, a little longer, can use them too. */
const blockStep = 64 * 1024;

/** A data set that is ready to be sent: its length is known, its file is open. */
export interface OpenDataSet {
  /** Reads the first block already. To be followed by `send` with the same arguments, or `close`. */
  prefetch(contextId: number, fragmentMax: number): void;
  /**
   * Sends `head` (the command set) and every byte as it is. Rejects with DataSetSourceError when the file ends
   * early: the message is broken then.
   */
  send(connection: Connection, contextId: number, fragmentMax: number, head: Buffer): Promise<void>;
  close(): void;
}

/** Keeps a few blocks for the next data set, since large ones are dear to allocate. */
export class BlockPool {
  readonly #kept: Buffer[] = [];
  readonly #keptMax = 3;

  take(bytes: number): Buffer {
    const index = this.#kept.findIndex((block) => block.length >= bytes);
    if (index >= 0) return this.#kept.splice(index, 1)[0] as Buffer;
    return Buffer.allocUnsafeSlow(Math.ceil(bytes / blockStep) * blockStep);
  }

  give(block: Buffer): void {
    if (this.#kept.length < this.#keptMax) this.#kept.push(block);
    else this.#kept[0] = block;
  }
}

/**
 * Opens before anything is sent, so that a missing file costs no association. Rejects with
 * DataSetSourceError.
 */
export async function openDataSet(source: DataSetSource, blocks: BlockPool): Promise<OpenDataSet> {
  if (Buffer.isBuffer(source)) {
    return { prefetch: () => undefined, send: (...to) => sendBuffer(source, ...to), close: () => undefined };
  }
  const file = await new Promise<number>((resolve, reject) => {
    open(source.file, 'r', (error, fd) => (error === null ? resolve(fd) : reject(unreadable(error))));
  });
  const looks = [sizeOf(file), offsetIn(file, source.offset)] as const;
  try {
    const [size, offset] = await Promise.all(looks);
    if (size < offset) throw new DataSetSourceError(`file of ${size} bytes, data set at ${offset}`);
    return new FileDataSet(file, offset, size - offset, blocks);
  } catch (error) {
    // Not under a read that is still at it.
    await Promise.allSettled(looks);
    close(file);
    throw error;
  }
}

function sizeOf(file: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fstat(file, (error, stats) => (error === null ? resolve(stats.size) : reject(unreadable(error))));
  });
}

async function offsetIn(file: number, offset: number | ((head: Buffer) => number)): Promise<number> {
  if (typeof offset === 'number') return offset;
  let cause: unknown;
  for (const bytes of headBytes) {
    const head = Buffer.allocUnsafe(bytes);
    const bytesRead = await readSome(file, [head], 0);
    try {
      return offset(head.subarray(0, bytesRead));
    } catch (error) {
      cause = error;
    }
    if (bytesRead < bytes) break;
  }
  throw unreadable(cause as Error);
}

async function sendBuffer(
  bytes: Buffer,
  connection: Connection,
  contextId: number,
  fragmentMax: number,
  head: Buffer,
): Promise<void> {
  const blockMax = Math.max(1, Math.floor(blockBytes / fragmentMax)) * fragmentMax;
  let at = 0;
  let parts: Buffer[] = [head];
  do {
    const blockEnd = Math.min(bytes.length, at + blockMax);
    do {
      const length = Math.min(fragmentMax, blockEnd - at);
      const header = Buffer.allocUnsafe(fragmentHeaderBytes);
      const isLast = at + length === bytes.length;
      writeFragmentHeader(header, 0, { contextId, isCommand: false, isLast, length });
      parts.push(header, bytes.subarray(at, at + length));
      at += length;
    } while (at < blockEnd);
    // Small messages in one piece: three writes of a kilobyte cost more than a copy of it.
    if (bytes.length <= smallBytes) connection.write(Buffer.concat(parts));
    else connection.write(...parts);
    parts = [];
    if (connection.isBehind) await connection.drained();
  } while (at < bytes.length);
}

const smallBytes = 16 * 1024;

interface FilledBlock {
  readonly block: Buffer;
  /** Bytes to write. */
  readonly filled: number;
}

/**
 * Blocks take turns: one is being written while the next is read from the file straight between the fragment
 * headers, so that each block is one read and one write whatever the peer's maximum, and memory stays flat.
 */
class FileDataSet implements OpenDataSet {
  readonly #file: number;
  readonly #offset: number;
  readonly #length: number;
  readonly #blocks: BlockPool;
  #reading: Promise<FilledBlock> | undefined;
  #isClosed = false;

  constructor(file: number, offset: number, length: number, blocks: BlockPool) {
    this.#file = file;
    this.#offset = offset;
    this.#length = length;
    this.#blocks = blocks;
  }

  prefetch(contextId: number, fragmentMax: number): void {
    this.#reading ??= this.#read(0, contextId, fragmentMax);
    this.#reading.catch(() => undefined); // Told to `send`.
  }

  async send(connection: Connection, contextId: number, fragmentMax: number, head: Buffer): Promise<void> {
    const blockMax = this.#blockMax(fragmentMax);
    let firstHead: Buffer | undefined = head;
    let leaving: { written: Promise<void>; block: Buffer } | undefined;
    let at = 0;
    this.prefetch(contextId, fragmentMax);
    do {
      const { block, filled } = await (this.#reading as Promise<FilledBlock>);
      this.#reading = undefined;
      const written = connection.writeAndWait(firstHead, block.subarray(0, filled));
      written.catch(() => undefined); // It is awaited in its turn.
      firstHead = undefined;
      at += blockMax;
      if (leaving !== undefined) await this.#left(leaving);
      leaving = { written, block };
      if (at < this.#length) {
        this.#reading = this.#read(at, contextId, fragmentMax);
        this.#reading.catch(() => undefined);
      }
    } while (at < this.#length);
    await this.#left(leaving);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // A descriptor must not be closed under a read: its number may be another file's by then.
    const closeNow = (): void => close(this.#file, () => undefined);
    if (this.#reading === undefined) closeNow();
    else this.#reading.then(closeNow, closeNow);
  }

  async #left({ written, block }: { written: Promise<void>; block: Buffer }): Promise<void> {
    await written;
    this.#blocks.give(block);
  }

  /** Data bytes in one block. */
  #blockMax(fragmentMax: number): number {
    if (this.#length <= wholeBytesMax) return Math.max(1, this.#length);
    return Math.max(1, Math.floor(blockBytes / fragmentMax)) * fragmentMax;
  }

  /** A block from `at` of the data set, with a fragment header before each `fragmentMax` bytes. */
  async #read(at: number, contextId: number, fragmentMax: number): Promise<FilledBlock> {
    const blockMax = this.#blockMax(fragmentMax);
    const size = Math.min(blockMax, this.#length - at);
    const block = this.#blocks.take(
      blockMax + Math.max(1, Math.ceil(blockMax / fragmentMax)) * fragmentHeaderBytes,
    );
    const views: Buffer[] = [];
    let filled = 0;
    let taken = 0;
    do {
      const length = Math.min(fragmentMax, size - taken);
      const isLast = at + taken + length === this.#length;
      writeFragmentHeader(block, filled, { contextId, isCommand: false, isLast, length });
      filled += fragmentHeaderBytes;
      if (length > 0) views.push(block.subarray(filled, filled + length));
      filled += length;
      taken += length;
    } while (taken < size);
    await readFully(this.#file, views, this.#offset + at);
    return { block, filled };
  }
}

async function readFully(file: number, views: Buffer[], position: number): Promise<void> {
  let rest = views;
  let at = position;
  while (rest.length > 0) {
    const bytesRead = await readSome(file, rest, at);
    if (bytesRead === 0) throw new DataSetSourceError('the file ended early');
    at += bytesRead;
    let whole = 0;
    let skip = bytesRead;
    while (whole < rest.length && skip >= (rest[whole] as Buffer).length) {
      skip -= (rest[whole] as Buffer).length;
      whole += 1;
    }
    rest = rest.slice(whole);
    if (skip > 0) rest[0] = (rest[0] as Buffer).subarray(skip);
  }
}

function readSome(file: number, views: Buffer[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, bytesRead: number): void => {
      if (error === null) resolve(bytesRead);
      else reject(unreadable(error));
    };
    const [only] = views;
    if (views.length === 1 && only !== undefined) read(file, only, 0, only.length, position, done);
    else readv(file, views, position, done);
  });
}

function unreadable(cause: Error): DataSetSourceError {
  return new DataSetSourceError(cause.message, { cause });
}
