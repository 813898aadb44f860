import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Where binaries and data go that the user of the server cannot reach in their own place. */
const systemHome = '/var/lib/isthmus';

/** Who runs PostgreSQL, and where its files are. */
export interface PostgresPlace {
  /** Absent: as ourselves. */
  readonly ids: { readonly uid: number; readonly gid: number } | undefined;
  readonly dataDir: string;
  /** Folder for a copy of the binaries. */
  readonly home: string;
  reachable(file: string): boolean;
}

/**
 * PostgreSQL refuses to run as root; then it runs as the user `postgres`, or `nobody` where there is none. A data
 * folder below one that this user may not enter (a home directory of mode 0700) is replaced by one in
 * `/var/lib/isthmus`, named after the folder that was asked for.
 */
export function postgresPlace(dataDir: string): PostgresPlace {
  if (process.getuid?.() !== 0) {
    fs.mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const home = path.join(os.homedir(), '.cache', 'isthmus');
    return { ids: undefined, dataDir, home, reachable: (file) => fs.existsSync(file) };
  }
  const ids = idsOf('postgres') ?? idsOf('nobody') ?? { uid: 65534, gid: 65534 };
  const reachable = (file: string): boolean =>
    spawnSync('test', ['-r', file], { ...ids, cwd: '/' }).status === 0;
  fs.mkdirSync(dataDir, { recursive: true });
  fs.mkdirSync(systemHome, { recursive: true, mode: 0o755 });
  let place = dataDir;
  fs.chownSync(place, ids.uid, ids.gid);
  if (!reachable(place)) {
    place = path.join(systemHome, createHash('sha256').update(dataDir).digest('hex').slice(0, 12));
    fs.mkdirSync(place, { recursive: true, mode: 0o700 });
    fs.chownSync(place, ids.uid, ids.gid);
  }
  fs.chmodSync(place, 0o700);
  return { ids, dataDir: place, home: systemHome, reachable };
}

function idsOf(user: string): { uid: number; gid: number } | undefined {
  const idOf = (flag: '-u' | '-g'): number =>
    Number(execFileSync('id', [flag, user], { stdio: ['ignore', 'pipe', 'ignore'] }).toString());
  try {
    return { uid: idOf('-u'), gid: idOf('-g') };
  } catch {
    return undefined;
  }
}
