import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, statfs, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileMetaInformation, HeaderWalker } from '@isthmus/dicom';
import type { DataSetError, DataSetJson } from '@isthmus/dicom';
import { ObjectStoreFullError, objectStoreError } from './errors.ts';

/** Bytes that are gathered before they are written; one write is under way at a time. Each write costs two wake-ups. */
const writeBytes = 256 * 1024;
/** What the header may take of an event in the log; real ones take 1 to 3 KB. */
const headBytesMax = 64 * 1024;
/** How long a look at the free space of the disk holds. */
const freeSpaceHoldsMs = 1_000;

/** What the C-STORE command says about the object that follows. */
export interface Announced {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly transferSyntaxUid: string;
  readonly callingAeTitle: string;
}

/** An object that has come in whole or not: its bytes are written, but it is not yet in place. */
export interface ReceivedObject {
  /** Temporary file: our header of group 0002, then the data set as it came. */
  readonly path: string;
  readonly handle: FileHandle;
  readonly fileBytes: number;
  readonly dataSetBytes: number;
  /** Lower hex, over the data set alone. */
  readonly dataSetSha256: string;
  readonly transferSyntaxUid: string;
  readonly header: DataSetJson;
  /** False: the data set ended inside an element. */
  readonly complete: boolean;
  /** What kept the header from being read to its end. The bytes are kept all the same. */
  readonly headerError: DataSetError | undefined;
}

export interface Spool {
  /**
   * Writes a data set to a temporary file exactly as it comes, behind a file header of our own (PS3.10 7.1), and reads
   * its attributes and its hash on the way. Memory stays flat whatever the size; the socket waits for the disk.
   *
   * @throws {ObjectStoreFullError} No room. The data set was read to its end and nothing is left on disk.
   * @throws {ObjectStoreFailedError} The same for other faults of the disk.
   * @throws Whatever `data` throws when the association is lost; nothing is left on disk.
   */
  receive(data: AsyncIterable<readonly Buffer[]>, announced: Announced): Promise<ReceivedObject>;
  /** Closes and removes an object that is not to be kept. Never throws. */
  discard(received: ReceivedObject): Promise<void>;
}

export interface SpoolOptions {
  /** Directory of temporary files, on the file system of the object store. */
  readonly directory: string;
  /** Tags (8 hex digits) that the header keeps. */
  readonly wanted: ReadonlySet<string>;
  /** Objects are refused when less is free; 0 = never. */
  readonly freeMinBytes: number;
  /** How temporary files are opened. Tests put a failing disk here. @default open of node:fs/promises */
  readonly openFile?: (path: string) => Promise<FileHandle>;
}

export function createSpool(options: SpoolOptions): Spool {
  const openFile = options.openFile ?? openNew;
  const room = freeSpace(options.directory, options.freeMinBytes);

  const receive = async (
    data: AsyncIterable<readonly Buffer[]>,
    announced: Announced,
  ): Promise<ReceivedObject> => {
    const path = join(options.directory, `${randomUUID()}.part`);
    const hash = createHash('sha256');
    const walker = new HeaderWalker(announced.transferSyntaxUid, {
      wanted: options.wanted,
      headBytesMax,
    });
    const meta = fileMetaInformation({
      sopClassUid: announced.sopClassUid,
      sopInstanceUid: announced.sopInstanceUid,
      transferSyntaxUid: announced.transferSyntaxUid,
      sourceAeTitle: announced.callingAeTitle,
    });
    const sink = fileSink(() => room().then(() => openFile(path)), meta);
    let dataSetBytes = 0;
    try {
      for await (const batch of data) {
        // After a fault of the disk the rest is read and dropped, so that the peer gets its answer.
        if (sink.fault) continue;
        for (const slice of batch) {
          dataSetBytes += slice.length;
          hash.update(slice);
          walker.push(slice);
          const full = sink.write(slice);
          if (full) await full;
        }
      }
      const handle = await sink.end();
      return {
        path,
        handle,
        fileBytes: meta.length + dataSetBytes,
        dataSetBytes,
        dataSetSha256: hash.digest('hex'),
        transferSyntaxUid: announced.transferSyntaxUid,
        complete: walker.end().complete,
        header: walker.attributes,
        headerError: walker.error,
      };
    } catch (error) {
      await sink.abandon();
      await unlink(path).catch(() => {});
      throw sink.fault ? objectStoreError(sink.fault) : error;
    }
  };

  const discard = async (received: ReceivedObject): Promise<void> => {
    await received.handle.close().catch(() => {});
    await unlink(received.path).catch(() => {});
  };
  return { receive, discard };
}

