import type { StoredEvent } from '@isthmus/domain';
import type { SqlConnection } from '@isthmus/service-kit';
import { sql } from 'kysely';
import { recordOf } from './records.ts';

/**
 * Writes orders and visits as their newest event has them. An event that was folded already changes nothing.
 */
export async function foldRecords(tx: SqlConnection, events: readonly StoredEvent[]): Promise<void> {
  for (const { event, sequence } of events) {
    const found = recordOf(event);
    if (!found) continue;
    const { kind, name, record } = found;
    await sql`insert into ris_record
      (kind, number, issuer, status, body, placed_at, changed_at, first_sequence, last_sequence)
      values (${kind}, ${name.number}, ${name.issuer}, ${record.status}, ${JSON.stringify(record)}::jsonb,
        ${event.time}, ${event.time}, ${sequence}, ${sequence})
      on conflict (kind, number, issuer) do update set status = excluded.status, body = excluded.body,
        changed_at = excluded.changed_at, last_sequence = excluded.last_sequence
      where ris_record.last_sequence < excluded.last_sequence`.execute(tx);
  }
}
