import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { toolEnvironment } from '@isthmus/testing';
import type { TestContextLike } from '@isthmus/testing';

/** The service as its own process. */
export interface EdgeProcess {
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
}

/** Starts `main.ts` and waits until it is up; killed after the test. @throws {Error} It ended before. */
export async function startEdgeProcess(
  test: TestContextLike,
  settings: { readonly [name: string]: string },
): Promise<EdgeProcess> {
  const main = join(import.meta.dirname, '../src/main.ts');
  const child = spawn(process.execPath, [main], {
    env: { ...toolEnvironment, ...settings },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  test.after(kill);
  const up = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.includes('"dimse-edge is up"')) up.resolve();
  });
  await Promise.race([
    up.promise,
    ended.then(() => Promise.reject(new Error('dimse-edge ended at its start'))),
  ]);
  return { kill };
}
