import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import { matchesIdentifier } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import type { RegisterMap } from '@isthmus/domain';
import type { Database } from '@isthmus/service-kit';
import type { FoldedHeader } from './header-fold.ts';
import type { Query } from './identifier.ts';
import { narrow } from './narrow.ts';
import { imageRow, patientRow, seriesRow, studyRow, viewOf } from './rows.ts';
import type { Here, StudyRecord } from './rows.ts';
import type { HeaderJson, Tables } from './tables.ts';
import { headerTags } from './query-keys.ts';

/** A query matches more here than one answer may hold. What was given so far is right, but not all. */
export class QueryTooBroadError extends Error {
  readonly code = 'QUERY_TOO_BROAD';
  readonly rowsMax: number;
  readonly remedy = 'Narrow the query: a patient, a date range, an accession number.';
  constructor(rowsMax: number) {
    super(`more than ${rowsMax} rows match`);
    this.rowsMax = rowsMax;
  }
}

export interface LocalFindOptions {
  readonly db: Database<Tables>;
  readonly here: Here;
  readonly rowsMax: number;
  /** Whether rows carry `ISTHMUS STUDY 1.0`. @default true */
  readonly privateBlock?: boolean;
  /** Rows read at a time. @default 500 */
  readonly pageRows?: number;
  readonly signal?: AbortSignal;
}

/**
 * The rows that are here, whole (every key that we keep, the private block included), in order of their unique keys:
 * SQL narrows by index and pages by key, `matchesIdentifier` decides. Only listed studies: an object is here and the
 * patient is known. Holds one page in memory, whatever matches.
 *
 * @throws {QueryTooBroadError} After `rowsMax` rows, when there is another.
 */
export async function* findLocal(query: Query, options: LocalFindOptions): AsyncGenerator<DataSetJson, void> {
  let found = 0;
  for await (const row of pagesOf(query, options)) {
    if (!matchesIdentifier(query.matching, row)) continue;
    if (++found > options.rowsMax) throw new QueryTooBroadError(options.rowsMax);
    yield row;
  }
}

function pagesOf(query: Query, options: LocalFindOptions): AsyncGenerator<DataSetJson, void> {
  switch (query.level) {
    case 'PATIENT':
      return patients(query, options);
    case 'STUDY':
      return studies(query, options);
    case 'SERIES':
      return series(query, options);
    case 'IMAGE':
      return images(query, options);
  }
}

/** An object is here, and who the patient is is known. */
const listed = sql<boolean>`o.instance_count > 0 and s.patient_key is not null`;

const studyColumnList = sql`s.study_instance_uid as "studyInstanceUid", s.registers,
  coalesce(p.registers, '{}') as "patientRegisters", greatest(s.stamp, coalesce(p.stamp, '')) as stamp,
  coalesce(o.instance_count, 0) as "instanceCount", coalesce(o.image_count, 0) as "imageCount",
  coalesce(o.series_count, 0) as "seriesCount", coalesce(o.modalities, '{}') as modalities,
  coalesce(o.sop_classes, '{}') as "sopClasses", coalesce(o.header, '{}') as header`;

/** The states of studies, listed or not, by UID: for overlays and `GET /studies/{uid}`. */
export async function readStudies(
  db: Database<Tables>,
  uids: readonly string[],
): Promise<ReadonlyMap<string, StudyRecord>> {
  if (uids.length === 0) return new Map();
  const found = await sql<StudyRecord>`select ${studyColumnList} from study s
    left join study_objects o using (study_instance_uid) left join patient p on p.patient_key = s.patient_key
    where s.study_instance_uid = any(${[...uids]}::text[])`.execute(db);
  return new Map(found.rows.map((record) => [record.studyInstanceUid, record]));
}

/** Registers of patients that somebody changed, by key column. */
export async function readPatients(
  db: Database<Tables>,
  keys: readonly string[],
): Promise<ReadonlyMap<string, RegisterMap>> {
  if (keys.length === 0) return new Map();
  const found = await sql<{
    key: string;
    registers: RegisterMap;
  }>`select patient_key as key, registers from patient
    where patient_key = any(${[...keys]}::text[]) and stamp <> ''`.execute(db);
  return new Map(found.rows.map((row) => [row.key, row.registers]));
}

