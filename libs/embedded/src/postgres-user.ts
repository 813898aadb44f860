import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Where binaries and data go that the user of the server cannot reach in their own place. */
const systemHome = '/var/lib/isthmus';
/** In a data folder whose database is elsewhere: the name of the folder in `systemHome`. */
const placeFile = 'postgres-place';
/** In a folder of `systemHome`: the data folder that it belongs to. */
const originFile = 'origin';

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
 * PostgreSQL refuses to run as root; then it runs as the user `postgres`, or `nobody` where there is none. A
 * data folder below one that this user may not enter (a home directory of mode 0700) is replaced by one in
 * `/var/lib/isthmus`. The data folder names it: who removes the data folder begins anew.
 */
export function postgresPlace(dataDir: string, systemFolder: string = systemHome): PostgresPlace {
  if (process.getuid?.() !== 0) {
    fs.mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const home = path.join(os.homedir(), '.cache', 'isthmus');
    return { ids: undefined, dataDir, home, reachable: (file) => fs.existsSync(file) };
  }
  const ids = idsOf('postgres') ?? idsOf('nobody') ?? { uid: 65534, gid: 65534 };
  const reachable = (file: string): boolean =>
    spawnSync('test', ['-r', file], { ...ids, cwd: '/' }).status === 0;
  fs.mkdirSync(dataDir, { recursive: true });
  fs.mkdirSync(systemFolder, { recursive: true, mode: 0o755 });
  removeAbandoned(systemFolder);
  fs.chownSync(dataDir, ids.uid, ids.gid);
  fs.chmodSync(dataDir, 0o700);
  if (reachable(dataDir)) return { ids, dataDir, home: systemFolder, reachable };
  const place = path.join(systemFolder, placeOf(dataDir));
  fs.mkdirSync(place, { recursive: true, mode: 0o700 });
  fs.writeFileSync(path.join(place, originFile), dataDir);
  fs.chownSync(place, ids.uid, ids.gid);
  return { ids, dataDir: place, home: systemFolder, reachable };
}

function placeOf(dataDir: string): string {
  const file = path.join(dataDir, placeFile);
  const known = readOrUndefined(file);
  if (known !== undefined && /^data-[\w-]+$/.test(known)) return known;
  const name = `data-${randomUUID()}`;
  fs.writeFileSync(file, name);
  return name;
}

/**
 * Removes databases in `systemFolder` that nothing leads to any more: their data folder was made anew, or was
 * a temporary one and is gone. One that is gone from elsewhere may be on a disk that is not mounted now.
 */
function removeAbandoned(systemFolder: string): void {
  for (const name of fs.readdirSync(systemFolder).filter((one) => one.startsWith('data-'))) {
    const place = path.join(systemFolder, name);
    const origin = readOrUndefined(path.join(place, originFile));
    if (origin === undefined || readOrUndefined(path.join(origin, placeFile)) === name) continue;
    const temporary = origin.startsWith(`${os.tmpdir()}${path.sep}`);
    if (!(fs.existsSync(origin) || temporary) || serverRuns(place)) continue;
    fs.rmSync(place, { recursive: true, force: true });
  }
}

function serverRuns(place: string): boolean {
  const pid = readOrUndefined(path.join(place, 'data/postmaster.pid'))?.split('\n')[0];
  return pid !== undefined && fs.existsSync(`/proc/${pid}`);
}

function readOrUndefined(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
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
