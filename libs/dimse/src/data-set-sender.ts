import { closeSync, fstatSync, open, read, readv } from 'node:fs';
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
/** File meta information has at most so many bytes. */
const headBytesMax = 64 * 1024;
/** What tells whether it goes on: the header of an element. */
const behindHeadBytes = 12;
/** What it has, until a first file was seen. */
const headBytesFirst = 1024;
/** Blocks are made in sizes like this, so that the next data set, a little longer, can use them too. */
const blockStep = 64 * 1024;

/** A data set that is ready to be sent: its file is open. */
export interface OpenDataSet {
  /**
   * Reads the first block, once. To be awaited before `send`, with the same arguments; otherwise followed by `close`.
   * Rejects with DataSetSourceError: nothing of it can be sent.
   */
  prefetch(contextId: number, fragmentMax: number): Promise<void>;
  /**
   * Sends `head` (the command set) and every byte as it is. Rejects with DataSetSourceError when the file ends
   * early: the message is broken then.
   */
  send(connection: Connection, contextId: number, fragmentMax: number, head: Buffer): Promise<void>;
  close(): void;
}

/** What is used again for the next data set of an association. */
export class BlockPool {
  /** Where the data set of the last file began: it is likely to be so in the next. */
  offset = headBytesFirst;
  readonly #kept: Buffer[] = [];
  readonly #keptMax = 3;

  /** Large blocks are dear to allocate. */
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
    return {
      prefetch: async () => undefined,
      send: (...to) => sendBuffer(source, ...to),
      close: () => undefined,
    };
  }
  const file = await new Promise<number>((resolve, reject) => {
    open(source.file, 'r', (error, fd) => (error === null ? resolve(fd) : reject(unreadable(error))));
  });
  return new FileDataSet(file, source.offset, blocks);
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
 *
 * Each call that goes to libuv's threads wakes one, which costs the event loop more than many a system call itself. So
 * what never waits for a disk (fstat and close of a file that is open) is done at once, and the file meta information
 * is read together with the first block: where that lies in the block is guessed, and read once more when it was wrong.
 */
class FileDataSet implements OpenDataSet {
  readonly #file: number;
  readonly #find: ((head: Buffer) => number) | undefined;
  readonly #blocks: BlockPool;
  /** Where the data set begins; a guess until the first block was read, if it has to be found. */
  #offset: number;
  #size = 0;
  #reading: Promise<FilledBlock> | undefined;
  #isClosed = false;

  constructor(file: number, offset: number | ((head: Buffer) => number), blocks: BlockPool) {
    this.#file = file;
    this.#blocks = blocks;
    if (typeof offset === 'number') this.#offset = offset;
    else {
      this.#offset = blocks.offset;
      this.#find = offset;
    }
  }

  async prefetch(contextId: number, fragmentMax: number): Promise<void> {
    this.#reading ??= this.#first(contextId, fragmentMax);
    await this.#reading;
  }

  async send(connection: Connection, contextId: number, fragmentMax: number, head: Buffer): Promise<void> {
    const blockMax = this.#blockMax(fragmentMax);
    let firstHead: Buffer | undefined = head;
    let leaving: { written: Promise<void>; block: Buffer } | undefined;
    let at = 0;
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
    const closeNow = (): void => closeSync(this.#file);
    if (this.#reading === undefined) closeNow();
    else this.#reading.then(closeNow, closeNow);
  }

  async #left({ written, block }: { written: Promise<void>; block: Buffer }): Promise<void> {
    await written;
    this.#blocks.give(block);
  }

  get #length(): number {
    return this.#size - this.#offset;
  }

  /** Data bytes in one block. */
  #blockMax(fragmentMax: number): number {
    if (this.#length <= wholeBytesMax) return Math.max(1, this.#length);
    return Math.max(1, Math.floor(blockBytes / fragmentMax)) * fragmentMax;
  }

  async #first(contextId: number, fragmentMax: number): Promise<FilledBlock> {
    try {
      this.#size = fstatSync(this.#file).size;
    } catch (error) {
      throw unreadable(error as Error);
    }
    if (this.#find === undefined) {
      this.#assertLongEnough();
      return this.#read(0, contextId, fragmentMax);
    }
    this.#offset = Math.min(this.#offset, this.#size);
    const head = Buffer.allocUnsafe(this.#offset);
    const guessed = await this.#read(0, contextId, fragmentMax, head);
    // With the first bytes behind it: a longer one that was cut between two elements looks whole without them.
    const behindMax = Math.min(behindHeadBytes, fragmentMax, this.#length);
    const behind = guessed.block.subarray(fragmentHeaderBytes, fragmentHeaderBytes + behindMax);
    const offset = await this.#found(Buffer.concat([head, behind]), this.#find);
    if (offset === this.#offset) return guessed;
    this.#blocks.give(guessed.block);
    this.#blocks.offset = offset;
    this.#offset = offset;
    this.#assertLongEnough();
    return this.#read(0, contextId, fragmentMax);
  }

  async #found(head: Buffer, find: (head: Buffer) => number): Promise<number> {
    try {
      return find(head);
    } catch {
      // It is longer than was guessed, or no file of that kind.
    }
    const more = Buffer.allocUnsafe(Math.min(headBytesMax, this.#size));
    await readFully(this.#file, [more], 0);
    try {
      return find(more);
    } catch (error) {
      throw unreadable(error as Error);
    }
  }

  #assertLongEnough(): void {
    if (this.#size >= this.#offset) return;
    throw new DataSetSourceError(`file of ${this.#size} bytes, data set at ${this.#offset}`);
  }

  /**
   * A block from `at` of the data set, with a fragment header before each `fragmentMax` bytes; with what stands before
   * the data set in `head`, if that is given.
   */
  async #read(at: number, contextId: number, fragmentMax: number, head?: Buffer): Promise<FilledBlock> {
    const blockMax = this.#blockMax(fragmentMax);
    const size = Math.min(blockMax, this.#length - at);
    const block = this.#blocks.take(
      blockMax + Math.max(1, Math.ceil(blockMax / fragmentMax)) * fragmentHeaderBytes,
    );
    const views: Buffer[] = head === undefined ? [] : [head];
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
    await readFully(this.#file, views, head === undefined ? this.#offset + at : 0);
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
