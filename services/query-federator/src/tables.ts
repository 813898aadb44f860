import type { RegisterMap } from '@isthmus/domain';
import type { FoldedHeader } from './header-fold.ts';

/** Written by the INSTANCES projection alone. */
export interface InstanceTable {
  sop_instance_uid: string;
  study_instance_uid: string;
  series_instance_uid: string;
  sop_class_uid: string;
  transfer_syntax_uid: string;
  file: string;
  file_bytes: number;
  /** Attributes of the header, DICOM JSON Model. */
  header: HeaderJson;
}

/** Written by the INSTANCES projection alone. */
export interface SeriesTable {
  study_instance_uid: string;
  series_instance_uid: string;
  modality: string;
  instance_count: number;
  header: FoldedHeader;
}

/** What is here of a study. Written by the INSTANCES projection alone. */
export interface StudyObjectsTable {
  study_instance_uid: string;
  instance_count: number;
  /** Without presentation states, key object selections and reports. */
  image_count: number;
  series_count: number;
  modalities: string[];
  sop_classes: string[];
  header: FoldedHeader;
  /** Registers of rank 0 from headers. */
  registers: RegisterMap;
}

/** Demographics of a patient as headers say them. Written by the INSTANCES projection alone. */
export interface PatientHeadersTable {
  patient_key: string;
  registers: RegisterMap;
}

/** What the STUDY log says about a study. Written by the STUDY projection alone. */
export interface StudyLogTable {
  study_instance_uid: string;
  registers: RegisterMap;
}

/** What the STUDY log says about a patient. Written by the STUDY projection alone. */
export interface PatientLogTable {
  patient_key: string;
  registers: RegisterMap;
}

/**
 * State of a study: log and headers merged, and the columns that queries narrow by. Either projection writes it, with
 * the row locked. Text columns are cut to `indexedCharactersMax`.
 */
export interface StudyTable {
  study_instance_uid: string;
  registers: RegisterMap;
  /** Greatest stamp in the registers; empty when nobody changed anything yet. */
  stamp: string;
  patient_key: string | null;
  patient_id: string | null;
  issuer: string | null;
  accession_number: string;
  study_date: string;
  study_time: string;
  report_status: string;
  study_status: string;
}

/** State of a patient: log and headers merged. Either projection writes it, with the row locked. */
export interface PatientTable {
  patient_key: string;
  registers: RegisterMap;
  stamp: string;
  /** Component groups of the name, folded (`foldText`). */
  name_alphabetic: string;
  name_ideographic: string;
  name_phonetic: string;
}

export type HeaderJson = {
  readonly [tag: string]: { readonly vr: string; readonly Value?: readonly unknown[] };
};

export interface Tables {
  instance: InstanceTable;
  series: SeriesTable;
  study_objects: StudyObjectsTable;
  patient_headers: PatientHeadersTable;
  study_log: StudyLogTable;
  patient_log: PatientLogTable;
  study: StudyTable;
  patient: PatientTable;
}

/** A B-tree entry holds 2.7 kB: longer values are cut, and the matcher decides on the whole ones. */
export const indexedCharactersMax = 128;

/** Text as the name columns hold it: canonical composition, lower case, cut. */
export function foldText(text: string): string {
  return cut(text.normalize('NFC').toLowerCase());
}

export function cut(text: string): string {
  return text.slice(0, indexedCharactersMax).toWellFormed();
}