function where(conditions: readonly RawBuilder<boolean>[]): RawBuilder<boolean> {
  return sql<boolean>`${sql.join([listed, ...conditions], sql` and `)}`;
}

async function* studies(query: Query, options: LocalFindOptions): AsyncGenerator<DataSetJson, void> {
  const { db, here, pageRows = 500 } = options;
  const condition = where(narrow(query.matching));
  for (let after = ''; ;) {
    options.signal?.throwIfAborted();
    const page = await sql<StudyRecord>`select ${studyColumnList} from study s
      join study_objects o using (study_instance_uid) left join patient p on p.patient_key = s.patient_key
      where ${condition} and s.study_instance_uid > ${after}
      order by s.study_instance_uid limit ${pageRows}`.execute(db);
    for (const record of page.rows) yield studyRow(record, here, options.privateBlock);
    const last = page.rows.at(-1);
    if (page.rows.length < pageRows || !last) return;
    after = last.studyInstanceUid;
  }
}

interface SeriesRecord extends StudyRecord {
  readonly seriesInstanceUid: string;
  readonly seriesInstanceCount: number;
  readonly seriesHeader: FoldedHeader;
}

const seriesColumnList = sql`e.series_instance_uid as "seriesInstanceUid",
  e.instance_count as "seriesInstanceCount", e.header as "seriesHeader"`;

async function* series(query: Query, options: LocalFindOptions): AsyncGenerator<DataSetJson, void> {
  const { db, pageRows = 500 } = options;
  const condition = where(narrow(query.matching));
  const rowOfStudy = lastStudyRow(options);
  for (let after = ['', '']; ;) {
    options.signal?.throwIfAborted();
    const page = await sql<SeriesRecord>`select ${studyColumnList}, ${seriesColumnList} from study s
      join study_objects o using (study_instance_uid) join series e using (study_instance_uid)
      left join patient p on p.patient_key = s.patient_key
      where ${condition} and (s.study_instance_uid, e.series_instance_uid) > (${after[0]}, ${after[1]})
      order by s.study_instance_uid, e.series_instance_uid limit ${pageRows}`.execute(db);
    for (const record of page.rows) yield seriesRow(rowOfStudy(record), seriesOf(record));
    const last = page.rows.at(-1);
    if (page.rows.length < pageRows || !last) return;
    after = [last.studyInstanceUid, last.seriesInstanceUid];
  }
}

function seriesOf(record: SeriesRecord): { uid: string; instanceCount: number; header: FoldedHeader } {
  return {
    uid: record.seriesInstanceUid,
    instanceCount: record.seriesInstanceCount,
    header: record.seriesHeader,
  };
}

/** Rows come study by study: the row of one study is built once. */
function lastStudyRow({ here, privateBlock }: LocalFindOptions): (record: StudyRecord) => DataSetJson {
  let uid = '';
  let row: DataSetJson = {};
  return (record) => {
    if (record.studyInstanceUid !== uid) {
      uid = record.studyInstanceUid;
      row = studyRow(record, here, privateBlock);
    }
    return row;
  };
}

interface ImageRecord {
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly sopInstanceUid: string;
  readonly sopClassUid: string;
  readonly imageHeader: HeaderJson;
}

async function* images(query: Query, options: LocalFindOptions): AsyncGenerator<DataSetJson, void> {
  const { db, pageRows = 500 } = options;
  const condition = where(narrow(query.matching));
  const rowOfStudy = lastStudyRow(options);
  const known = new Map<string, SeriesRecord>();
  for (let after = ['', '', '']; ;) {
    options.signal?.throwIfAborted();
    const page = await sql<ImageRecord>`select s.study_instance_uid as "studyInstanceUid",
        e.series_instance_uid as "seriesInstanceUid", i.sop_instance_uid as "sopInstanceUid",
        i.sop_class_uid as "sopClassUid", i.header as "imageHeader"
      from study s join study_objects o using (study_instance_uid) join series e using (study_instance_uid)
      join instance i on i.study_instance_uid = s.study_instance_uid and i.series_instance_uid = e.series_instance_uid
      left join patient p on p.patient_key = s.patient_key
      where ${condition} and (i.study_instance_uid, i.series_instance_uid, i.sop_instance_uid) >
        (${after[0]}, ${after[1]}, ${after[2]})
      order by i.study_instance_uid, i.series_instance_uid, i.sop_instance_uid limit ${pageRows}`.execute(db);
    await readSeries(db, page.rows, known);
    for (const { sopInstanceUid, sopClassUid, imageHeader, ...at } of page.rows) {
      const record = known.get(`${at.studyInstanceUid}/${at.seriesInstanceUid}`);
      if (!record) continue; // Moved away between the two reads by a rebuild.
      const image = { sopInstanceUid, sopClassUid, header: imageHeader };
      yield imageRow(rowOfStudy(record), seriesOf(record), image);
    }
    const last = page.rows.at(-1);
    if (page.rows.length < pageRows || !last) return;
    after = [last.studyInstanceUid, last.seriesInstanceUid, last.sopInstanceUid];
  }
}

