import { sql } from 'kysely';
import type { Migration } from '@isthmus/service-kit';

/**
 * The schema `query_federator`, oldest first; never edited once released. All of it follows from the log. Text that is
 * compared has the collation "C": ranges and prefixes by bytes, whatever the server's locale.
 */
export const migrations: readonly Migration[] = [
  {
    name: '0001-index',
    up: async (db) => {
      for (const statement of index0001) await sql.raw(statement).execute(db);
    },
  },
];

const index0001 = [
  `create table instance (
    sop_instance_uid text collate "C" primary key,
    study_instance_uid text collate "C" not null,
    series_instance_uid text collate "C" not null,
    sop_class_uid text not null,
    transfer_syntax_uid text not null,
    file text not null,
    file_bytes bigint not null,
    header jsonb not null)`,
  'create index instance_by_series on instance (study_instance_uid, series_instance_uid, sop_instance_uid)',

  `create table series (
    study_instance_uid text collate "C" not null,
    series_instance_uid text collate "C" not null,
    modality text collate "C" not null,
    instance_count integer not null,
    header jsonb not null,
    primary key (study_instance_uid, series_instance_uid))`,
  'create index series_by_uid on series (series_instance_uid)',

  `create table study_objects (
    study_instance_uid text collate "C" primary key,
    instance_count integer not null,
    image_count integer not null,
    series_count integer not null,
    modalities text[] not null,
    sop_classes text[] not null,
    header jsonb not null,
    registers jsonb not null)`,
  'create index study_objects_by_modality on study_objects using gin (modalities)',

  'create table patient_headers (patient_key text collate "C" primary key, registers jsonb not null)',
  'create table study_log (study_instance_uid text collate "C" primary key, registers jsonb not null)',
  'create table patient_log (patient_key text collate "C" primary key, registers jsonb not null)',

  `create table study (
    study_instance_uid text collate "C" primary key,
    registers jsonb not null default '{}',
    stamp text collate "C" not null default '',
    patient_key text collate "C",
    patient_id text collate "C",
    issuer text collate "C",
    accession_number text collate "C" not null default '',
    study_date text collate "C" not null default '',
    study_time text collate "C" not null default '',
    report_status text not null default 'UNKNOWN',
    study_status text not null default '')`,
  'create index study_by_patient on study (patient_key, study_instance_uid)',
  'create index study_by_patient_id on study (patient_id)',
  'create index study_by_accession on study (accession_number)',
  'create index study_by_date on study (study_date, study_instance_uid)',
  'create index study_by_status on study (report_status, study_date)',

  `create table patient (
    patient_key text collate "C" primary key,
    registers jsonb not null default '{}',
    stamp text collate "C" not null default '',
    name_alphabetic text collate "C" not null default '',
    name_ideographic text collate "C" not null default '',
    name_phonetic text collate "C" not null default '')`,
  'create index patient_by_name on patient (name_alphabetic)',
  `create index patient_by_ideographic_name on patient (name_ideographic) where name_ideographic <> ''`,
  `create index patient_by_phonetic_name on patient (name_phonetic) where name_phonetic <> ''`,
];
