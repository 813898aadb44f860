import { mergeRegisters, patientKey, patientOf, patientSubject, studySubject } from '@isthmus/domain';
import type { RegisterMap } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import { changeOf } from './fold.ts';
import { columnText } from './tables.ts';
import type { RelayDatabase, RelayTransaction } from './tables.ts';

/**
 * State of one aggregate, and the last sequence of its subject that is in it: what to expect when appending.
 */
export interface Folded {
  readonly registers: RegisterMap;
  readonly lastSequence: number;
}

const nothing: Folded = { registers: {}, lastSequence: 0 };

/**
 * A study as of the newest event of its subject: the projected row, and whatever the projection has not
 * folded yet.
 */
export async function foldStudy(db: RelayDatabase, eventLog: EventLog, uid: string): Promise<Folded> {
  return catchUp(eventLog, studySubject(uid), (await readStudies(db, [uid])).get(uid));
}

/** As `foldStudy`, for a patient. */
export async function foldPatient(db: RelayDatabase, eventLog: EventLog, key: string): Promise<Folded> {
  return catchUp(eventLog, patientSubject(key), (await readPatients(db, [key])).get(key));
}

async function catchUp(eventLog: EventLog, subject: string, row: Folded = nothing): Promise<Folded> {
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

/** Projected rows of these studies; those without a row are left out. */
export async function readStudies(
  db: RelayDatabase | RelayTransaction,
  uids: readonly string[],
): Promise<Map<string, Folded>> {
  if (uids.length === 0) return new Map();
  const rows = await db
    .selectFrom('study_state')
    .select(['uid', 'registers', 'last_sequence'])
    .where('uid', 'in', [...uids])
    .execute();
  return new Map(rows.map((row) => [row.uid, { registers: row.registers, lastSequence: row.last_sequence }]));
}

/** Projected rows of these patients, under the keys that were asked for; those without a row are left out. */
export async function readPatients(
  db: RelayDatabase | RelayTransaction,
  keys: readonly string[],
): Promise<Map<string, Folded>> {
  if (keys.length === 0) return new Map();
  const rows = await db
    .selectFrom('patient_state')
    .select(['key', 'registers', 'last_sequence'])
    .where('key', 'in', keys.map(columnText))
    .execute();
  const found = new Map(
    rows.map((row) => [row.key, { registers: row.registers, lastSequence: row.last_sequence }]),
  );
  return new Map(
    keys.flatMap((key) => {
      const row = found.get(columnText(key));
      return row ? [[key, row] as const] : [];
    }),
  );
}

/** Key of the patient that a study belongs to; undefined while that is not known. */
export function patientKeyOf(study: RegisterMap): string | undefined {
  const patient = patientOf(study);
  return patient && patientKey(patient.id, patient.issuer);
}
