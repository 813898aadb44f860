import {
  groupOfCreator,
  linkElements,
  privateCreator,
  privateTag,
  studyElements,
  vrOf,
} from '@isthmus/dicom';
import { table } from './markdown.ts';

/** What the code does not say of a private element: name in data dictionaries, value multiplicity, where, meaning. */
interface Described {
  readonly name: string;
  readonly vm: string;
  readonly where: string;
  readonly meaning: string;
}

type Descriptions<Elements> = { readonly [name in keyof Elements]: Described };

const row = 'row';
const reserved = 'reserved';

const study: Descriptions<typeof studyElements> = {
  reportStatus: {
    name: 'ReportStatus',
    vm: '1',
    where: 'key; row; item of reports',
    meaning:
      '`UNKNOWN`, `NEW`, `DICTATED`, `TRANSCRIBED` or `APPROVED`: that of the least advanced report of the study',
  },
  reportSubStatus: {
    name: 'ReportSubStatus',
    vm: '1',
    where: 'key; row; item of reports',
    meaning: 'Free text beside the status, e.g. "dictation started"; in the row that of the first report',
  },
  verification: {
    name: 'Verification',
    vm: '1',
    where: reserved,
    meaning: 'Not written and not answered yet',
  },
  specialty: { name: 'Specialty', vm: '1', where: reserved, meaning: 'Not written and not answered yet' },
  bodyPart: { name: 'StudyBodyPart', vm: '1', where: reserved, meaning: 'Not written and not answered yet' },
  imageCount: {
    name: 'NumberOfStudyRelatedImages',
    vm: '1',
    where: 'key; row',
    meaning:
      'Objects that are images: without presentation states, key objects, reports, waveforms, documents',
  },
  globalPatientId: {
    name: 'GlobalPatientID',
    vm: '1',
    where: 'key; row',
    meaning: 'Empty when there is none',
  },
  homeCluster: {
    name: 'HomeCluster',
    vm: '1',
    where: 'key; row',
    meaning: 'Id of the cluster that is its home',
  },
  holders: {
    name: 'HolderSequence',
    vm: '1',
    where: 'key; row',
    meaning:
      'An item per cluster that holds a copy: `Cluster`, `CopyComplete`, Instance ' +
      'Availability (0008,0056) as seen from that cluster, Number of Study Related ' +
      'Instances (0020,1208) there',
  },
  cluster: { name: 'Cluster', vm: '1', where: 'item of holders and of outcomes', meaning: 'Cluster id' },
  complete: {
    name: 'CopyComplete',
    vm: '1',
    where: 'item of holders',
    meaning: '`YES` when nothing that is known of the study is missing there, else `NO`',
  },
  reports: {
    name: 'ReportSequence',
    vm: '1',
    where: 'key; row',
    meaning:
      'An item per report: Accession Number (0008,0050), `ReportStatus`, `ReportSubStatus`, ' +
      '`ReportBy`, `ReportID`, `EntryDateTime`',
  },
  reportBy: { name: 'ReportBy', vm: '1', where: 'item of reports', meaning: 'Who took this step' },
  reportId: {
    name: 'ReportID',
    vm: '1',
    where: 'item of reports',
    meaning: 'Of the system that keeps the report',
  },
  claim: { name: 'ClaimSequence', vm: '1', where: reserved, meaning: 'Not written and not answered yet' },
  comments: {
    name: 'CommentSequence',
    vm: '1',
    where: 'key; row',
    meaning: 'An item per comment, oldest first: `CommentText`, `CommentAuthor`, `EntryDateTime`',
  },
  stateAsOf: {
    name: 'StateAsOf',
    vm: '1',
    where: 'key; row',
    meaning: 'When the study was last changed by somebody, in UTC; empty while only object headers spoke',
  },
  commentText: { name: 'CommentText', vm: '1', where: 'item of comments', meaning: 'The comment' },
  commentAuthor: { name: 'CommentAuthor', vm: '1', where: 'item of comments', meaning: 'Who wrote it' },
  commentDateTime: {
    name: 'EntryDateTime',
    vm: '1',
    where: 'item of comments and of reports',
    meaning: 'When, in UTC (`…+0000`)',
  },
  queryId: { name: 'QueryID', vm: '1', where: reserved, meaning: 'Passed by in a request; not written yet' },
  hops: {
    name: 'Hops',
    vm: '1-n',
    where: 'request (C-FIND, C-MOVE)',
    meaning:
      'Ids of the clusters that the request has passed or reaches otherwise; it is never sent to one of them',
  },
  remainingMs: {
    name: 'RemainingTime',
    vm: '1',
    where: 'request (C-FIND)',
    meaning: 'Milliseconds that the requestor still waits, from receipt of the request',
  },
  outcomes: {
    name: 'OutcomeSequence',
    vm: '1',
    where: 'last row',
    meaning:
      'An item per cluster that was asked, the answering one included: `Cluster`, `OutcomeStatus` and what follows',
  },
  outcomeStatus: {
    name: 'OutcomeStatus',
    vm: '1',
    where: 'item of outcomes',
    meaning: '`ANSWERED`, `FAILED`, `TIMED_OUT` or `SKIPPED`',
  },
  outcomeRows: {
    name: 'OutcomeRows',
    vm: '1',
    where: 'item of outcomes',
    meaning: 'Rows that it contributed',
  },
  outcomeDetail: {
    name: 'OutcomeDetail',
    vm: '1',
    where: 'item of outcomes',
    meaning: 'Why it did not answer; for people',
  },
  keysNotApplied: {
    name: 'KeysNotApplied',
    vm: '1-n',
    where: 'item of outcomes',
    meaning: 'Keys that it could not match: its rows may contain others',
  },
};

