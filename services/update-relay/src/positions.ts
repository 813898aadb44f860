import { newUuid } from '@isthmus/service-kit';
import { sql } from 'kysely';
import type { Unit } from './outbox.ts';
import { columnText } from './tables.ts';
import type { RelayDatabase, RelayTransaction } from './tables.ts';

/** Positions of all peers as they were last written. */
export async function readPositions(db: RelayDatabase): Promise<ReadonlyMap<string, number>> {
  const rows = await db.selectFrom('positions').select(['peer', 'live_sequence']).execute();
  return new Map(rows.map((row) => [row.peer, row.live_sequence]));
}

/**
 * Notes, in one transaction, that a peer is done with these units: acknowledged, or parked for the reason
 * given. Debts that grew meanwhile stay.
 */
export async function settle(
  db: RelayDatabase,
  peer: string,
  position: number,
  units: readonly Unit[],
  parked?: { readonly reason: string; readonly status: number; readonly refusals: number },
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await sql`insert into positions (peer, live_sequence) values (${peer}, ${position})
      on conflict (peer) do update set live_sequence = excluded.live_sequence, updated_at = now()`.execute(
      tx,
    );
    await deleteDue(tx, peer, units);
    for (const unit of units) {
      if (parked) await parkUnit(tx, peer, unit, parked);
      else if (unit.source.kind === 'parked')
        await sql`delete from parked where id = ${unit.source.id}`.execute(tx);
    }
  });
}

async function deleteDue(tx: RelayTransaction, peer: string, units: readonly Unit[]): Promise<void> {
  const due = units.flatMap(({ source }) => (source.kind === 'due' ? [source] : []));
  if (due.length === 0) return;
  const studies = sql`${due.map(({ study }) => study)}::text[]`;
  // Locked in the order in which the projection writes them.
  await sql`select from state_due where peer = ${peer} and study = any(${studies}) order by study for update`.execute(
    tx,
  );
  await sql`delete from state_due d
    using unnest(${studies}, ${due.map(({ version }) => version)}::bigint[]) as n (study, version)
    where d.peer = ${peer} and d.study = n.study and d.version = n.version`.execute(tx);
}

async function parkUnit(
  tx: RelayTransaction,
  peer: string,
  unit: Unit,
  why: { readonly reason: string; readonly status: number; readonly refusals: number },
): Promise<void> {
  const { item, source } = unit;
  if (source.kind === 'parked') {
    await sql`update parked set replay = false, reason = ${why.reason}, status = ${why.status},
      refusals = refusals + ${why.refusals} where id = ${source.id}`.execute(tx);
    return;
  }
  const subject =
    item.kind === 'event'
      ? item.event.subject
      : item.kind === 'state'
        ? item.study
        : item.manifest.studyInstanceUid;
  await sql`insert into parked (id, peer, subject, item, reason, status, refusals)
    values (${newUuid()}, ${peer}, ${columnText(subject)}, ${JSON.stringify(item)}::json, ${why.reason}, ${why.status},
      ${why.refusals})`.execute(tx);
}
