import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { compareContent, DataSetError, readFileMeta } from '@isthmus/dicom';
import type { ContentSource } from '@isthmus/dicom';
import { checksum } from './checksum.ts';
import type { Checksum } from './checksum.ts';
import type { Durability } from './durability.ts';
import { objectStoreError, TooMuchWaitingError } from './errors.ts';
import type { ObjectStore } from './object-store.ts';
import type { ReceivedObject } from './spool.ts';
import { turns } from './turns.ts';

/** Attributes that a conflict lists at most. */
export const differencesMax = 32;
/** Our own header of group 0002 is far shorter. */
const fileMetaBytesMax = 4_096;
/** As much as a comparison reads at a time. */
const readBytesMax = 512 * 1024;

/** What is in place under the SOP Instance UID, in its own encoding. */
export interface KeptObject {
  readonly file: string;
  readonly fileBytes: number;
  readonly transferSyntaxUid: string;
  /** See `checksum`. */
  readonly dataSetChecksum: string;
}

/**
 * `different`: paths of the attributes, `differencesMax` at most, no values. `not-compared`: why not: the code of a
 * `DataSetError`, `timeout` or `busy`.
 */
export type Comparison =
  | { readonly outcome: 'same'; readonly kept: KeptObject }
  | { readonly outcome: 'different'; readonly differences: readonly string[] }
  | { readonly outcome: 'not-compared'; readonly why: string };

/** What a comparison has to know of an object that came in. */
export type ComparedObject = Pick<ReceivedObject, 'transferSyntaxUid' | 'fileBytes' | 'dataSetBytes'> & {
  readonly file: Pick<ReceivedObject['file'], 'path'>;
};

export interface Comparisons {
  /**
   * Whether an object that came with other bytes says what the one in place says (`compareContent`): a peer that
   * forwards objects may write them in another encoding. When it does, what is in place is as durable as after its own
   * C-STORE. Only what is already known to have other bytes comes here, so a first C-STORE never waits for it.
   * @param signal - Of the association; its reason is thrown.
   * @throws {ObjectStoreFailedError} A file cannot be read.
   */
  compare(received: ComparedObject, keptFile: string, signal: AbortSignal): Promise<Comparison>;
}

export function createComparisons(options: {
  readonly store: Pick<ObjectStore, 'absolute'>;
  readonly durable: Pick<Durability, 'directory'>;
  /** At once. */
  readonly runningMax: number;
  /** Wait for their turn; more are not compared. */
  readonly waitingMax: number;
  /** Of one comparison, its wait included; ms. */
  readonly timeoutMs: number;
}): Comparisons {
  const { store, durable, runningMax, waitingMax, timeoutMs } = options;
  const turn = turns({ runningMax, waitingMax, what: 'comparisons (COMPARISONS_WAITING_MAX)' });

  const compare: Comparisons['compare'] = async (received, keptFile, signal) => {
    const overdue = AbortSignal.timeout(timeoutMs);
    const either = AbortSignal.any([signal, overdue]);
    try {
      const release = await turn.take(either);
      try {
        const found = await compareFiles(received, keptFile, store.absolute(keptFile), either);
        // The first of two that come at once may not have got so far.
        if (found.outcome === 'same') await durable.directory(dirname(store.absolute(keptFile)));
        return found;
      } finally {
        release();
      }
    } catch (error) {
      signal.throwIfAborted();
      if (overdue.aborted) return { outcome: 'not-compared', why: 'timeout' };
      if (error instanceof TooMuchWaitingError) return { outcome: 'not-compared', why: 'busy' };
      if (error instanceof DataSetError) return { outcome: 'not-compared', why: error.code };
      throw objectStoreError(error);
    }
  };
  return { compare };
}

async function compareFiles(
  received: ComparedObject,
  file: string,
  path: string,
  signal: AbortSignal,
): Promise<Comparison> {
  const handles: FileHandle[] = [];
  try {
    const mine = await open(path, 'r');
    handles.push(mine);
    const theirs = await open(received.file.path, 'r');
    handles.push(theirs);
    const { size: fileBytes } = await mine.stat();
    const head = Buffer.alloc(fileMetaBytesMax);
    const { bytesRead } = await mine.read(head, 0, fileMetaBytesMax, 0);
    const { transferSyntaxUid, dataSetOffset } = readFileMeta(head.subarray(0, bytesRead));
    const sum = checksum();
    const differences = await compareContent(
      sourceOf(mine, transferSyntaxUid, dataSetOffset, sum),
      sourceOf(theirs, received.transferSyntaxUid, received.fileBytes - received.dataSetBytes),
      { differencesMax, signal },
    );
    if (differences.length > 0) return { outcome: 'different', differences };
    // Without a difference both were read to the end.
    return {
      outcome: 'same',
      kept: { file, fileBytes, transferSyntaxUid, dataSetChecksum: sum.digest() },
    };
  } finally {
    await Promise.allSettled(handles.map((handle) => handle.close()));
  }
}

function sourceOf(
  handle: FileHandle,
  transferSyntaxUid: string,
  dataSetOffset: number,
  sum?: Checksum,
): ContentSource {
  const memory = Buffer.allocUnsafe(readBytesMax);
  let at = dataSetOffset;
  return {
    transferSyntaxUid,
    read: async (bytesMax) => {
      const { bytesRead } = await handle.read(memory, 0, Math.min(bytesMax, readBytesMax), at);
      at += bytesRead;
      const bytes = memory.subarray(0, bytesRead);
      if (bytes.length > 0) sum?.update(bytes);
      return bytes;
    },
  };
}
