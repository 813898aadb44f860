import { sql } from 'kysely';
import { headerRegisters, isImageModality, mergeRegisters, uidPattern } from '@isthmus/domain';
import type { InstanceStored, RegisterMap, StoredEvent } from '@isthmus/domain';
import { tags } from '@isthmus/dicom';
import { foldHeader } from './header-fold.ts';
import type { FoldedHeader } from './header-fold.ts';
import { headerTags, keysKept } from './query-keys.ts';
import { deriveStates, keyColumn, lockStates } from './state-rows.ts';
import type { Tx } from './state-rows.ts';
import { storable } from './stored-json.ts';
import { cut } from './tables.ts';
import type { HeaderJson, SeriesTable, StudyObjectsTable } from './tables.ts';

/** Tables that this projection alone writes; emptied when it is rebuilt. */
export const instanceTables = ['instance', 'series', 'study_objects', 'patient_headers'] as const;

const studyTags = new Set([...headerTags.patient, ...headerTags.study]);

/**
 * Folds INSTANCES into the index: one row per SOP Instance UID, series and study counts, and the rank 0 registers of
 * study and patient. A fact that comes again changes nothing; the same SOP Instance UID under another study is ignored
 * (the first study keeps the object).
 */
export async function indexInstances(tx: Tx, events: readonly StoredEvent[]): Promise<void> {
  const facts = readFacts(events);
  if (facts.length === 0) return;
  const studies = new Map<string, RegisterMap>();
  const patients = new Map<string, RegisterMap>();
  for (const fact of facts) {
    const { patientKey, study, patient } = headerRegisters(fact);
    fold(studies, fact.studyInstanceUid, study);
    if (Object.keys(patient).length > 0) fold(patients, keyColumn(patientKey), patient);
  }
  await lockStates(tx, studies.keys(), patients.keys());
  const added = await insertInstances(tx, facts);
  await foldSeries(tx, facts, added);
  await foldStudies(tx, facts, added, studies);
  await foldPatients(tx, patients);
  await deriveStates(tx, studies.keys(), patients.keys());
}

function fold(states: Map<string, RegisterMap>, key: string, registers: RegisterMap): void {
  states.set(key, mergeRegisters(states.get(key) ?? {}, registers));
}

/** The facts of a batch, one per SOP Instance UID (the last), what is unreadable left out. */
function readFacts(events: readonly StoredEvent[]): readonly InstanceStored[] {
  const facts = new Map<string, InstanceStored>();
  for (const { event } of events) {
    if (event.type !== 'InstanceStored' || !isFact(event.data)) continue;
    const fact = storable(event.data);
    facts.delete(fact.sopInstanceUid);
    facts.set(fact.sopInstanceUid, fact);
  }
  return [...facts.values()];
}

function isFact(data: unknown): data is InstanceStored {
  const fact = data as Partial<InstanceStored> | null;
  const uids = [fact?.studyInstanceUid, fact?.seriesInstanceUid, fact?.sopInstanceUid, fact?.sopClassUid];
  return (
    uids.every((uid) => typeof uid === 'string' && uidPattern.test(uid)) &&
    typeof fact?.file === 'string' &&
    typeof fact.transferSyntaxUid === 'string' &&
    Number.isSafeInteger(fact.fileBytes) &&
    typeof fact.header === 'object'
  );
}

/** @returns SOP Instance UIDs that were not there before. */
async function insertInstances(tx: Tx, facts: readonly InstanceStored[]): Promise<ReadonlySet<string>> {
  const rows = facts.map((fact) => ({
    sop_instance_uid: fact.sopInstanceUid,
    study_instance_uid: fact.studyInstanceUid,
    series_instance_uid: fact.seriesInstanceUid,
    sop_class_uid: fact.sopClassUid,
    transfer_syntax_uid: fact.transferSyntaxUid,
    file: fact.file,
    file_bytes: fact.fileBytes,
    header: kept(fact.header),
  }));
  const written = await sql<{ uid: string; added: boolean }>`
    insert into instance (sop_instance_uid, study_instance_uid, series_instance_uid, sop_class_uid,
      transfer_syntax_uid, file, file_bytes, header)
    select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as n(sop_instance_uid text, study_instance_uid text,
      series_instance_uid text, sop_class_uid text, transfer_syntax_uid text, file text, file_bytes bigint, header jsonb)
    on conflict (sop_instance_uid) do update set sop_class_uid = excluded.sop_class_uid,
      transfer_syntax_uid = excluded.transfer_syntax_uid, file = excluded.file, file_bytes = excluded.file_bytes,
      header = excluded.header
    where instance.study_instance_uid = excluded.study_instance_uid
      and instance.series_instance_uid = excluded.series_instance_uid
    returning sop_instance_uid as uid, (xmax = 0) as added`.execute(tx);
  return new Set(written.rows.filter((row) => row.added).map((row) => row.uid));
}

/** Only what a query can ask for; the file has the rest. */
function kept(header: HeaderJson): HeaderJson {
  return Object.fromEntries(Object.entries(header).filter(([tag]) => keysKept('IMAGE').has(tag)));
}