const link: Descriptions<typeof linkElements> = {
  format: { name: 'LinkFormat', vm: '1', where: 'update; link state', meaning: 'Version of the payload: 1' },
  sender: {
    name: 'SenderCluster',
    vm: '1',
    where: 'update; link state',
    meaning: 'Cluster id of the sender',
  },
  incarnation: {
    name: 'LogIncarnation',
    vm: '1',
    where: 'update; link state',
    meaning:
      "Life of the sender's log, as a UID (B.4.3). Differs from the last one: the sender " +
      'has lost or replaced its log',
  },
  after: {
    name: 'PositionAfter',
    vm: '1',
    where: 'update',
    meaning: "Decimal. Position in the sender's log behind which the batch begins; for people",
  },
  upto: {
    name: 'PositionUpTo',
    vm: '1',
    where: 'update',
    meaning: "Decimal. Position in the sender's log that the batch completes; for people",
  },
  itemCount: { name: 'NumberOfItems', vm: '1', where: 'update', meaning: 'Items in the payload' },
  summary: {
    name: 'SummarySequence',
    vm: '1',
    where: 'update',
    meaning:
      'The first 32 items for readers of a dump: Study Instance UID (0020,000D) where it is ' +
      'one of a study, `SummaryType`, `SummaryOrigin`',
  },
  summaryType: {
    name: 'SummaryType',
    vm: '1',
    where: 'item of the summary',
    meaning: 'Event type, or `State`, or `Manifest`',
  },
  summaryOrigin: {
    name: 'SummaryOrigin',
    vm: '1',
    where: 'item of the summary',
    meaning: 'Cluster where it happened; empty for a manifest',
  },
  payloadEncoding: {
    name: 'PayloadEncoding',
    vm: '1',
    where: 'update; link state',
    meaning: '`JSON` or `DEFLATE`; link state is always `JSON`',
  },
  payloadJson: {
    name: 'PayloadJSON',
    vm: '1',
    where: 'update; link state',
    meaning: 'The payload, with `JSON`',
  },
  payloadDeflated: {
    name: 'PayloadDeflated',
    vm: '1',
    where: 'update',
    meaning: 'The payload as a raw DEFLATE stream (RFC 1951), with `DEFLATE`; a pad byte may follow',
  },
  payloadBytes: {
    name: 'PayloadLength',
    vm: '1',
    where: 'update',
    meaning: 'Bytes of the JSON (UTF-8), before deflating and without padding',
  },
  payloadSha256: {
    name: 'PayloadSHA256',
    vm: '1',
    where: 'update',
    meaning: 'SHA-256 of those bytes, 64 lower-case hex digits',
  },
};

export interface PrivateElement extends Described {
  readonly creator: string;
  readonly byte: number;
  readonly vr: string;
  /** `(0073,xx01)` */
  readonly tag: string;
}

function elementsOf(
  creator: string,
  elements: { readonly [name: string]: number },
  described: { readonly [name: string]: Described },
): readonly PrivateElement[] {
  return Object.entries(elements)
    .map(([name, byte]) => {
      const text = described[name];
      if (!text) throw new Error(`say what ${creator} ${name} is`);
      const vr = vrOf(privateTag(creator, byte), { creator });
      if (vr === 'UN') throw new Error(`${creator} ${name} has no value representation`);
      return { ...text, creator, byte, vr, tag: `(${groupOfCreator(creator)},xx${hex(byte)})` };
    })
    .sort((a, b) => a.byte - b.byte);
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0');
}

export const studyPrivateElements = elementsOf(privateCreator.study, studyElements, study);
export const linkPrivateElements = elementsOf(privateCreator.link, linkElements, link);

export function privateElementTable(elements: readonly PrivateElement[]): string {
  return table(
    ['Tag', 'VR', 'VM', 'Name', 'In', 'Meaning'],
    elements.map(({ tag, vr, vm, name, where, meaning }) => [tag, vr, vm, name, where, meaning]),
  );
}

/** Which private keys a linked query matches and answers: those of a row that are not in its items. */
export function linkedKeyTable(): string {
  const keys = studyPrivateElements.filter(({ where }) => where.startsWith('key'));
  return table(
    ['Tag', 'VR', 'Name', 'Matching'],
    keys.map(({ tag, vr, name }) => [tag, vr, name, vr === 'SQ' ? 'sequence' : (matchingOf[vr] ?? row)]),
  );
}

const matchingOf: { readonly [vr: string]: string } = {
  CS: 'single value, wildcard',
  LO: 'single value, wildcard',
  IS: 'single value',
  DT: 'range',
};

/** Data dictionary of DCMTK (`DCMDICTPATH`) for our private elements. */
export function dcmtkDictionary(): string {
  const lines = [...studyPrivateElements, ...linkPrivateElements].map(({ creator, byte, vr, vm, name }) => {
    const group = groupOfCreator(creator) ?? '';
    return `(${group},"${creator}",${hex(byte)})\t${vr}\t${name}\t${vm}\tPrivateTag`;
  });
  return [
    '#',
    '# Private elements of Isthmus for DCMTK; docs/CONFORMANCE.md says what they mean.',
    '# Use it beside the standard dictionary:',
    '#   DCMDICTPATH=/usr/share/libdcmtk17/dicom.dic:docs/isthmus.dic dcmdump FILE',
    '# Generated: npm run reference',
    '#',
    ...lines,
    '',
  ].join('\n');
}
