import { decodeDataSet, dimseStatus } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import type { MoveAnswer, MoveRequest, SubOperationCounts } from '@isthmus/dimse';
import { stationOfAeTitle } from '@isthmus/domain';
import type { Log } from '@isthmus/service-kit';
import { deliver } from './deliver.ts';
import type { DeliverParts, Delivery, DeliveryResult } from './deliver.ts';
import { logFailure, statusOfError } from './dimse-status.ts';
import { travelOf } from './find-rows.ts';
import { isRefusal, modelOf, scopeOfMove } from './identifier.ts';
import type { EdgeMetrics } from './metrics.ts';
import type { ObjectStore } from './object-store.ts';
import type { Transcoder } from './transcoder.ts';

export interface CMoveParts extends DeliverParts {
  readonly cluster: string;
  readonly store: Pick<ObjectStore, 'absolute'>;
  readonly transcoder: Transcoder;
  readonly metrics: EdgeMetrics;
  readonly log: Log;
  /** Longest time that a C-MOVE takes, in ms. */
  readonly timeoutMs: number;
}

const nothing: SubOperationCounts = { completed: 0, failed: 0, warning: 0 };

/**
 * Answers a C-MOVE: looks up the destination, then sends what is here and what linked clusters bring, while it
 * comes. The same for a workstation that wants a study and for a linked cluster that pulls to itself, also through
 * us (a hub).
 * The final status is the truth: 0000 only when the destination has taken every object (see `finalAnswer`).
 */
export async function* handleCMove(
  request: MoveRequest,
  parts: CMoveParts,
): AsyncGenerator<SubOperationCounts, MoveAnswer, undefined> {
  const { callingAeTitle: peer, id: associationId } = request.association;
  const configuration = parts.configuration();
  const destination = configuration.stations.get(request.destinationAeTitle);
  if (!destination || destination.port === 0) {
    const status = dimseStatus.MoveDestinationUnknown;
    parts.log.warn({ associationId, peer, destination: request.destinationAeTitle, status }, 'c-move');
    return refuse(status, 'The move destination is not a configured station');
  }
  const asker = stationOfAeTitle(configuration, peer);
  return yield* answerRetrieve(request, parts, {
    operation: 'c-move',
    sender: destination,
    notFrom: [asker?.cluster, asker?.aeTitle, destination.cluster, destination.aeTitle],
    moveOriginator: { aeTitle: peer, messageId: request.messageId },
  });
}

/** How a C-MOVE and a C-GET differ. */
interface Retrieval {
  readonly operation: 'c-move' | 'c-get';
  readonly sender: Delivery['destination'];
  readonly notFrom: readonly (string | undefined)[];
  readonly moveOriginator?: Delivery['moveOriginator'];
}

/** Reads the identifier, delivers what it asks for, and says what became of it. */
export async function* answerRetrieve(
  request: Pick<
    MoveRequest,
    'association' | 'identifier' | 'transferSyntaxUid' | 'sopClassUid' | 'signal'
  > & { readonly destinationAeTitle?: string },
  parts: CMoveParts,
  { operation, sender, notFrom, moveOriginator }: Retrieval,
): AsyncGenerator<SubOperationCounts, MoveAnswer, undefined> {
  const { callingAeTitle: peer, id: associationId } = request.association;
  const facts = { associationId, peer, destination: request.destinationAeTitle };
  let identifier: DataSetJson;
  try {
    identifier = decodeDataSet(request.identifier, request.transferSyntaxUid);
  } catch {
    return refuse(dimseStatus.CannotUnderstand, 'The identifier cannot be read');
  }
  const scope = scopeOfMove(identifier, modelOf(request.sopClassUid));
  if (isRefusal(scope)) return refuse(scope.status, scope.errorComment);
  const cluster = stationOfAeTitle(parts.configuration(), peer)?.cluster;
  const passed = [...travelOf(identifier).hops, ...(cluster === undefined ? [] : [cluster])];
  try {
    const result = yield* deliver(
      {
        scope,
        destination: sender,
        fetch: true,
        passed,
        notFrom: [...passed, ...notFrom.filter((one) => one !== undefined)],
        ...(moveOriginator ? { moveOriginator } : {}),
        deadlineMs: parts.timeoutMs,
        signal: request.signal,
      },
      parts,
    );
    const answer = finalAnswer(result);
    const { status, counts } = answer;
    parts.log.info({ ...facts, level: scope.level, status, ...counts, why: answer.errorComment }, operation);
    return answer;
  } catch (error) {
    if (request.signal.aborted) return { status: dimseStatus.Cancel, counts: { ...nothing, remaining: 0 } };
    const answer = statusOfError(error);
    logFailure(parts.log, { ...facts, status: answer.status }, error, `${operation} failed`);
    return { ...answer, counts: nothing };
  }
}

function refuse(status: number, errorComment: string): MoveAnswer {
  return { status, errorComment, counts: nothing };
}

/**
 * What a delivery means as a final C-MOVE response (PS3.4 C.4.2.1.5): FE00 cancelled; 0000 all taken; B000 some failed;
 * A702 nothing could be sent; C000 nothing is known under these UIDs anywhere, which is not success either.
 */
export function finalAnswer(result: DeliveryResult): MoveAnswer {
  const { completed, failed, warning, remaining, failedSopInstanceUids } = result;
  const comment = result.detail === undefined ? {} : { errorComment: result.detail };
  if (result.cancelled)
    return { status: dimseStatus.Cancel, counts: { completed, failed, warning, remaining } };
  const counts = { completed, failed, warning };
  if (result.unknown) {
    return {
      status: dimseStatus.CannotUnderstand,
      errorComment: 'Nothing is known under these UIDs',
      counts,
    };
  }
  if (failed === 0) {
    const status = warning === 0 ? dimseStatus.Success : dimseStatus.SubOperationsWarning;
    return { status, counts };
  }
  const none = completed + warning === 0;
  const status = none ? dimseStatus.UnableToPerformSubOperations : dimseStatus.SubOperationsWarning;
  return { status, counts, failedSopInstanceUids, ...comment };
}
