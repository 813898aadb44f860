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
 * - `group`: calls made while others are under way wait for them and then go together, so that the file system's
 *   journal
 *   is written once for many objects, and a directory once for all objects that were put into it.
 * - `none`: nothing is forced. What was acknowledged can be lost when the power fails; tests and throw-away systems
 *   only.
 */
export function durability(policy: FsyncPolicy): Durability {
  if (policy === 'none') return { file: async () => {}, directory: async () => {}, close: async () => {} };
  const directories = syncedDirectories();
  const { close } = directories;
  if (policy === 'always') return { file: syncFile, directory: directories.sync, close };
  return { file: inRounds(syncFile), directory: inRounds(directories.sync), close };
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
 * round, since what he wrote may be too late for this one. As many wait as there are callers, never more.
 */
export function inRounds<Key>(work: (key: Key) => Promise<void>): (key: Key) => Promise<void> {
  let waiting = new Map<Key, PromiseWithResolvers<void>>();
  let running = false;

  const run = async (): Promise<void> => {
    running = true;
    while (waiting.size > 0) {
      const round = waiting;
      waiting = new Map();
      await Promise.all([...round].map(([key, asker]) => work(key).then(asker.resolve, asker.reject)));
    }
    running = false;
  };

  return (key) => {
    const asker = waiting.get(key) ?? Promise.withResolvers<void>();
    waiting.set(key, asker);
    if (!running) void run();
    return asker.promise;
  };
}
