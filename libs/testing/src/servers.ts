import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { findNatsServer, natsServersHere, startNatsServer, startPostgres } from '@isthmus/embedded';
import type { FoundNatsServer, NatsServer, PostgresServer } from '@isthmus/embedded';

/** Real servers for one test. */
export interface TestServers {
  readonly natsUrl: string;
  /** A database of its own on the PostgreSQL that this test process shares. */
  readonly databaseUrl: string;
  /** A nats-server of its own: the names of streams are fixed, and a test may kill it. */
  readonly nats: NatsServer;
  /** Shared: killing it disturbs tests that run at the same time. */
  readonly postgres: PostgresServer;
  stop(): Promise<void>;
}

/** What of `node:test`'s context is used. */
export interface TestContextLike {
  after(cleanUp: () => Promise<void>): void;
}

/**
 * Both servers, data thrown away afterwards. Stopped after the test when its context is given, else by
 * `stop()` or at exit.
 */
export async function testServers(
  test?: TestContextLike,
  options: { readonly natsBinary?: string } = {},
): Promise<TestServers> {
  const [nats, postgres] = await Promise.all([startTestNats(options.natsBinary), sharedPostgres()]);
  const database = `test_${randomUUID().replaceAll('-', '')}`;
  const databaseUrl = await postgres.createDatabase(database);
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await nats.stop();
    fs.rmSync(nats.dataDir, { recursive: true, force: true });
    if (postgres.running) await postgres.dropDatabase(database);
  };
  const stopOnce = (): Promise<void> => (stopping ??= stop());
  test?.after(stopOnce);
  return { natsUrl: nats.url, databaseUrl, nats, postgres, stop: stopOnce };
}

export interface TestNatsOptions {
  /** @default the newest on this machine */
  readonly natsBinary?: string;
  /** Data of a former server; kept afterwards. @default a new folder, removed with the server */
  readonly dataDir?: string;
}

/**
 * A nats-server alone, for tests that need no database. Stopped after the test when its context is given,
 * else at exit.
 */
export async function testNats(test?: TestContextLike, options: TestNatsOptions = {}): Promise<NatsServer> {
  const nats = await startTestNats(options.natsBinary, options.dataDir);
  test?.after(async () => {
    await nats.stop();
    if (options.dataDir === undefined) fs.rmSync(nats.dataDir, { recursive: true, force: true });
  });
  return nats;
}

/** Where a fetched nats-server is kept for all runs. */
const fetchedInto = path.resolve(import.meta.dirname, '../../../.isthmus/bin');

/** Every nats-server on this machine, newest first, for suites that run on each. */
export function natsBinariesHere(): readonly FoundNatsServer[] {
  return natsServersHere(fetchedInto);
}

let root: string | undefined;
let postgresStarting: Promise<PostgresServer> | undefined;

/** Folder for everything of this test process; removed when the process ends. */
function testRoot(): string {
  if (root !== undefined) return root;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'isthmus-test-'));
  // As root, PostgreSQL runs as another user, who must be able to enter.
  fs.chmodSync(folder, 0o755);
  root = folder;
  return folder;
}

async function startTestNats(binary: string | undefined, dataDir?: string): Promise<NatsServer> {
  const found = binary ?? (await findNatsServer({ fetchInto: fetchedInto, fetch: 'when-missing' })).path;
  return startNatsServer({
    dataDir: dataDir ?? path.join(testRoot(), `nats-${randomUUID()}`),
    binary: found,
  });
}

/**
 * The PostgreSQL of this test process, started when it is first asked for. It does not keep the process alive
 * and ends with it; its data are removed. Data are not synced to disk: a killed process loses nothing, a
 * power failure may.
 */
export function sharedPostgres(): Promise<PostgresServer> {
  postgresStarting ??= startSharedPostgres();
  return postgresStarting;
}

async function startSharedPostgres(): Promise<PostgresServer> {
  const postgres = await startPostgres({
    dataDir: path.join(testRoot(), 'postgres'),
    settings: { fsync: 'off', max_connections: 300 },
  });
  process.once('exit', () => endWithoutLoop(postgres));
  return postgres;
}

process.once('exit', () => {
  if (root !== undefined) fs.rmSync(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
});

/**
 * At exit there is no event loop any more: ask, and look until it is gone. SIGQUIT also frees its shared
 * memory.
 */
function endWithoutLoop(postgres: PostgresServer): void {
  if (!postgres.running) return;
  try {
    process.kill(postgres.pid, 'SIGQUIT');
  } catch {
    return;
  }
  const deadline = performance.now() + 2000;
  const clock = new Int32Array(new SharedArrayBuffer(4));
  while (performance.now() < deadline && !isGone(postgres.pid)) Atomics.wait(clock, 0, 0, 10);
}

/** Nobody reaps our child at exit, so it stays as a zombie. */
function isGone(pid: number): boolean {
  try {
    return /^\d+ \(.*\) [ZX] /.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}
