import { createHash, hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { readFileMeta } from '@isthmus/dicom';
import type { Disk } from './disk.ts';
import type { Durability } from './durability.ts';
import type { EdgeProcesses } from './edge-processes.ts';
import { objectStoreError } from './errors.ts';
import type { ReceivedObject } from './spool.ts';

/** Our own header of group 0002 is far shorter. */
const fileMetaBytesMax = 4_096;
const readBytes = 512 * 1024;
/** `objects/00` … `objects/ff`: few enough that many objects share one sync of a directory. */
const shardCount = 256;
/** A directory in `incoming/`; anything else there is nobody's. */
const processName = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Two different data sets under one SOP Instance UID: the first is kept, this one lies aside. No patient data. */
export interface ObjectConflict {
  readonly sopInstanceUid: string;
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly sopClassUid: string;
  readonly callingAeTitle: string;
  /** RFC 3339. */
  readonly receivedAt: string;
  /** Paths relative to the object store. */
  readonly kept: string;
  readonly aside: string;
  readonly asideDataSetSha256: string;
  /** Paths of attributes that differ (`00081140[1].00081155`), not all of them when there are many. */
  readonly differences?: readonly string[];
  /** Why what differs is not known: `timeout`, `busy`, or the code of a `DataSetError`. */
  readonly notCompared?: string;
}

/** `stored`: new here. `duplicate`: the same bytes are here. `conflict`: other bytes are here under this UID. */
export type Placement =
  | { readonly outcome: 'stored' | 'duplicate'; readonly file: string; readonly fileBytes: number }
  | { readonly outcome: 'conflict'; readonly file: string };

export interface ObjectStore {
  /** Directory of this process's temporary files. */
  readonly incoming: string;
  /** Absolute path of a `file` of an `InstanceStored`. */
  absolute(file: string): string;
  /** Whether an object with this SOP Instance UID is in place. */
  has(sopInstanceUid: string): Promise<boolean>;
  /**
   * Puts a received object into place, durably as far as the fsync policy says, and never over another: the name comes
   * from the SOP Instance UID alone, and a name that is taken is compared byte by byte. The temporary file is to
   * be discarded in any case, except for a `conflict` that goes to `keepAside`.
   * @throws {ObjectStoreFullError} {@link ObjectStoreFailedError}
   */
  place(received: ReceivedObject, sopInstanceUid: string): Promise<Placement>;
  /**
   * Keeps a conflicting object under `conflicts/`; the same bytes are kept once. The temporary file is gone afterwards.
   */
  keepAside(
    received: ReceivedObject,
    facts: Omit<ObjectConflict, 'aside' | 'asideDataSetSha256'>,
  ): Promise<ObjectConflict>;
  /** Newest first. `max` bounds the files that are read. */
  conflicts(max: number): Promise<readonly ObjectConflict[]>;
  /** Gives up the directory of temporary files when it is empty. Never throws. */
  close(): Promise<void>;
}

/**
 * The objects on disk: `objects/<2 hex>/<SHA-256 of the SOP Instance UID>.dcm`, `incoming/<process>/` for what is not
 * yet whole, `conflicts/` for what may not be in place. Nothing off the wire becomes part of a name. Any number of
 * processes may have it open.
 *
 * Opening makes the directories and removes what dead processes left in `incoming/`: none of that was acknowledged.
 * @throws {ObjectStoreFailedError} The directory cannot be made or written.
 */
export async function openObjectStore(
  root: string,
  parts: {
    readonly durable: Durability;
    readonly disk: Disk;
    readonly processes: Pick<EdgeProcesses, 'id' | 'isAlive'>;
  },
): Promise<ObjectStore> {
  const { durable, disk, processes } = parts;
  const incoming = join(root, 'incoming', processes.id);
  const aside = join(root, 'conflicts');
  await prepare(root, { incoming, aside }, durable, processes);

  const absolute = (file: string): string => join(root, file);

  const place = async (received: ReceivedObject, sopInstanceUid: string): Promise<Placement> => {
    const file = fileOf(sopInstanceUid);
    const path = absolute(file);
    try {
      await durable.file(received.file.descriptor);
      const put = await putNew(received.file.path, path);
      const isNew = put !== 'taken';
      if (!isNew && !(await sameBytes(path, received))) return { outcome: 'conflict', file };
      // Also for a duplicate: the first of two that come at once may not have got so far.
      await durable.directory(dirname(path));
      const fileBytes = isNew ? received.fileBytes : (await stat(path)).size;
      return { outcome: isNew ? 'stored' : 'duplicate', file, fileBytes };
    } catch (error) {
      throw objectStoreError(error);
    }
  };

  /** Gives a file a name that nobody has. Where there are no hard links, the look before the rename has to do. */
  const putNew = async (from: string, to: string): Promise<'linked' | 'moved' | 'taken'> => {
    const put = await disk.link(from, to);
    if (put !== 'unsupported') return put;
    if ((await stat(to).catch(() => undefined)) !== undefined) return 'taken';
    await rename(from, to);
    return 'moved';
  };

  const keepAside: ObjectStore['keepAside'] = async (received, facts) => {
    try {
      const sha256 = await dataSetSha256(received);
      const name = `${hashOf(facts.sopInstanceUid)}-${sha256.slice(0, 32)}`;
      const conflict: ObjectConflict = {
        ...facts,
        aside: `conflicts/${name}.dcm`,
        asideDataSetSha256: sha256,
      };
      await putNew(received.file.path, absolute(conflict.aside));
      await disk.drop(received.file);
      await writeFile(join(aside, `${name}.json`), JSON.stringify(conflict), { flag: 'wx' }).catch(
        unlessExists,
      );
      await durable.directory(aside);
      return conflict;
    } catch (error) {
      throw objectStoreError(error);
    }
  };

  const conflicts = async (max: number): Promise<readonly ObjectConflict[]> => {
    const names = (await readdir(aside)).filter((name) => name.endsWith('.json')).slice(0, max);
    const found = await Promise.all(
      names.map(async (name) => JSON.parse(await readFile(join(aside, name), 'utf8')) as ObjectConflict),
    );
    return found.sort((a, b) => b.receivedAt.localeCompare(a.receivedAt));
  };

  const has = async (sopInstanceUid: string): Promise<boolean> => {
    return (await stat(absolute(fileOf(sopInstanceUid))).catch(() => undefined)) !== undefined;
  };
  const close = (): Promise<void> => rmdir(incoming).catch(() => {});
  return { incoming, absolute, has, place, keepAside, conflicts, close };
}

async function prepare(
  root: string,
  { incoming, aside }: { readonly incoming: string; readonly aside: string },
  durable: Durability,
  processes: Pick<EdgeProcesses, 'isAlive'>,
): Promise<void> {
  try {
    for (const directory of [incoming, aside]) await mkdir(directory, { recursive: true });
    for (let shard = 0; shard < shardCount; shard++) {
      await mkdir(join(root, 'objects', shard.toString(16).padStart(2, '0')), { recursive: true });
    }
    await durable.directory(join(root, 'objects'));
    const ofAll = dirname(incoming);
    for (const name of await readdir(ofAll)) {
      if (name === basename(incoming) || (processName.test(name) && (await processes.isAlive(name))))
        continue;
      await rm(join(ofAll, name), { recursive: true, force: true });
    }
  } catch (error) {
    throw objectStoreError(error);
  }
}

function hashOf(sopInstanceUid: string): string {
  return hash('sha256', Buffer.from(sopInstanceUid, 'latin1'));
}

/** Path of an object relative to the store. */
export function fileOf(sopInstanceUid: string): string {
  const name = hashOf(sopInstanceUid);
  return `objects/${name.slice(0, 2)}/${name}.dcm`;
}

async function readMeta(handle: FileHandle): Promise<{ transferSyntaxUid: string; dataSetOffset: number }> {
  const head = Buffer.alloc(fileMetaBytesMax);
  const { bytesRead } = await handle.read(head, 0, fileMetaBytesMax, 0);
  return readFileMeta(head.subarray(0, bytesRead));
}

/**
 * Compares with what is on disk, byte by byte, and not with what was once noted: an answer of success vouches for those
 * bytes.
 */
async function sameBytes(path: string, received: ReceivedObject): Promise<boolean> {
  const [old, recent] = [await open(path, 'r'), await open(received.file.path, 'r')];
  try {
    const meta = await readMeta(old);
    const { size } = await old.stat();
    if (meta.transferSyntaxUid !== received.transferSyntaxUid) return false;
    if (size - meta.dataSetOffset !== received.dataSetBytes) return false;
    const shift = received.fileBytes - received.dataSetBytes - meta.dataSetOffset;
    const [buffer, other] = [Buffer.allocUnsafe(readBytes), Buffer.allocUnsafe(readBytes)];
    for (let at = meta.dataSetOffset; at < size;) {
      const { bytesRead } = await old.read(buffer, 0, readBytes, at);
      if (bytesRead === 0) return false;
      if (!(await isNext(recent, other, at + shift, buffer.subarray(0, bytesRead)))) return false;
      at += bytesRead;
    }
    return true;
  } finally {
    await Promise.all([old.close(), recent.close()]);
  }
}

/** Lower hex. Only conflicts are rare enough to be hashed. */
async function dataSetSha256(received: ReceivedObject): Promise<string> {
  const sum = createHash('sha256');
  const start = received.fileBytes - received.dataSetBytes;
  for await (const chunk of createReadStream(received.file.path, { start })) sum.update(chunk as Buffer);
  return sum.digest('hex');
}

/** Whether `expected` stands at `at`. @param room - At least as long. */
async function isNext(handle: FileHandle, room: Buffer, at: number, expected: Buffer): Promise<boolean> {
  for (let done = 0; done < expected.length;) {
    const { bytesRead } = await handle.read(room, 0, expected.length - done, at + done);
    if (bytesRead === 0) return false;
    if (!expected.subarray(done, done + bytesRead).equals(room.subarray(0, bytesRead))) return false;
    done += bytesRead;
  }
  return true;
}

function unlessExists(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
}
