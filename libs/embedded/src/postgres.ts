import { execFile } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';

import pg from 'pg';

import { EmbeddedServerError } from './errors.ts';
import { postgresBinaries } from './postgres-binaries.ts';
import { postgresPlace } from './postgres-user.ts';
import type { PostgresPlace } from './postgres-user.ts';
import { silentLog } from './server-log.ts';
import type { ServerLog } from './server-log.ts';
import { pause, spawnServer, tailOf } from './server-process.ts';
import type { ServerProcess } from './server-process.ts';

const run = promisify(execFile);

const superuser = 'isthmus';
const startAttemptsMax = 20;
const betweenAttemptsMs = 250;
const initTimeoutMs = 60_000;
const stopTimeoutMs = 10_000;

export interface PostgresOptions {
  /**
   * Holds `data` and `server.log`; made when it is missing. As root it may be replaced, see
   * `PostgresServer.dataDir`.
   */
  readonly dataDir: string;
  /** @default 0, any free one; kept over `restart()`. */
  readonly port?: number;
  /** Database that `url` names; created when it is missing. @default 'isthmus' */
  readonly database?: string;
  /** Server settings, e.g. `{ fsync: 'off' }` for tests. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** For one attempt to get a connection; recovery after a crash may take its time. @default 30000 */
  readonly startTimeoutMs?: number;
  readonly log?: ServerLog;
}

/**
 * A PostgreSQL on loopback as our child process. Everybody on this machine may connect: for development and
 * tests.
 */
export interface PostgresServer {
  readonly url: string;
  readonly port: number;
  /** Of the present postmaster; changes with `restart()`. */
  readonly pid: number;
  /** Where the data really are, see `postgresPlace`. */
  readonly dataDir: string;
  readonly logFile: string;
  readonly running: boolean;
  /** URL of another database on this server. */
  urlOf(database: string): string;
  /** Creates a database unless it exists. @returns Its URL. */
  createDatabase(name: string): Promise<string>;
  /** Drops a database and whoever is connected to it. */
  dropDatabase(name: string): Promise<void>;
  /** Fast shutdown: open transactions are rolled back. */
  stop(): Promise<void>;
  /** SIGKILL to the postmaster. What was committed stays (unless `fsync` is off and the power fails). */
  kill(): Promise<void>;
  /** Starts again on the same data and port; stops it first if it runs. */
  restart(): Promise<void>;
}

/**
 * Starts PostgreSQL from the packaged binaries and resolves when it takes connections.
 *
 * @throws {EmbeddedServerError} `postgres-binaries-missing`; `server-start-failed` after 20 attempts, 250 ms
 *   apart (a killed server's shared memory needs a moment); `server-start-timeout`. Nothing is left running.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const log = options.log ?? silentLog;
  const place = postgresPlace(path.resolve(options.dataDir));
  const native = postgresBinaries(place.home, place.reachable);
  const database = options.database ?? 'isthmus';
  const launch: Launch = {
    native,
    cluster: await initialise(native, place),
    place,
    logFile: path.join(place.dataDir, 'server.log'),
    settings: options.settings ?? {},
    startTimeoutMs: options.startTimeoutMs ?? 30_000,
    log,
  };
  let current = await startWithRetries(launch, options.port ?? 0);
  const urlOf = (name: string): string => `postgresql://${superuser}@127.0.0.1:${current.port}/${name}`;
  const createDatabase = async (name: string): Promise<string> => {
    await create(current.port, name);
    return urlOf(name);
  };
  await createDatabase(database);
  log.info({ port: current.port, pid: current.child.pid, dataDir: place.dataDir }, 'PostgreSQL is up');
  return {
    get url() {
      return urlOf(database);
    },
    get port() {
      return current.port;
    },
    get pid() {
      return current.child.pid;
    },
    dataDir: place.dataDir,
    logFile: launch.logFile,
    get running() {
      return current.child.exit === undefined;
    },
    urlOf,
    createDatabase,
    dropDatabase: (name) =>
      query(current.port, `DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`).then(
        () => undefined,
      ),
    stop: () => current.child.end('SIGINT', stopTimeoutMs),
    kill: () => current.child.end('SIGKILL', stopTimeoutMs),
    async restart() {
      await current.child.end('SIGINT', stopTimeoutMs);
      current = await startWithRetries(launch, current.port);
    },
  };
}

interface Launch {
  readonly native: string;
  /** Folder of the database cluster. */
  readonly cluster: string;
  readonly place: PostgresPlace;
  readonly logFile: string;
  readonly settings: Readonly<Record<string, string | number>>;
  readonly startTimeoutMs: number;
  readonly log: ServerLog;
}

