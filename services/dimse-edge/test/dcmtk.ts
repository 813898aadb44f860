import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContextLike } from '@isthmus/testing';
import { inCi, toolEnvironment } from './environment.ts';

export type DcmtkTool = 'storescu' | 'findscu' | 'movescu' | 'getscu' | 'echoscu';

/** Why tests with DCMTK are skipped; undefined when it is installed. In CI a missing tool fails instead. */
export const dcmtkMissing: string | undefined =
  spawnSync('storescu', ['--version']).status === 0 || inCi
    ? undefined
    : 'DCMTK is not installed (tools/setup installs it)';

/** Runs one of the toolkit's programs to its end. */
export function dcmtk(tool: DcmtkTool, args: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(
      tool,
      [...args],
      { env: toolEnvironment, timeout: 60_000, maxBuffer: 64 * 1024 * 1024 },
      (error, out, err) => {
        resolve({ code: error ? Number(error.code ?? 1) : 0, output: `${out}${err}` });
      },
    );
  });
}

export interface StoreScp {
  readonly aeTitle: string;
  readonly port: number;
  readonly directory: string;
  files(): Promise<string[]>;
}

/** A `storescp +B` (bytes as received) on a free port; ended after the test. */
export async function startStoreScp(
  test: TestContextLike,
  options: { readonly aeTitle?: string; readonly args?: readonly string[] } = {},
): Promise<StoreScp> {
  const aeTitle = options.aeTitle ?? 'STORESCP';
  const directory = await mkdtemp(join(tmpdir(), 'isthmus-storescp-'));
  const port = await freePort();
  const args = ['+B', '+xa', '-aet', aeTitle, '-od', directory, ...(options.args ?? []), String(port)];
  const child = spawn('storescp', args, { env: toolEnvironment, stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  test.after(async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(directory, { recursive: true, force: true });
  });
  for (let tries = 0; tries < 100; tries++) {
    const { code } = await dcmtk('echoscu', ['-aec', aeTitle, '127.0.0.1', String(port)]);
    if (code === 0) return { aeTitle, port, directory, files: () => readdir(directory) };
  }
  throw new Error('storescp did not start');
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
