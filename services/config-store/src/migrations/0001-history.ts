import { sql } from 'kysely';
import type { Migration } from '@isthmus/service-kit';

export const history: Migration = {
  name: '0001-history',
  up: (db) =>
    sql`create table configuration_change (
      sequence bigint primary key, event_id text not null unique, at timestamptz not null,
      kind text not null, name text not null, version bigint not null,
      author text not null, reason text not null, value jsonb);
    create index configuration_change_entity on configuration_change (kind, name, sequence)`.execute(db),
};
