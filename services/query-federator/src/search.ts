import { createHash } from 'node:crypto';
import { element, privateBlock, privateCreator, studyElements, tags, vrOf } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { canonicalJson, compareText } from '@isthmus/domain';
import type { ClusterOutcome, FindRequest } from '@isthmus/domain';
import { unprocessable } from '@isthmus/service-kit';
import type { Federation } from './federate.ts';
import { QueryTooBroadError } from './local-find.ts';
import type { Here } from './rows.ts';
import { studyOfRow } from './study-body.ts';
import type { FoundStudyBody } from './study-body.ts';

/** Body of `POST /api/v1/studies:search`. */
export interface StudySearch {
  readonly patientId?: string;
  readonly issuer?: string;
  /** With `*` and `?`; without them, names that begin with it. */
  readonly patientName?: string;
  readonly accessionNumber?: string;
  /** DA or ISO 8601 dates, both ends included. */
  readonly studyDate?: { readonly from?: string; readonly to?: string };
  readonly modalities?: readonly string[];
  readonly studyInstanceUid?: string;
  readonly reportStatus?: string;
  /** Only these clusters. */
  readonly clusters?: readonly string[];
  readonly limit?: number;
  readonly cursor?: string;
}

export interface SearchAnswer {
  readonly items: readonly FoundStudyBody[];
  readonly clusters: readonly ClusterOutcome[];
  readonly nextCursor: string | null;
}

export interface SearchParts {
  readonly federation: Federation;
  readonly here: () => Here;
  readonly rowsMax: number;
  readonly timeoutMs: number;
  /** Results kept for their next pages, and how many studies in all of them. */
  readonly keptMax: number;
  readonly keptRowsMax: number;
  readonly keptMs: number;
  /** Monotonic clock, milliseconds. */
  readonly now: () => number;
}

interface Result {
  readonly items: readonly FoundStudyBody[];
  readonly clusters: readonly ClusterOutcome[];
}

const limitDefault = 50;

/**
 * Searches all clusters and pages through the merged list, newest study first. Pages are stable: a result is kept
 * for its next pages; when it is gone (time, restart, another replica) the search runs anew and goes on after the
 * last study.
 */
export function createSearch(
  parts: SearchParts,
): (search: StudySearch, signal: AbortSignal) => Promise<SearchAnswer> {
  const kept = keptResults(parts);
  return async (search, signal) => {
    const { limit = limitDefault, cursor, ...question } = search;
    const key = createHash('sha256').update(canonicalJson(question)).digest('base64url').slice(0, 16);
    const after = cursor === undefined ? undefined : readCursor(cursor, key);
    const result = (after && kept.get(after.result)) ?? (await run(parts, question, signal));
    const start = after ? result.items.findIndex((item) => comparePlace(placeOf(item), after) > 0) : 0;
    const items = start < 0 ? [] : result.items.slice(start, start + limit);
    const last = items.at(-1);
    const more = start >= 0 && start + limit < result.items.length && last;
    if (!more) return { items, clusters: result.clusters, nextCursor: null };
    const id = after && kept.get(after.result) ? after.result : kept.put(result);
    return {
      items,
      clusters: result.clusters,
      nextCursor: writeCursor({ key, result: id, ...placeOf(last) }),
    };
  };
}

async function run(parts: SearchParts, search: StudySearch, signal: AbortSignal): Promise<Result> {
  const request: FindRequest = {
    model: 'STUDY_ROOT',
    level: 'STUDY',
    identifier: searchIdentifier(search),
    asker: { kind: 'client' },
    ...(search.clusters ? { clusters: search.clusters } : {}),
    linked: true,
    hops: [],
    remainingMs: parts.timeoutMs,
  };
  const found = await parts.federation
    .collect(request, { signal, rowsMax: parts.rowsMax })
    .catch((error: unknown) => {
      throw error instanceof QueryTooBroadError ? tooBroad(error.rowsMax) : error;
    });
  if (found.rows.length > parts.rowsMax) throw tooBroad(parts.rowsMax);
  const context = { here: parts.here(), outcomes: found.outcomes, conflicts: found.conflicts };
  const items = found.rows.map((row) => studyOfRow(row, context));
  items.sort((a, b) => comparePlace(placeOf(a), placeOf(b)));
  return { items, clusters: found.outcomes };
}

