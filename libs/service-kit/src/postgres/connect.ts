import { Kysely, PostgresDialect, sql } from 'kysely';
import type { QueryExecutorProvider, Transaction } from 'kysely';
import pg from 'pg';
import { backoff } from '../lifecycle/backoff.ts';
import type { Log } from '../log/log.ts';
import { isDatabaseUnreachable } from './errors.ts';

/** A pool on a service's own schema. Without `Tables` it takes raw `sql` only. */
export type Database<Tables = unknown> = Kysely<Tables>;
/** A transaction on it. */
export type DatabaseTransaction<Tables = unknown> = Transaction<Tables>;
/** Whatever raw `sql` runs on, its tables unknown: a pool, one connection of it, a transaction. */
export type SqlConnection = QueryExecutorProvider;

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database` */
  readonly url: string;
  /** The service's own schema, `[a-z_]{1,40}`; made if it is not there. It alone is on the search path. */
  readonly schema: string;
  /** Connections at most. */
  readonly poolMax: number;
  readonly log?: Log;
  /** How long to wait for a server that is not up yet. @default 60000 */
  readonly startTimeoutMs?: number;
}

/**
 * Opens a pool on PostgreSQL, with the service's schema as the search path. 64-bit integers come as numbers.
 * The pool outlives the server: queries fail while it is away and work again once it is back.
 *
 * @typeParam Tables - What the service's migrations make. Not checked: a query that errs says so when it is run.
 * @throws The last connection error when there is no server within `startTimeoutMs`; nothing stays open.
 */
export async function connectPostgres<Tables = unknown>(options: PostgresOptions): Promise<Database<Tables>> {
  if (!/^[a-z_]{1,40}$/.test(options.schema)) throw new RangeError('schema: 1 to 40 of a to z and _');
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.poolMax,
    options: `-c search_path=${options.schema}`,
    application_name: `isthmus ${options.schema}`,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    types: { getTypeParser: typeParser as typeof pg.types.getTypeParser },
  });
  // A killed server raises an error on every connection, also on those at rest and those that are lent out:
  // without listeners each of them would end the process.
  pool.on('error', (error) => options.log?.warn({ err: error }, 'lost an idle database connection'));
  pool.on('connect', (client) => {
    client.on('error', () => undefined);
  });
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  try {
    await createSchema(db, options);
  } catch (error) {
    await db.destroy();
    throw error;
  }
  return db;
}

async function createSchema(db: SqlConnection, options: PostgresOptions): Promise<void> {
  const deadline = performance.now() + (options.startTimeoutMs ?? 60_000);
  const pause = backoff({ baseMs: 50, maxMs: 1_000 });
  for (;;) {
    try {
      await sql`create schema if not exists ${sql.id(options.schema)}`.execute(db);
      return;
    } catch (error) {
      // Two services that start at once can collide inside "if not exists".
      const collided = ['23505', '42P06'].includes((error as { code?: string }).code ?? '');
      const again = collided || isDatabaseUnreachable(error);
      if (!again || performance.now() > deadline) throw error;
      if (pause.attempts === 3) options.log?.warn({ err: error }, 'no database yet; trying on');
      await pause.wait();
    }
  }
}

const int8 = 20;

function typeParser(oid: number, format?: 'text' | 'binary'): unknown {
  return oid === int8 ? safeInteger : pg.types.getTypeParser(oid, format as 'text');
}

function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new RangeError('a 64-bit integer beyond 2^53 came from the database');
  return value;
}
