import { randomUUID } from 'node:crypto';
import { sharedPostgres } from '@isthmus/testing';
import { pino } from 'pino';
import type { Log } from '../src/index.ts';

/** The PostgreSQL of this process, which a test may kill and restart, with a database of the test's own. */
export async function ownDatabase(): Promise<{
  url: string;
  kill(): Promise<void>;
  stop(): Promise<void>;
  restart(): Promise<void>;
  /** Drops the database. */
  remove(): Promise<void>;
}> {
  const server = await sharedPostgres();
  const name = `kit_${randomUUID().replaceAll('-', '')}`;
  const url = await server.createDatabase(name);
  return {
    url,
    kill: () => server.kill(),
    stop: () => server.stop(),
    restart: () => server.restart(),
    remove: () => server.dropDatabase(name),
  };
}

/** A log whose lines a test can read. */
export function recordedLog(): { log: Log; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  return { log: pino({ level: 'debug' }, { write }), lines };
}
