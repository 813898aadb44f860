import { decodeDataSet, encodeDataSet, stringsOf, tags } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import type { CommandSet, SubOperationCounts } from './command-set.ts';
import type { DataSetSource } from './data-set-sender.ts';
import type { StoreAnswer, StoreRequest } from './handlers.ts';
import type { ExtendedNegotiation } from './pdu.ts';

export interface AcceptedContext {
  readonly contextId: number;
  readonly transferSyntaxUid: string;
}

/** The peer's final word on a request. Any status is an answer, not an error. */
export interface ResponseOutcome {
  readonly status: number;
  readonly errorComment?: string;
}

export interface StoreObject {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  /** In which `dataSet` is encoded; sent on a context that was accepted with it. */
  readonly transferSyntaxUid: string;
  /**
   * Bytes are sent as they are. A file is read from `offset`, behind its file meta information, to its end, and
   * must not change meanwhile.
   */
  readonly dataSet: DataSetSource;
  readonly moveOriginator?: { readonly aeTitle: string; readonly messageId: number };
}

export interface FindQuery {
  readonly sopClassUid: string;
  /** Encoded bytes must be in the transfer syntax of the first context accepted for the SOP class. */
  readonly identifier: DataSetJson | Buffer;
  /** C-CANCEL; the iteration ends with the peer's final status. */
  readonly signal?: AbortSignal;
}

export interface MoveQuery extends FindQuery {
  readonly destinationAeTitle: string;
  readonly onPending?: (counts: SubOperationCounts) => void;
}

export interface GetQuery extends FindQuery {
  readonly onPending?: (counts: SubOperationCounts) => void;
  /** Takes one object as the handler of an acceptor does: streamed, with back-pressure, its status is answered. */
  readonly onStore: (request: StoreRequest) => Promise<StoreAnswer>;
}

export interface MoveOutcome extends ResponseOutcome {
  /** As the peer counts; missing numbers are 0. They prove nothing about what arrived. */
  readonly counts: SubOperationCounts;
  readonly failedSopInstanceUids: readonly string[];
}

/** What a DIMSE-N service is asked of. */
export interface NInstance {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  /** Encoded bytes must be in the transfer syntax of the first context accepted for the SOP class. */
  readonly dataSet?: DataSetJson | Buffer;
}

/** N-EVENT-REPORT (PS3.7 10.1.1). */
export interface EventReport {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly eventTypeId: number;
  /** Event Information; encoded bytes must be in the transfer syntax of the context. */
  readonly dataSet?: DataSetJson | Buffer;
}

/** Final response of a DIMSE-N service. */
export interface NOutcome extends ResponseOutcome {
  /** Affected SOP Instance UID. */
  readonly sopInstanceUid?: string;
  /** Encoded in `transferSyntaxUid`. */
  readonly dataSet?: Buffer;
  readonly transferSyntaxUid: string;
}

/** What the peer said of itself in A-ASSOCIATE-AC. */
export interface PeerInfo {
  readonly maxPduBytes: number;
  readonly implementationClassUid?: string;
  readonly implementationVersionName?: string;
  readonly extendedNegotiations: readonly ExtendedNegotiation[];
}

export function outcomeOf({ command }: { command: CommandSet }): ResponseOutcome {
  return { status: command.status ?? 0, ...(command.errorComment && { errorComment: command.errorComment }) };
}

export function nOutcomeOf(
  { command, dataSet }: { command: CommandSet; dataSet: Buffer | undefined },
  transferSyntaxUid: string,
): NOutcome {
  const { affectedSopInstanceUid: sopInstanceUid } = command;
  return {
    ...outcomeOf({ command }),
    ...(sopInstanceUid !== undefined && { sopInstanceUid }),
    ...(dataSet !== undefined && { dataSet }),
    transferSyntaxUid,
  };
}

export function countsOf(command: CommandSet): SubOperationCounts {
  return {
    ...(command.remainingSubOperations !== undefined && { remaining: command.remainingSubOperations }),
    completed: command.completedSubOperations ?? 0,
    failed: command.failedSubOperations ?? 0,
    warning: command.warningSubOperations ?? 0,
  };
}

/**
 * Failed SOP Instance UID List of a final C-MOVE response; empty when it cannot be read: it is only a hint.
 */
export function failedUids(dataSet: Buffer | undefined, transferSyntaxUid: string): readonly string[] {
  if (dataSet === undefined) return [];
  try {
    return stringsOf(decodeDataSet(dataSet, transferSyntaxUid), tags.FailedSOPInstanceUIDList);
  } catch {
    return [];
  }
}

export function encoded(identifier: DataSetJson | Buffer, transferSyntaxUid: string): Buffer {
  return Buffer.isBuffer(identifier) ? identifier : encodeDataSet(identifier, transferSyntaxUid);
}
