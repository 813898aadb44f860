import {
  element,
  itemsOf,
  numberOf,
  privateBlock,
  privateCreator,
  readPrivate,
  stringOf,
  stringsOf,
} from '@isthmus/dicom';
import { privateTag, studyElements, tags } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import type { ClusterOutcome } from '@isthmus/domain';

const creator = privateCreator.study;

/** A holder of a study as a row tells it. */
export interface RowHolder {
  readonly cluster: string;
  readonly complete: boolean;
  readonly availability: string;
  readonly instanceCount: number;
}

export interface RowReport {
  readonly accessionNumber: string;
  readonly status: string;
  readonly subStatus: string;
  readonly by: string;
  readonly at: string;
  readonly reportId: string;
}

export interface RowComment {
  readonly text: string;
  readonly author: string;
  readonly at: string;
}

/** What `ISTHMUS STUDY 1.0` says about a study in a row of a linked query (docs/CONFORMANCE.md). */
export interface LinkedFacts {
  readonly reportStatus: string;
  readonly subStatus: string;
  readonly imageCount: number | undefined;
  readonly globalPatientId: string;
  readonly homeCluster: string;
  readonly holders: readonly RowHolder[];
  readonly reports: readonly RowReport[];
  readonly comments: readonly RowComment[];
  /** RFC 3339, milliseconds; '' when nobody changed the study yet. */
  readonly stateAsOf: string;
}

/** Tags (block 10) that a linked query asks for by name. */
export const linkedKeys: readonly string[] = [
  studyElements.reportStatus,
  studyElements.reportSubStatus,
  studyElements.imageCount,
  studyElements.globalPatientId,
  studyElements.homeCluster,
  studyElements.holders,
  studyElements.reports,
  studyElements.comments,
  studyElements.stateAsOf,
].map((byte) => privateTag(creator, byte));

const vrOfLinkedKey: { readonly [tag: string]: string } = Object.fromEntries(
  linkedKeys.map((tag, index) => [
    tag,
    ['CS', 'LO', 'IS', 'LO', 'LO', 'SQ', 'SQ', 'SQ', 'DT'][index] ?? 'UN',
  ]),
);

/** (0073,0010) with the creator. */
export const creatorTag = '00730010';

/** Linked keys without values: what a request names to get them. */
export function emptyLinkedKeys(): DataSetJson {
  return {
    [creatorTag]: element('LO', creator),
    ...Object.fromEntries(linkedKeys.map((tag) => [tag, element(vrOfLinkedKey[tag] ?? 'UN')])),
  };
}

/** Request elements: what a forwarded query has passed, and how long its asker still waits. */
export function linkedRequest(hops: readonly string[], remainingMs: number): DataSetJson {
  return privateBlock(creator, {
    [studyElements.hops]: element('LO', ...hops),
    [studyElements.remainingMs]: element('UL', Math.max(0, Math.trunc(remainingMs))),
  });
}

/** Hops and remaining time that an identifier carries, if it does. */
export function readLinkedRequest(identifier: DataSetJson): {
  readonly hops: readonly string[];
  readonly remainingMs: number | undefined;
} {
  return {
    hops: strings(identifier, studyElements.hops),
    remainingMs: number(identifier, studyElements.remainingMs),
  };
}

/** The facts as elements of block 10. */
export function linkedElements(facts: LinkedFacts): DataSetJson {
  return privateBlock(creator, {
    [studyElements.reportStatus]: element('CS', facts.reportStatus),
    [studyElements.reportSubStatus]: element('LO', facts.subStatus),
    [studyElements.imageCount]: element('IS', facts.imageCount),
    [studyElements.globalPatientId]: element('LO', facts.globalPatientId),
    [studyElements.homeCluster]: element('LO', facts.homeCluster),
    [studyElements.holders]: element('SQ', ...facts.holders.map(holderItem)),
    [studyElements.reports]: element('SQ', ...facts.reports.map(reportItem)),
    [studyElements.comments]: element('SQ', ...facts.comments.map(commentItem)),
    [studyElements.stateAsOf]: element('DT', dateTimeOf(facts.stateAsOf)),
  });
}

/** Reads the block wherever the peer put it; absent elements give '' and []. */
export function readLinkedFacts(row: DataSetJson): LinkedFacts {
  return {
    reportStatus: text(row, studyElements.reportStatus),
    subStatus: text(row, studyElements.reportSubStatus),
    imageCount: number(row, studyElements.imageCount),
    globalPatientId: text(row, studyElements.globalPatientId),
    homeCluster: text(row, studyElements.homeCluster),
    holders: items(row, studyElements.holders).map(readHolder),
    reports: items(row, studyElements.reports).map(readReport),
    comments: items(row, studyElements.comments).map(readComment),
    stateAsOf: isoOf(text(row, studyElements.stateAsOf)),
  };
}

/** Whether a row says anything in the private block: a third party's does not. */
export function hasLinkedFacts(row: DataSetJson): boolean {
  return readPrivate(row, creator, studyElements.holders) !== undefined;
}

