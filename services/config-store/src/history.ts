import { sql } from 'kysely';
import type { ConfigurationChangedEvent, ConfigurationKind } from '@isthmus/domain';
import { pageOf, sequenceOfCursor, startProjection } from '@isthmus/service-kit';
import type { Database, EventSource, Log, Metrics, Page, Projection } from '@isthmus/service-kit';

export interface HistoryEntry {
  readonly id: string;
  readonly at: string;
  readonly kind: ConfigurationKind;
  readonly name: string;
  readonly version: number;
  readonly author: string;
  readonly reason: string;
  readonly value: unknown;
}

/** The part of the log that is folded. */
export const historyLog = { stream: 'STUDY', filter: 'config.>' } as const;

/** Keeps every change of the configuration as a row. */
export function startHistory(parts: {
  db: Database;
  log: Log;
  source: EventSource;
  metrics: Metrics;
}): Projection {
  return startProjection({
    ...parts,
    name: 'configuration_history',
    ...historyLog,
    tables: ['configuration_change'],
    apply: async (tx, events) => {
      for (const { sequence, event } of events) {
        if (event.type !== 'ConfigurationChanged') continue;
        const { kind, name, version, author, reason, value } = (event as ConfigurationChangedEvent).data;
        await sql`insert into configuration_change
          (sequence, event_id, at, kind, name, version, author, reason, value)
          values (${sequence}, ${event.id}, ${event.time}, ${kind}, ${name}, ${version}, ${author}, ${reason},
            ${JSON.stringify(value)}::jsonb) on conflict (event_id) do nothing`.execute(tx);
      }
    },
  });
}

/** Changes, newest first. @param cursor - `nextCursor` of the page before. */
export async function readHistory(
  db: Database,
  query: { readonly kind?: string; readonly name?: string; readonly cursor?: string; readonly limit: number },
): Promise<Page<HistoryEntry>> {
  const before = sequenceOfCursor(query.cursor) ?? null;
  const found = await sql<Omit<HistoryEntry, 'at'> & { at: Date; sequence: number }>`
    select sequence, event_id as id, at, kind, name, version, author, reason, value from configuration_change
    where (${query.kind ?? null}::text is null or kind = ${query.kind ?? null})
      and (${query.name ?? null}::text is null or name = ${query.name ?? null})
      and (${before}::bigint is null or sequence < ${before}::bigint)
    order by sequence desc limit ${query.limit + 1}`.execute(db);
  return pageOf(
    found.rows,
    query.limit,
    (row) => row.sequence,
    ({ sequence: _, at, ...row }) => ({ ...row, at: at.toISOString() }),
  );
}

/** Names in the order in which they were first configured: the order that an export keeps. */
export async function readOrder(db: Database): Promise<ReadonlyMap<string, number>> {
  const found = await sql<{ key: string; first: number }>`
    select kind || '/' || name as key, min(sequence) as first from configuration_change group by 1`.execute(
    db,
  );
  return new Map(found.rows.map((row) => [row.key, row.first]));
}
