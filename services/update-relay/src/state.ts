import {
  mergeRegisters,
  patientKey,
  patientOf,
  patientsHeld,
  patientSubject,
  studySubject,
} from '@isthmus/domain';
import type { RegisterMap } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import { changeOf } from './fold.ts';
import type { Folded, ReadableRows } from './store/rows.ts';

/** What folding a subject to its end needs of the log. */
export type SubjectLog = Pick<EventLog, 'lastOf' | 'readSubject'>;

const nothing: Folded = { registers: {}, lastSequence: 0 };

/**
 * A study as of the newest event of its subject: the projected row, and whatever the projection has not
 * folded yet.
 */
export async function foldStudy(rows: ReadableRows, eventLog: SubjectLog, uid: string): Promise<Folded> {
  return catchUp(eventLog, studySubject(uid), (await rows.studies([uid])).get(uid));
}

/** As `foldStudy`, for a patient. */
export async function foldPatient(rows: ReadableRows, eventLog: SubjectLog, key: string): Promise<Folded> {
  return catchUp(eventLog, patientSubject(key), (await rows.patients([key])).get(key));
}

async function catchUp(eventLog: SubjectLog, subject: string, row: Folded = nothing): Promise<Folded> {
  const last = await eventLog.lastOf('STUDY', subject);
  if (!last || last.sequence <= row.lastSequence) return row;
  let { registers, lastSequence } = row;
  for (const { event, sequence } of await eventLog.readSubject('STUDY', subject, lastSequence)) {
    const change = changeOf(event);
    if (change) registers = mergeRegisters(registers, change.data.registers);
    lastSequence = sequence;
  }
  return { registers, lastSequence };
}

/**
 * Keys of the patients that a study is known under here: its own, and those that its holders name, since who
 * holds nothing of a study knows no more of it.
 */
export function patientsOf(study: RegisterMap): readonly string[] {
  const own = patientKeyOf(study);
  return [...new Set([...(own === undefined ? [] : [own]), ...patientsHeld(study)])];
}

/** Key of the patient that a study belongs to; undefined while that is not known. */
export function patientKeyOf(study: RegisterMap): string | undefined {
  const patient = patientOf(study);
  return patient && patientKey(patient.id, patient.issuer);
}