/** Made beside and renamed, so that a half-made one is never used and only what we made is ever removed. */
async function initialise(native: string, place: PostgresPlace): Promise<string> {
  const cluster = path.join(place.dataDir, 'data');
  if (fs.existsSync(path.join(cluster, 'PG_VERSION'))) return cluster;
  const half = path.join(place.dataDir, 'data.new');
  fs.rmSync(half, { recursive: true, force: true });
  const args = ['-D', half, '-U', superuser, '--auth=trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'];
  try {
    await run(path.join(native, 'bin/initdb'), args, {
      cwd: '/',
      env: { LC_ALL: 'C', TZ: 'UTC' },
      timeout: initTimeoutMs,
      ...place.ids,
    });
  } catch (cause) {
    const stderr = (cause as { stderr?: string }).stderr ?? String(cause);
    throw new EmbeddedServerError(
      'server-start-failed',
      `initdb failed: ${stderr.trim().slice(-400)}`,
      `See whether ${place.dataDir} is writable and the disk has room`,
      { cause },
    );
  }
  fs.renameSync(half, cluster);
  return cluster;
}

interface Running {
  readonly child: ServerProcess;
  readonly port: number;
}

async function startWithRetries(launch: Launch, port: number): Promise<Running> {
  for (let attempt = 1; ; attempt++) {
    // Somebody may take a free port between the look and the start: look again at every attempt.
    const chosen = port === 0 ? await freePort() : port;
    const child = await spawnPostgres(launch, chosen);
    if (await takesConnections(child, chosen, launch.startTimeoutMs)) return { child, port: chosen };
    if (child.exit === undefined) {
      await child.end('SIGQUIT', stopTimeoutMs);
      throw startError(
        'server-start-timeout',
        `PostgreSQL took no connection in ${launch.startTimeoutMs} ms`,
        launch,
      );
    }
    if (attempt >= startAttemptsMax) {
      throw startError('server-start-failed', `PostgreSQL ended ${attempt} times at start`, launch);
    }
    await pause(betweenAttemptsMs);
  }
}

function startError(
  code: 'server-start-timeout' | 'server-start-failed',
  message: string,
  launch: Launch,
): Error {
  return new EmbeddedServerError(
    code,
    `${message}: ${tailOf(launch.logFile)}`,
    `See ${launch.logFile}; if the port or the folder is in use, end the program that has it`,
    { facts: { dataDir: launch.place.dataDir } },
  );
}

function spawnPostgres(launch: Launch, port: number): Promise<ServerProcess> {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    shared_buffers: '64MB',
    max_connections: 200,
    ...launch.settings,
  };
  return spawnServer({
    binary: path.join(launch.native, 'bin/postgres'),
    args: [
      '-D',
      launch.cluster,
      '-p',
      String(port),
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    logFile: launch.logFile,
    deathSignal: 'INT',
    log: launch.log,
    ...launch.place.ids,
  });
}

async function takesConnections(child: ServerProcess, port: number, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (child.exit === undefined && performance.now() < deadline) {
    try {
      await query(port, 'SELECT 1');
      // On a fixed port somebody else's server may have answered while ours was dying.
      return child.exit === undefined;
    } catch {
      await pause(20);
    }
  }
  return false;
}

async function query(port: number, text: string): Promise<pg.QueryResult> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: superuser,
    database: 'postgres',
    connectionTimeoutMillis: 2000,
  });
  // The server may end while we are connected.
  client.on('error', () => {});
  try {
    await client.connect();
    return await client.query(text);
  } finally {
    await client.end().catch(() => {});
  }
}

async function create(port: number, name: string): Promise<void> {
  try {
    await query(port, `CREATE DATABASE ${pg.escapeIdentifier(name)}`);
  } catch (error) {
    const duplicate = ['42P04', '23505'].includes((error as { code?: string }).code ?? '');
    if (!duplicate) throw error;
  }
}

/** A port that is free now; whoever uses it must be ready to lose it and to ask again. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
