import fs from 'node:fs';
import path from 'node:path';

import { EmbeddedServerError } from './errors.ts';
import { findNatsServer } from './find-nats-server.ts';
import { natsConfigurationText } from './nats-configuration.ts';
import { versionOfBinary } from './nats-version.ts';
import type { NatsVersion } from './nats-version.ts';
import { silentLog } from './server-log.ts';
import type { ServerLog } from './server-log.ts';
import { pause, spawnServer, tailOf } from './server-process.ts';
import type { ServerProcess } from './server-process.ts';

const stopTimeoutMs = 5000;
/** How long a former server on the same data may take to go away. */
const formerServerTimeoutMs = 5000;

export interface NatsServerOptions {
  /** Holds nats.conf, the streams and `nats-server.log`; made when it is missing. */
  readonly dataDir: string;
  /** @default 0, any free one; kept over `restart()`. */
  readonly port?: number;
  /** @default what `findNatsServer()` finds, without fetching. */
  readonly binary?: string;
  /** Acknowledge only what is on the disk (2.10 and later). @default true */
  readonly syncAlways?: boolean;
  readonly maxFileStoreBytes?: number;
  /** @default 10000; a server with a large store takes longer to look through it. */
  readonly startTimeoutMs?: number;
  readonly log?: ServerLog;
}

/** A nats-server with JetStream on loopback, as our child process. */
export interface NatsServer {
  readonly url: string;
  readonly port: number;
  /** Of the present process; changes with `restart()`. */
  readonly pid: number;
  readonly version: string;
  readonly dataDir: string;
  readonly logFile: string;
  /** True until it was stopped, killed, or died. */
  readonly running: boolean;
  /** Orderly end. Data stay. */
  stop(): Promise<void>;
  /** SIGKILL. What was acknowledged stays. */
  kill(): Promise<void>;
  /** Starts again on the same data and port; stops it first if it runs. */
  restart(): Promise<void>;
}

/**
 * Starts nats-server and resolves when it accepts clients (35 to 60 ms on empty data).
 *
 * @throws {EmbeddedServerError} `nats-server-missing`; `data-directory-in-use` (another server runs on this
 *   folder); `server-start-failed` (it ended, e.g. because the port is taken); `server-start-timeout`.
 *   Nothing is left running.
 */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  const log = options.log ?? silentLog;
  const dataDir = path.resolve(options.dataDir);
  const binary = options.binary ?? (await findNatsServer()).path;
  const version = versionOfBinary(binary);
  if (version === undefined) {
    throw new EmbeddedServerError(
      'nats-server-missing',
      `${binary} is not a nats-server that runs here`,
      'Set NATS_SERVER to the path of a nats-server 2.9 or later',
    );
  }
  fs.mkdirSync(dataDir, { recursive: true });
  const logFile = path.join(dataDir, 'nats-server.log');
  const start = async (port: number): Promise<{ child: ServerProcess; port: number }> => {
    await awaitFormerServer(dataDir);
    writeConfiguration(dataDir, version, port, options);
    const args = ['-c', path.join(dataDir, 'nats.conf'), '--ports_file_dir', dataDir];
    const child = await spawnServer({ binary, args, logFile, deathSignal: 'TERM', log });
    fs.writeFileSync(path.join(dataDir, 'nats-server.pid'), String(child.pid));
    return { child, port: await awaitPorts(child, dataDir, logFile, options.startTimeoutMs ?? 10_000) };
  };
  let current = await start(options.port ?? 0);
  log.info({ port: current.port, version: version.text, pid: current.child.pid }, 'nats-server is up');
  return {
    get url() {
      return `nats://127.0.0.1:${current.port}`;
    },
    get port() {
      return current.port;
    },
    get pid() {
      return current.child.pid;
    },
    version: version.text,
    dataDir,
    logFile,
    get running() {
      return current.child.exit === undefined;
    },
    stop: () => current.child.end('SIGTERM', stopTimeoutMs),
    kill: () => current.child.end('SIGKILL', stopTimeoutMs),
    async restart() {
      await current.child.end('SIGTERM', stopTimeoutMs);
      current = await start(current.port);
    },
  };
}

function writeConfiguration(
  dataDir: string,
  version: NatsVersion,
  port: number,
  options: NatsServerOptions,
): void {
  for (const name of fs.readdirSync(dataDir)) {
    // A file of a former process with the same pid would be taken for ours.
    if (name.endsWith('.ports')) fs.rmSync(path.join(dataDir, name), { force: true });
  }
  const text = natsConfigurationText(version, {
    port,
    storeDir: path.join(dataDir, 'jetstream'),
    serverName: `isthmus-${path.basename(dataDir).replaceAll(/[^A-Za-z0-9-]/g, '-')}`,
    syncAlways: options.syncAlways ?? true,
    maxFileStoreBytes: options.maxFileStoreBytes,
  });
  fs.writeFileSync(path.join(dataDir, 'nats.conf'), text);
}

/** nats-server does not lock its store: two on one folder would destroy it. */
async function awaitFormerServer(dataDir: string): Promise<void> {
  const deadline = performance.now() + formerServerTimeoutMs;
  for (;;) {
    const pid = formerServer(dataDir);
    if (pid === undefined) return;
    if (performance.now() > deadline) {
      throw new EmbeddedServerError(
        'data-directory-in-use',
        `nats-server with pid ${pid} runs on ${dataDir}`,
        'Stop it, or use another data folder',
        { facts: { pid, dataDir } },
      );
    }
    await pause(20);
  }
}

function formerServer(dataDir: string): number | undefined {
  try {
    const pid = Number(fs.readFileSync(path.join(dataDir, 'nats-server.pid'), 'utf8'));
    const commandLine = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return commandLine.includes(path.join(dataDir, 'nats.conf')) ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** The server writes its ports file when it listens, which is after JetStream has recovered its streams. */
async function awaitPorts(
  child: ServerProcess,
  dataDir: string,
  logFile: string,
  timeoutMs: number,
): Promise<number> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const port = portOf(dataDir, child.pid);
    if (port !== undefined) return port;
    if (child.exit !== undefined) {
      throw new EmbeddedServerError(
        'server-start-failed',
        `nats-server ended with ${child.exit.code ?? child.exit.signal}: ${tailOf(logFile)}`,
        `See ${logFile}; if the address is in use, choose another port or end the program that has it`,
        { facts: { dataDir } },
      );
    }
    if (performance.now() > deadline) {
      await child.end('SIGKILL', stopTimeoutMs);
      throw new EmbeddedServerError(
        'server-start-timeout',
        `nats-server was not ready within ${timeoutMs} ms: ${tailOf(logFile)}`,
        `See ${logFile}; allow more time if its store is large`,
        { facts: { dataDir } },
      );
    }
    await pause(5);
  }
}

function portOf(dataDir: string, pid: number): number | undefined {
  try {
    const file = fs.readdirSync(dataDir).find((name) => name.endsWith(`_${pid}.ports`));
    if (file === undefined) return undefined;
    const ports = JSON.parse(fs.readFileSync(path.join(dataDir, file), 'utf8')) as { nats?: string[] };
    return ports.nats?.[0] === undefined ? undefined : Number(new URL(ports.nats[0]).port);
  } catch {
    // Half-written: look again.
    return undefined;
  }
}
