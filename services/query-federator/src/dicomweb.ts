import { element, isUid, tags, vrOf } from '@isthmus/dicom';
import type { DataSetJson, Keyword } from '@isthmus/dicom';
import type { FindRequest, QueryLevel } from '@isthmus/domain';
import { failures, Problem } from '@isthmus/service-kit';
import type { HttpApp } from '@isthmus/service-kit';
import { leaving } from './http.ts';
import type { RoutesParts } from './http.ts';
import { answerRow, readIdentifier } from './identifier.ts';
import { QueryTooBroadError } from './local-find.ts';
import { keysKept, uniqueKey } from './query-keys.ts';

type Parts = Pick<RoutesParts, 'federation' | 'queryTimeoutMs' | 'rowsMax'>;

/** Parameters of QIDO-RS that are no attributes (PS3.18 8.3.4). */
const notAttributes = new Set(['limit', 'offset', 'includefield', 'fuzzymatching']);
const limitMax = 5_000;

/**
 * QIDO-RS (PS3.18 10.6): Search for Studies, Series and Instances over all linked clusters, JSON only. Fuzzy
 * matching is not done. When a cluster did not answer, a `Warning: 299` names it.
 */
export function addDicomWeb(app: HttpApp, parts: Parts): void {
  const routes: readonly (readonly [path: string, level: QueryLevel])[] = [
    ['/dicom-web/studies', 'STUDY'],
    ['/dicom-web/studies/:study/series', 'SERIES'],
    ['/dicom-web/series', 'SERIES'],
    ['/dicom-web/studies/:study/instances', 'IMAGE'],
    ['/dicom-web/studies/:study/series/:series/instances', 'IMAGE'],
    ['/dicom-web/instances', 'IMAGE'],
  ];
  for (const [path, level] of routes) {
    const summary = `QIDO-RS, ${level.toLowerCase()} level`;
    const schema = { tags: ['dicom-web'], summary, response: failures };
    app.get(path, { schema }, async (request, reply) => {
      const query = request.query as { readonly [name: string]: string | string[] };
      const identifier = {
        ...identifierOf(query, level),
        ...pathKeys(request.params as { study?: string; series?: string }),
      };
      const { rows, warning } = await search(parts, level, identifier, leaving(request.raw));
      const { limit, offset } = window(query);
      // As bytes: a text would get a charset parameter, which the media type does not have.
      const body = Buffer.from(JSON.stringify(rows.slice(offset, offset + limit)));
      if (warning !== undefined) reply.header('warning', `299 isthmus "${warning}"`);
      return reply.type('application/dicom+json').send(body as never);
    });
  }
}

async function search(
  parts: Parts,
  level: QueryLevel,
  identifier: DataSetJson,
  signal: AbortSignal,
): Promise<{ readonly rows: readonly DataSetJson[]; readonly warning: string | undefined }> {
  const request: FindRequest = {
    model: 'STUDY_ROOT',
    level,
    identifier,
    asker: { kind: 'client' },
    linked: false,
    hops: [],
    remainingMs: parts.queryTimeoutMs,
  };
  try {
    const found = await parts.federation.collect(request, { signal, rowsMax: parts.rowsMax });
    const query = readIdentifier(identifier, level, false);
    const silent = found.outcomes.filter(({ status }) => status === 'failed' || status === 'timed-out');
    return {
      rows: found.rows.map(({ row }) => withoutEmpty(answerRow(row, query, false))),
      warning:
        silent.length > 0
          ? `no complete answer from ${silent.map(({ cluster }) => cluster).join(', ')}`
          : undefined,
    };
  } catch (error) {
    if (!(error instanceof QueryTooBroadError)) throw error;
    const detail = `More than ${error.rowsMax} match. ${error.remedy}`;
    throw new Problem(413, 'Too many matches', { detail, code: error.code });
  }
}

/** Level is for C-FIND; empty attributes may be left out (PS3.18 F.2.5). */
function withoutEmpty(row: DataSetJson): DataSetJson {
  return Object.fromEntries(
    Object.entries(row).filter(
      ([tag, found]) => tag !== tags.QueryRetrieveLevel && found.Value !== undefined,
    ),
  );
}

