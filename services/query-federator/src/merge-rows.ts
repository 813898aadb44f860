import { element, numberOf, stringOf, stringsOf, tags } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { canonicalJson, compareText, patientKey } from '@isthmus/domain';
import type { QueryLevel } from '@isthmus/domain';
import { hasValue } from './identifier.ts';
import { hasLinkedFacts, linkedElements, readLinkedFacts } from './linked-row.ts';
import type { LinkedFacts, RowHolder } from './linked-row.ts';
import { uniqueKey } from './query-keys.ts';

/** One row of one cluster. */
export interface SourceRow {
  /** Cluster id of who answered, or AE title of a third party. */
  readonly source: string;
  /** From our own index. */
  readonly local: boolean;
  readonly row: DataSetJson;
}

export interface MergedRow {
  readonly row: DataSetJson;
  /** Who answered with it, the best copy first. */
  readonly sources: readonly string[];
  readonly local: boolean;
}

/** One Study Instance UID that clusters give to different patients: only one of them is answered. */
export interface IdentityConflict {
  readonly studyInstanceUid: string;
  readonly shown: string;
  readonly hidden: readonly string[];
}

export interface Merged {
  readonly rows: readonly MergedRow[];
  readonly conflicts: readonly IdentityConflict[];
}

/**
 * Makes one list of the answers of several clusters: one row per patient (ID and issuer), study, series or object. Pure
 * and the same for every order of arrival; a row that comes twice changes nothing.
 *
 * - Studies are one row only when UID **and** identity are the same. Of several identities under one UID the best
 *   row's is answered, the others are conflicts.
 * - The best row: local, then the home cluster's, then a complete copy, then the most available, then the newest state,
 *   then the first name. What it lacks is filled from the next best; modalities and holders are united, counts are the
 *   greatest (a patient's counts are then a lower bound: clusters count what they hold).
 */
export function mergeRows(level: QueryLevel, rows: readonly SourceRow[]): Merged {
  const candidates = rows.flatMap((source) => candidateOf(level, source) ?? []).sort(compareCandidates);
  const { kept, conflicts } =
    level === 'PATIENT' ? { kept: candidates, conflicts: [] } : oneIdentity(level, candidates);
  const groups = new Map<string, Candidate[]>();
  for (const candidate of kept) {
    const group = groups.get(candidate.key);
    if (group) group.push(candidate);
    else groups.set(candidate.key, [candidate]);
  }
  const merged = [...groups]
    .sort(([a], [b]) => compareText(a, b))
    .map(([, group]) => mergeGroup(level, group));
  return { rows: merged, conflicts };
}

/** A row with what ordering and grouping need, worked out once. */
interface Candidate extends SourceRow {
  readonly key: string;
  readonly study: string;
  /** Patient key; '' when the row names no patient. */
  readonly identity: string;
  readonly facts: LinkedFacts;
  readonly fromHome: boolean;
  readonly complete: boolean;
  readonly availability: number;
  /** Canonical bytes, made only when everything else is equal. */
  bytes(): string;
}

function candidateOf(level: QueryLevel, source: SourceRow): Candidate | undefined {
  const { row } = source;
  const id = stringOf(row, tags.PatientID);
  const identity = id === undefined ? '' : patientKey(id, stringOf(row, tags.IssuerOfPatientID) ?? '');
  const study = stringOf(row, tags.StudyInstanceUID) ?? '';
  const unique = stringOf(row, uniqueKey[level]);
  if (unique === undefined || (level !== 'PATIENT' && study === '')) return undefined;
  const facts = readLinkedFacts(row);
  let bytes: string | undefined;
  return {
    ...source,
    key: level === 'PATIENT' ? identity : level === 'STUDY' ? study : `${study}/${unique}`,
    study,
    identity,
    facts,
    fromHome: facts.homeCluster === source.source,
    complete: facts.holders.some((holder) => holder.cluster === source.source && holder.complete),
    availability: availabilityRank(stringOf(row, tags.InstanceAvailability)),
    bytes: () => (bytes ??= canonicalJson(row)),
  };
}

const availabilities = ['ONLINE', 'NEARLINE', 'OFFLINE', 'UNAVAILABLE'];

/** 0 is the most available; what nobody said comes after what is known. */
export function availabilityRank(availability: string | undefined): number {
  const rank = availabilities.indexOf(availability ?? '');
  return rank < 0 ? availabilities.length : rank;
}

function compareCandidates(a: Candidate, b: Candidate): number {
  return (
    Number(b.local) - Number(a.local) ||
    Number(b.fromHome) - Number(a.fromHome) ||
    Number(b.complete) - Number(a.complete) ||
    a.availability - b.availability ||
    compareText(b.facts.stateAsOf, a.facts.stateAsOf) ||
    compareText(a.source, b.source) ||
    compareText(a.bytes(), b.bytes())
  );
}

/**
 * Leaves one identity per study: that of its best row. At series and object level a row without a patient (a third
 * party answers none there) belongs to whichever it is; at study level it is a stranger.
 */
