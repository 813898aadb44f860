import type { Migration } from '@isthmus/service-kit';
import { sql } from 'kysely';

/**
 * Registers and events are `json`, not `jsonb`: they come from other clusters and may hold `\u0000` or
 * numbers that `jsonb` refuses or changes, and nothing is ever searched inside them.
 */
export const state0001: Migration = {
  name: '0001-state',
  async up(db) {
    await sql`create sequence due_version`.execute(db);
    await sql`create table study_state (
      uid text primary key, registers json not null, last_sequence bigint not null, digest text not null,
      patient_key text, holders text[] not null)`.execute(db);
    await sql`create index study_state_patient on study_state (patient_key) where patient_key is not null`.execute(
      db,
    );
    await sql`create index study_state_holders on study_state using gin (holders)`.execute(db);
    await sql`create table patient_state (
      key text primary key, registers json not null, last_sequence bigint not null, digest text not null)`.execute(
      db,
    );
    await sql`create table entries (
      sequence bigint primary key, aggregate text not null, subject text not null, event_id text not null,
      type text not null, effective boolean not null, path text[] not null, event json not null,
      recorded_at timestamptz not null default now(), unique (subject, event_id))`.execute(db);
    await sql`create index entries_timeline on entries (subject, sequence)`.execute(db);
    await sql`create index entries_effective on entries (sequence) where effective`.execute(db);
    await sql`create table objects (
      study text not null, sop text not null, series text not null, sop_class text not null,
      modality text not null, local boolean not null, pulled boolean not null, announced boolean not null,
      primary key (study, sop))`.execute(db);
    await sql`create table objects_dirty (
      study text primary key, header_changed boolean not null,
      version bigint not null default nextval('due_version'))`.execute(db);
    await sql`create table state_due (
      peer text not null, study text not null, version bigint not null default nextval('due_version'),
      primary key (peer, study))`.execute(db);
    await sql`create index state_due_order on state_due (peer, version)`.execute(db);
    await sql`create table positions (
      peer text primary key, live_sequence bigint not null,
      updated_at timestamptz not null default now())`.execute(db);
    await sql`create table link_map (
      cluster text primary key, version bigint not null, entry json not null)`.execute(db);
    await sql`create table routes (one boolean primary key check (one), next_hop json not null)`.execute(db);
    await sql`insert into routes values (true, '{}')`.execute(db);
    await sql`create table pulls (
      study text primary key, peer text not null, attempts integer not null default 0,
      not_before timestamptz not null default now(), last_error text)`.execute(db);
    await sql`create table parked (
      id uuid primary key, peer text not null, subject text not null, item json not null, reason text not null,
      status integer not null, refusals integer not null, parked_at timestamptz not null default now(),
      replay boolean not null default false)`.execute(db);
    await sql`create index parked_replay on parked (peer) where replay`.execute(db);
  },
};
