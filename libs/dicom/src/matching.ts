import type { DataElement, DataSetJson } from './data-set-json.ts';
import { personNameText, stringOf, stringsOf } from './data-set-json.ts';
import { isTemporalVr, matchesCombined, matchesTemporal } from './date-time-matching.ts';
import { isPrivateCreatorTag, isPrivateTag } from './dictionary.ts';
import { matchesName } from './name-matching.ts';
import { creatorOf, findPrivate, privateCreator, studyElements } from './private-elements.ts';
import { unpadded } from './read-value.ts';
import { tags } from './tags.ts';
import { hasWildcard, matchesWildcard } from './wildcard.ts';

export interface MatchingOptions {
  /**
   * Person names match by the beginning of any of their parts, without accents, and with one letter wrong (C.2.2.2.1).
   */
  readonly fuzzyNames?: boolean;
  /**
   * A date range and its time range are one range of moments, instead of every day between these hours (C.2.2.2.5.4).
   */
  readonly combinedDateTime?: boolean;
  /**
   * What a row does that lacks an attribute altogether (an empty one never matches a key with a value). Default
   * `no-match`; `match` is for rows of peers that do not know the key.
   */
  readonly absent?: 'no-match' | 'match';
}

/**
 * Elements of an identifier that say how to answer, not what to look for; Availability is tolerated (PS3.4 C.4.1.1.3).
 */
const notKeys: ReadonlySet<string> = new Set([
  tags.SpecificCharacterSet,
  tags.QueryRetrieveLevel,
  tags.QueryRetrieveView,
  tags.RetrieveAETitle,
  tags.InstanceAvailability,
  tags.TimezoneOffsetFromUTC,
]);

const wildcardVrs: ReadonlySet<string> = new Set(['AE', 'CS', 'LO', 'LT', 'SH', 'ST', 'UC', 'UR', 'UT']);

/** Date and time that are one moment, when combined matching was agreed. */
const combinedPairs: readonly (readonly [date: string, time: string])[] = [
  [tags.StudyDate, tags.StudyTime],
  [tags.SeriesDate, tags.SeriesTime],
  [tags.AcquisitionDate, tags.AcquisitionTime],
  [tags.ContentDate, tags.ContentTime],
  [tags.PatientBirthDate, tags.PatientBirthTime],
  [tags.PerformedProcedureStepStartDate, tags.PerformedProcedureStepStartTime],
  [tags.ScheduledProcedureStepStartDate, tags.ScheduledProcedureStepStartTime],
];

/**
 * Tells whether an attribute with `candidate` values matches a key with `requested` values (PS3.4 C.2.2.2): universal
 * (no value, or `*`), single value, list of UIDs, wildcard, and range of DA, TM and DT. Several values in a key mean
 * any of them; an attribute with several matches when any of its values does. Names match without letter case, by
 * component group; everything else exactly, padding aside. Not for sequences: see `matchesIdentifier`.
 */
export function matchesKey(
  vr: string,
  requested: readonly unknown[],
  candidate: readonly unknown[],
  options: Pick<MatchingOptions, 'fuzzyNames'> = {},
): boolean {
  const keys = requested.map(textOf).filter((text) => text !== '');
  if (keys.length === 0 || keys.some((key) => /^\*+$/.test(key))) return true;
  const values = candidate.map(textOf).filter((text) => text !== '');
  return keys.some((key) =>
    values.some((value) => matchesValue(vr, key, value, options.fuzzyNames === true)),
  );
}

function matchesValue(vr: string, key: string, value: string, fuzzyNames: boolean): boolean {
  if (vr === 'PN') return matchesName(key, value, fuzzyNames);
  if (isTemporalVr(vr)) return matchesTemporal(vr, key, value);
  if (wildcardVrs.has(vr) && hasWildcard(key)) return matchesWildcard(key, value);
  if (key === value) return true;
  const isNumeric = vr === 'IS' || vr === 'DS' || /^(?:[USF]L|[US]S|FD|[SU]V)$/.test(vr);
  return isNumeric && Number(key) === Number(value);
}

/**
 * Tells whether a row (what is known of a study, a series …) matches every key of a C-FIND identifier. Sequence keys
 * match when some item of the row matches all keys of the one item of the key (C.2.2.2.6). Private keys are found in
 * the row by their creator, whatever block either side uses. Level, character set, Retrieve AE Title, Instance
 * Availability, time zone and what our linked queries say about themselves (query id, hops, time left) are not keys.
 */
