import { sql } from 'kysely';
import type { Migration } from '@isthmus/service-kit';

/** Orders and visits as they stand, for the lists. */
export const records: Migration = {
  name: '0001-records',
  up: (db) =>
    sql`create table ris_record (
      kind text not null,
      number text not null,
      issuer text not null,
      status text not null,
      body jsonb not null,
      placed_at timestamptz not null,
      changed_at timestamptz not null,
      first_sequence bigint not null,
      last_sequence bigint not null,
      primary key (kind, number, issuer));
    create index ris_record_newest on ris_record (kind, first_sequence desc)`.execute(db),
};
