import { sql } from 'kysely';
import type { Database, SqlConnection } from '../postgres/connect.ts';

/** How far a projection has come: position and life of the log that its rows follow from. */
export interface Checkpoint {
  readonly sequence: number;
  readonly incarnation: string;
}

/** Another instance, or a rebuild, has moved the checkpoint: what was being applied must be rolled back. */
export class CheckpointMovedError extends Error {
  readonly code = 'checkpoint-moved';
  constructor(name: string) {
    super(`the checkpoint of projection ${name} is not where this instance left it`);
    this.name = 'CheckpointMovedError';
  }
}

export async function ensureCheckpointTable<Tables>(db: Database<Tables>): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await sql`select pg_advisory_xact_lock(hashtextextended('isthmus projection_checkpoint', 0))`.execute(tx);
    await sql`create table if not exists projection_checkpoint (
      name text primary key, stream text not null, incarnation text not null, sequence bigint not null,
      updated_at timestamptz not null default now())`.execute(tx);
  });
}

export async function readCheckpoint(db: SqlConnection, name: string): Promise<Checkpoint | undefined> {
  const found = await sql<Checkpoint>`
    select sequence, incarnation from projection_checkpoint where name = ${name}`.execute(db);
  return found.rows[0];
}

/** Starts at 0 of the given log. Changes nothing when there is a checkpoint already. */
export async function createCheckpoint(
  db: SqlConnection,
  row: { name: string; stream: string; incarnation: string },
): Promise<void> {
  await sql`insert into projection_checkpoint (name, stream, incarnation, sequence)
    values (${row.name}, ${row.stream}, ${row.incarnation}, 0) on conflict (name) do nothing`.execute(db);
}

/** Takes over the life of another log. Only right while nothing has been projected. */
export async function adoptIncarnation(db: SqlConnection, name: string, incarnation: string): Promise<void> {
  await sql`update projection_checkpoint set incarnation = ${incarnation}
    where name = ${name} and sequence = 0`.execute(db);
}

/**
 * Compare-and-set, first statement of the transaction that writes the rows: it also locks the checkpoint, so
 * that a rebuild waits for the end of this transaction, or this transaction for the end of the rebuild.
 *
 * @throws {CheckpointMovedError} The checkpoint is not at `from`.
 */
export async function moveCheckpoint(
  tx: SqlConnection,
  name: string,
  from: Checkpoint,
  to: number,
): Promise<void> {
  const moved = await sql`update projection_checkpoint set sequence = ${to}, updated_at = now()
    where name = ${name} and sequence = ${from.sequence} and incarnation = ${from.incarnation}`.execute(tx);
  if (moved.numAffectedRows !== 1n) throw new CheckpointMovedError(name);
}

/** Empties the tables and starts again at 0, in one transaction. */
export async function resetProjection<Tables>(
  db: Database<Tables>,
  row: { name: string; stream: string; incarnation: string; tables: readonly string[] },
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await sql`set local lock_timeout = '10s'`.execute(tx);
    await sql`insert into projection_checkpoint (name, stream, incarnation, sequence)
      values (${row.name}, ${row.stream}, ${row.incarnation}, 0)
      on conflict (name) do update set incarnation = excluded.incarnation, sequence = 0, updated_at = now()`.execute(
      tx,
    );
    if (row.tables.length === 0) return;
    await sql`truncate table ${sql.join(row.tables.map((table) => sql.table(table)))}`.execute(tx);
  });
}