export function matchesIdentifier(
  identifier: DataSetJson,
  row: DataSetJson,
  options: MatchingOptions = {},
): boolean {
  const combined =
    options.combinedDateTime === true ? matchCombined(identifier, row) : new Map<string, boolean>();
  return Object.entries(identifier).every(([tag, key]) => {
    if (!isKey(identifier, tag)) return true;
    return combined.get(tag) ?? matchesElement(identifier, tag, key, row, options);
  });
}

/** Group lengths, private creators, private elements without one, and what says how to answer are no keys. */
function isKey(identifier: DataSetJson, tag: string): boolean {
  if (notKeys.has(tag) || tag.endsWith('0000')) return false;
  if (!isPrivateTag(tag)) return true;
  const creator = isPrivateCreatorTag(tag) ? undefined : creatorOf(identifier, tag)?.toUpperCase();
  if (creator === undefined) return false;
  return creator !== privateCreator.study || Number.parseInt(tag.slice(6), 16) < studyElements.queryId;
}

function matchesElement(
  identifier: DataSetJson,
  tag: string,
  key: DataElement,
  row: DataSetJson,
  options: MatchingOptions,
): boolean {
  if (isUniversal(key)) return true;
  const found = elementIn(identifier, tag, row);
  if (found === undefined) return options.absent === 'match';
  if (key.vr !== 'SQ')
    return matchesKey(vrForMatching(key, found), key.Value ?? [], found.Value ?? [], options);
  const [wanted] = key.Value ?? [];
  return (found.Value ?? []).some((item) =>
    matchesIdentifier(wanted as DataSetJson, item as DataSetJson, options),
  );
}

/** No value, only empty ones, or a sequence without items or with an item without keys. */
function isUniversal(key: DataElement): boolean {
  const values = key.Value ?? [];
  if (key.vr !== 'SQ') return values.every((value) => textOf(value) === '');
  const [item] = values;
  if (typeof item !== 'object' || item === null) return true;
  return Object.entries(item as DataSetJson).every(
    ([tag, inner]) => isPrivateCreatorTag(tag) || isUniversal(inner),
  );
}

function elementIn(identifier: DataSetJson, tag: string, row: DataSetJson): DataElement | undefined {
  if (!isPrivateTag(tag)) return row[tag];
  const creator = creatorOf(identifier, tag);
  const found =
    creator === undefined ? undefined : findPrivate(row, creator, Number.parseInt(tag.slice(6), 16));
  return found === undefined ? undefined : row[found];
}

/** A key that came as UN is matched as what the row says it is. */
function vrForMatching(key: DataElement, found: DataElement): string {
  return key.vr === 'UN' ? found.vr : key.vr;
}

function matchCombined(identifier: DataSetJson, row: DataSetJson): Map<string, boolean> {
  const matched = new Map<string, boolean>();
  for (const [dateTag, timeTag] of combinedPairs) {
    const date = stringOf(identifier, dateTag);
    const time = stringOf(identifier, timeTag);
    const rowDate = stringOf(row, dateTag);
    if (date === undefined || time === undefined || rowDate === undefined) continue;
    const matches = matchesCombined({ date, time }, { date: rowDate, time: stringOf(row, timeTag) ?? '' });
    if (matches === undefined) continue;
    matched.set(dateTag, matches);
    matched.set(timeTag, matches);
  }
  return matched;
}

/**
 * Tags of the keys of an identifier that a row does not answer at all, so that a match by `absent: 'match'` can be
 * marked:
 * keys with a value whose attribute is not in the row.
 */
export function keysNotAnswered(identifier: DataSetJson, row: DataSetJson): string[] {
  return Object.entries(identifier)
    .filter(([tag, key]) => isKey(identifier, tag) && !isUniversal(key))
    .filter(([tag]) => elementIn(identifier, tag, row) === undefined)
    .map(([tag]) => tag);
}

/** Values of a UID list key; [] when the key is universal. */
export function uidsOf(identifier: DataSetJson, tag: string): string[] {
  return stringsOf(identifier, tag)
    .map((uid) => unpadded(uid, true))
    .filter((uid) => uid !== '' && uid !== '*');
}

function textOf(value: unknown): string {
  if (typeof value === 'number') return String(value);
  return unpadded(personNameText(value), true);
}
