import { creatorOf, element, isPrivateTag, itemsOf, privateCreator, tags, vrOf } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import type { QueryLevel } from '@isthmus/domain';
import { creatorTag, linkedKeys, readLinkedRequest } from './linked-row.ts';
import { keysKept, unmatchedKeys } from './query-keys.ts';

/** A query identifier, sorted out. */
export interface Query {
  readonly level: QueryLevel;
  /** Keys with a value that we can match at this level; private ones in block 10. */
  readonly matching: DataSetJson;
  /** Tags that the asker wants in the rows, as it named them and that we keep; private ones in block 10. */
  readonly asked: readonly string[];
  /** Keys with a value that we cannot apply. */
  readonly notApplied: readonly string[];
  /** Hops and remaining time that the identifier itself carried. */
  readonly carried: { readonly hops: readonly string[]; readonly remainingMs: number | undefined };
}

/**
 * Sorts out an identifier: what to match, what to answer, what we cannot do. Private keys of ours are found by their
 * creator in whatever block, and asked for only when `linked`; those of others cannot be applied.
 */
export function readIdentifier(identifier: DataSetJson, level: QueryLevel, linked: boolean): Query {
  const kept = keysKept(level);
  const matching: { [tag: string]: DataSetJson[string] } = {};
  const asked: string[] = [];
  const notApplied: string[] = [];
  for (const [tag, found] of Object.entries(identifier)) {
    if (tag.endsWith('0000') || unmatchedKeys.has(tag)) continue;
    const ours = isPrivateTag(tag) ? ownTag(identifier, tag, linked) : kept.has(tag) ? tag : undefined;
    const valued = hasValue(found);
    if (ours === 'request') continue;
    if (ours === undefined) {
      if (!isPrivateTag(tag) && level === 'IMAGE' && !valued) asked.push(tag);
      if (valued) notApplied.push(tag);
      continue;
    }
    asked.push(ours);
    if (valued) matching[ours] = found;
  }
  // The matcher finds private attributes by the creator.
  if (Object.keys(matching).some(isPrivateTag)) matching[creatorTag] = element('LO', privateCreator.study);
  return { level, matching, asked, notApplied, carried: readLinkedRequest(identifier) };
}

/** Where a private key of ours is in block 10; `request` when it is no key; undefined when it is not ours to answer. */
function ownTag(identifier: DataSetJson, tag: string, linked: boolean): string | undefined {
  if (tag.startsWith('00', 4)) return 'request';
  const ours = tag.startsWith('0073') && creatorOf(identifier, tag)?.toUpperCase() === privateCreator.study;
  if (!ours || !linked) return undefined;
  const inOwnBlock = `007310${tag.slice(6)}`;
  return linkedKeys.includes(inOwnBlock) ? inOwnBlock : 'request';
}

/** Whether an element of an identifier constrains anything (else it is universal matching, PS3.4 C.2.2.2.3). */
export function hasValue(found: DataSetJson[string]): boolean {
  if (found.vr === 'SQ')
    return itemsOf({ found }, 'found').some((item) => Object.values(item).some(hasValue));
  return (found.Value ?? []).some((value) => {
    if (value === null || value === undefined || value === '') return false;
    return (
      typeof value !== 'object' || Object.values(value).some((group) => group !== '' && group !== undefined)
    );
  });
}

/**
 * The row as the asker gets it (PS3.4 C.4.1.1.3.2): the keys that it named, empty when nothing is known, and unasked
 * the level, Retrieve AE Title and Instance Availability. A linked asker that names no private key gets all of them.
 */
export function answerRow(row: DataSetJson, query: Query, linked: boolean): DataSetJson {
  const answer: { [tag: string]: DataSetJson[string] } = {
    [tags.QueryRetrieveLevel]: element('CS', query.level),
    ...pick(row, tags.RetrieveAETitle),
    ...pick(row, tags.InstanceAvailability),
  };
  const kept = keysKept(query.level);
  let privateAsked = false;
  for (const tag of query.asked) {
    const found = row[tag];
    const isPrivate = isPrivateTag(tag);
    if (isPrivate) privateAsked = true;
    if (found) answer[tag] = found;
    else if (kept.has(tag)) answer[tag] = { vr: vrOf(tag) };
  }
  if (linked && !privateAsked) for (const tag of linkedKeys) Object.assign(answer, pick(row, tag));
  if (Object.keys(answer).some((tag) => tag.startsWith('007310')))
    answer[creatorTag] = element('LO', privateCreator.study);
  return answer;
}

function pick(row: DataSetJson, tag: string): DataSetJson {
  const found = row[tag];
  return found ? { [tag]: found } : {};
}
