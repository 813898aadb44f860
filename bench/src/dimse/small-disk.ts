import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Rig } from './rig.ts';

const MIB = 1024 * 1024;
/** Without a file system of our own: what has to be taken up before objects are refused. */
const reservedMib = 512;

/** A disk that can be filled up and emptied. */
export interface SmallDisk {
  readonly what: string;
  /** Empty directory on it. */
  readonly directory: string;
  /** Of an edge that has its objects there. */
  readonly settings: { readonly [name: string]: string };
  /** Takes up all but about `leaveBytes`. */
  fill(leaveBytes: number): void;
  /** Gives it back. */
  giveRoom(): void;
}

/**
 * A tmpfs of `mib` MiB, so that writes fail with ENOSPC. Who may not mount gets a directory instead, with an edge that
 * wants all but a little of the disk free: it refuses before it writes.
 */
export function startSmallDisk(rig: Rig, mib: number): SmallDisk {
  const directory = rig.folder('small-disk');
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'tmpfs', directory], { stdio: 'pipe' });
  } catch (error) {
    rig.say(`no tmpfs (${(error as Error).message.trim()}): OBJECT_STORE_FREE_MIN_MIB refuses instead`);
    return directoryWithBound(directory);
  }
  rig.atEnd('tmpfs', () => void execFileSync('umount', ['--lazy', directory], { stdio: 'pipe' }));
  const filler = join(directory, 'filler');
  return {
    what: `a tmpfs of ${mib} MiB, ENOSPC`,
    directory,
    settings: { OBJECT_STORE_FREE_MIN_MIB: '0' },
    fill: (leaveBytes) => {
      const descriptor = openSync(filler, 'w');
      const block = Buffer.alloc(MIB);
      for (let left = freeBytes(directory) - leaveBytes; left > 0; left -= MIB) {
        writeSync(descriptor, block, 0, Math.min(MIB, left));
      }
      closeSync(descriptor);
    },
    giveRoom: () => rmSync(filler, { force: true }),
  };
}

function directoryWithBound(directory: string): SmallDisk {
  const bound = Math.floor(freeBytes(directory) / MIB) - reservedMib;
  const filler = join(directory, 'filler');
  return {
    what: 'OBJECT_STORE_FREE_MIN_MIB',
    directory,
    settings: { OBJECT_STORE_FREE_MIN_MIB: String(bound) },
    fill: () => void execFileSync('fallocate', ['-l', `${2 * reservedMib}MiB`, filler]),
    giveRoom: () => rmSync(filler, { force: true }),
  };
}

function freeBytes(directory: string): number {
  const disk = statfsSync(directory);
  return disk.bavail * disk.bsize;
}
