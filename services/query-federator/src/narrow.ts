import { privateCreator, privateTag, stringsOf, studyElements, tags } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import { interpretationStatus } from './rows.ts';
import { cut, foldText, indexedCharactersMax } from './tables.ts';

/**
 * SQL conditions that let an index do the first part of matching. They let through everything that matches and more:
 * the matcher of libs/dicom decides on each row (PS3.4 C.2.2.2). Aliases: `s` study, `o` study_objects, `p` patient,
 * `e` series, `i` instance.
 *
 * @param matching - Keys with values (`readIdentifier`). Keys without a condition here are left to the matcher.
 */
export function narrow(matching: DataSetJson): readonly RawBuilder<boolean>[] {
  return Object.keys(matching).flatMap((tag) => {
    const narrowing = Object.hasOwn(narrowings, tag) ? narrowings[tag] : undefined;
    const condition = narrowing?.(
      stringsOf(matching, tag)
        .map((value) => value.trim())
        .filter((value) => value !== ''),
    );
    return condition ? [condition] : [];
  });
}

type Narrowing = (values: readonly string[]) => RawBuilder<boolean> | undefined;

const reportStatusTag = privateTag(privateCreator.study, studyElements.reportStatus);

const narrowings: { readonly [tag: string]: Narrowing } = {
  [tags.StudyInstanceUID]: (values) => uidList('s.study_instance_uid', values),
  [tags.SeriesInstanceUID]: (values) => uidList('e.series_instance_uid', values),
  [tags.SOPInstanceUID]: (values) => uidList('i.sop_instance_uid', values),
  [tags.PatientID]: (values) => exactOrPrefix('s.patient_id', values),
  [tags.IssuerOfPatientID]: (values) => exactOrPrefix('s.issuer', values),
  [tags.AccessionNumber]: (values) => exactOrPrefix('s.accession_number', values),
  [tags.PatientName]: nameNarrowing,
  [tags.StudyDate]: dateNarrowing,
  [tags.ModalitiesInStudy]: (values) =>
    values.some(hasWildcard) ? undefined : sql<boolean>`o.modalities && ${[...values]}::text[]`,
  [tags.Modality]: (values) => exactOrPrefix('e.modality', values),
  [tags.InterpretationStatusID]: (values) =>
    values.some(hasWildcard) ? undefined : statusIn(values.map(reportStatusOf)),
  [reportStatusTag]: (values) => (values.some(hasWildcard) ? undefined : statusIn(values)),
};

function reportStatusOf(interpretation: string): string {
  const found = Object.entries(interpretationStatus).find(([, value]) => value === interpretation);
  return found?.[0] ?? '';
}

function statusIn(statuses: readonly string[]): RawBuilder<boolean> {
  return sql<boolean>`s.report_status = any(${[...statuses]}::text[])`;
}

function uidList(column: string, values: readonly string[]): RawBuilder<boolean> | undefined {
  if (values.length === 0 || values.some(hasWildcard)) return undefined;
  return sql<boolean>`${sql.ref(column)} = any(${[...values]}::text[])`;
}

function hasWildcard(value: string): boolean {
  return /[*?]/.test(value);
}

/** One value, exact or with wildcards. Spaces at the ends do not count in matching, so they do not here. */
function exactOrPrefix(column: string, values: readonly string[]): RawBuilder<boolean> | undefined {
  const [value] = values;
  if (value === undefined || values.length > 1) return undefined;
  const ref = sql.ref(column);
  if (!hasWildcard(value)) return sql<boolean>`${ref} = ${cut(value.trim())}`;
  return startsWith(column, prefixOf(value));
}

/** What comes before the first wildcard, short enough for the cut columns. */
function prefixOf(value: string): string {
  return value.slice(0, value.search(/[*?]/)).trimStart().slice(0, indexedCharactersMax);
}

/** By range, which every version plans as an index scan, also for a parameter. */
function startsWith(column: string, prefix: string): RawBuilder<boolean> | undefined {
  if (prefix === '') return undefined;
  const ref = sql.ref(column);
  return sql<boolean>`(${ref} >= ${prefix} and ${ref} < ${`${prefix}\u{10FFFF}`})`;
}

/** Up to the first wildcard or delimiter: how the components behind it are compared is the matcher's business. */
function nameNarrowing(values: readonly string[]): RawBuilder<boolean> | undefined {
  const [value] = values;
  if (value === undefined || values.length > 1) return undefined;
  const group = value.split('=').find((part) => part !== '') ?? '';
  const end = group.search(/[*?^ ,]/);
  const prefix = foldText(end < 0 ? group : group.slice(0, end));
  const conditions = ['p.name_alphabetic', 'p.name_ideographic', 'p.name_phonetic'].flatMap(
    (column) => startsWith(column, prefix) ?? [],
  );
  return conditions.length === 0 ? undefined : sql<boolean>`(${sql.join(conditions, sql` or `)})`;
}

/**
 * `20240101`, `20240101-`, `-20240101`, `20240101-20240131` (PS3.4 C.2.2.2.5). Old `yyyy.mm.dd` is left to the matcher.
 */
function dateNarrowing(values: readonly string[]): RawBuilder<boolean> | undefined {
  const [value] = values;
  if (value === undefined || values.length > 1) return undefined;
  const parts = /^(\d{8})?(-)?(\d{8})?$/.exec(value.trim());
  if (!parts) return undefined;
  const [, from, dash, to] = parts;
  if (!dash) return from ? sql<boolean>`s.study_date = ${from}` : undefined;
  if (from && to) return sql<boolean>`s.study_date between ${from} and ${to}`;
  if (from) return sql<boolean>`s.study_date >= ${from}`;
  return to ? sql<boolean>`s.study_date between '0' and ${to}` : undefined;
}