async function foldSeries(
  tx: Tx,
  facts: readonly InstanceStored[],
  added: ReadonlySet<string>,
): Promise<void> {
  const uids = [...new Set(facts.map((fact) => fact.seriesInstanceUid))];
  const known = await sql<SeriesTable>`
    select study_instance_uid, series_instance_uid, modality, instance_count, header
    from series where series_instance_uid = any(${uids}::text[])`.execute(tx);
  const key = (study: string, series: string): string => `${study}/${series}`;
  const rows = new Map(known.rows.map((row) => [key(row.study_instance_uid, row.series_instance_uid), row]));
  const changed = new Map<string, SeriesTable>();
  for (const fact of facts) {
    if (!added.has(fact.sopInstanceUid)) continue;
    const at = key(fact.studyInstanceUid, fact.seriesInstanceUid);
    const row: SeriesTable = rows.get(at) ?? {
      study_instance_uid: fact.studyInstanceUid,
      series_instance_uid: fact.seriesInstanceUid,
      modality: '',
      instance_count: 0,
      header: {},
    };
    const header = foldHeader(row.header, fact.header, fact.sopInstanceUid, headerTags.series);
    const next = { ...row, header, modality: modalityOf(header), instance_count: row.instance_count + 1 };
    rows.set(at, next);
    changed.set(at, next);
  }
  if (changed.size === 0) return;
  await sql`insert into series (study_instance_uid, series_instance_uid, modality, instance_count, header)
    select * from jsonb_to_recordset(${JSON.stringify([...changed.values()])}::jsonb) as n(study_instance_uid text,
      series_instance_uid text, modality text, instance_count integer, header jsonb)
    on conflict (study_instance_uid, series_instance_uid) do update set modality = excluded.modality,
      instance_count = excluded.instance_count, header = excluded.header`.execute(tx);
}

function modalityOf(header: FoldedHeader): string {
  return cut(firstText(header[tags.Modality]?.[1]));
}

function firstText(element: HeaderJson[string] | undefined): string {
  const value = element?.Value?.[0];
  return typeof value === 'string' ? value : '';
}

async function foldStudies(
  tx: Tx,
  facts: readonly InstanceStored[],
  added: ReadonlySet<string>,
  registers: ReadonlyMap<string, RegisterMap>,
): Promise<void> {
  const uids = [...registers.keys()];
  const known = await sql<StudyObjectsTable>`
    select * from study_objects where study_instance_uid = any(${uids}::text[])`.execute(tx);
  const series = await sql<{ study: string; count: number }>`
    select study_instance_uid as study, count(*)::integer as count from series
    where study_instance_uid = any(${uids}::text[]) group by study_instance_uid`.execute(tx);
  const seriesCounts = new Map(series.rows.map((row) => [row.study, row.count]));
  const rows = new Map(known.rows.map((row) => [row.study_instance_uid, row]));
  for (const fact of facts) {
    const row = rows.get(fact.studyInstanceUid) ?? emptyStudy(fact.studyInstanceUid);
    rows.set(fact.studyInstanceUid, added.has(fact.sopInstanceUid) ? withInstance(row, fact) : row);
  }
  const written = [...rows.values()].map((row) => ({
    ...row,
    series_count: seriesCounts.get(row.study_instance_uid) ?? 0,
    registers: mergeRegisters(row.registers, registers.get(row.study_instance_uid) ?? {}),
  }));
  await sql`insert into study_objects (study_instance_uid, instance_count, image_count, series_count, modalities,
      sop_classes, header, registers)
    select * from jsonb_to_recordset(${JSON.stringify(written)}::jsonb) as n(study_instance_uid text,
      instance_count integer, image_count integer, series_count integer, modalities text[], sop_classes text[],
      header jsonb, registers jsonb)
    on conflict (study_instance_uid) do update set instance_count = excluded.instance_count,
      image_count = excluded.image_count, series_count = excluded.series_count, modalities = excluded.modalities,
      sop_classes = excluded.sop_classes, header = excluded.header, registers = excluded.registers`.execute(
    tx,
  );
}

function emptyStudy(uid: string): StudyObjectsTable {
  return {
    study_instance_uid: uid,
    instance_count: 0,
    image_count: 0,
    series_count: 0,
    modalities: [],
    sop_classes: [],
    header: {},
    registers: {},
  };
}

function withInstance(row: StudyObjectsTable, fact: InstanceStored): StudyObjectsTable {
  const modality = cut(firstText(fact.header[tags.Modality]));
  return {
    ...row,
    instance_count: row.instance_count + 1,
    image_count: row.image_count + (isImageModality(modality) ? 1 : 0),
    modalities: modality === '' ? row.modalities : union(row.modalities, modality),
    sop_classes: union(row.sop_classes, fact.sopClassUid),
    header: foldHeader(row.header, fact.header, fact.sopInstanceUid, studyTags),
  };
}

function union(values: string[], value: string): string[] {
  return values.includes(value) ? values : [...values, value].sort();
}

async function foldPatients(tx: Tx, patients: ReadonlyMap<string, RegisterMap>): Promise<void> {
  const keys = [...patients.keys()];
  if (keys.length === 0) return;
  const known = await sql<{ patient_key: string; registers: RegisterMap }>`
    select patient_key, registers from patient_headers where patient_key = any(${keys}::text[])`.execute(tx);
  const before = new Map(known.rows.map((row) => [row.patient_key, row.registers]));
  const rows = keys.map((key) => ({
    patient_key: key,
    registers: mergeRegisters(before.get(key) ?? {}, patients.get(key) ?? {}),
  }));
  await sql`insert into patient_headers (patient_key, registers)
    select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as n(patient_key text, registers jsonb)
    on conflict (patient_key) do update set registers = excluded.registers`.execute(tx);
}