function identifierOf(query: { readonly [name: string]: string | string[] }, level: QueryLevel): DataSetJson {
  const kept = keysKept(level);
  const keys: { [tag: string]: DataSetJson[string] } = Object.fromEntries(
    defaultKeys(level).map((tag) => [tag, { vr: vrOf(tag) }]),
  );
  for (const field of [query['includefield'] ?? []].flat().flatMap((text) => text.split(','))) {
    const asked = field === 'all' ? [...kept] : [tagOf(field, 'includefield')];
    for (const tag of asked) keys[tag] ??= { vr: vrOf(tag) };
  }
  for (const [name, values] of Object.entries(query)) {
    if (notAttributes.has(name)) continue;
    const tag = tagOf(name, name);
    const texts = [values].flat().flatMap((text) => (vrOf(tag) === 'UI' ? text.split(/[,\\]/) : [text]));
    keys[tag] = element(vrOf(tag), ...texts);
  }
  return keys;
}

/** Attributes that are answered unasked (PS3.18 Tables 10.6.3-3 to 10.6.3-5), as far as we keep them. */
function defaultKeys(level: QueryLevel): readonly string[] {
  const study = [
    tags.StudyDate,
    tags.StudyTime,
    tags.AccessionNumber,
    tags.ModalitiesInStudy,
    tags.ReferringPhysicianName,
    tags.PatientName,
    tags.PatientID,
    tags.IssuerOfPatientID,
    tags.PatientBirthDate,
    tags.PatientSex,
    tags.StudyInstanceUID,
    tags.StudyID,
    tags.StudyDescription,
    tags.NumberOfStudyRelatedSeries,
    tags.NumberOfStudyRelatedInstances,
  ];
  const series = [
    tags.StudyInstanceUID,
    tags.Modality,
    tags.SeriesDescription,
    tags.SeriesInstanceUID,
    tags.SeriesNumber,
    tags.NumberOfSeriesRelatedInstances,
    tags.PerformedProcedureStepStartDate,
    tags.PerformedProcedureStepStartTime,
  ];
  const image = [
    tags.StudyInstanceUID,
    tags.SeriesInstanceUID,
    tags.SOPClassUID,
    tags.SOPInstanceUID,
    tags.InstanceNumber,
    tags.Rows,
    tags.Columns,
    tags.BitsAllocated,
    tags.NumberOfFrames,
  ];
  return level === 'STUDY' ? study : level === 'SERIES' ? series : image;
}

function tagOf(name: string, parameter: string): string {
  if (/^[0-9A-Fa-f]{8}$/.test(name)) return name.toUpperCase();
  if (Object.hasOwn(tags, name)) return tags[name as Keyword];
  const errors = [{ pointer: parameter, detail: 'not an attribute: a keyword or 8 hex digits' }];
  throw new Problem(400, undefined, { detail: 'An attribute of the query is not known.', errors });
}

function pathKeys({ study, series }: { readonly study?: string; readonly series?: string }): DataSetJson {
  return { ...uidKey(uniqueKey.STUDY, 'study', study), ...uidKey(uniqueKey.SERIES, 'series', series) };
}

function uidKey(tag: string, pointer: string, uid: string | undefined): DataSetJson {
  if (uid === undefined) return {};
  if (isUid(uid)) return { [tag]: element('UI', uid) };
  throw new Problem(400, undefined, { detail: 'Not a UID.', errors: [{ pointer, detail: 'not a UID' }] });
}

function window(query: { readonly [name: string]: string | string[] }): { limit: number; offset: number } {
  const read = (name: 'limit' | 'offset', fallback: number): number => {
    const text = [query[name] ?? []].flat()[0];
    if (text === undefined) return fallback;
    if (/^\d{1,9}$/.test(text)) return Number(text);
    const errors = [{ pointer: name, detail: 'a whole number' }];
    throw new Problem(400, undefined, { detail: `${name} is not a number.`, errors });
  };
  return { limit: Math.min(read('limit', limitMax), limitMax), offset: read('offset', 0) };
}