/**
 * Reads the last row of a linked query: no study, only what each cluster did.
 * @returns undefined when the row is a match.
 */
export function readOutcomeRow(row: DataSetJson): readonly ClusterOutcome[] | undefined {
  if (readPrivate(row, creator, studyElements.outcomes) === undefined) return undefined;
  if (stringOf(row, tags.StudyInstanceUID) !== undefined) return undefined;
  return items(row, studyElements.outcomes).map((item) => {
    const status = text(item, studyElements.outcomeStatus).toLowerCase().replace('_', '-');
    const detail = text(item, studyElements.outcomeDetail);
    return {
      cluster: text(item, studyElements.cluster),
      status: status === 'answered' || status === 'timed-out' || status === 'skipped' ? status : 'failed',
      ...(detail === '' ? {} : { detail }),
      rows: number(item, studyElements.outcomeRows) ?? 0,
      keysNotApplied: strings(item, studyElements.keysNotApplied),
    };
  });
}

function holderItem(holder: RowHolder): DataSetJson {
  return {
    [tags.InstanceAvailability]: element('CS', holder.availability),
    [tags.NumberOfStudyRelatedInstances]: element('IS', holder.instanceCount),
    ...privateBlock(creator, {
      [studyElements.cluster]: element('LO', holder.cluster),
      [studyElements.complete]: element('CS', holder.complete ? 'YES' : 'NO'),
    }),
  };
}

function readHolder(item: DataSetJson): RowHolder {
  return {
    cluster: text(item, studyElements.cluster),
    complete: text(item, studyElements.complete) === 'YES',
    availability: stringOf(item, tags.InstanceAvailability) ?? '',
    instanceCount: numberOf(item, tags.NumberOfStudyRelatedInstances) ?? 0,
  };
}

function reportItem(report: RowReport): DataSetJson {
  return {
    [tags.AccessionNumber]: element('SH', report.accessionNumber),
    ...privateBlock(creator, {
      [studyElements.reportStatus]: element('CS', report.status),
      [studyElements.reportSubStatus]: element('LO', report.subStatus),
      [studyElements.reportBy]: element('LO', report.by),
      [studyElements.reportId]: element('LO', report.reportId),
      [studyElements.commentDateTime]: element('DT', dateTimeOf(report.at)),
    }),
  };
}

function readReport(item: DataSetJson): RowReport {
  return {
    accessionNumber: stringOf(item, tags.AccessionNumber) ?? '',
    status: text(item, studyElements.reportStatus),
    subStatus: text(item, studyElements.reportSubStatus),
    by: text(item, studyElements.reportBy),
    at: isoOf(text(item, studyElements.commentDateTime)),
    reportId: text(item, studyElements.reportId),
  };
}

function commentItem(comment: RowComment): DataSetJson {
  return privateBlock(creator, {
    [studyElements.commentText]: element('UT', comment.text),
    [studyElements.commentAuthor]: element('LO', comment.author),
    [studyElements.commentDateTime]: element('DT', dateTimeOf(comment.at)),
  });
}

function readComment(item: DataSetJson): RowComment {
  return {
    text: text(item, studyElements.commentText),
    author: text(item, studyElements.commentAuthor),
    at: isoOf(text(item, studyElements.commentDateTime)),
  };
}

/** RFC 3339 to DT in UTC (PS3.5 6.2); what is no time becomes empty. */
function dateTimeOf(iso: string): string {
  const time = Date.parse(iso);
  if (Number.isNaN(time)) return '';
  const digits = new Date(time).toISOString().replaceAll(/[-:T]/g, '').slice(0, -1);
  return `${digits}000+0000`;
}

/** DT with a full date and time to RFC 3339; without an offset it is UTC; anything else is ''. */
function isoOf(dateTime: string): string {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,6}))?([+-]\d{4})?$/.exec(dateTime.trim());
  if (!parts) return '';
  const [, year, month, day, hour, minute, second, fraction = '0', offset = '+0000'] = parts;
  const zone = `${offset.slice(0, 3)}:${offset.slice(3)}`;
  const millis = fraction.padEnd(3, '0').slice(0, 3);
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${millis}${zone}`);
  return Number.isNaN(time) ? '' : new Date(time).toISOString();
}

function text(row: DataSetJson, byte: number): string {
  return strings(row, byte)[0] ?? '';
}

function strings(row: DataSetJson, byte: number): string[] {
  const found = readPrivate(row, creator, byte);
  return found ? stringsOf({ found }, 'found') : [];
}

function number(row: DataSetJson, byte: number): number | undefined {
  const found = readPrivate(row, creator, byte);
  return found ? numberOf({ found }, 'found') : undefined;
}

function items(row: DataSetJson, byte: number): readonly DataSetJson[] {
  const found = readPrivate(row, creator, byte);
  return found ? itemsOf({ found }, 'found') : [];
}
