import { sql } from 'kysely';
import type { Transaction } from 'kysely';
import {
  greatestStamp,
  mergeRegisters,
  patientKey,
  patientOf,
  registerText,
  sha256,
  studyReportStatus,
} from '@isthmus/domain';
import type { RegisterMap } from '@isthmus/domain';
import { cut, foldText } from './tables.ts';
import type { PatientTable, StudyTable, Tables } from './tables.ts';

export type Tx = Transaction<Tables>;

const keyCharactersMax = 512;

/** A patient key as the tables hold it: one that is too long for an index is replaced by its hash. */
export function keyColumn(key: string): string {
  return key.length <= keyCharactersMax ? key : `sha256:${sha256(key)}`;
}

/**
 * Locks the state rows of these studies and patients until the transaction ends, making those that are missing. The two
 * projections fold into the same rows: who comes second waits here, and then sees what the first one wrote. Always
 * studies first, then patients, each in order, so that they cannot wait for each other in a ring.
 */
export async function lockStates(
  tx: Tx,
  studies: Iterable<string>,
  patients: Iterable<string>,
): Promise<void> {
  const uids = [...new Set(studies)].sort();
  const keys = [...new Set(patients)].sort();
  if (uids.length > 0) {
    await sql`insert into study (study_instance_uid) select unnest(${uids}::text[]) on conflict do nothing`.execute(
      tx,
    );
    await sql`select 1 from study where study_instance_uid = any(${uids}::text[])
      order by study_instance_uid for update`.execute(tx);
  }
  if (keys.length > 0) {
    await sql`insert into patient (patient_key) select unnest(${keys}::text[]) on conflict do nothing`.execute(
      tx,
    );
    await sql`select 1 from patient where patient_key = any(${keys}::text[])
      order by patient_key for update`.execute(tx);
  }
}

/** Writes the state rows anew from what log and headers say. The rows must be locked (`lockStates`). */
export async function deriveStates(
  tx: Tx,
  studies: Iterable<string>,
  patients: Iterable<string>,
): Promise<void> {
  await deriveStudies(tx, [...new Set(studies)]);
  await derivePatients(tx, [...new Set(patients)]);
}

async function deriveStudies(tx: Tx, uids: readonly string[]): Promise<void> {
  if (uids.length === 0) return;
  const sources = await sql<{ uid: string; log: RegisterMap | null; headers: RegisterMap | null }>`
    select u.uid, l.registers as log, o.registers as headers
    from unnest(${uids}::text[]) as u(uid)
    left join study_log l on l.study_instance_uid = u.uid
    left join study_objects o on o.study_instance_uid = u.uid`.execute(tx);
  const rows = sources.rows.map(({ uid, log, headers }) =>
    studyColumns(uid, mergeRegisters(headers ?? {}, log ?? {})),
  );
  await sql`update study s set registers = n.registers, stamp = n.stamp, patient_key = n.patient_key,
      patient_id = n.patient_id, issuer = n.issuer, accession_number = n.accession_number, study_date = n.study_date,
      study_time = n.study_time, report_status = n.report_status, study_status = n.study_status
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as n(study_instance_uid text, registers jsonb, stamp text,
      patient_key text, patient_id text, issuer text, accession_number text, study_date text, study_time text,
      report_status text, study_status text)
    where s.study_instance_uid = n.study_instance_uid`.execute(tx);
}

/** The columns of a study that follow from its registers. */
export function studyColumns(uid: string, registers: RegisterMap): StudyTable {
  const patient = patientOf(registers);
  return {
    study_instance_uid: uid,
    registers,
    stamp: greatestStamp(registers),
    patient_key: patient ? keyColumn(patientKey(patient.id, patient.issuer)) : null,
    patient_id: patient ? cut(patient.id) : null,
    issuer: patient ? cut(patient.issuer) : null,
    accession_number: cut(registerText(registers, 'accessionNumber')),
    study_date: cut(registerText(registers, 'studyDate')),
    study_time: cut(registerText(registers, 'studyTime')),
    report_status: studyReportStatus(registers),
    study_status: cut(registerText(registers, 'studyStatus')),
  };
}

async function derivePatients(tx: Tx, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return;
  const sources = await sql<{ key: string; log: RegisterMap | null; headers: RegisterMap | null }>`
    select k.key, l.registers as log, h.registers as headers
    from unnest(${keys}::text[]) as k(key)
    left join patient_log l on l.patient_key = k.key
    left join patient_headers h on h.patient_key = k.key`.execute(tx);
  const rows = sources.rows.map(({ key, log, headers }) =>
    patientColumns(key, mergeRegisters(headers ?? {}, log ?? {})),
  );
  await sql`update patient p set registers = n.registers, stamp = n.stamp, name_alphabetic = n.name_alphabetic,
      name_ideographic = n.name_ideographic, name_phonetic = n.name_phonetic
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as n(patient_key text, registers jsonb, stamp text,
      name_alphabetic text, name_ideographic text, name_phonetic text)
    where p.patient_key = n.patient_key`.execute(tx);
}

/** The columns of a patient that follow from its registers. */
export function patientColumns(key: string, registers: RegisterMap): PatientTable {
  const [alphabetic = '', ideographic = '', phonetic = ''] = registerText(registers, 'name').split('=');
  return {
    patient_key: key,
    registers,
    stamp: greatestStamp(registers),
    name_alphabetic: foldText(alphabetic),
    name_ideographic: foldText(ideographic),
    name_phonetic: foldText(phonetic),
  };
}
