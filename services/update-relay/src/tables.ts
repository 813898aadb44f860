import { createHash } from 'node:crypto';
import type { EventEnvelope, RegisterMap } from '@isthmus/domain';
import type { Kysely, Transaction } from 'kysely';
import type { BatchItem } from './batch.ts';
import type { LinkStateEntry } from './link-map.ts';

/** State of a study as of `last_sequence` of the STUDY log, with all headers of stored objects merged in. */
export interface StudyStateTable {
  uid: string;
  registers: RegisterMap;
  /** Last sequence of the study's subject in the STUDY log that is merged; 0 = none. */
  last_sequence: number;
  digest: string;
  /** Patients that the study is known under here (`patientsOf`). */
  patient_keys: string[];
  /** Clusters that hold the study, from the register `holders`: what delivery asks for most often. */
  holders: string[];
}

export interface PatientStateTable {
  key: string;
  registers: RegisterMap;
  last_sequence: number;
  digest: string;
}

/** The timeline: the first log entry of each (subject, event id). Delivery follows the effective ones. */
export interface EntriesTable {
  sequence: number;
  aggregate: 'study' | 'patient';
  /** Study Instance UID or patient key. */
  subject: string;
  event_id: string;
  type: string;
  effective: boolean;
  path: string[];
  event: EventEnvelope;
  recorded_at: Date;
}

/**
 * Every object that is known of a study, here or elsewhere: the set only grows. Its rows are the manifest.
 */
export interface ObjectsTable {
  study: string;
  sop: string;
  series: string;
  sop_class: string;
  modality: string;
  /** The file is in this cluster's object store. */
  local: boolean;
  /** Came as a copy from a linked cluster. */
  pulled: boolean;
  /** Part of a manifest that somebody announced. */
  announced: boolean;
}

/** Studies whose objects or holders changed since they were last told. */
export interface ObjectsDirtyTable {
  study: string;
  /** Registers read from headers changed: holders elsewhere are owed the state. */
  header_changed: boolean;
  /** Grows with each change; a flush deletes the row only if it is still the version that it read. */
  version: number;
}

/** Whole states that a peer is owed. */
export interface StateDueTable {
  peer: string;
  study: string;
  version: number;
}

/** How far each peer has our effective entries. Never beyond the projection's checkpoint. */
export interface PositionsTable {
  peer: string;
  live_sequence: number;
  updated_at: Date;
}

/** What each cluster says of its own links; the newest version wins and is passed on. */
export interface LinkMapTable {
  cluster: string;
  version: number;
  entry: LinkStateEntry;
}

/** The life that each peer's log was in when we last heard. */
export interface PeersTable {
  peer: string;
  incarnation: string;
}

/** One row: the next hops that `state_due` was last computed with. Projections read it under a share lock. */
export interface RoutesTable {
  only: boolean;
  next_hop: { [cluster: string]: string };
}

/** Studies of which objects are missing here. */
export interface PullsTable {
  study: string;
  /** The peer that told of the objects: asked first. */
  peer: string;
  attempts: number;
  not_before: Date;
  last_error: string | null;
}

/** Updates that a peer refused for good. */
export interface ParkedTable {
  id: string;
  peer: string;
  subject: string;
  item: BatchItem;
  reason: string;
  status: number;
  refusals: number;
  parked_at: Date;
  /** An operator asked for another try. */
  replay: boolean;
}

export interface RelayTables {
  study_state: StudyStateTable;
  patient_state: PatientStateTable;
  entries: EntriesTable;
  objects: ObjectsTable;
  objects_dirty: ObjectsDirtyTable;
  state_due: StateDueTable;
  positions: PositionsTable;
  link_map: LinkMapTable;
  peers: PeersTable;
  routes: RoutesTable;
  pulls: PullsTable;
  parked: ParkedTable;
}

export type RelayDatabase = Kysely<RelayTables>;
export type RelayTransaction = Transaction<RelayTables>;

/** Longest text that an index takes without thought: an index entry may have 2,704 bytes. */
const columnCharactersMax = 512;

/**
 * Text as an indexed PostgreSQL column can keep it: NUL and lone surrogates, which `text` refuses, become
 * U+FFFD, and what is too long for an index becomes its hash. Peers may send any text; none of it may stop a
 * projection. Events and registers are kept in `json` columns, which keep every string as it is.
 */
export function columnText(text: string): string {
  if (text.length > columnCharactersMax) return `sha256:${createHash('sha256').update(text).digest('hex')}`;
  return text.toWellFormed().replaceAll('\0', '\uFFFD');
}
