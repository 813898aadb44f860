import { dimseStatus, stringOf, stringsOf, tags } from '@isthmus/dicom';
import type { StoreAnswer, StoreRequest } from '@isthmus/dimse';
import { instanceSubject, stationOfAeTitle, uidPattern } from '@isthmus/domain';
import type { Configuration, InstanceStored, InstanceStoredEvent, LocatedInstance } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import type { Log } from '@isthmus/service-kit';
import type { AnnouncedPulls, OthersPull } from './announced-pulls.ts';
import { instanceStoredEvent, originOf } from './instance-stored.ts';
import type { EdgeMetrics } from './metrics.ts';
import type { ObjectStore } from './object-store.ts';
import type { Pulls } from './pulls.ts';
import type { AcknowledgedIds } from './acknowledged.ts';
import type { Comparison, Comparisons, KeptObject } from './same-content.ts';
import type { ReceivedObject, Spool } from './spool.ts';

export interface CStoreParts {
  readonly cluster: string;
  readonly ourAeTitle: () => string;
  readonly configuration: () => Configuration;
  readonly spool: Spool;
  readonly store: ObjectStore;
  readonly comparisons: Comparisons;
  readonly eventLog: Pick<EventLog, 'append'>;
  readonly acknowledged: AcknowledgedIds;
  readonly pulls: Pulls;
  readonly announcedPulls: Pick<AnnouncedPulls, 'ofOthers' | 'tell'>;
  readonly metrics: EdgeMetrics;
  readonly log: Log;
  readonly now: () => Date;
}

/**
 * Stop 2 of 6 on the way of an object from the socket to the peer: bytes to a temporary file as they come, a look at
 * what they are, into place on disk, then the fact into the log. Success is answered after that and never before.
 *
 * Whatever goes wrong before, nothing is acknowledged and the peer sends again: the same bytes find their file in place
 * and become the same event. Statuses: PS3.4 B.2.3.
 */
export async function handleCStore(request: StoreRequest, parts: CStoreParts): Promise<StoreAnswer> {
  const received = await parts.spool.receive(request.data, {
    sopClassUid: request.sopClassUid,
    sopInstanceUid: request.sopInstanceUid,
    transferSyntaxUid: request.transferSyntaxUid,
    callingAeTitle: request.association.callingAeTitle,
  });
  try {
    const identity = identify(received, request);
    if ('refused' in identity) {
      await parts.spool.discard(received);
      return answer(request, parts, 'refused', identity.refused);
    }
    const placed = await putInPlace(request, parts, received, identity.sopInstanceUid);
    if (placed.outcome === 'conflict') return await keepConflict(request, parts, received, identity, placed);
    // It has its own name now, or is there already. The temporary one goes while the log is waited for.
    if (placed.outcome === 'stored') setImmediate(() => void parts.spool.discard(received));
    else await parts.spool.discard(received);

    const { callingAeTitle } = request.association;
    const others = await pullsOfOthers(request, identity.studyInstanceUid, parts);
    const pull = parts.pulls.match(
      {
        studyInstanceUid: identity.studyInstanceUid,
        callingAeTitle,
        moveOriginatorAeTitle: request.moveOriginator?.aeTitle,
      },
      others,
    );
    const instance: LocatedInstance = {
      ...identity,
      sopClassUid: request.sopClassUid,
      transferSyntaxUid: placed.transferSyntaxUid,
      file: placed.file,
      fileBytes: placed.fileBytes,
    };
    const facts = { ...instance, dataSetChecksum: placed.dataSetChecksum, callingAeTitle };
    const event = factOf(facts, received, request, parts, pull?.peer);
    if (!parts.acknowledged.has(event.id)) {
      await parts.eventLog.append('INSTANCES', instanceSubject(identity.studyInstanceUid), event);
      parts.acknowledged.add(event.id);
    }
    const arrival = { instance, callingAeTitle, peer: event.data.pulledFrom };
    parts.pulls.arrived(arrival);
    // Before the answer: the process that pulls must have heard of the object when the peer says that it sent all.
    await parts.announcedPulls.tell(others, arrival);
    return answer(request, parts, placed.outcome, { status: dimseStatus.Success }, received);
  } catch (error) {
    await parts.spool.discard(received);
    throw error;
  }
}

/** What is on disk under the SOP Instance UID now. `identical`: it was there, in another encoding. */
type InPlace =
  | (KeptObject & { readonly outcome: 'stored' | 'duplicate' | 'identical' })
  | { readonly outcome: 'conflict'; readonly file: string; readonly found: Different };
type Different = Exclude<Comparison, { readonly outcome: 'same' }>;

async function putInPlace(
  request: StoreRequest,
  parts: CStoreParts,
  received: ReceivedObject,
  sopInstanceUid: string,
): Promise<InPlace> {
  const { transferSyntaxUid, dataSetChecksum } = received;
  const placed = await parts.store.place(received, sopInstanceUid);
  if (placed.outcome !== 'conflict') return { ...placed, transferSyntaxUid, dataSetChecksum };
  const found = await parts.comparisons.compare(received, placed.file, request.signal);
  if (found.outcome !== 'same') return { ...placed, found };
  return { ...found.kept, outcome: 'identical' };
}

/** Only what can come for a pull is worth a look: what was moved for us, or comes from a station that we know. */
async function pullsOfOthers(
  request: StoreRequest,
  studyInstanceUid: string,
  parts: CStoreParts,
): Promise<readonly OthersPull[]> {
  const movedByUs = request.moveOriginator?.aeTitle === parts.ourAeTitle();
  const known = stationOfAeTitle(parts.configuration(), request.association.callingAeTitle) !== undefined;
  return movedByUs || known ? parts.announcedPulls.ofOthers(studyInstanceUid) : [];
}

