import type { ColumnType } from 'kysely';
import type { CandidateView } from './candidate.ts';

export const jobStates = ['NEW', 'RUNNING', 'DONE', 'FAILED', 'CANCELLED'] as const;
export type JobState = (typeof jobStates)[number];

export interface PrefetchJobTable {
  /** Derived from the trigger: the same order always means the same job. */
  id: string;
  accession_number: string;
  accession_issuer: string;
  patient_id: string;
  patient_issuer: string;
  /** The study that the order is for, when that is known. */
  study_instance_uid: string | null;
  /** Cluster that will read it. */
  read_at: string;
  scheduled_at: Date | null;
  state: JobState;
  /** Why it is not done: for people, without patient data. */
  reason: string | null;
  attempts: number;
  next_attempt_at: Date;
  /** While it is at work: until when its worker is believed to live. */
  lease_until: Date | null;
  /** Counts up when the trigger changes what is to be done: who works on an older one must stop. */
  revision: number;
  /** What was considered, and what became of it. */
  priors: ColumnType<readonly CandidateView[], string, string>;
  first_sequence: number;
  /** Sequence of the newest trigger folded. */
  trigger_sequence: number;
  created_at: Date;
  updated_at: Date;
}

export interface PrefetcherTables {
  prefetch_job: PrefetchJobTable;
}
