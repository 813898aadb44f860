import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { inCi, searchPath, toolEnvironment } from './environment.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { metaOf } from './part10.ts';
import type { TestContextLike } from './servers.ts';

/**
 * Why tests with a foreign program are skipped, or false when it is installed: `{ skip: missingTool('storescu') }`. On a
 * user's machine they are skipped by its name.
 * @param inPackage - Debian's package.
 * @throws {Error} It is missing and `CI=true`, so that a green run there always means that they ran.
 */
export function missingTool(tool: string, inPackage = 'dcmtk'): string | false {
  if (searchPath.split(delimiter).some((folder) => existsSync(join(folder, tool)))) return false;
  const why = `${tool} (package ${inPackage}) is not installed`;
  if (inCi) throw new Error(why);
  return why;
}

export interface ToolResult {
  /** -1 when a signal ended it. */
  readonly code: number;
  /** What it said on both streams. */
  readonly output: string;
}

/** Runs a program to its end, which comes by itself or after two minutes. @throws {Error} It cannot be started. */
export async function runTool(tool: string, args: readonly string[]): Promise<ToolResult> {
  const child = spawn(tool, args, {
    env: toolEnvironment,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
    killSignal: 'SIGKILL',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? -1, output };
}

/**
 * Starts a server program and waits until it takes connections. Ended after the test when its context is given.
 * @returns Ends it.
 * @throws {Error} It ended, or does not listen within 30 s.
 */
export async function startTool(
  test: TestContextLike | undefined,
  tool: string,
  args: readonly string[],
  port: number,
): Promise<() => Promise<void>> {
  const child = spawn(tool, args, { env: toolEnvironment, stdio: 'ignore' });
  let hasEnded = false;
  const ended = once(child, 'close')
    .catch(() => undefined)
    .then(() => (hasEnded = true));
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  test?.after(stop);
  try {
    const state = await eventually(`${tool} listens`, async () =>
      hasEnded ? 'ended' : (await takesConnections(port)) && 'listening',
    );
    if (state === 'ended') throw new Error(`${tool} ended at its start`);
  } catch (error) {
    await stop();
    throw error;
  }
  return stop;
}

async function takesConnections(port: number): Promise<true> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return true;
  } finally {
    socket.destroy();
  }
}

export interface StoreScp {
  readonly aeTitle: string;
  readonly port: number;
  /** Where it puts files. */
  readonly directory: string;
  /** Names of the files that it has received, in `directory`. */
  files(): Promise<string[]>;
  /** Received data sets by SOP Instance UID, without File Meta Information. */
  dataSets(): Promise<ReadonlyMap<string, Buffer>>;
  stop(): Promise<void>;
}

/** DCMTK's storescp, which keeps bytes as received (`+B`), on a free port. Ended after the test when its context is given. */
export async function startStoreScp(
  test?: TestContextLike,
  options: { readonly aeTitle?: string; readonly args?: readonly string[] } = {},
): Promise<StoreScp> {
  const aeTitle = options.aeTitle ?? 'STORESCP';
  const directory = await mkdtemp(join(tmpdir(), 'isthmus-storescp-'));
  const port = await freePort();
  const args = ['+B', '+xa', '-aet', aeTitle, '-od', directory, ...(options.args ?? []), String(port)];
  const end = await startTool(undefined, 'storescp', args, port);
  const stop = async (): Promise<void> => {
    await end();
    await rm(directory, { recursive: true, force: true });
  };
  test?.after(stop);
  const files = (): Promise<string[]> => readdir(directory);
  return {
    aeTitle,
    port,
    directory,
    files,
    dataSets: async () =>
      new Map(
        (await files()).map((name) => {
          const file = readFileSync(join(directory, name));
          const { sopInstanceUid, dataSetOffset } = metaOf(file);
          return [sopInstanceUid, file.subarray(dataSetOffset)];
        }),
      ),
    stop,
  };
}