interface Identity {
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly sopInstanceUid: string;
}

/** Who the object is, by its own data set; or why it cannot be kept. Error Comments are short: LO, 64 characters. */
function identify(
  received: ReceivedObject,
  request: StoreRequest,
): Identity | { readonly refused: StoreAnswer } {
  const { header } = received;
  const cutOff = !received.complete && (received.headerError?.code ?? 'truncated') === 'truncated';
  if (cutOff) return refuse(dimseStatus.CannotUnderstand, 'Data set ends inside an element');
  for (const tag of [tags.SOPInstanceUID, tags.StudyInstanceUID, tags.SeriesInstanceUID]) {
    // Whichever was taken, other systems may take another.
    if (stringsOf(header, tag).length > 1)
      return refuse(dimseStatus.CannotUnderstand, `${nameOf(tag)} has several values`);
  }
  const uid = (tag: string): string | undefined => {
    const text = stringOf(header, tag);
    return text !== undefined && uidPattern.test(text) ? text : undefined;
  };
  const sopInstanceUid = uid(tags.SOPInstanceUID);
  if (sopInstanceUid === undefined) {
    const why = received.headerError
      ? 'Data set is malformed'
      : `${nameOf(tags.SOPInstanceUID)} is missing or not a UID`;
    return refuse(dimseStatus.CannotUnderstand, why);
  }
  if (sopInstanceUid !== request.sopInstanceUid) {
    return refuse(dimseStatus.DataSetDoesNotMatchSopClass, 'SOP Instance UID differs from the command');
  }
  if (stringsOf(header, tags.SOPClassUID).join('\\') !== request.sopClassUid) {
    return refuse(dimseStatus.DataSetDoesNotMatchSopClass, 'SOP Class UID differs from the command');
  }
  const studyInstanceUid = uid(tags.StudyInstanceUID);
  const seriesInstanceUid = uid(tags.SeriesInstanceUID);
  if (studyInstanceUid === undefined || seriesInstanceUid === undefined) {
    const which = studyInstanceUid === undefined ? tags.StudyInstanceUID : tags.SeriesInstanceUID;
    return refuse(dimseStatus.CannotUnderstand, `${nameOf(which)} is missing or not a UID`);
  }
  return { studyInstanceUid, seriesInstanceUid, sopInstanceUid };
}

const names: ReadonlyMap<string, string> = new Map([
  [tags.SOPInstanceUID, 'SOP Instance UID (0008,0018)'],
  [tags.StudyInstanceUID, 'Study Instance UID (0020,000D)'],
  [tags.SeriesInstanceUID, 'Series Instance UID (0020,000E)'],
]);

function nameOf(tag: string): string {
  return names.get(tag) ?? tag;
}

function refuse(status: number, errorComment: string): { readonly refused: StoreAnswer } {
  return { refused: { status, errorComment } };
}

function factOf(
  facts: Omit<InstanceStored, 'issuer' | 'provisional' | 'pulledFrom' | 'header'>,
  received: ReceivedObject,
  request: StoreRequest,
  parts: CStoreParts,
  pulledFrom: string | undefined,
): InstanceStoredEvent {
  const { callingAeTitle } = request.association;
  const configuration = parts.configuration();
  const movedByUs = request.moveOriginator?.aeTitle === parts.ourAeTitle();
  const origin = originOf(configuration, {
    callingAeTitle,
    // An object that comes after its pull was given up is still a copy.
    pulledFrom:
      pulledFrom ?? (movedByUs ? stationOfAeTitle(configuration, callingAeTitle)?.aeTitle : undefined),
  });
  return instanceStoredEvent(facts, {
    cluster: parts.cluster,
    configuration,
    header: received.header,
    origin,
    now: parts.now(),
  });
}

/** The first object stays; this one is kept beside it and shown. The sender may let go of its copy: both are safe. */
async function keepConflict(
  request: StoreRequest,
  parts: CStoreParts,
  received: ReceivedObject,
  identity: Identity,
  { file: kept, found }: { readonly file: string; readonly found: Different },
): Promise<StoreAnswer> {
  const comparison =
    found.outcome === 'different' ? { differences: found.differences } : { notCompared: found.why };
  const conflict = await parts.store.keepAside(received, {
    ...identity,
    sopClassUid: request.sopClassUid,
    callingAeTitle: request.association.callingAeTitle,
    receivedAt: parts.now().toISOString(),
    kept,
    ...comparison,
  });
  parts.log.warn(
    { ...keysOf(request), kept, aside: conflict.aside, ...comparison },
    'c-store: other content under a known SOP Instance UID',
  );
  const errorComment = 'Other data under this SOP Instance UID; kept as a conflict';
  return answer(request, parts, 'conflict', { status: dimseStatus.Success, errorComment }, received);
}

function answer(
  request: StoreRequest,
  parts: CStoreParts,
  outcome: 'stored' | 'duplicate' | 'identical' | 'conflict' | 'refused',
  told: StoreAnswer,
  received?: ReceivedObject,
): StoreAnswer {
  parts.metrics.received(outcome, received?.dataSetBytes ?? 0);
  const level = outcome === 'refused' ? 'warn' : 'info';
  const bytes = received?.dataSetBytes;
  const facts = { ...keysOf(request), status: told.status, outcome, bytes, why: told.errorComment };
  // The peer first.
  setImmediate(() => parts.log[level](facts, 'c-store'));
  return told;
}

/** The keys of a log line, the same at every stop. */
function keysOf(request: StoreRequest): {
  associationId: string | number;
  sopInstanceUid: string;
  peer: string;
} {
  return {
    associationId: request.association.id,
    sopInstanceUid: request.sopInstanceUid,
    peer: request.association.callingAeTitle,
  };
}