/** Study and series columns once per series, not once per object. `known` keeps those of one page. */
async function readSeries(
  db: Database<Tables>,
  page: readonly ImageRecord[],
  known: Map<string, SeriesRecord>,
): Promise<void> {
  const wanted = new Set(page.map((row) => `${row.studyInstanceUid}/${row.seriesInstanceUid}`));
  for (const key of known.keys()) if (!wanted.has(key)) known.delete(key);
  const missing = [...wanted].filter((key) => !known.has(key)).map((key) => key.split('/'));
  if (missing.length === 0) return;
  const found = await sql<SeriesRecord>`select ${studyColumnList}, ${seriesColumnList}
    from unnest(${missing.map(([study]) => study)}::text[], ${missing.map(([, one]) => one)}::text[]) as w(study, series)
    join study s on s.study_instance_uid = w.study join study_objects o using (study_instance_uid)
    join series e on e.study_instance_uid = w.study and e.series_instance_uid = w.series
    left join patient p on p.patient_key = s.patient_key`.execute(db);
  for (const record of found.rows)
    known.set(`${record.studyInstanceUid}/${record.seriesInstanceUid}`, record);
}

interface PatientRecord {
  readonly patientKey: string;
  readonly registers: RegisterMap;
  readonly patientRegisters: RegisterMap;
  readonly header: FoldedHeader;
  readonly studies: number;
  readonly series: number;
  readonly instances: number;
}

async function* patients(query: Query, options: LocalFindOptions): AsyncGenerator<DataSetJson, void> {
  const { db, here, pageRows = 500 } = options;
  const condition = where(narrow(query.matching));
  for (let after = ''; ;) {
    options.signal?.throwIfAborted();
    const page = await sql<PatientRecord>`
      with page as (
        select s.patient_key, count(*)::integer as studies, sum(o.series_count)::integer as series,
          sum(o.instance_count)::integer as instances, max(s.study_instance_uid) as latest
        from study s join study_objects o using (study_instance_uid) left join patient p on p.patient_key = s.patient_key
        where ${condition} and s.patient_key > ${after}
        group by s.patient_key order by s.patient_key limit ${pageRows})
      select page.patient_key as "patientKey", page.studies, page.series, page.instances, s.registers,
        coalesce(p.registers, '{}') as "patientRegisters", o.header
      from page join study s on s.study_instance_uid = page.latest
      join study_objects o on o.study_instance_uid = page.latest
      left join patient p on p.patient_key = page.patient_key
      order by page.patient_key`.execute(db);
    for (const record of page.rows) {
      // Without Patient ID there is nobody to list at this level.
      if (viewOf(record).patient.id === '') continue;
      // Of the study that stands for the patient only the patient's part is shown.
      const state = {
        registers: patientRegisterOf(record.registers),
        patientRegisters: record.patientRegisters,
      };
      yield patientRow(state, patientPart(record.header), record, here);
    }
    const last = page.rows.at(-1);
    if (page.rows.length < pageRows || !last) return;
    after = last.patientKey;
  }
}

function patientRegisterOf(registers: RegisterMap): RegisterMap {
  const { patient } = registers;
  return patient ? { patient } : {};
}

function patientPart(header: FoldedHeader): FoldedHeader {
  return Object.fromEntries(Object.entries(header).filter(([tag]) => headerTags.patient.has(tag)));
}
