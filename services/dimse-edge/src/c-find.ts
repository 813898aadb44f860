import { decodeDataSet, dimseStatus, uids } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import type { FindRequest, FindRow, StatusAnswer } from '@isthmus/dimse';
import { linkAllows, linkOfStation, requestSubjects, stationOfAeTitle } from '@isthmus/domain';
import type {
  ClusterOutcome,
  Configuration,
  FindAnswer,
  FindRequest as QueryFindRequest,
  LinkStateAnswer,
  LinkStateRequest,
  QueryLevel,
} from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import type { Log } from '@isthmus/service-kit';
import { logFailure, statusOfError, statusOfService } from './dimse-status.ts';
import { ServiceAnswerError } from './errors.ts';
import { answerRow, encodeRow, keysOf, outcomesRow, travelOf } from './find-rows.ts';
import { isRefusal, levelOf, modelOf } from './identifier.ts';
import type { IdentifierRefusal } from './identifier.ts';

export interface CFindParts {
  /** Our own cluster id. */
  readonly cluster: string;
  readonly configuration: () => Configuration;
  readonly eventLog: Pick<EventLog, 'requests'>;
  /** Longest time that a query takes, in ms; a linked query says itself how long is left. */
  readonly timeoutMs: number;
  readonly log: Log;
}

/** How much longer than it was given query-federator may take before we end the query ourselves. */
const overdueGraceMs = 1_000;
/** Error Comment (0000,0902) is LO. */
const errorCommentMax = 64;
/** The relay answers Link State from what it has in memory and tables. */
const linkStateTimeoutMs = 10_000;

/**
 * Answers a C-FIND: Patient and Study Root for other systems, the linked query for linked clusters, Link State for the
 * relay's own exchange. Rows come from query-federator at the pace of the peer and are encoded here; C-CANCEL stops
 * them and is passed on.
 *
 * A query that other clusters could not answer ends with success after the rows that there are: the standard has no
 * partial status. Linked clusters get the outcome of each cluster in a last pending row; the log has it for all. When
 * our own index did not answer in full, the query has failed (A700) and says why.
 */
export async function* handleCFind(
  request: FindRequest,
  parts: CFindParts,
): AsyncGenerator<FindRow, StatusAnswer, undefined> {
  let identifier: DataSetJson;
  try {
    identifier = decodeDataSet(request.identifier, request.transferSyntaxUid);
  } catch {
    return { status: dimseStatus.CannotUnderstand, errorComment: 'The identifier cannot be read' };
  }
  try {
    if (request.sopClassUid === uids.IsthmusLinkStateFind)
      return yield* linkState(request, identifier, parts);
    return yield* query(request, identifier, parts);
  } catch (error) {
    if (request.signal.aborted) return { status: dimseStatus.Cancel };
    const answer = statusOfError(error);
    logFailure(parts.log, { ...keysOfLog(request), status: answer.status }, error, 'c-find failed');
    return answer;
  }
}

async function* query(
  request: FindRequest,
  identifier: DataSetJson,
  parts: CFindParts,
): AsyncGenerator<FindRow, StatusAnswer, undefined> {
  const linked = request.sopClassUid === uids.IsthmusLinkedQueryFind;
  const asked = questionOf(request, identifier, linked, parts);
  if (isRefusal(asked)) return asked;
  // query-federator ends in time with what it has; this is for when it does not.
  const overdue = AbortSignal.timeout(asked.remainingMs + overdueGraceMs);
  const answers = parts.eventLog.requests.askStream<QueryFindRequest, FindAnswer>(
    requestSubjects.find,
    asked,
    {
      timeoutMs: asked.remainingMs,
      signal: AbortSignal.any([request.signal, overdue]),
    },
  );

  let rows = 0;
  let outcomes: readonly ClusterOutcome[] | undefined;
  for await (const answer of answers) {
    if (request.signal.aborted) break;
    if ('done' in answer) {
      outcomes = answer.done.outcomes;
      break;
    }
    yield pending(answerRow(identifier, answer.row, asked.level, linked), request, parts.log);
    rows += 1;
  }
  const facts = { ...keysOfLog(request), level: asked.level, rows, outcomes: brief(outcomes ?? []) };
  if (request.signal.aborted) {
    parts.log.info({ ...facts, status: dimseStatus.Cancel }, 'c-find cancelled');
    return { status: dimseStatus.Cancel };
  }
  // Success would say that there are no more rows.
  if (outcomes === undefined) throw new ServiceAnswerError('the end of the answer of query-federator');
  if (linked) yield pending(outcomesRow(outcomes, asked.level), request, parts.log);
  const answer = verdictOf(outcomes.find(({ cluster }) => cluster === parts.cluster));
  parts.log.info({ ...facts, status: answer.status }, 'c-find');
  return answer;
}

