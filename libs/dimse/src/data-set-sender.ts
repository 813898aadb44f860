import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { Connection } from './connection.ts';
import { DataSetSourceError } from './errors.ts';
import { fragmentHeaderBytes, writeFragmentHeader } from './message-writer.ts';

/** An encoded data set: in memory, or a file from `offset` (behind its file meta information) to its end. */
export type DataSetSource = Buffer | { readonly file: string; readonly offset: number };

/** Bytes handed to the socket at a time, about; the next block is read while this one leaves. */
const blockBytes = 512 * 1024;

/** A data set that is ready to be sent: its length is known, its file is open. */
export interface OpenDataSet {
  /**
   * Sends every byte as it is. Rejects with DataSetSourceError when the file ends early: the message is
   * broken then.
   */
  send(connection: Connection, contextId: number, fragmentMax: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens before anything is sent, so that a missing file costs no association. Rejects with
 * DataSetSourceError.
 */
export async function openDataSet(source: DataSetSource): Promise<OpenDataSet> {
  if (Buffer.isBuffer(source)) {
    return { send: (...to) => sendBuffer(source, ...to), close: () => Promise.resolve() };
  }
  let handle: FileHandle | undefined;
  try {
    handle = await open(source.file, 'r');
    const { size } = await handle.stat();
    if (size < source.offset) throw new Error(`file of ${size} bytes, data set at ${source.offset}`);
    const file = handle;
    return {
      send: (...to) => sendFile(file, source.offset, size - source.offset, ...to),
      close: () => file.close(),
    };
  } catch (cause) {
    await handle?.close();
    throw new DataSetSourceError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

async function sendBuffer(bytes: Buffer, connection: Connection, contextId: number, fragmentMax: number) {
  const blockMax = Math.max(1, Math.floor(blockBytes / fragmentMax)) * fragmentMax;
  let at = 0;
  do {
    const blockEnd = Math.min(bytes.length, at + blockMax);
    const parts: Buffer[] = [];
    do {
      const length = Math.min(fragmentMax, blockEnd - at);
      const header = Buffer.allocUnsafe(fragmentHeaderBytes);
      writeFragmentHeader(header, 0, {
        contextId,
        isCommand: false,
        isLast: at + length === bytes.length,
        length,
      });
      parts.push(header, bytes.subarray(at, at + length));
      at += length;
    } while (at < blockEnd);
    connection.write(...parts);
    await connection.drained();
  } while (at < bytes.length);
}

/**
 * Two blocks take turns: one is being written while the next is read from the file straight between the
 * fragment headers, so that each block is one read and one write whatever the peer's maximum, and memory
 * stays flat.
 */
async function sendFile(
  file: FileHandle,
  offset: number,
  length: number,
  connection: Connection,
  contextId: number,
  fragmentMax: number,
): Promise<void> {
  const fragmentsPerBlock = Math.max(1, Math.floor(blockBytes / fragmentMax));
  const blockMax = fragmentsPerBlock * fragmentMax;
  const bytesOfBlock = Math.min(length, blockMax) + fragmentsPerBlock * fragmentHeaderBytes;
  const blocks = [Buffer.allocUnsafeSlow(bytesOfBlock)];
  if (length > blockMax) blocks.push(Buffer.allocUnsafeSlow(bytesOfBlock));
  const leaving: (Promise<void> | undefined)[] = [undefined, undefined];
  let at = 0;
  let turn = 0;
  do {
    const size = Math.min(blockMax, length - at);
    await leaving[turn];
    const block = blocks[turn] as Buffer;
    const bytes = await fillBlock(block, {
      file,
      position: offset + at,
      size,
      contextId,
      fragmentMax,
      left: length - at,
    });
    leaving[turn] = connection.writeAndWait(block.subarray(0, bytes));
    leaving[turn]?.catch(() => undefined); // It is awaited at its next turn or at the end.
    at += size;
    turn = (turn + 1) % blocks.length;
  } while (at < length);
  await Promise.all(leaving);
}

/**
 * Reads `size` bytes into `block` with a fragment header before each `fragmentMax`; answers the bytes to
 * write.
 */
async function fillBlock(
  block: Buffer,
  from: {
    file: FileHandle;
    position: number;
    size: number;
    contextId: number;
    fragmentMax: number;
    left: number;
  },
): Promise<number> {
  const views: Buffer[] = [];
  let filled = 0;
  let taken = 0;
  do {
    const length = Math.min(from.fragmentMax, from.size - taken);
    const isLast = taken + length === from.left;
    writeFragmentHeader(block, filled, { contextId: from.contextId, isCommand: false, isLast, length });
    filled += fragmentHeaderBytes;
    if (length > 0) views.push(block.subarray(filled, filled + length));
    filled += length;
    taken += length;
  } while (taken < from.size);
  await readFully(from.file, views, from.position);
  return filled;
}

async function readFully(file: FileHandle, views: Buffer[], position: number): Promise<void> {
  let rest = views;
  let at = position;
  while (rest.length > 0) {
    const { bytesRead } = await file.readv(rest, at).catch((cause: unknown) => {
      throw new DataSetSourceError(cause instanceof Error ? cause.message : String(cause), { cause });
    });
    if (bytesRead === 0) throw new DataSetSourceError('the file ended early');
    at += bytesRead;
    let skip = bytesRead;
    while (rest.length > 0 && skip >= (rest[0] as Buffer).length) {
      skip -= (rest[0] as Buffer).length;
      rest = rest.slice(1);
    }
    if (skip > 0) rest = [(rest[0] as Buffer).subarray(skip), ...rest.slice(1)];
  }
}