function tooBroad(rowsMax: number): Error {
  const detail = `More than ${rowsMax} studies match. Name a patient, an accession number or a shorter time.`;
  return unprocessable('', detail, { code: 'QUERY_TOO_BROAD' });
}

const searchKeys: readonly string[] = [
  tags.StudyInstanceUID,
  tags.PatientID,
  tags.IssuerOfPatientID,
  tags.PatientName,
  tags.PatientBirthDate,
  tags.PatientSex,
  tags.AccessionNumber,
  tags.StudyDate,
  tags.StudyTime,
  tags.StudyDescription,
  tags.StudyID,
  tags.ReferringPhysicianName,
  tags.ModalitiesInStudy,
  tags.NumberOfStudyRelatedSeries,
  tags.NumberOfStudyRelatedInstances,
  tags.StudyStatusID,
  tags.CurrentPatientLocation,
  tags.InterpretationStatusID,
];

/** A search as C-FIND keys. */
export function searchIdentifier(search: StudySearch): DataSetJson {
  const asked = Object.fromEntries(searchKeys.map((tag) => [tag, { vr: vrOf(tag) }]));
  const given = (tag: string, ...values: readonly string[]): DataSetJson =>
    values.length === 0 ? {} : { [tag]: element(vrOf(tag), ...values) };
  const some = (value: string | undefined): readonly string[] =>
    value === undefined || value === '' ? [] : [value];
  return {
    ...asked,
    ...given(tags.StudyInstanceUID, ...some(search.studyInstanceUid)),
    ...given(tags.PatientID, ...some(search.patientId)),
    ...given(tags.IssuerOfPatientID, ...some(search.issuer)),
    ...given(tags.PatientName, ...some(search.patientName).map(nameKey)),
    ...given(tags.AccessionNumber, ...some(search.accessionNumber)),
    ...given(tags.StudyDate, ...some(dateRange(search.studyDate))),
    ...given(tags.ModalitiesInStudy, ...(search.modalities ?? [])),
    ...(search.reportStatus === undefined
      ? {}
      : privateBlock(privateCreator.study, {
          [studyElements.reportStatus]: element('CS', search.reportStatus),
        })),
  };
}

function nameKey(name: string): string {
  return /[*?]/.test(name) ? name : `${name}*`;
}

function dateRange(range: StudySearch['studyDate']): string | undefined {
  const from = range?.from?.replaceAll('-', '');
  const to = range?.to?.replaceAll('-', '');
  return from === undefined && to === undefined ? undefined : `${from ?? ''}-${to ?? ''}`;
}

/** Where an item stands in the list: newest study first, then by UID. */
interface Place {
  readonly date: string;
  readonly uid: string;
}

function placeOf(item: FoundStudyBody): Place {
  return { date: item.studyDate, uid: item.studyInstanceUid };
}

function comparePlace(a: Place, b: Place): number {
  return compareText(b.date, a.date) || compareText(a.uid, b.uid);
}

interface Cursor extends Place {
  /** Of the search; a cursor fits no other one. */
  readonly key: string;
  readonly result: string;
}

function writeCursor({ key, result, date, uid }: Cursor): string {
  return Buffer.from(JSON.stringify([key, result, date, uid])).toString('base64url');
}

function readCursor(cursor: string, key: string): Cursor {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    parts = undefined;
  }
  if (
    !Array.isArray(parts) ||
    parts.length !== 4 ||
    !parts.every((part) => typeof part === 'string') ||
    parts[0] !== key
  )
    throw unprocessable('/cursor', 'This is no cursor of this search. Start again without one.');
  const [, result, date, uid] = parts as [string, string, string, string];
  return { key, result, date, uid };
}

/** Results by id, the oldest going first. */
function keptResults(parts: SearchParts): {
  get(id: string): Result | undefined;
  put(result: Result): string;
} {
  const results = new Map<string, { readonly result: Result; readonly until: number }>();
  let made = 0;
  const rows = (): number => [...results.values()].reduce((sum, { result }) => sum + result.items.length, 0);
  return {
    get(id) {
      const found = results.get(id);
      if (found && found.until > parts.now()) return found.result;
      results.delete(id);
      return undefined;
    },
    put(result) {
      const id = (++made).toString(36) + Math.trunc(parts.now()).toString(36);
      results.set(id, { result, until: parts.now() + parts.keptMs });
      for (const oldest of results.keys()) {
        if (results.size <= parts.keptMax && rows() <= parts.keptRowsMax) break;
        results.delete(oldest);
      }
      return id;
    },
  };
}
