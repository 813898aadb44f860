import type { SubOperationCounts } from './command-set.ts';
import type { DimseError } from './errors.ts';
import type { ExtendedNegotiation, ProposedContext, RoleSelection, UserIdentity } from './pdu.ts';

/** Who is at the other end of an association. */
export interface AssociationInfo {
  /** Of this process; for logs. */
  readonly id: string;
  readonly callingAeTitle: string;
  readonly calledAeTitle: string;
  readonly remoteAddress: string;
  readonly implementationClassUid?: string;
  readonly implementationVersionName?: string;
}

// -----------------------------------------------------------------------------------------------------
// admission

/** A presentation context as the peer offers it. */
export type OfferedContext = ProposedContext;

export interface AdmitRequest {
  readonly callingAeTitle: string;
  readonly calledAeTitle: string;
  readonly remoteAddress: string;
  readonly contexts: readonly OfferedContext[];
  readonly roles: readonly RoleSelection[];
  readonly extendedNegotiations: readonly ExtendedNegotiation[];
  readonly implementationClassUid?: string;
  readonly implementationVersionName?: string;
  /** May hold credentials: never log it. */
  readonly userIdentity?: UserIdentity;
}

/**
 * Why a context is refused: 1 user rejection, 2 no reason, 3 abstract syntax, 4 transfer syntaxes not
 * supported.
 */
export type ContextRejection = 1 | 2 | 3 | 4;

export type AdmittedContext =
  | { readonly id: number; readonly transferSyntaxUid: string }
  | { readonly id: number; readonly reason: ContextRejection };

/**
 * Contexts that the answer leaves out are refused with reason 3; one accepted with a transfer syntax that was
 * not offered is refused with 4. `result`, `source` and `reason` as in PS3.8 table 9-21.
 */
export type AdmitResult =
  | {
      readonly accept: true;
      readonly contexts: readonly AdmittedContext[];
      /** Only for SOP classes whose roles the peer proposed. */
      readonly roles?: readonly RoleSelection[];
      /** Only for SOP classes that the peer proposed extended negotiation for. */
      readonly extendedNegotiations?: readonly ExtendedNegotiation[];
    }
  | { readonly accept: false; readonly result: 1 | 2; readonly source: 1 | 2 | 3; readonly reason: number };

// ------------------------------------------------------------------------------------------------------
// requests

interface OperationRequest {
  readonly association: AssociationInfo;
  readonly contextId: number;
  readonly messageId: number;
  /** Affected SOP Class UID; it is always the abstract syntax of the context. */
  readonly sopClassUid: string;
  readonly transferSyntaxUid: string;
  /** Aborted on C-CANCEL and when the association ends. */
  readonly signal: AbortSignal;
}

export type EchoRequest = OperationRequest;

/**
 * The bytes of a data set as they came, in fragments. Reading stops at the socket when they are not consumed.
 * Throws AssociationLostError or AssociationAbortedError when the rest will not come. Can be read once; a
 * reader that stops early is not called again, the rest is thrown away.
 */
export interface StoreData extends AsyncIterable<Buffer> {
  /** All that has come, at once: for gathered writes. Instead of iterating single fragments. */
  batches(): AsyncIterable<Buffer[]>;
}

export interface StoreRequest extends OperationRequest {
  readonly sopInstanceUid: string;
  readonly moveOriginator?: { readonly aeTitle: string; readonly messageId: number };
  readonly data: StoreData;
}

/** What is answered; an error comment is cut to 64 ASCII characters and must not hold patient data. */
export interface StatusAnswer {
  readonly status: number;
  readonly errorComment?: string;
}
export type StoreAnswer = StatusAnswer;

export interface FindRequest extends OperationRequest {
  /** The encoded identifier, in `transferSyntaxUid`. */
  readonly identifier: Buffer;
}

export interface FindRow {
  /** FF00, or FF01 when optional keys were not applied. */
  readonly status: 0xff00 | 0xff01;
  readonly identifier: Buffer;
}

export interface MoveRequest extends OperationRequest {
  /** The encoded identifier, in `transferSyntaxUid`. */
  readonly identifier: Buffer;
  /** Move Destination (0000,0600): the AE title that shall get the objects. */
  readonly destinationAeTitle: string;
}

export interface MoveAnswer extends StatusAnswer {
  /** Totals. With status FE00 `remaining` is sent too. */
  readonly counts: SubOperationCounts;
  /** Sent as Failed SOP Instance UID List (0008,0058) when there are any. */
  readonly failedSopInstanceUids?: readonly string[];
}

/**
 * One function per DIMSE service; what is left out is answered with 0122 (SOP class not supported). A
 * function that throws answers with the error's `dimseStatus` when it has one, A700 when storage is full,
 * else C000.
 */
export interface AssociationHandlers {
  cEcho?(request: EchoRequest): Promise<number>;
  /** The answer is sent when this has resolved and the whole message has come. */
  cStore?(request: StoreRequest): Promise<StoreAnswer>;
  /** Rows are pulled at the pace of the peer. Returning nothing means success. */
  cFind?(request: FindRequest): AsyncIterable<FindRow, StatusAnswer | void>;
  /** Yields counts whenever the peer should hear of them. */
  cMove?(request: MoveRequest): AsyncIterable<SubOperationCounts, MoveAnswer>;
}

// --------------------------------------------------------------------------------------------------------
// events

/** What an acceptor tells beside the services, for logs and counters. Never holds patient data. */
export type AssociationEvent =
  | { readonly type: 'accepted'; readonly association: AssociationInfo; readonly acceptedContexts: number }
  | {
      readonly type: 'rejected';
      readonly callingAeTitle: string;
      readonly calledAeTitle: string;
      readonly remoteAddress: string;
      readonly result: number;
      readonly source: number;
      readonly reason: number;
    }
  /** Too many connections even to be told so. */
  | { readonly type: 'turned-away'; readonly remoteAddress: string }
  | { readonly type: 'released'; readonly association: AssociationInfo }
  /** Aborted by either side, or lost. `association` is missing when it never came to one. */
  | {
      readonly type: 'ended';
      readonly association?: AssociationInfo;
      readonly remoteAddress: string;
      readonly error: DimseError;
    }
  | {
      readonly type: 'handler-failed';
      readonly association?: AssociationInfo;
      readonly service: 'admit' | 'C-ECHO' | 'C-STORE' | 'C-FIND' | 'C-MOVE';
      readonly error: unknown;
    }
  | { readonly type: 'listener-failed'; readonly error: unknown };
