import {
  dimseStatus,
  element,
  isPrivateCreatorTag,
  privateCreator,
  stringOf,
  stringsOf,
  tags,
  thirdPartyKeys,
  thirdPartyReturnKeys,
  uids,
  vrOf,
} from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { requestSubjects } from '@isthmus/domain';
import type { ClusterOutcome, DimseFindAnswer, DimseFindRequest, QueryLevel } from '@isthmus/domain';
import type { Requests } from '@isthmus/event-log';
import type { CircuitBreaker } from './circuit-breaker.ts';
import type { Query } from './identifier.ts';
import { emptyLinkedKeys, linkedRequest, readOutcomeRow } from './linked-row.ts';
import { withIssuer, withoutStatus } from './overlay.ts';
import type { Peer } from './peers.ts';
import { uniqueKey } from './query-keys.ts';

/** What a peer answered. The first outcome is its own, others are of clusters behind it. */
export interface PeerAnswer {
  readonly peer: Peer;
  readonly rows: readonly DataSetJson[];
  readonly outcome: ClusterOutcome;
  readonly behind: readonly ClusterOutcome[];
}

export interface AskPeerParts {
  readonly requests: Requests;
  readonly breaker: CircuitBreaker;
  readonly rowsMax: number;
}

export interface PeerQuestion {
  readonly query: Query;
  /** Our own users' and linked queries go out on the private class where the peer takes it. */
  readonly internal: boolean;
  /**
   * Clusters that the query has passed or reaches otherwise: us and the peers asked together with this one included.
   */
  readonly hops: readonly string[];
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Asks one peer. Never throws: what went wrong is in the outcome; rows that came before it are kept. */
export async function askPeer(peer: Peer, question: PeerQuestion, parts: AskPeerParts): Promise<PeerAnswer> {
  const nothing = (status: ClusterOutcome['status'], detail: string): PeerAnswer => ({
    peer,
    rows: [],
    outcome: { cluster: peer.name, status, detail, rows: 0, keysNotApplied: [] },
    behind: [],
  });
  const refusal = peer.linked ? undefined : thirdPartyRefusal(question.query);
  if (refusal !== undefined) return nothing('skipped', refusal);
  if (question.timeoutMs <= 0) return nothing('skipped', 'no time left');
  if (!parts.breaker.admits(peer.name))
    return nothing('skipped', 'it failed repeatedly; tried again in a while');

  const deadline = AbortSignal.timeout(question.timeoutMs);
  const signal = AbortSignal.any([deadline, question.signal]);
  const answer = { rows: [] as DataSetJson[], behind: [] as readonly ClusterOutcome[] };
  let ending: Ending = { status: 'answered' };
  try {
    for (const request of peerRequests(peer, question, parts.rowsMax)) {
      ending = await takeRows(peer, request, signal, answer, parts);
      if (ending.status !== 'answered') break;
    }
    // Whatever status it gave, it is there.
    parts.breaker.succeeded(peer.name);
  } catch (error) {
    ending = endingOf(error, deadline, question);
    if (!question.signal.aborted) parts.breaker.failed(peer.name);
  }
  const { rows, behind } = answer;
  return {
    peer,
    rows,
    behind,
    outcome: { cluster: peer.name, ...ending, rows: rows.length, keysNotApplied: [] },
  };
}

type Ending = Pick<ClusterOutcome, 'status' | 'detail'>;

/** One C-FIND. @throws When the peer cannot be asked, or the answer ends without a status. */
async function takeRows(
  peer: Peer,
  request: DimseFindRequest,
  signal: AbortSignal,
  answer: { readonly rows: DataSetJson[]; behind: readonly ClusterOutcome[] },
  parts: AskPeerParts,
): Promise<Ending> {
  const { rows } = answer;
  const options = { timeoutMs: request.timeoutMs, signal };
  const answers = parts.requests.askStream<DimseFindRequest, DimseFindAnswer>(
    requestSubjects.dimseFind,
    request,
    options,
  );
  for await (const one of answers) {
    if ('done' in one) return finished(one.done, rows.length, parts.rowsMax);
    const outcomes = readOutcomeRow(one.row);
    if (outcomes) answer.behind = outcomes.filter(({ cluster }) => cluster !== peer.name);
    else if (rows.length < parts.rowsMax) rows.push(peerRow(peer, one.row));
  }
  signal.throwIfAborted();
  throw Object.assign(new Error('the answer ended without a status'), { code: 'no-status' });
}

/** Codes only: messages of a peer can carry text off the wire. */
function endingOf(error: unknown, deadline: AbortSignal, question: PeerQuestion): Ending {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  if (question.signal.aborted) return { status: 'failed', detail: 'cancelled' };
  if (deadline.aborted)
    return { status: 'timed-out', detail: `no complete answer within ${Math.round(question.timeoutMs)} ms` };
  if (code === 'request-timeout')
    return { status: 'timed-out', detail: 'no answer from the DICOM edge in time' };
  return {
    status: 'failed',
    detail: `it could not be asked: ${typeof code === 'string' ? code : String(name)}`,
  };
}

function finished(
  done: { readonly status: number; readonly errorComment?: string },
  rows: number,
  rowsMax: number,
): Ending {
  if (rows >= rowsMax) return { status: 'failed', detail: `more than ${rowsMax} rows: narrow the query` };
  if (done.status === dimseStatus.Success) return { status: 'answered' };
  const status = `status ${done.status.toString(16).toUpperCase().padStart(4, '0')}`;
  return { status: 'failed', detail: done.errorComment ? `${status}: ${done.errorComment}` : status };
}

/** A query below the study level reaches a third party only with the unique keys above it (PS3.4 C.4.1.2.1). */
function thirdPartyRefusal(query: Query): string | undefined {
  const needed: { readonly [level in QueryLevel]: readonly QueryLevel[] } = {
    PATIENT: [],
    STUDY: [],
    SERIES: ['STUDY'],
    IMAGE: ['STUDY', 'SERIES'],
  };
  for (const level of needed[query.level]) {
    const values = stringsOf(query.matching, uniqueKey[level]);
    if (values.length !== 1 || /[*?]/.test(values[0] ?? '')) return `needs one ${level.toLowerCase()} UID`;
  }
  return undefined;
}

/**
 * The C-FINDs that a peer gets, one after the other. A linked cluster is asked once, for all that we keep; a third
 * party for unique and required keys only, and for a name in each letter case that it may be written in.
 */
export function peerRequests(
  peer: Peer,
  question: PeerQuestion,
  rowsMax: number,
): readonly DimseFindRequest[] {
  const { level } = question.query;
  const standard = level === 'PATIENT' ? uids.PatientRootFind : uids.StudyRootFind;
  const offersLinked = peer.linked && question.internal && level !== 'PATIENT';
  const request = (identifier: DataSetJson): DimseFindRequest => ({
    aeTitle: peer.station.aeTitle,
    sopClassUids: offersLinked ? [uids.IsthmusLinkedQueryFind, standard] : [standard],
    identifier,
    timeoutMs: Math.ceil(question.timeoutMs),
    rowsMax,
  });
  if (peer.linked) return [request(linkedIdentifier(question))];
  const identifier = thirdPartyIdentifier(question.query);
  const name = stringOf(identifier, tags.PatientName);
  if (name === undefined) return [request(identifier)];
  return nameVariants(name).map((variant) =>
    request({ ...identifier, [tags.PatientName]: element('PN', variant) }),
  );
}

/**
 * A name as typed, in capitals, and capitalised: matching without letter case is the SCP's choice (PS3.4 C.2.2.2.1),
 * and some do not.
 */
function nameVariants(name: string): readonly string[] {
  const capitalised = name
    .toLowerCase()
    .replace(/(^|[\^=\s-])(\p{L})/gu, (_, before: string, first: string) => {
      return before + first.toUpperCase();
    });
  return [...new Set([name, name.toUpperCase(), capitalised])];
}

/** Named in every request, since rows are merged and overlaid by them. */
const neededKeys: { readonly [level in QueryLevel]: readonly string[] } = {
  PATIENT: [tags.PatientID, tags.IssuerOfPatientID],
  STUDY: [tags.StudyInstanceUID, tags.PatientID, tags.IssuerOfPatientID, tags.NumberOfStudyRelatedInstances],
  SERIES: [tags.StudyInstanceUID, tags.SeriesInstanceUID, tags.PatientID, tags.IssuerOfPatientID],
  IMAGE: [
    tags.StudyInstanceUID,
    tags.SeriesInstanceUID,
    tags.SOPInstanceUID,
    tags.PatientID,
    tags.IssuerOfPatientID,
  ],
};

function linkedIdentifier({ query, hops, timeoutMs }: PeerQuestion): DataSetJson {
  const empty = [...neededKeys[query.level], ...query.asked]
    .filter((tag) => !tag.startsWith('0073'))
    .map((tag): [string, DataSetJson[string]] => [tag, { vr: vrOf(tag) }]);
  return {
    ...Object.fromEntries(empty),
    ...emptyLinkedKeys(),
    ...linkedRequest(hops, timeoutMs),
    ...query.matching,
    [tags.QueryRetrieveLevel]: element('CS', query.level),
  };
}

function thirdPartyIdentifier(query: Query): DataSetJson {
  const matched = thirdPartyKeys[query.level].map((tag): [string, DataSetJson[string]] => [
    tag,
    query.matching[tag] ?? { vr: vrOf(tag) },
  ]);
  const returned = thirdPartyReturnKeys[query.level]
    .filter((tag) => query.asked.includes(tag))
    .map((tag): [string, DataSetJson[string]] => [tag, { vr: vrOf(tag) }]);
  return {
    ...Object.fromEntries([...returned, ...matched]),
    [tags.QueryRetrieveLevel]: element('CS', query.level),
  };
}

function peerRow(peer: Peer, row: DataSetJson): DataSetJson {
  const named = withIssuer(inOwnBlock(row), peer.patientDomain);
  return peer.linked ? named : withoutStatus(named);
}

/** Moves `ISTHMUS STUDY 1.0` to block 10, where the rest of the service looks for it; other private elements go. */
function inOwnBlock(row: DataSetJson): DataSetJson {
  const moved: { [tag: string]: DataSetJson[string] } = {};
  const block = Object.keys(row).find(
    (tag) =>
      isPrivateCreatorTag(tag) &&
      tag.startsWith('0073') &&
      stringOf(row, tag)?.trim().toUpperCase() === privateCreator.study,
  );
  const prefix = block === undefined ? undefined : `0073${block.slice(6)}`;
  for (const [tag, found] of Object.entries(row)) {
    if (Number.parseInt(tag.slice(0, 4), 16) % 2 === 0) moved[tag] = found;
    else if (prefix !== undefined && tag.startsWith(prefix)) moved[`007310${tag.slice(6)}`] = found;
  }
  if (block !== undefined) moved['00730010'] = element('LO', privateCreator.study);
  return moved;
}