function oneIdentity(
  level: QueryLevel,
  sorted: readonly Candidate[],
): { kept: readonly Candidate[]; conflicts: readonly IdentityConflict[] } {
  const shown = new Map<string, Candidate>();
  for (const candidate of sorted) {
    const present = shown.get(candidate.study);
    if (!present || (level !== 'STUDY' && present.identity === '')) shown.set(candidate.study, candidate);
  }
  const hidden = new Map<string, Set<string>>();
  const kept = sorted.filter((candidate) => {
    const best = shown.get(candidate.study);
    const same = candidate.identity === best?.identity || (level !== 'STUDY' && candidate.identity === '');
    if (!same) hidden.set(candidate.study, (hidden.get(candidate.study) ?? new Set()).add(candidate.source));
    return same;
  });
  const conflicts = [...hidden]
    .sort(([a], [b]) => compareText(a, b))
    .map(([studyInstanceUid, sources]) => ({
      studyInstanceUid,
      shown: shown.get(studyInstanceUid)?.source ?? '',
      hidden: [...sources].sort(compareText),
    }));
  return { kept, conflicts };
}

const countKeys: readonly string[] = [
  tags.NumberOfPatientRelatedStudies,
  tags.NumberOfPatientRelatedSeries,
  tags.NumberOfPatientRelatedInstances,
  tags.NumberOfStudyRelatedSeries,
  tags.NumberOfStudyRelatedInstances,
  tags.NumberOfSeriesRelatedInstances,
];

function mergeGroup(level: QueryLevel, group: readonly Candidate[]): MergedRow {
  const [best, ...others] = group as [Candidate, ...Candidate[]];
  const row: { [tag: string]: DataSetJson[string] } = { ...best.row };
  for (const other of others) {
    for (const [tag, found] of Object.entries(other.row)) {
      const present = row[tag];
      if (!present || (!hasValue(present) && hasValue(found))) row[tag] = found;
    }
  }
  if (others.length > 0) {
    for (const tag of countKeys) {
      const counts = group.flatMap((candidate) => numberOf(candidate.row, tag) ?? []);
      if (counts.length > 0) row[tag] = element('IS', Math.max(...counts));
    }
    for (const [tag, vr] of [
      [tags.ModalitiesInStudy, 'CS'],
      [tags.SOPClassesInStudy, 'UI'],
    ] as const) {
      const values = new Set(group.flatMap((candidate) => stringsOf(candidate.row, tag)));
      if (values.size > 0) row[tag] = element(vr, ...[...values].sort(compareText));
    }
    const most = Math.min(...group.map((candidate) => candidate.availability));
    if (!best.local && availabilities[most])
      row[tags.InstanceAvailability] = element('CS', availabilities[most]);
  }
  if (level !== 'PATIENT') Object.assign(row, mergedFacts(group));
  return {
    row,
    sources: [...new Set(group.map((candidate) => candidate.source))],
    local: best.local,
  };
}

/** The private block: facts of the best row that has any, holders of all. */
function mergedFacts(group: readonly Candidate[]): DataSetJson {
  const linked = group.find((candidate) => hasLinkedFacts(candidate.row));
  const facts = linked?.facts ?? { ...readLinkedFacts({}), reportStatus: 'UNKNOWN' };
  const counts = group.flatMap((candidate) => candidate.facts.imageCount ?? []);
  return linkedElements({
    ...facts,
    imageCount: counts.length > 0 ? Math.max(...counts) : undefined,
    holders: uniteHolders(group),
  });
}

/**
 * Of each holder the entry that it gave itself, else the one from the newest state. Who answered and does not name
 * itself holds nothing, whatever others believe; a third party that answered holds what it answered.
 */
function uniteHolders(group: readonly Candidate[]): readonly RowHolder[] {
  const entries = new Map<string, { holder: RowHolder; own: boolean; asOf: string }>();
  for (const candidate of group) {
    for (const holder of holdersOf(candidate)) {
      const entry = { holder, own: holder.cluster === candidate.source, asOf: candidate.facts.stateAsOf };
      const present = entries.get(holder.cluster);
      if (!present || compareEntries(entry, present) < 0) entries.set(holder.cluster, entry);
    }
  }
  const silent = new Set(
    group
      .filter(
        ({ row, facts, source }) =>
          hasLinkedFacts(row) && !facts.holders.some(({ cluster }) => cluster === source),
      )
      .map(({ source }) => source),
  );
  return [...entries.values()]
    .filter(({ holder, own }) => own || !silent.has(holder.cluster))
    .map(({ holder }) => holder)
    .sort((a, b) => compareText(a.cluster, b.cluster));
}

type HolderEntry = { readonly holder: RowHolder; readonly own: boolean; readonly asOf: string };

function compareEntries(a: HolderEntry, b: HolderEntry): number {
  return (
    Number(b.own) - Number(a.own) ||
    compareText(b.asOf, a.asOf) ||
    compareText(canonicalJson(a.holder), canonicalJson(b.holder))
  );
}

function holdersOf(candidate: Candidate): readonly RowHolder[] {
  if (hasLinkedFacts(candidate.row)) return candidate.facts.holders;
  return [
    {
      cluster: candidate.source,
      complete: true,
      availability: stringOf(candidate.row, tags.InstanceAvailability) ?? '',
      instanceCount: numberOf(candidate.row, tags.NumberOfStudyRelatedInstances) ?? 0,
    },
  ];
}