/** Rows may be missing when our own index failed: a success would say that there are no more. */
function verdictOf(own: ClusterOutcome | undefined): StatusAnswer {
  if (own === undefined || own.status === 'answered' || own.status === 'skipped') {
    return { status: dimseStatus.Success };
  }
  return {
    status: dimseStatus.OutOfResources,
    errorComment: (own.detail ?? 'The local index did not answer').slice(0, errorCommentMax),
  };
}

/** The question for query-federator, or why it is not asked. */
function questionOf(
  request: FindRequest,
  identifier: DataSetJson,
  linked: boolean,
  parts: CFindParts,
): QueryFindRequest | IdentifierRefusal {
  const model = modelOf(request.sopClassUid);
  const level: QueryLevel | IdentifierRefusal = levelOf(identifier, model);
  if (typeof level !== 'string') return level;
  const { callingAeTitle } = request.association;
  const configuration = parts.configuration();
  const station = stationOfAeTitle(configuration, callingAeTitle);
  const cluster = station?.kind === 'cluster' ? station.cluster : undefined;
  // The context was negotiated when the station was a linked cluster; it may have become something else since.
  if (linked && cluster === undefined) {
    return { status: dimseStatus.NotAuthorised, errorComment: 'Linked queries are for linked clusters' };
  }
  const option = linked ? 'internalQueries' : 'externalQueries';
  if (cluster !== undefined && !linkAllows(linkOfStation(configuration, station), option, 'in')) {
    return { status: dimseStatus.NotAuthorised, errorComment: `Link switch ${option} (in) is off` };
  }
  const travel = travelOf(identifier);
  const hops =
    cluster === undefined || travel.hops.includes(cluster) ? travel.hops : [...travel.hops, cluster];
  return {
    model,
    level,
    identifier: keysOf(identifier),
    asker: {
      kind: linked || cluster !== undefined ? 'cluster' : 'station',
      aeTitle: callingAeTitle,
      ...(cluster === undefined ? {} : { cluster }),
    },
    linked,
    hops,
    remainingMs: Math.min(parts.timeoutMs, travel.remainingMs ?? parts.timeoutMs),
  };
}

async function* linkState(
  request: FindRequest,
  identifier: DataSetJson,
  parts: CFindParts,
): AsyncGenerator<FindRow, StatusAnswer, undefined> {
  const answer = await parts.eventLog.requests.ask<LinkStateRequest, LinkStateAnswer>(
    requestSubjects.linkState,
    { callingAeTitle: request.association.callingAeTitle, identifier },
    { timeoutMs: linkStateTimeoutMs, signal: request.signal },
  );
  const final = statusOfService(answer, 'the answer of update-relay');
  for (const row of answer.rows) yield pending(row, request, parts.log);
  return final;
}

function pending(row: DataSetJson, request: FindRequest, log: Log): FindRow {
  const emptied = (tag: string): void =>
    log.warn(
      { ...keysOfLog(request), tag },
      'c-find: a value does not fit its value representation; left empty',
    );
  return { status: 0xff00, identifier: encodeRow(row, request.transferSyntaxUid, emptied) };
}

function brief(outcomes: readonly ClusterOutcome[]): string[] {
  return outcomes.map(({ cluster, status, rows }) => `${cluster}: ${status} (${rows})`);
}

function keysOfLog(request: FindRequest): { associationId: string; peer: string; sopClassUid: string } {
  return {
    associationId: request.association.id,
    peer: request.association.callingAeTitle,
    sopClassUid: request.sopClassUid,
  };
}