/** Another process removes the directory when it starts while ours cannot be reached by it. */
async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o640);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await mkdir(dirname(path), { recursive: true });
    return open(path, 'wx', 0o640);
  }
}

interface FileSink {
  /** Set by the first failing operation; later writes are dropped. */
  readonly fault: unknown;
  /** Takes a slice over. A promise when a full buffer is being written, to be awaited before the next slice. */
  write(chunk: Buffer): Promise<void> | undefined;
  /** Writes what is left. @throws The fault, if there was one. */
  end(): Promise<FileHandle>;
  /** Waits for the write under way and closes the file. Never throws. */
  abandon(): Promise<void>;
}

/**
 * Gathers slices and writes them with one system call while the next ones come in. The file is opened at once, beside
 * the first of them.
 * @param head - What the file begins with.
 */
function fileSink(openFile: () => Promise<FileHandle>, head: Buffer): FileSink {
  let slices = [head];
  let gathered = head.length;
  let handle: FileHandle | undefined;
  let fault: unknown;

  const guarded = async (work: () => Promise<void>): Promise<void> => {
    try {
      if (!fault) await work();
    } catch (error) {
      fault ??= error;
    }
  };
  let underWay = guarded(async () => {
    handle = await openFile();
  });
  const flushNext = async (): Promise<void> => {
    await underWay;
    const batch = slices;
    slices = [];
    gathered = 0;
    if (batch.length > 0) underWay = guarded(() => writeAll(handle as FileHandle, batch));
  };
  return {
    get fault() {
      return fault;
    },
    write: (chunk) => {
      if (fault || chunk.length === 0) return undefined;
      slices.push(chunk);
      gathered += chunk.length;
      return gathered >= writeBytes ? flushNext() : undefined;
    },
    end: async () => {
      await flushNext();
      await underWay;
      if (fault || !handle) throw fault ?? new Error('the file was not opened');
      return handle;
    },
    abandon: async () => {
      slices = [];
      await underWay;
      await handle?.close().catch(() => {});
    },
  };
}

/** A vectored write may take less than it was given: a disk that fills up takes a part first. */
async function writeAll(handle: FileHandle, slices: readonly Buffer[]): Promise<void> {
  const total = slices.reduce((sum, slice) => sum + slice.length, 0);
  const { bytesWritten } = await handle.writev(slices as Buffer[]);
  if (bytesWritten === total) return;
  let rest = Buffer.concat(slices as Buffer[]).subarray(bytesWritten);
  while (rest.length > 0) {
    const written = await handle.write(rest);
    if (written.bytesWritten === 0) throw new ObjectStoreFullError();
    rest = rest.subarray(written.bytesWritten);
  }
}

function freeSpace(directory: string, freeMinBytes: number): () => Promise<void> {
  let freeBytes = Number.POSITIVE_INFINITY;
  let lookedAt = Number.NEGATIVE_INFINITY;
  return async () => {
    if (freeMinBytes === 0) return;
    if (performance.now() - lookedAt > freeSpaceHoldsMs) {
      const disk = await statfs(directory);
      freeBytes = disk.bavail * disk.bsize;
      lookedAt = performance.now();
    }
    if (freeBytes < freeMinBytes) throw new ObjectStoreFullError();
  };
}
