import type { Migration } from '@isthmus/service-kit';
import { sql } from 'kysely';

/** Remembers in which life a peer's log was, so that a loss is noticed also when we were down at the time. */
export const peers0002: Migration = {
  name: '0002-peers',
  up: (db) => sql`create table peers (peer text primary key, incarnation text not null)`.execute(db),
};
