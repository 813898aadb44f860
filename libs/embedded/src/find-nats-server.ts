import fs from 'node:fs';
import path from 'node:path';

import { programEnvironment } from './config.ts';
import type { ProgramEnvironment } from './config.ts';
import { EmbeddedServerError } from './errors.ts';
import { fetchNatsServer } from './fetch-nats-server.ts';
import { compareNatsVersions, isAtLeast, versionOfBinary } from './nats-version.ts';
import type { NatsVersion } from './nats-version.ts';
import { silentLog } from './server-log.ts';
import type { ServerLog } from './server-log.ts';
import { isExecutable } from './server-process.ts';

export interface FoundNatsServer {
  readonly path: string;
  readonly version: string;
}

export interface FindOptions {
  /** Folder with servers fetched before (`.isthmus/bin`), and where a fetched one goes. */
  readonly fetchInto?: string;
  /**
   * `when-missing`: only when there is none at all. `when-older`: also when the newest is older than 2.10,
   * hence may lose acknowledged events on power failure; if fetching fails then, the older one is used.
   * @default 'never'
   */
  readonly fetch?: 'never' | 'when-missing' | 'when-older';
  readonly environment?: ProgramEnvironment;
  readonly log?: ServerLog;
}

interface Candidate {
  readonly path: string;
  readonly version: NatsVersion;
}

/** Every nats-server that runs here, newest first: those in `fetchInto`, then those on `PATH`. */
export function natsServersHere(
  fetchInto?: string,
  environment: ProgramEnvironment = programEnvironment(),
): readonly FoundNatsServer[] {
  return candidates(fetchInto, environment).map(({ path, version }) => ({ path, version: version.text }));
}

/**
 * The nats-server to use: `NATS_SERVER` when it is set, else the newest of those in `fetchInto` and on
 * `PATH`, else one fetched into `fetchInto` if `fetch` allows it.
 *
 * @throws {EmbeddedServerError} `nats-server-missing`, with a remedy that says exactly what to do.
 */
export async function findNatsServer(options: FindOptions = {}): Promise<FoundNatsServer> {
  const environment = options.environment ?? programEnvironment();
  if (environment.natsServer !== undefined) return explicit(environment.natsServer);
  const newest = candidates(options.fetchInto, environment)[0];
  const fetch = options.fetch ?? 'never';
  const wanted =
    newest === undefined ? fetch !== 'never' : fetch === 'when-older' && !isAtLeast(newest.version, 2, 10);
  if (wanted && options.fetchInto !== undefined) {
    try {
      const fetched = await fetchNatsServer({ into: options.fetchInto, log: options.log });
      return fetched;
    } catch (error) {
      if (newest === undefined) throw missing(error);
      (options.log ?? silentLog).warn(
        { version: newest.version.text, reason: error instanceof Error ? error.message : String(error) },
        'no newer nats-server to be had: an acknowledged event may be lost on power failure with this one',
      );
    }
  }
  if (newest === undefined) throw missing();
  return { path: newest.path, version: newest.version.text };
}

function explicit(natsServer: string): FoundNatsServer {
  const version = versionOfBinary(natsServer);
  if (version !== undefined) return { path: path.resolve(natsServer), version: version.text };
  throw new EmbeddedServerError(
    'nats-server-missing',
    `NATS_SERVER names ${natsServer}, which is not a nats-server that runs here`,
    'Correct the path, or unset NATS_SERVER to have one looked for',
  );
}

function candidates(fetchInto: string | undefined, environment: ProgramEnvironment): Candidate[] {
  const fetched = fetchInto === undefined ? [] : fetchedServers(fetchInto);
  const installed = environment.folders
    .map((folder) => path.join(folder, 'nats-server'))
    .filter(isExecutable);
  const found = new Map<string, Candidate>();
  for (const file of [...fetched, ...installed]) {
    const real = fs.realpathSync(file);
    const version = found.has(real) ? undefined : versionOfBinary(real);
    if (version !== undefined) found.set(real, { path: file, version });
  }
  return [...found.values()].sort((a, b) => compareNatsVersions(b.version, a.version));
}

function fetchedServers(folder: string): string[] {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder)
    .filter((name) => /^nats-server(-[\d.]+)?$/.test(name))
    .map((name) => path.join(folder, name))
    .filter(isExecutable);
}

function missing(cause?: unknown): EmbeddedServerError {
  return new EmbeddedServerError(
    'nats-server-missing',
    'There is no nats-server on this machine',
    'Install it (Debian, Ubuntu: apt-get install nats-server), or download a release 2.10 or later from ' +
      'https://github.com/nats-io/nats-server/releases, unpack it, and set NATS_SERVER to the path of the program',
    { cause },
  );
}
