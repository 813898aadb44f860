import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';

import { programEnvironment } from './config.ts';
import type { ServerLog } from './server-log.ts';

/** A server that runs as our child and dies with us. */
export interface ServerProcess {
  readonly pid: number;
  /** Undefined while it runs. */
  readonly exit: { readonly code: number | null; readonly signal: NodeJS.Signals | null } | undefined;
  /** Asks with `signal`, and after `timeoutMs` insists with SIGKILL. Resolves when the process is gone. */
  end(signal: NodeJS.Signals, timeoutMs: number): Promise<void>;
}

export interface SpawnOptions {
  readonly binary: string;
  readonly args: readonly string[];
  /** Standard output and standard error are appended to it. */
  readonly logFile: string;
  /** What the kernel sends it when this process dies, however it dies (Linux). */
  readonly deathSignal: 'TERM' | 'INT';
  readonly uid?: number;
  readonly gid?: number;
  readonly log: ServerLog;
}

/** Path of an executable on `PATH`, or undefined. */
export function findProgram(name: string): string | undefined {
  return programEnvironment()
    .folders.map((folder) => path.join(folder, name))
    .find(isExecutable);
}

export function isExecutable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Children to end when this process exits in an orderly way; the kernel does it in every other case. */
const alive = new Map<number, NodeJS.Signals>();

function endAllAtExit(): void {
  for (const [pid, signal] of alive) {
    try {
      process.kill(pid, signal);
    } catch {
      // Gone already.
    }
  }
}

/**
 * Starts a server as a child process. It is in a process group of its own, so that Ctrl-C in a terminal
 * reaches us first and the order of shutdown is ours; `setpriv --pdeathsig` makes it die with us even after
 * SIGKILL. The child does not keep the event loop alive. Does not wait until the server is ready.
 *
 * @throws An error of `spawn` when the binary cannot be executed.
 */
export async function spawnServer(options: SpawnOptions): Promise<ServerProcess> {
  const setpriv = process.platform === 'linux' ? findProgram('setpriv') : undefined;
  if (setpriv === undefined) {
    options.log.warn(
      { server: path.basename(options.binary) },
      'setpriv (package util-linux) is not here: this server may outlive us if we are killed with SIGKILL',
    );
  }
  const [command, args] =
    setpriv === undefined
      ? [options.binary, options.args]
      : [setpriv, ['--pdeathsig', options.deathSignal, options.binary, ...options.args]];
  const output = fs.openSync(options.logFile, 'a');
  const child = spawn(command, args, {
    cwd: '/',
    detached: true,
    stdio: ['ignore', output, output],
    env: { PATH: programEnvironment().folders.join(path.delimiter), LC_ALL: 'C', TZ: 'UTC' },
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    ...(options.gid === undefined ? {} : { gid: options.gid }),
  });
  fs.closeSync(output);
  let exit: ServerProcess['exit'];
  const exited = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      exit = { code, signal };
      alive.delete(child.pid ?? -1);
      resolve();
    });
  });
  await Promise.race([once(child, 'spawn'), once(child, 'error').then(([error]) => Promise.reject(error))]);
  const pid = child.pid as number;
  if (alive.size === 0 && !process.listeners('exit').includes(endAllAtExit))
    process.once('exit', endAllAtExit);
  alive.set(pid, `SIG${options.deathSignal}`);
  child.unref();
  return {
    pid,
    get exit() {
      return exit;
    },
    async end(signal, timeoutMs) {
      if (exit !== undefined) return;
      child.ref();
      child.kill(signal);
      const insist = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
      await exited;
      clearTimeout(insist);
    },
  };
}

/** The last lines of a log file, for an error message. */
export function tailOf(file: string, bytes = 600): string {
  try {
    const text = fs.readFileSync(file, 'utf8');
    return text.slice(-bytes).trim();
  } catch {
    return '(no log)';
  }
}

/** Waits a moment; the only waiting here is between two looks at a condition with a deadline. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
