import type { SubOperationCounts } from './command-set.ts';
import type { DimseError } from './errors.ts';
import type { AcceptedContext, EventReport, NOutcome, ResponseOutcome, StoreObject } from './outcomes.ts';
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

/** What a certificate says of its owner. */
export interface CertificateFacts {
  /** `CN=…,O=…`; commas and backslashes in a value have a backslash before them. */
  readonly subject: string;
  readonly issuer: string;
  /** `DNS:pacs.example`, `IP Address:192.0.2.7` … */
  readonly subjectAltNames: readonly string[];
  /** Upper-case hexadecimal pairs with colons. */
  readonly fingerprintSha256: string;
  readonly validTo: Date;
}

/** What TLS says of a peer. A certificate is bound to a station by `admit`. */
export interface TlsFacts {
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly protocol: string;
  readonly cipherSuite: string;
  /** Missing when none was asked for or sent. */
  readonly peerCertificate?: CertificateFacts & {
    /** Its chain leads to an authority of ours. Always true with `rejectUnauthorized`. */
    readonly isTrusted: boolean;
  };
}

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
  /** Missing on a connection in the clear. */
  readonly tls?: TlsFacts;
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
      /** Of this calling AE title at a time, instead of `associationsPerAeTitleMax`. */
      readonly associationsMax?: number;
      /** A peer that we know: it does not count for `unknownPerAddressMax`. Default false. */
      readonly isKnown?: boolean;
      /**
       * Only for SOP classes whose roles the peer proposed, and only roles that it proposed; without it a peer
       * is SCU. `scp` true lets a C-GET of the peer be answered with objects of the class.
       */
      readonly roles?: readonly RoleSelection[];
      /** Only for SOP classes that the peer proposed extended negotiation for. */
      readonly extendedNegotiations?: readonly ExtendedNegotiation[];
    }
  | {
      readonly accept: false;
      readonly result: 1 | 2;
      readonly source: 1 | 2 | 3;
      readonly reason: number;
      /** For the log; the peer is not told. */
      readonly why?: string;
    };

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
  /**
   * As `batches`, but lent: when the next batch is asked for, the memory of the one before is freed and its
   * buffers are empty. For handlers that write and forget; two to three times cheaper, since memory is not
   * left to the garbage collector. Not for two loops over one data set.
   */
  borrowed(): AsyncIterable<Buffer[]>;
  /**
   * The same for a handler that still writes one batch while it asks for the next: frees the memory of whole
   * batches of `batches()`. Has no effect when the handler has answered.
   */
  giveBack(batch: readonly Buffer[]): void;
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

export interface GetRequest extends OperationRequest {
  /** The encoded identifier, in `transferSyntaxUid`. */
  readonly identifier: Buffer;
  /**
   * Contexts on which the peer takes objects of a class, by what was negotiated, roles included; none: it
   * takes no such objects.
   */
  accepted(sopClassUid: string): AcceptedContext[];
  /**
   * Sends one object on this association, as a C-STORE sub-operation. Several calls take turns. Counted in
   * `tally`, whatever becomes of it. Rejects as `RequestedAssociation.cStore` does: with
   * NoPresentationContextError and DataSetSourceError before anything was sent the C-GET can go on.
   */
  store(object: StoreObject): Promise<ResponseOutcome>;
  /** Sub-operations done so far: what to yield, with `remaining`, and to answer. */
  tally(): { readonly counts: SubOperationCounts; readonly failedSopInstanceUids: readonly string[] };
}
export type GetAnswer = MoveAnswer;

interface NormalisedRequest extends OperationRequest {
  /** Encoded in `transferSyntaxUid`. */
  readonly dataSet?: Buffer;
  /** N-EVENT-REPORT on the same association; also after this request was answered, while it is open. */
  nEventReport(report: EventReport): Promise<NOutcome>;
}

export interface NActionRequest extends NormalisedRequest {
  /** Requested SOP Instance UID. */
  readonly sopInstanceUid: string;
  readonly actionTypeId: number;
}
export interface NCreateRequest extends NormalisedRequest {
  /** Missing when the SCP shall choose one: it is named in the answer then. */
  readonly sopInstanceUid?: string;
}
export interface NSetRequest extends NormalisedRequest {
  readonly sopInstanceUid: string;
}
export interface NGetRequest extends NormalisedRequest {
  readonly sopInstanceUid: string;
  /** Eight hexadecimal digits each; none = all attributes. */
  readonly attributeTags: readonly string[];
}
export interface NDeleteRequest extends NormalisedRequest {
  readonly sopInstanceUid: string;
}
export interface NEventReportRequest extends NormalisedRequest {
  readonly sopInstanceUid: string;
  readonly eventTypeId: number;
}

export interface NAnswer extends StatusAnswer {
  /** Affected SOP Instance UID, when it is not that of the request. */
  readonly sopInstanceUid?: string;
  /** Encoded in the request's transfer syntax. */
  readonly dataSet?: Buffer;
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
  /** As `cMove`; what matches is sent with `request.store`. */
  cGet?(request: GetRequest): AsyncIterable<SubOperationCounts, GetAnswer>;
  /** The DIMSE-N services (PS3.7 10); what is left out is answered with 0211 (unrecognised operation). */
  nEventReport?(request: NEventReportRequest): Promise<NAnswer>;
  nGet?(request: NGetRequest): Promise<NAnswer>;
  nSet?(request: NSetRequest): Promise<NAnswer>;
  nAction?(request: NActionRequest): Promise<NAnswer>;
  nCreate?(request: NCreateRequest): Promise<NAnswer>;
  nDelete?(request: NDeleteRequest): Promise<NAnswer>;
}

/** What a requestor may be asked on the association that it opened, C-GET aside: see `cGet`. */
export type RequestorHandlers = Pick<AssociationHandlers, 'nEventReport'>;

export type ServiceName =
  | 'C-ECHO'
  | 'C-STORE'
  | 'C-FIND'
  | 'C-MOVE'
  | 'C-GET'
  | 'N-EVENT-REPORT'
  | 'N-GET'
  | 'N-SET'
  | 'N-ACTION'
  | 'N-CREATE'
  | 'N-DELETE';

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
      /** What `admit` said beside it. */
      readonly why?: string;
    }
  /** Too many connections even to be told so. */
  | { readonly type: 'turned-away'; readonly remoteAddress: string }
  /** No TLS handshake came about: it failed, or took too long. */
  | { readonly type: 'tls-failed'; readonly remoteAddress: string; readonly error: Error }
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
      readonly service: 'admit' | ServiceName;
      readonly error: unknown;
    }
  | { readonly type: 'listener-failed'; readonly error: unknown };
