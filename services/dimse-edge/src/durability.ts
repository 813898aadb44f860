import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

export type FsyncPolicy = 'always' | 'group' | 'none';

/** Forces what was written to the disk, as far as the policy asks for it. */
export interface Durability {
  /** The bytes of one file. The handle stays open. */
  file(handle: FileHandle): Promise<void>;
  /** The names in one directory: a new file can be found again after a power failure. */
  directory(path: string): Promise<void>;
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
  if (policy === 'none') return { file: async () => {}, directory: async () => {} };
  if (policy === 'always') return { file: syncFile, directory: syncDirectory };
  return { file: inRounds(syncFile), directory: inRounds(syncDirectory) };
}

async function syncFile(handle: FileHandle): Promise<void> {
  await handle.datasync();
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
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
