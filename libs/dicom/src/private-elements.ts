import type { DataElement, DataSetJson } from './data-set-json.ts';
import { stringOf } from './data-set-json.ts';
import { groupOfCreator, isPrivateCreatorTag } from './dictionary.ts';

/** Creators of the private blocks that we write (docs/CONFORMANCE.md). */
export const privateCreator = {
  study: 'ISTHMUS STUDY 1.0',
  link: 'ISTHMUS LINK 1.0',
  mitraLinkedAttributes: 'MITRA LINKED ATTRIBUTES 1.0',
  agfaArchiveMirroring: 'AGFA PACS Archive Mirroring 1.0',
  agfaStudyComments: 'AGFA STUDY COMMENTS 1.0',
} as const;

/** Elements (last byte) of `ISTHMUS STUDY 1.0`, group 0073: what linked queries ask and answer. */
export const studyElements = {
  reportStatus: 0x01,
  reportSubStatus: 0x02,
  verification: 0x03,
  specialty: 0x04,
  bodyPart: 0x05,
  imageCount: 0x06,
  globalPatientId: 0x07,
  homeCluster: 0x08,
  holders: 0x09,
  /** In items of holders and outcomes. */
  cluster: 0x0a,
  complete: 0x0b,
  reports: 0x0c,
  /** In items of reports, beside (0008,0050), `reportStatus` and `reportSubStatus`. */
  reportBy: 0x0d,
  reportId: 0x0e,
  claim: 0x0f,
  comments: 0x10,
  stateAsOf: 0x11,
  /** In items of comments. */
  commentText: 0x12,
  commentAuthor: 0x13,
  commentDateTime: 0x14,
  queryId: 0x20,
  hops: 0x21,
  remainingMs: 0x22,
  outcomes: 0x30,
  /** In items of outcomes, beside `cluster`. */
  outcomeStatus: 0x31,
  outcomeRows: 0x32,
  outcomeDetail: 0x33,
  keysNotApplied: 0x34,
} as const;

/** Elements (last byte) of `ISTHMUS LINK 1.0`, group 0071: linked updates and link state. */
export const linkElements = {
  format: 0x01,
  sender: 0x02,
  incarnation: 0x03,
  after: 0x04,
  upto: 0x05,
  itemCount: 0x06,
  summary: 0x07,
  /** In items of the summary, beside Study Instance UID. */
  summaryType: 0x08,
  summaryOrigin: 0x09,
  /** `JSON` or `DEFLATE`. */
  payloadEncoding: 0x0a,
  payloadJson: 0x0b,
  payloadDeflated: 0x0c,
  payloadBytes: 0x0d,
  payloadSha256: 0x0e,
} as const;

const ownBlock = '10';

/**
 * Tag of an element in block 10 of its creator's group, where we write it. Not for reading: there the block may be
 * another (`readPrivate`).
 *
 * @param byte last byte of the tag, 0x00 to 0xFF
 */
export function privateTag(creator: string, byte: number): string {
  return groupOf(creator) + ownBlock + hexByte(byte);
}

/**
 * The elements that reserve block 10 for `creator` and hold `elements` (last byte to element), to spread into a data
 * set.
 */
export function privateBlock(
  creator: string,
  elements: { readonly [byte: number]: DataElement },
): DataSetJson {
  const block: { [tag: string]: DataElement } = {
    [`${groupOf(creator)}00${ownBlock}`]: { vr: 'LO', Value: [creator] },
  };
  for (const [byte, value] of Object.entries(elements)) block[privateTag(creator, Number(byte))] = value;
  return block;
}

/**
 * The element of a private creator in whatever block a peer put it (PS3.5 7.8.1). Creators are compared without letter
 * case, as they occur in both. Undefined when the creator or the element is not there.
 */
export function readPrivate(row: DataSetJson, creator: string, byte: number): DataElement | undefined {
  const tag = findPrivate(row, creator, byte);
  return tag === undefined ? undefined : row[tag];
}

/** As `readPrivate`, but the tag under which the element was found. */
export function findPrivate(row: DataSetJson, creator: string, byte: number): string | undefined {
  const wanted = creator.trim().toUpperCase();
  const group = groupOfCreator(creator);
  for (const tag of Object.keys(row)) {
    if (!isPrivateCreatorTag(tag) || (group !== undefined && !tag.startsWith(group))) continue;
    if (stringOf(row, tag)?.trim().toUpperCase() !== wanted) continue;
    const found = tag.slice(0, 4) + tag.slice(6) + hexByte(byte);
    if (row[found] !== undefined) return found;
  }
  return undefined;
}

/** Name of the creator that reserved the block of a private tag, in this data set. */
export function creatorOf(row: DataSetJson, tag: string): string | undefined {
  return stringOf(row, `${tag.slice(0, 4)}00${tag.slice(4, 6)}`)?.trim();
}

function groupOf(creator: string): string {
  const group = groupOfCreator(creator);
  if (group === undefined) throw new TypeError(`No private block is known for the creator "${creator}"`);
  return group;
}

function hexByte(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0');
}
