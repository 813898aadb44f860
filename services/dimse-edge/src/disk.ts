import fs from 'node:fs';
import * as waiting from 'node:fs/promises';
import { join } from 'node:path';
import { ObjectStoreFullError } from './errors.ts';

/** A call that takes longer holds the event loop up too long: from then on threads wait for the disk. */
const slowMs = 20;
/** For so long at first, and twice as long whenever the disk is slow again right afterwards. */
const wearyMs = { first: 500, most: 120_000 } as const;

/** Where it takes longer to make a file, files are made ahead, by a thread. */
const slowToMakeMs = 0.1;
const aheadMax = 4;
/** Files that nobody has wanted for so long are removed again. */
const aheadIdleMs = 1_000;

/** What link(2) says on a file system that has none. */
export const noHardLinks: ReadonlySet<string | undefined> = new Set([
  'EPERM',
  'ENOTSUP',
  'ENOSYS',
  'EOPNOTSUPP',
]);

/** A file that is written. */
export class OpenFile {
  readonly path: string;
  #descriptor: number | undefined;

  constructor(path: string, descriptor: number) {
    this.path = path;
    this.#descriptor = descriptor;
  }

  /** @throws When it is closed: the number may be another file's by now. */
  get descriptor(): number {
    if (this.#descriptor === undefined) throw new Error('the file is closed');
    return this.#descriptor;
  }

  /** Never throws, and closes once. Writes nothing and waits for nothing on a local file system: not worth a thread. */
  close(): void {
    if (this.#descriptor === undefined) return;
    try {
      fs.closeSync(this.#descriptor);
    } catch {
      // What matters was written, and synced if it has to be, before.
    }
    this.#descriptor = undefined;
  }
}

/** What temporary files are written and named with. Nothing here forces anything to the disk, see `Durability`. */
export interface Disk {
  /** A new file in a directory, which is made when it is missing. Ends with `.part`. */
  make(directory: string): Promise<OpenFile>;
  /** Appends to a file. */
  append(file: OpenFile, slices: readonly Buffer[]): Promise<void>;
  /**
   * Gives a file a second name. A hard link fails when the name is taken, also when another process takes it at the
   * same moment; `unsupported`: the file system has no hard links.
   */
  link(path: string, to: string): Promise<'linked' | 'taken' | 'unsupported'>;
  /** Closes a file and removes its name. Never throws: a name that is left goes at the next start. */
  drop(file: OpenFile): Promise<void>;
  /** Removes what was made ahead. */
  close(): Promise<void>;
}

/** The system calls that `diskOf` makes; as in node:fs. */
export type DiskCalls = Pick<typeof fs, 'linkSync' | 'unlinkSync'> & {
  openSync(path: string, flags: string, mode?: number): number;
  writevSync(file: number, slices: readonly Buffer[]): number;
};

/**
 * Writes to the page cache for as long as that is quick, in place: to wake a thread, and to be woken by it, takes longer
 * than to make, write and name a file of 512 KB, and the bytes would have to go from one processor's cache to another's.
 * A disk on which one such call has taken long is left to threads for a while, longer each time: one that stalls holds the
 * event loop up once in two minutes at most.
 * @param options.calls - What is done in place; tests put a failing disk here.
 * @param options.threads - False: all is done in place with `calls`, and nothing ahead.
 * @param options.now - Milliseconds of a clock that only goes forward.
 */
export function diskOf(
  options: { readonly calls?: DiskCalls; readonly threads?: boolean; readonly now?: () => number } = {},
): Disk {
  const { calls = fs, threads = true, now = () => performance.now() } = options;
  let weary: number = wearyMs.first;
  let wearyUntil = Number.NEGATIVE_INFINITY;
  let names = 0;

  const wasSlow = (at: number): void => {
    // Slow again within as long as it was spared: it is no single hiccup.
    weary = at - wearyUntil < weary ? Math.min(2 * weary, wearyMs.most) : wearyMs.first;
    wearyUntil = at + weary;
  };

  /** Either way to make the same call. */
  const call = <T>(inPlace: () => T, inThread: () => Promise<T>): T | Promise<T> => {
    const from = now();
    if (threads && from < wearyUntil) return inThread();
    try {
      return inPlace();
    } finally {
      const at = now();
      if (at - from > slowMs) wasSlow(at);
    }
  };

  const ahead = filesAhead();
  const newPath = (directory: string): string => join(directory, `${(names += 1)}.part`);
  const make = async (directory: string): Promise<OpenFile> => {
    const path = newPath(directory);
    const from = now();
    const file = await call(
      () => calls.openSync(path, 'wx', 0o640),
      () => openInThread(path),
    );
    if (threads && now() - from > slowToMakeMs) ahead.wanted(() => newPath(directory));
    return new OpenFile(path, file);
  };

  const writev = (file: number, slices: readonly Buffer[]): number | Promise<number> =>
    call(
      () => calls.writevSync(file, slices),
      () =>
        new Promise((resolve, reject) => {
          fs.writev(file, slices as Buffer[], (error, taken) => (error ? reject(error) : resolve(taken)));
        }),
    );

  return {
    make: async (directory) => {
      const made = ahead.take(() => newPath(directory));
      if (made !== undefined) return made;
      try {
        return await make(directory);
      } catch (error) {
        // Another process removes the directory when it starts while ours cannot be reached by it.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        await waiting.mkdir(directory, { recursive: true });
        return make(directory);
      }
    },
    append: async (file, slices) => {
      // A write may take less than it was given: a disk that fills up takes a part first.
      for (let rest = slices; rest.length > 0;) {
        const taken = await writev(file.descriptor, rest);
        if (taken === 0) throw new ObjectStoreFullError();
        rest = behind(rest, taken);
      }
    },
    link: async (path, to) => {
      try {
        await call(
          () => calls.linkSync(path, to),
          () => waiting.link(path, to),
        );
        return 'linked';
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EEXIST') return 'taken';
        if (noHardLinks.has(code)) return 'unsupported';
        throw error;
      }
    },
    drop: async (file) => {
      const { path } = file;
      file.close();
      try {
        await call(
          () => calls.unlinkSync(path),
          () => waiting.unlink(path),
        );
      } catch {
        // See above.
      }
    },
    close: ahead.close,
  };
}

/**
 * Files that are made before they are wanted, on file systems where that takes long: they need a thread for it, but nobody
 * waits for the thread.
 */
function filesAhead(): {
  /** One more is wanted, soon. @param newPath - Where it may be. */
  wanted(newPath: () => string): void;
  /** One that is there; another is made in its place. */
  take(newPath: () => string): OpenFile | undefined;
  close(): Promise<void>;
} {
  const files: OpenFile[] = [];
  let making = 0;
  let idle: NodeJS.Timeout | undefined;
  let closing = false;

  const wanted = (newPath: () => string): void => {
    if (closing || files.length + making >= aheadMax) return;
    idle ??= setTimeout(() => void removeAll(), aheadIdleMs).unref();
    idle.refresh();
    making += 1;
    const path = newPath();
    // A disk that fails says so to whoever needs a file next.
    void openInThread(path)
      .then(
        (file) => void files.push(new OpenFile(path, file)),
        () => undefined,
      )
      .finally(() => (making -= 1));
  };
  const removeAll = async (): Promise<void> => {
    await Promise.all(files.splice(0).map(remove));
  };
  return {
    wanted,
    take: (newPath) => {
      const file = files.shift();
      if (file === undefined) return undefined;
      wanted(newPath);
      return file;
    },
    close: async () => {
      closing = true;
      clearTimeout(idle);
      while (making > 0) await new Promise((resolve) => setImmediate(resolve));
      await removeAll();
    },
  };
}

async function remove(file: OpenFile): Promise<void> {
  file.close();
  await waiting.unlink(file.path).catch(() => {});
}

function openInThread(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(path, 'wx', 0o640, (error, file) => (error ? reject(error) : resolve(file)));
  });
}

/** What is left when the first `taken` bytes are gone. */
function behind(slices: readonly Buffer[], taken: number): readonly Buffer[] {
  let gone = taken;
  const left: Buffer[] = [];
  for (const slice of slices) {
    if (gone < slice.length) left.push(slice.subarray(gone));
    gone = Math.max(0, gone - slice.length);
  }
  return left;
}
