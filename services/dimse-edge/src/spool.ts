import { statfs } from 'node:fs/promises';
import { fileMetaInformation, HeaderWalker } from '@isthmus/dicom';
import type { DataSetError, DataSetJson } from '@isthmus/dicom';
import type { StoreData } from '@isthmus/dimse';
import { checksum } from './checksum.ts';
import type { Disk, OpenFile } from './disk.ts';
import { ObjectStoreFullError, objectStoreError } from './errors.ts';

/**
 * Bytes that are gathered before they are written: few enough to be in the processor's cache still, and to leave little to
 * write when the last byte has come; many enough for a thread, when one has to be woken for them.
 */
const writeBytes = 128 * 1024;
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

/** An object that has come in, whole or not: its bytes are in its file, but it is not yet in place. */
export interface ReceivedObject {
  /** Temporary file: our header of group 0002, then the data set as it came. */
  readonly file: OpenFile;
  readonly fileBytes: number;
  readonly dataSetBytes: number;
  /** See `checksum`; over the data set alone. */
  readonly dataSetChecksum: string;
  readonly transferSyntaxUid: string;
  readonly header: DataSetJson;
  /** False: the data set ended inside an element. */
  readonly complete: boolean;
  /** What kept the header from being read to its end. The bytes are kept all the same. */
  readonly headerError: DataSetError | undefined;
}

/** The data set as its association hands it over. */
export type IncomingData = Pick<StoreData, 'batches' | 'giveBack'>;

export interface Spool {
  /**
   * Writes a data set to a temporary file exactly as it comes, behind a file header of our own (PS3.10 7.1), and reads
   * its attributes and its checksum on the way. Memory stays flat whatever the size; the socket waits for the disk.
   *
   * @throws {ObjectStoreFullError} No room. The data set was read to its end and nothing is left on disk.
   * @throws {ObjectStoreFailedError} The same for other faults of the disk.
   * @throws Whatever `data` throws when the association is lost; nothing is left on disk.
   */
  receive(data: IncomingData, announced: Announced): Promise<ReceivedObject>;
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
  readonly disk: Disk;
}

export function createSpool(options: SpoolOptions): Spool {
  const { directory, disk } = options;
  const room = freeSpace(directory, options.freeMinBytes);

  const receive = async (data: IncomingData, announced: Announced): Promise<ReceivedObject> => {
    const meta = fileMetaInformation({
      sopClassUid: announced.sopClassUid,
      sopInstanceUid: announced.sopInstanceUid,
      transferSyntaxUid: announced.transferSyntaxUid,
      sourceAeTitle: announced.callingAeTitle,
    });
    const sum = checksum();
    const walker = new HeaderWalker(announced.transferSyntaxUid, { wanted: options.wanted, headBytesMax });
    const incoming = new IncomingFile({
      directory,
      head: meta,
      disk,
      giveBack: (slices) => data.giveBack(slices),
      ready: room.known ? undefined : room.look(),
    });
    let dataSetBytes = 0;
    try {
      for await (const batch of data.batches()) {
        // After a fault of the disk the rest is read and dropped, so that the peer gets its answer.
        if (incoming.fault !== undefined) {
          data.giveBack(batch);
          continue;
        }
        for (const slice of batch) {
          dataSetBytes += slice.length;
          sum.update(slice);
          walker.push(slice);
        }
        // While the rest comes in, and not when it has come and the peer waits.
        if (walker.isPastHead) void walker.attributes;
        const full = incoming.append(batch);
        if (full) await full;
      }
      return {
        file: await incoming.end(),
        fileBytes: meta.length + dataSetBytes,
        dataSetBytes,
        dataSetChecksum: sum.digest(),
        transferSyntaxUid: announced.transferSyntaxUid,
        complete: walker.end().complete,
        header: walker.attributes,
        headerError: walker.error,
      };
    } catch (error) {
      await incoming.abandon();
      throw incoming.fault === undefined ? error : objectStoreError(incoming.fault);
    }
  };

  return { receive, discard: ({ file }) => disk.drop(file) };
}

interface IncomingParts {
  readonly directory: string;
  /** What the file begins with. */
  readonly head: Buffer;
  readonly disk: Disk;
  /** Called with batches that are not needed any more: their memory may be used for something else. */
  readonly giveBack: (slices: readonly Buffer[]) => void;
  /** To be awaited before the first write; its rejection is a fault. */
  readonly ready: Promise<void> | undefined;
}

/** Gathers the bytes of one object, and appends them to its file while the next ones come in. */
class IncomingFile {
  /** Set by the first failing operation; nothing is to be appended then. */
  fault: unknown;
  readonly #parts: IncomingParts;
  #slices: Buffer[];
  #gathered: number;
  /** What `slices` begins with is our own, and nothing to give back. */
  #hasHead = true;
  #file: OpenFile | undefined;
  /** The write under way; never rejects. */
  #underWay: Promise<void> | undefined;

  constructor(parts: IncomingParts) {
    this.#parts = parts;
    this.#slices = [parts.head];
    this.#gathered = parts.head.length;
    this.#underWay = parts.ready?.catch((error: unknown) => void (this.fault ??= error));
  }

  /** Takes a batch over. A promise when it makes a write due, to be awaited before the next batch. */
  append(batch: readonly Buffer[]): Promise<void> | undefined {
    for (const slice of batch) {
      this.#slices.push(slice);
      this.#gathered += slice.length;
    }
    return this.#gathered < writeBytes ? undefined : this.#flush();
  }

  /** Writes what is left. @throws The fault, if there was one. */
  async end(): Promise<OpenFile> {
    await this.#flush();
    await this.#underWay;
    if (this.fault !== undefined || this.#file === undefined) throw this.fault as Error;
    return this.#file;
  }

  /** Waits for the write under way and removes the file. Never throws. */
  async abandon(): Promise<void> {
    await this.#underWay;
    this.#giveBack(this.#slices);
    if (this.#file !== undefined) await this.#parts.disk.drop(this.#file);
  }

  /** Resolves when the write before is done and this one has begun. */
  async #flush(): Promise<void> {
    if (this.#underWay !== undefined) await this.#underWay;
    const slices = this.#slices;
    this.#slices = [];
    this.#gathered = 0;
    this.#underWay = this.#write(slices);
  }

  async #write(slices: Buffer[]): Promise<void> {
    try {
      if (this.fault === undefined) {
        this.#file ??= await this.#parts.disk.make(this.#parts.directory);
        await this.#parts.disk.append(this.#file, slices);
      }
    } catch (error) {
      this.fault ??= error;
    }
    this.#giveBack(slices);
  }

  #giveBack(slices: Buffer[]): void {
    if (this.#hasHead) slices.shift();
    this.#hasHead = false;
    this.#parts.giveBack(slices);
  }
}

interface FreeSpace {
  /** There was room a moment ago. */
  readonly known: boolean;
  /** @throws {ObjectStoreFullError} */
  look(): Promise<void>;
}

function freeSpace(directory: string, freeMinBytes: number): FreeSpace {
  let holdsUntil = freeMinBytes === 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  return {
    get known() {
      return performance.now() < holdsUntil;
    },
    look: async () => {
      const disk = await statfs(directory);
      if (disk.bavail * disk.bsize < freeMinBytes) throw new ObjectStoreFullError();
      holdsUntil = performance.now() + freeSpaceHoldsMs;
    },
  };
}
