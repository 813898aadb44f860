import { digest, holdersOf, patientKey, patientOf } from '@isthmus/domain';
import type { RegisterMap } from '@isthmus/domain';
import { sql } from 'kysely';
import { columnText } from './tables.ts';
import type { RelayTransaction } from './tables.ts';

/** A row in hand, locked; `registers` and `lastSequence` are replaced while folding. */
export interface HeldRow {
  registers: RegisterMap;
  lastSequence: number;
}

type Row = { id: string; registers: RegisterMap; last_sequence: number };

/**
 * Locks study rows and then patient rows, each in order of their key, making those that are not there. Both
 * projections come through here, so that they never wait for each other in a circle.
 */
export async function holdRows(
  tx: RelayTransaction,
  studyUids: Iterable<string>,
  patientKeys: Iterable<string>,
): Promise<{ studies: Map<string, HeldRow>; patients: Map<string, HeldRow> }> {
  const uids = [...new Set(studyUids)].sort();
  const keys = [...new Set(patientKeys)].sort();
  if (uids.length > 0) {
    await sql`insert into study_state (uid, registers, last_sequence, digest, holders)
      select uid, '{}', 0, '', '{}' from unnest(${uids}::text[]) as wanted (uid) order by uid
      on conflict do nothing`.execute(tx);
  }
  const studies = await sql<Row>`select uid as id, registers, last_sequence from study_state
    where uid = any(${uids}::text[]) order by uid for update`.execute(tx);
  if (keys.length > 0) {
    await sql`insert into patient_state (key, registers, last_sequence, digest)
      select key, '{}', 0, '' from unnest(${keys}::text[]) as wanted (key) order by key
      on conflict do nothing`.execute(tx);
  }
  const patients = await sql<Row>`select key as id, registers, last_sequence from patient_state
    where key = any(${keys}::text[]) order by key for update`.execute(tx);
  return { studies: held(studies.rows), patients: held(patients.rows) };
}

function held(rows: readonly Row[]): Map<string, HeldRow> {
  return new Map(rows.map((row) => [row.id, { registers: row.registers, lastSequence: row.last_sequence }]));
}

/** Writes study rows that `holdRows` gave, with the columns that follow from the registers. */
export async function writeStudies(
  tx: RelayTransaction,
  studies: ReadonlyMap<string, HeldRow>,
): Promise<void> {
  if (studies.size === 0) return;
  const rows = [...studies].map(([uid, row]) => {
    const patient = patientOf(row.registers);
    return {
      uid,
      registers: JSON.stringify(row.registers),
      last: row.lastSequence,
      digest: digest(row.registers),
      patient: patient ? columnText(patientKey(patient.id, patient.issuer)) : null,
      // Names come from peers: what is no cluster id has no route, and no place in an index.
      holders: JSON.stringify(holdersOf(row.registers).filter((name) => /^[a-z][a-z0-9-]{0,31}$/.test(name))),
    };
  });
  await sql`update study_state as s set registers = n.registers::json, last_sequence = n.last, digest = n.digest,
      patient_key = n.patient, holders = array(select json_array_elements_text(n.holders::json))
    from unnest(${rows.map((row) => row.uid)}::text[], ${rows.map((row) => row.registers)}::text[],
      ${rows.map((row) => row.last)}::bigint[], ${rows.map((row) => row.digest)}::text[],
      ${rows.map((row) => row.patient)}::text[], ${rows.map((row) => row.holders)}::text[])
      as n (uid, registers, last, digest, patient, holders)
    where s.uid = n.uid`.execute(tx);
}

/** Writes patient rows that `holdRows` gave. */
export async function writePatients(
  tx: RelayTransaction,
  patients: ReadonlyMap<string, HeldRow>,
): Promise<void> {
  if (patients.size === 0) return;
  const rows = [...patients];
  await sql`update patient_state as p set registers = n.registers::json, last_sequence = n.last, digest = n.digest
    from unnest(${rows.map(([key]) => key)}::text[],
      ${rows.map(([, row]) => JSON.stringify(row.registers))}::text[],
      ${rows.map(([, row]) => row.lastSequence)}::bigint[],
      ${rows.map(([, row]) => digest(row.registers))}::text[]) as n (key, registers, last, digest)
    where p.key = n.key`.execute(tx);
}

/** Peers that are owed the state of a study, in order, so that writers meet in one order. */
export async function writeStateDue(
  tx: RelayTransaction,
  due: readonly { readonly peer: string; readonly study: string }[],
): Promise<void> {
  if (due.length === 0) return;
  const unique = new Map(due.map((row) => [`${row.peer}\n${row.study}`, row]));
  const rows = [...unique.values()].sort((a, b) => (a.peer + a.study < b.peer + b.study ? -1 : 1));
  await sql`insert into state_due (peer, study)
    select peer, study from unnest(${rows.map((row) => row.peer)}::text[],
      ${rows.map((row) => row.study)}::text[]) as n (peer, study)
    on conflict (peer, study) do update set version = nextval('due_version')`.execute(tx);
}

/** Studies whose objects or own holders entry must be looked at. */
export async function writeDirty(
  tx: RelayTransaction,
  dirty: ReadonlyMap<string, { readonly headerChanged: boolean }>,
): Promise<void> {
  if (dirty.size === 0) return;
  const rows = [...dirty].sort(([a], [b]) => (a < b ? -1 : 1));
  await sql`insert into objects_dirty (study, header_changed)
    select study, header_changed from unnest(${rows.map(([study]) => study)}::text[],
      ${rows.map(([, { headerChanged }]) => headerChanged)}::boolean[]) as n (study, header_changed)
    on conflict (study) do update set version = nextval('due_version'),
      header_changed = objects_dirty.header_changed or excluded.header_changed`.execute(tx);
}
