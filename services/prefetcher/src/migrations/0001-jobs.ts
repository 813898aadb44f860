import { sql } from 'kysely';
import type { Migration } from '@isthmus/service-kit';

/** One job per trigger; its row is its state. */
export const jobs: Migration = {
  name: '0001-jobs',
  up: (db) =>
    sql`create table prefetch_job (
      id text primary key,
      accession_number text not null,
      accession_issuer text not null,
      patient_id text not null,
      patient_issuer text not null,
      study_instance_uid text,
      read_at text not null,
      scheduled_at timestamptz,
      state text not null,
      reason text,
      attempts integer not null default 0,
      next_attempt_at timestamptz not null,
      lease_until timestamptz,
      revision integer not null default 1,
      priors jsonb not null default '[]',
      first_sequence bigint not null,
      trigger_sequence bigint not null,
      created_at timestamptz not null,
      updated_at timestamptz not null);
    create index prefetch_job_due on prefetch_job (next_attempt_at) where state in ('NEW', 'RUNNING');
    create index prefetch_job_newest on prefetch_job (first_sequence desc)`.execute(db),
};
