import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** Nagle's algorithm and delayed acknowledgement cost the toolkit 40 ms per object on loopback. */
const toolEnvironment = { ...process.env, TCP_NODELAY: '1' };
const stopMs = 10_000;
const outputBytesMax = 4_000;

export interface Program {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  readonly running: boolean;
  /** SIGTERM, and SIGKILL when that does not help. Resolves when the process is gone. */
  stop(): Promise<void>;
}

/** A program that serves until it is stopped; the kernel ends it when we die without stopping it. */
export function startProgram(
  name: string,
  command: readonly [string, ...string[]],
  options: { readonly logFile: string; readonly env?: NodeJS.ProcessEnv },
): Program {
  const output = openSync(options.logFile, 'a');
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], {
    stdio: ['ignore', output, output],
    env: { ...toolEnvironment, ...options.env },
  });
  closeSync(output);
  let running = true;
  const exited = new Promise<void>((resolve) => {
    const gone = (): void => {
      running = false;
      resolve();
    };
    child.once('exit', gone);
    child.once('error', gone);
  });
  return {
    name,
    pid: child.pid ?? -1,
    logFile: options.logFile,
    get running() {
      return running;
    },
    stop: async () => {
      if (!running) return;
      child.kill('SIGTERM');
      const insist = setTimeout(() => child.kill('SIGKILL'), stopMs);
      await exited;
      clearTimeout(insist);
    },
  };
}

/** Waits until a server answers C-ECHO. @throws {Error} It ended, or does not answer within 20 s; with its last lines. */
export async function answersEcho(server: Program, aeTitle: string, port: number): Promise<void> {
  await ready(
    server,
    async () => (await run('echoscu', ['-aec', aeTitle, '127.0.0.1', String(port)])).code === 0,
  );
}

/** Waits for a condition of a server that is starting. @throws {Error} See `answersEcho`. */
export async function ready(server: Program, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await isSo())) {
    if (!server.running) throw new Error(`${server.name} ended at its start: ${tailOf(server.logFile)}`);
    if (performance.now() > deadline) throw new Error(`${server.name} is not up: ${tailOf(server.logFile)}`);
    await pause(20);
  }
}

export interface Ended {
  readonly code: number;
  /** The last of what it wrote. */
  readonly output: string;
}

/** Runs a client to its end. @throws {Error} It took longer than `timeoutMs`; it has been ended then. */
export async function run(command: string, args: readonly string[], timeoutMs = 120_000): Promise<Ended> {
  const child: ChildProcess = spawn(command, args, {
    env: toolEnvironment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString('latin1')).slice(-outputBytesMax);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  const [code] = (await once(child, 'close').finally(() => clearTimeout(timer))) as [number | null];
  if (late) throw new Error(`${command} was not done within ${timeoutMs / 1_000} s: ${output.trim()}`);
  return { code: code ?? -1, output };
}

/** Wall seconds from the start of the first client to the end of the last. @throws {Error} One of them failed. */
export async function secondsOf(command: string, parts: readonly (readonly string[])[]): Promise<number> {
  const from = performance.now();
  const ended = await Promise.all(parts.map((args) => run(command, args)));
  const seconds = (performance.now() - from) / 1_000;
  const failed = ended.find(({ code }) => code !== 0);
  if (failed) throw new Error(`${command} ended with ${failed.code}: ${failed.output.trim()}`);
  return seconds;
}

export function tailOf(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8').slice(-800).trim() : '(no log)';
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
