import { Problem } from '@isthmus/service-kit';
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

/** One page of a list, newest placed first; pages neither repeat nor skip while others are placed. */
export async function listRecords(
  db: Kysely<RisGatewayTables>,
  kind: RecordKind,
  page: { readonly limit: number; readonly cursor?: string; readonly status?: string },
): Promise<{ items: object[]; nextCursor: string | null }> {
  let query = db
    .selectFrom('ris_record')
    .selectAll()
    .where('kind', '=', kind)
    .orderBy('first_sequence', 'desc')
    .limit(page.limit + 1);
  if (page.status !== undefined) query = query.where('status', '=', page.status);
  if (page.cursor !== undefined) query = query.where('first_sequence', '<', fromCursor(page.cursor));
  const rows = await query.execute();
  const shown = rows.slice(0, page.limit);
  const last = shown.at(-1);
  return {
    items: shown.map(answerOf),
    nextCursor: last && rows.length > page.limit ? toCursor(last.first_sequence) : null,
  };
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

function toCursor(sequence: number): string {
  return Buffer.from(String(sequence)).toString('base64url');
}

function fromCursor(cursor: string): number {
  const sequence = Number(Buffer.from(cursor, 'base64url').toString());
  if (Number.isSafeInteger(sequence) && sequence > 0) return sequence;
  throw new Problem(400, undefined, {
    detail: 'cursor is not one that a list here gave.',
    errors: [{ pointer: 'cursor', detail: 'is not one that a list here gave' }],
  });
}
