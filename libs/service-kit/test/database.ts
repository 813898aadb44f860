import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startPostgres } from '@isthmus/embedded';
import type { PostgresServer } from '@isthmus/embedded';
import { pino } from 'pino';
import type { Log } from '../src/index.ts';

/** A PostgreSQL of the test's own, that it may kill. The caller stops it and removes the folder through `remove`. */
export async function ownPostgres(): Promise<PostgresServer & { remove(): Promise<void> }> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'isthmus-kit-'));
  const server = await startPostgres({ dataDir, settings: { fsync: 'off' } });
  const remove = async (): Promise<void> => {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
  return Object.assign(server, { remove });
}

/** A log whose lines a test can read. */
export function recordedLog(): { log: Log; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  return { log: pino({ level: 'debug' }, { write }), lines };
}

/** Asks until the answer is true. @throws When it is not within the deadline. */
export async function until(
  what: string,
  answer: () => boolean | Promise<boolean>,
  deadlineMs = 20_000,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await answer())) {
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
