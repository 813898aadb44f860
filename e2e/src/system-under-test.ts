import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '@isthmus/testing';

export interface ClusterAddress {
  readonly id: string;
  readonly aeTitle: string;
  readonly dicom: { readonly host: string; readonly port: number };
  readonly http: string;
  /** Process id by part: `dimse-edge`, `update-relay`, `nats-server`, `postgres`, … */
  readonly pids: Readonly<Record<string, number>>;
}

interface Status {
  readonly ready: boolean;
  readonly clusters: readonly ClusterAddress[];
}

export interface SystemUnderTest {
  /** Address and process ids as they are now. */
  cluster(id: string): ClusterAddress;
  readonly clusters: readonly ClusterAddress[];
  readonly dataDirectory: string;
  /** Everything that the program printed so far. */
  output(): string;
  /** Ctrl-C. @returns milliseconds until the process was gone */
  interrupt(): Promise<number>;
  stop(): Promise<void>;
}

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Each test process takes ports of its own, apart from those of a system that a person has running. */
let nextOffset = 2_000 + (process.pid % 1_500) * 10;

/** Starts `npm start` from outside, as its own process, on free ports and an own data folder. */
export async function startSystem(options: {
  readonly clusters?: number;
  readonly topology?: string;
  readonly isolate?: boolean;
  readonly samples?: boolean;
  readonly dataDirectory?: string;
}): Promise<SystemUnderTest> {
  const own = options.dataDirectory === undefined;
  const dataDirectory = options.dataDirectory ?? mkdtempSync(join(tmpdir(), 'isthmus-e2e-'));
  const args = ['--clusters', String(options.clusters ?? 3), '--topology', options.topology ?? 'mesh'];
  args.push('--data', dataDirectory, '--port-offset', String((nextOffset += 10)));
  if (options.isolate) args.push('--isolate', 'service');
  if (!options.samples) args.push('--no-samples');
  const child = spawn(process.execPath, [join(root, 'deploy/local/src/main.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk));
  child.stderr.on('data', (chunk: Buffer) => (printed += chunk));
  const status = (): Status =>
    JSON.parse(readFileSync(join(dataDirectory, 'isthmus.json'), 'utf8')) as Status;
  const gone = (): boolean => child.exitCode !== null || child.signalCode !== null;
  await eventually(
    'the system is ready',
    () => {
      if (gone()) throw new Error(`it ended while starting:\n${printed}`);
      return status().ready && (!options.samples || printed.includes('Ctrl-C'));
    },
    { timeoutMs: 120_000 },
  );

  async function interrupt(): Promise<number> {
    const started = performance.now();
    if (!gone()) {
      const exited = once(child, 'exit');
      child.kill('SIGINT');
      await exited;
    }
    return performance.now() - started;
  }
  return {
    dataDirectory,
    output: () => printed,
    interrupt,
    get clusters() {
      return status().clusters;
    },
    cluster(id) {
      const found = status().clusters.find((cluster) => cluster.id === id);
      if (!found) throw new Error(`no cluster ${id}`);
      return found;
    },
    async stop() {
      await interrupt();
      if (own) rmSync(dataDirectory, { recursive: true, force: true });
    },
  };
}
