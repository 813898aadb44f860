import { digest, holdersOf } from '@isthmus/domain';
import { sql } from 'kysely';
import { patientsOf } from '../state.ts';
import { columnText } from '../tables.ts';
import type { RelayDatabase, RelayTransaction } from '../tables.ts';
import { identityKey } from './rows.ts';
import type { EntryRow, EventIdentity, Folded, HeldRow, ReadableRows, RelayRows } from './rows.ts';

/** Studies, patients and the timeline. */
export function readableStates(
  db: RelayDatabase | RelayTransaction,
): Pick<
  ReadableRows,
  'studies' | 'patients' | 'knownEvents' | 'effectiveEntries' | 'holdersOfStudies' | 'holdersOfPatients'
> {
  return {
    studies: (uids) => readStudies(db, uids),
    patients: (keys) => readPatients(db, keys),
    knownEvents: (events) => knownEvents(db, events),
    effectiveEntries: (after, upto, limit) => effectiveEntries(db, after, upto, limit),
    holdersOfStudies: async (uids) => {
      if (uids.length === 0) return new Map();
      const found = await sql<{ uid: string; holders: string[] }>`
        select uid, holders from study_state where uid = any(${[...uids]}::text[])`.execute(db);
      return new Map(found.rows.map((row) => [row.uid, row.holders]));
    },
    holdersOfPatients: async (keys) => {
      if (keys.length === 0) return new Map();
      const found = await sql<{ key: string; holders: string[] }>`
        select key, array_agg(distinct holder) as holders
        from study_state cross join unnest(patient_keys) as key cross join unnest(holders) as holder
        where patient_keys && ${[...keys]}::text[] and key = any(${[...keys]}::text[]) group by key`.execute(
        db,
      );
      return new Map(found.rows.map((row) => [row.key, row.holders]));
    },
  };
}

export function writableStates(
  tx: RelayTransaction,
): Pick<RelayRows, 'holdStates' | 'writeStudies' | 'writePatients' | 'addEntries'> {
  return {
    holdStates: (studyUids, patientKeys) => holdStates(tx, studyUids, patientKeys),
    writeStudies: (studies) => writeStudies(tx, studies),
    writePatients: (patients) => writePatients(tx, patients),
    addEntries: (entries) => addEntries(tx, entries),
  };
}

async function readStudies(
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

async function readPatients(
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

async function knownEvents(
  db: RelayDatabase | RelayTransaction,
  events: readonly EventIdentity[],
): Promise<Set<string>> {
  if (events.length === 0) return new Set();
  const found = await sql<EventIdentity>`
    select e.subject, e.event_id as id from entries e
    join unnest(${events.map(({ subject }) => subject)}::text[], ${events.map(({ id }) => id)}::text[])
      as n (subject, id) on n.subject = e.subject and n.id = e.event_id`.execute(db);
  return new Set(found.rows.map(identityKey));
}

async function effectiveEntries(
  db: RelayDatabase | RelayTransaction,
  after: number,
  upto: number,
  limit: number,
): Promise<readonly EntryRow[]> {
  const found = await sql<EntryRow>`select sequence, aggregate, subject, type, path, event from entries
    where effective and sequence > ${after} and sequence <= ${upto} order by sequence limit ${limit}`.execute(
    db,
  );
  return found.rows;
}

type Row = { id: string; registers: Folded['registers']; last_sequence: number };

async function holdStates(
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

/** Writes rows that `holdStates` gave, with the columns that follow from the registers. */
async function writeStudies(tx: RelayTransaction, studies: ReadonlyMap<string, HeldRow>): Promise<void> {
  if (studies.size === 0) return;
  const rows = [...studies].map(([uid, row]) => {
    return {
      uid,
      registers: JSON.stringify(row.registers),
      last: row.lastSequence,
      digest: digest(row.registers),
      patients: JSON.stringify(patientsOf(row.registers).map(columnText)),
      // Names come from peers: what is no cluster id has no route, and no place in an index.
      holders: JSON.stringify(holdersOf(row.registers).filter((name) => /^[a-z][a-z0-9-]{0,31}$/.test(name))),
    };
  });
  await sql`update study_state as s set registers = n.registers::json, last_sequence = n.last, digest = n.digest,
      patient_keys = array(select json_array_elements_text(n.patients::json)),
      holders = array(select json_array_elements_text(n.holders::json))
    from unnest(${rows.map((row) => row.uid)}::text[], ${rows.map((row) => row.registers)}::text[],
      ${rows.map((row) => row.last)}::bigint[], ${rows.map((row) => row.digest)}::text[],
      ${rows.map((row) => row.patients)}::text[], ${rows.map((row) => row.holders)}::text[])
      as n (uid, registers, last, digest, patients, holders)
    where s.uid = n.uid`.execute(tx);
}

async function writePatients(tx: RelayTransaction, patients: ReadonlyMap<string, HeldRow>): Promise<void> {
  if (patients.size === 0) return;
  const rows = [...patients];
  await sql`update patient_state as p set registers = n.registers::json, last_sequence = n.last, digest = n.digest
    from unnest(${rows.map(([key]) => key)}::text[],
      ${rows.map(([, row]) => JSON.stringify(row.registers))}::text[],
      ${rows.map(([, row]) => row.lastSequence)}::bigint[],
      ${rows.map(([, row]) => digest(row.registers))}::text[]) as n (key, registers, last, digest)
    where p.key = n.key`.execute(tx);
}

type NewEntry = Parameters<RelayRows['addEntries']>[0][number];

async function addEntries(tx: RelayTransaction, entries: readonly NewEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const column = <Value>(of: (entry: NewEntry) => Value): Value[] => entries.map(of);
  await sql`insert into entries (sequence, aggregate, subject, event_id, type, effective, path, event)
    select sequence, aggregate, subject, id, type, effective,
      array(select json_array_elements_text(path::json)), event::json
    from unnest(${column(({ sequence }) => sequence)}::bigint[],
      ${column(({ aggregate }) => aggregate)}::text[],
      ${column(({ identity }) => identity.subject)}::text[], ${column(({ identity }) => identity.id)}::text[],
      ${column(({ event }) => columnText(event.type))}::text[],
      ${column(({ effective }) => effective)}::boolean[],
      ${column(({ event }) => JSON.stringify(event.path.map(columnText)))}::text[],
      ${column(({ event }) => JSON.stringify(event))}::text[])
      as n (sequence, aggregate, subject, id, type, effective, path, event)`.execute(tx);
}
