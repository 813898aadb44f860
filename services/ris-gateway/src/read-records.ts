import { pageOf, Problem, sequenceOfCursor } from '@isthmus/service-kit';
import type { Page } from '@isthmus/service-kit';
import type { Kysely, Selectable } from 'kysely';
import type { RecordKind } from './records.ts';
import type { RisGatewayTables, RisRecordTable } from './tables.ts';

type Row = Selectable<RisRecordTable>;

/** An order or a visit as the interface gives it. */
export function answerOf(row: Pick<Row, 'body' | 'placed_at' | 'changed_at'>): object {
  return {
    ...row.body,
    placedAt: row.placed_at.toISOString(),
    changedAt: row.changed_at.toISOString(),
  };
}

/** One page of a list, newest placed first. */
export async function listRecords(
  db: Kysely<RisGatewayTables>,
  kind: RecordKind,
  page: { readonly limit: number; readonly cursor?: string; readonly status?: string },
): Promise<Page<object>> {
  const before = sequenceOfCursor(page.cursor);
  let query = db
    .selectFrom('ris_record')
    .selectAll()
    .where('kind', '=', kind)
    .orderBy('first_sequence', 'desc')
    .limit(page.limit + 1);
  if (page.status !== undefined) query = query.where('status', '=', page.status);
  if (before !== undefined) query = query.where('first_sequence', '<', before);
  return pageOf(await query.execute(), page.limit, (row) => row.first_sequence, answerOf);
}

/**
 * One order or visit. Without an issuer, the one that there is.
 * @throws {Problem} 404 none; 409 several issuers gave that number.
 */
export async function oneRecord(
  db: Kysely<RisGatewayTables>,
  kind: RecordKind,
  number: string,
  issuer: string | undefined,
): Promise<object> {
  let query = db.selectFrom('ris_record').selectAll().where('kind', '=', kind).where('number', '=', number);
  if (issuer !== undefined) query = query.where('issuer', '=', issuer);
  const rows = await query.limit(2).execute();
  const row = rows[0];
  if (!row) throw new Problem(404, undefined, { detail: `There is no ${kind} of that number.` });
  if (rows.length > 1)
    throw new Problem(409, undefined, {
      detail: 'Several issuers gave that number: say which (issuer=).',
      code: 'ISSUER_NEEDED',
    });
  return answerOf(row);
}
