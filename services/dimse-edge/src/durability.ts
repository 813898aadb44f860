import { fdatasync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

export type FsyncPolicy = 'always' | 'group' | 'none';

/** Forces what was written to the disk, as far as the policy asks for it. */
export interface Durability {
  /** The bytes of one file, by its descriptor, which stays open. */
  file(descriptor: number): Promise<void>;
  /** The names in one directory: a new file can be found again after a power failure. The directory stays open. */
  directory(path: string): Promise<void>;
  /** Closes the directories. Never throws. */
  close(): Promise<void>;
}

/**
 * - `always`: each call is a system call of its own.
 * - `group`: files are synced side by side, for which the file system writes its journal once; calls for a directory that
 *   is being synced wait, and go together then.
 * - `none`: nothing is forced. What was acknowledged can be lost when the power fails; tests and throw-away systems
 *   only.
 */
export function durability(policy: FsyncPolicy): Durability {
  if (policy === 'none') {
    const nothing = async (): Promise<void> => {};
    return { file: nothing, directory: nothing, close: nothing };
  }
  const directories = syncedDirectories();
  const { close } = directories;
  const directory = policy === 'always' ? directories.sync : inRounds(directories.sync);
  return { file: syncFile, directory, close };
}

function syncFile(descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fdatasync(descriptor, (error) => (error ? reject(error) : resolve()));
  });
}

/** Each directory is opened once: there are few, and opening would cost as much as syncing when there is little to sync. */
function syncedDirectories(): { sync(path: string): Promise<void>; close(): Promise<void> } {
  const handles = new Map<string, Promise<FileHandle>>();
  const handleOf = async (path: string): Promise<FileHandle> => {
    const opened = handles.get(path) ?? open(path, 'r');
    handles.set(path, opened);
    try {
      return await opened;
    } catch (error) {
      handles.delete(path);
      throw error;
    }
  };
  return {
    sync: async (path) => (await handleOf(path)).sync(),
    close: async () => {
      const closing = [...handles.values()].map(async (opened) => (await opened).close());
      handles.clear();
      await Promise.allSettled(closing);
    },
  };
}

/**
 * Runs the work for the same key once for all who ask before it starts. Who asks while it runs waits for the next
 * round, since what he wrote may be too late for this one. Keys do not wait for each other. As many wait as there are
 * callers, never more.
 */
export function inRounds<Key>(work: (key: Key) => Promise<void>): (key: Key) => Promise<void> {
  /** Who waits for the next round of a key that is at work. */
  const atWork = new Map<Key, PromiseWithResolvers<void> | undefined>();

  const run = async (key: Key, asker: PromiseWithResolvers<void>): Promise<void> => {
    let round: PromiseWithResolvers<void> | undefined = asker;
    while (round !== undefined) {
      atWork.set(key, undefined);
      await work(key).then(round.resolve, round.reject);
      round = atWork.get(key);
    }
    atWork.delete(key);
  };

  return (key) => {
    const next = atWork.get(key);
    if (next !== undefined) return next.promise;
    const asker = Promise.withResolvers<void>();
    if (atWork.has(key)) atWork.set(key, asker);
    else void run(key, asker);
    return asker.promise;
  };
}
