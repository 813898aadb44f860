import { sql } from 'kysely';
import type { Database, SqlConnection } from './connect.ts';

export interface Migration {
  /** Sorts and names it for good, e.g. `0001-index`. */
  readonly name: string;
  up(db: SqlConnection): Promise<unknown>;
}

/**
 * Brings a service's schema up to date: runs, in list order, the migrations that it has not seen, all in one
 * transaction under an advisory lock, so that of several instances one does the work and the others wait.
 * Names in the database that the list does not have are left alone: a newer version may have run here.
 *
 * @param name - Names the lock; the service.
 * @throws When a migration fails or waits more than 5 s for a table lock; then nothing has changed.
 */
export async function migrate<Tables>(
  db: Database<Tables>,
  name: string,
  migrations: readonly Migration[],
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await sql`select pg_advisory_xact_lock(hashtextextended(${`isthmus migrate ${name}`}, 0))`.execute(tx);
    await sql`set local lock_timeout = '5s'`.execute(tx);
    await sql`create table if not exists schema_migration (
      service text not null, name text not null, applied_at timestamptz not null default now(),
      primary key (service, name))`.execute(tx);
    const seen = await sql<{
      name: string;
    }>`select name from schema_migration where service = ${name}`.execute(tx);
    const known = new Set(seen.rows.map((row) => row.name));
    for (const migration of migrations) {
      if (known.has(migration.name)) continue;
      await migration.up(tx);
      await sql`insert into schema_migration (service, name) values (${name}, ${migration.name})`.execute(tx);
    }
  });
}
