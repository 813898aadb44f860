import {
  creatorOf,
  DataSetError,
  element,
  encodeDataSet,
  isPrivateCreatorTag,
  isPrivateTag,
  privateBlock,
  privateCreator,
  readPrivate,
  studyElements,
  tags,
} from '@isthmus/dicom';
import type { DataElement, DataSetJson } from '@isthmus/dicom';
import type { ClusterOutcome, QueryLevel } from '@isthmus/domain';

/** Elements of a request that are no keys: about the request itself, or never matched. */
const notKeys: ReadonlySet<string> = new Set([
  tags.QueryRetrieveLevel,
  tags.QueryRetrieveView,
  tags.SpecificCharacterSet,
  tags.InstanceAvailability,
  tags.RetrieveAETitle,
]);
const studyGroup = '0073';
const notPrivateKeys: ReadonlySet<number> = new Set([
  studyElements.queryId,
  studyElements.hops,
  studyElements.remainingMs,
]);

/**
 * The keys of an identifier, as services pass them on: without what is no key, and with our private elements in the
 * block where we write them, whatever block the peer took.
 */
export function keysOf(identifier: DataSetJson): DataSetJson {
  const keys: { [tag: string]: DataElement } = {};
  for (const [tag, value] of Object.entries(identifier)) {
    if (notKeys.has(tag) || tag.endsWith('0000')) continue;
    if (!isPrivateTag(tag)) keys[tag] = value;
    else if (!isPrivateCreatorTag(tag)) Object.assign(keys, privateKey(identifier, tag, value));
  }
  return keys;
}

function privateKey(identifier: DataSetJson, tag: string, value: DataElement): DataSetJson {
  const creator = creatorOf(identifier, tag);
  if (creator === undefined) return {};
  const byte = Number.parseInt(tag.slice(6), 16);
  if (creator.toUpperCase() !== privateCreator.study) {
    return { [tag]: value, [`${tag.slice(0, 4)}00${tag.slice(4, 6)}`]: element('LO', creator) };
  }
  return notPrivateKeys.has(byte) ? {} : privateBlock(privateCreator.study, { [byte]: value });
}

/**
 * One response identifier (PS3.4 C.4.1.1.3.2): the keys that were asked for, empty where nothing is known, and what is
 * answered unasked: the level, where to retrieve from, and how fast. Nothing else, whatever the row holds; only a
 * linked query that names no private key gets our whole block.
 */
export function answerRow(
  asked: DataSetJson,
  row: DataSetJson,
  level: QueryLevel,
  linked = false,
): DataSetJson {
  const answer: { [tag: string]: DataElement } = {};
  if (linked && !Object.keys(asked).some(isPrivateTag)) {
    for (const [tag, value] of Object.entries(row)) if (tag.startsWith(studyGroup)) answer[tag] = value;
  }
  for (const [tag, key] of Object.entries(asked)) {
    if (notKeys.has(tag) || tag.endsWith('0000')) continue;
    answer[tag] = isPrivateTag(tag) ? privateValue(asked, row, tag, key) : (row[tag] ?? { vr: key.vr });
  }
  answer[tags.QueryRetrieveLevel] = element('CS', level);
  answer[tags.RetrieveAETitle] = row[tags.RetrieveAETitle] ?? element('AE');
  const availability = row[tags.InstanceAvailability];
  if (availability) answer[tags.InstanceAvailability] = availability;
  return answer;
}

function privateValue(asked: DataSetJson, row: DataSetJson, tag: string, key: DataElement): DataElement {
  if (isPrivateCreatorTag(tag)) return key;
  const creator = creatorOf(asked, tag);
  const found =
    creator === undefined ? undefined : readPrivate(row, creator, Number.parseInt(tag.slice(6), 16));
  return found ?? { vr: key.vr };
}

/** The last pending row of a linked query: what became of each cluster that was asked. */
export function outcomesRow(outcomes: readonly ClusterOutcome[], level: QueryLevel): DataSetJson {
  const items = outcomes.map((outcome) =>
    privateBlock(privateCreator.study, {
      [studyElements.cluster]: element('LO', outcome.cluster),
      [studyElements.outcomeStatus]: element('CS', outcome.status.replace('-', '_').toUpperCase()),
      [studyElements.outcomeRows]: element('UL', outcome.rows),
      [studyElements.outcomeDetail]: element('LO', outcome.detail?.slice(0, 64).replaceAll('\\', '/')),
      [studyElements.keysNotApplied]: element('AT', ...outcome.keysNotApplied),
    }),
  );
  return {
    [tags.QueryRetrieveLevel]: element('CS', level),
    ...privateBlock(privateCreator.study, { [studyElements.outcomes]: element('SQ', ...items) }),
  };
}

/** Hops and time left of a linked query or retrieve, from its private elements; absent in others. */
export function travelOf(identifier: DataSetJson): {
  hops: readonly string[];
  remainingMs: number | undefined;
} {
  const hops = readPrivate(identifier, privateCreator.study, studyElements.hops)?.Value ?? [];
  const remaining = readPrivate(identifier, privateCreator.study, studyElements.remainingMs)?.Value?.[0];
  return {
    hops: hops.filter((hop): hop is string => typeof hop === 'string' && hop !== ''),
    remainingMs: typeof remaining === 'number' && remaining >= 0 ? remaining : undefined,
  };
}

/** Elements that tell the next cluster which ones a request has passed. */
export function hopsBlock(hops: readonly string[]): DataSetJson {
  return privateBlock(privateCreator.study, { [studyElements.hops]: element('LO', ...hops) });
}

/**
 * Encodes a row. A value that its VR cannot carry is left empty rather than losing the row or the whole query.
 * @param onEmptied - Told the tag of each such value.
 * @throws {DataSetError} The row cannot be encoded at all.
 */
export function encodeRow(
  row: DataSetJson,
  transferSyntaxUid: string,
  onEmptied: (tag: string) => void,
): Buffer {
  let rest: DataSetJson = row;
  for (;;) {
    try {
      return encodeDataSet(rest, transferSyntaxUid);
    } catch (error) {
      const tag = error instanceof DataSetError ? error.facts.tag : undefined;
      const faulty = tag === undefined ? undefined : rest[tag];
      if (tag === undefined || faulty === undefined || isEmpty(faulty)) throw error;
      onEmptied(tag);
      rest = { ...rest, [tag]: { vr: faulty.vr } };
    }
  }
}

function isEmpty(one: DataElement): boolean {
  return one.Value === undefined && one.InlineBinary === undefined;
}
