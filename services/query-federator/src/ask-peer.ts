import {
  dimseStatus,
  element,
  isPrivateCreatorTag,
  privateCreator,
  stringOf,
  stringsOf,
} from '@isthmus/dicom';
import { tags, uids, vrOf } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { requestSubjects } from '@isthmus/domain';
import type { ClusterOutcome, DimseFindAnswer, DimseFindRequest, QueryLevel } from '@isthmus/domain';
import type { Requests } from '@isthmus/event-log';
import type { CircuitBreaker } from './circuit-breaker.ts';
import type { Query } from './identifier.ts';
import { emptyLinkedKeys, linkedRequest, readOutcomeRow } from './linked-row.ts';
import { withIssuer, withoutStatus } from './overlay.ts';
import type { Peer } from './peers.ts';
import { thirdPartyKeys, thirdPartyReturnKeys, uniqueKey } from './query-keys.ts';

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
  /** Clusters that the query has passed or reaches otherwise: us and the peers asked together with this one included. */
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
  const rows: DataSetJson[] = [];
  let behind: readonly ClusterOutcome[] = [];
  const ended = (status: ClusterOutcome['status'], detail?: string): PeerAnswer => {
    if (status === 'answered') parts.breaker.succeeded(peer.name);
    else if (!question.signal.aborted) parts.breaker.failed(peer.name);
    const outcome = { cluster: peer.name, status, rows: rows.length, keysNotApplied: [] };
    return { peer, rows, outcome: detail === undefined ? outcome : { ...outcome, detail }, behind };
  };
  try {
    const options = { timeoutMs: question.timeoutMs, signal };
    const request = peerRequest(peer, question, parts.rowsMax);
    const answers = parts.requests.askStream<DimseFindRequest, DimseFindAnswer>(
      requestSubjects.dimseFind,
      request,
      options,
    );
    for await (const answer of answers) {
      if ('done' in answer) return finished(answer.done, rows.length, parts.rowsMax, ended);
      const outcomes = readOutcomeRow(answer.row);
      if (outcomes) behind = outcomes.filter(({ cluster }) => cluster !== peer.name);
      else if (rows.length < parts.rowsMax) rows.push(peerRow(peer, answer.row));
    }
    return ended(deadline.aborted ? 'timed-out' : 'failed', endDetail(deadline, question));
  } catch (error) {
    if (deadline.aborted) return ended('timed-out', endDetail(deadline, question));
    if (isTimeout(error)) return ended('timed-out', 'no answer from the DICOM edge in time');
    return ended('failed', failureDetail(error));
  }
}

function endDetail(deadline: AbortSignal, question: PeerQuestion): string {
  if (deadline.aborted) return `no complete answer within ${Math.round(question.timeoutMs)} ms`;
  return question.signal.aborted ? 'cancelled' : 'the answer ended without a status';
}

function isTimeout(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'request-timeout';
}

/** Codes only: messages of a peer can carry text off the wire. */
function failureDetail(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  return `the DICOM edge could not ask it: ${typeof code === 'string' ? code : String(name ?? 'error')}`;
}

function finished(
  done: { readonly status: number; readonly errorComment?: string },
  rows: number,
  rowsMax: number,
  ended: (status: ClusterOutcome['status'], detail?: string) => PeerAnswer,
): PeerAnswer {
  if (rows >= rowsMax) return ended('failed', `more than ${rowsMax} rows: narrow the query`);
  if (done.status === dimseStatus.Success) return ended('answered');
  const status = done.status.toString(16).toUpperCase().padStart(4, '0');
  return ended('failed', done.errorComment ? `status ${status}: ${done.errorComment}` : `status ${status}`);
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

/** The C-FIND that a peer gets. A third party is asked for unique and required keys only, a linked cluster for all that we keep. */
export function peerRequest(peer: Peer, question: PeerQuestion, rowsMax: number): DimseFindRequest {
  const { level } = question.query;
  const standard = level === 'PATIENT' ? uids.PatientRootFind : uids.StudyRootFind;
  const offersLinked = peer.linked && question.internal && level !== 'PATIENT';
  return {
    aeTitle: peer.station.aeTitle,
    sopClassUids: offersLinked ? [uids.IsthmusLinkedQueryFind, standard] : [standard],
    identifier: peer.linked ? linkedIdentifier(question) : thirdPartyIdentifier(question.query),
    timeoutMs: Math.ceil(question.timeoutMs),
    rowsMax,
  };
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
