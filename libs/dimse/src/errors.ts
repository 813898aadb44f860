/**
 * Operating errors of associations. Each has a stable `code`, its facts as fields, and a `remedy` for the
 * operator. What a peer answers (a status word) is a value, not an error.
 */
export abstract class DimseError extends Error {
  abstract readonly code: string;
  abstract readonly remedy: string;
}

/** The peer refused the association (PS3.8 9.3.4). Nothing was exchanged. */
export class AssociationRejectedError extends DimseError {
  override readonly name = 'AssociationRejectedError';
  readonly code = 'DIMSE_ASSOCIATION_REJECTED';
  readonly remedy: string;
  /** 1 permanent, 2 transient. */
  readonly result: number;
  /** 1 service user, 2 service provider (ACSE), 3 service provider (presentation). */
  readonly source: number;
  readonly reason: number;
  constructor(facts: { result: number; source: number; reason: number }) {
    super(`peer rejected the association: ${rejectionText(facts)}`);
    this.result = facts.result;
    this.source = facts.source;
    this.reason = facts.reason;
    this.remedy = rejectionRemedy(facts);
  }
}

/** A-ABORT ended the association: from the peer, or from us because the peer broke a rule or a limit. */
export class AssociationAbortedError extends DimseError {
  override readonly name = 'AssociationAbortedError';
  readonly code = 'DIMSE_ASSOCIATION_ABORTED';
  readonly remedy: string;
  readonly by: 'peer' | 'us';
  /** 0 service user, 2 service provider (PS3.8 9.3.8). */
  readonly source: number;
  readonly reason: number;
  constructor(facts: { by: 'peer' | 'us'; source: number; reason: number; why?: string; cause?: unknown }) {
    const who = facts.by === 'peer' ? 'the peer' : 'this side';
    const why = facts.why ?? abortReasons[facts.reason] ?? `reason ${facts.reason}`;
    super(`association aborted by ${who}: ${why}`, { cause: facts.cause });
    this.by = facts.by;
    this.source = facts.source;
    this.reason = facts.reason;
    this.remedy =
      facts.by === 'peer'
        ? "Look for the reason in the peer's log at this time."
        : 'The peer broke the protocol or a limit; see the message. Raise the limit only if the peer is trusted.';
  }
}

/**
 * The connection ended without release or abort, or could not be made. What was under way is not complete.
 */
export class AssociationLostError extends DimseError {
  override readonly name = 'AssociationLostError';
  readonly code = 'DIMSE_ASSOCIATION_LOST';
  readonly remedy =
    'Check that the peer runs, and the network, firewall and TLS settings between here and it.';
  constructor(why: string, options?: { cause?: unknown }) {
    super(`association lost: ${why}`, options);
  }
}

/** No accepted presentation context carries this (SOP class, transfer syntax). Nothing was sent. */
export class NoPresentationContextError extends DimseError {
  override readonly name = 'NoPresentationContextError';
  readonly code = 'DIMSE_NO_PRESENTATION_CONTEXT';
  readonly remedy = 'Propose this SOP class and transfer syntax, or check that the peer supports them.';
  readonly sopClassUid: string;
  readonly transferSyntaxUid: string | undefined;
  /** @param result - What the peer answered to the proposal (PS3.8 table 9-18), if it was proposed. */
  constructor(sopClassUid: string, transferSyntaxUid?: string, result?: number) {
    const syntax = transferSyntaxUid === undefined ? '' : ` with transfer syntax ${transferSyntaxUid}`;
    const why = contextResults[result ?? 0];
    super(
      `peer accepted no presentation context for ${sopClassUid}${syntax}${why === undefined ? '' : `: ${why}`}`,
    );
    this.sopClassUid = sopClassUid;
    this.transferSyntaxUid = transferSyntaxUid;
  }
}

/** The peer did not answer in time. The association has been aborted; whether the peer acted is unknown. */
export class ResponseTimeoutError extends DimseError {
  override readonly name = 'ResponseTimeoutError';
  readonly code = 'DIMSE_RESPONSE_TIMEOUT';
  readonly remedy = 'Check the load of the peer; raise the timeout if it is only slow.';
  readonly waitedMs: number;
  constructor(what: string, waitedMs: number) {
    super(`no ${what} within ${waitedMs} ms`);
    this.waitedMs = waitedMs;
  }
}

/**
 * The data set to be sent could not be read to its end. The association has been aborted if any of it had
 * left.
 */
export class DataSetSourceError extends DimseError {
  override readonly name = 'DataSetSourceError';
  readonly code = 'DIMSE_DATA_SET_SOURCE';
  readonly remedy = 'Check that the file exists, is readable and is not changed while it is sent.';
  constructor(why: string, options?: { cause?: unknown }) {
    super(`data set could not be read: ${why}`, options);
  }
}

/** The pool has no association free and none came free in time, or it is stopped. */
export class PoolExhaustedError extends DimseError {
  override readonly name = 'PoolExhaustedError';
  readonly code = 'DIMSE_POOL_EXHAUSTED';
  readonly remedy = 'Raise associationsPerPeerMax or waitersMax, or send less at once to this peer.';
  constructor(peer: string, why: string) {
    super(`no association to ${peer} is free: ${why}`);
  }
}

/**
 * What a peer sent is not legal here; internal: it becomes an A-ABORT with this reason (PS3.8 9.3.8, source
 * 2). 1 unrecognised PDU, 2 unexpected PDU, 4 unrecognised parameter, 5 unexpected parameter, 6 invalid
 * parameter value.
 */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly reason: 0 | 1 | 2 | 4 | 5 | 6;
  constructor(reason: 0 | 1 | 2 | 4 | 5 | 6, why: string) {
    super(why);
    this.reason = reason;
  }
}

const contextResults: { readonly [result: number]: string } = {
  1: 'user rejection',
  2: 'no reason given',
  3: 'abstract syntax not supported',
  4: 'transfer syntaxes not supported',
};

const abortReasons: { readonly [reason: number]: string } = {
  0: 'no reason given',
  1: 'unrecognised PDU',
  2: 'unexpected PDU',
  4: 'unrecognised PDU parameter',
  5: 'unexpected PDU parameter',
  6: 'invalid PDU parameter value',
};

const rejections: { readonly [key: string]: readonly [text: string, remedy: string] } = {
  '1/1': ['no reason given', "Look for the reason in the peer's log at this time."],
  '1/2': ['application context not supported', 'The peer is no DICOM application; check host and port.'],
  '1/3': ['calling AE title not recognised', 'Add our AE title and address at the peer.'],
  '1/7': ['called AE title not recognised', "Correct the peer's AE title here."],
  '2/1': ['no reason given (ACSE)', "Look for the reason in the peer's log at this time."],
  '2/2': ['protocol version not supported', 'The peer speaks another version of the protocol.'],
  '3/1': ['temporary congestion', 'Try again later; send fewer associations at once.'],
  '3/2': ['local limit exceeded', 'Try again later; send fewer associations at once or raise its limit.'],
};

function rejectionText({
  result,
  source,
  reason,
}: {
  result: number;
  source: number;
  reason: number;
}): string {
  const kind = result === 1 ? 'permanent' : result === 2 ? 'transient' : `result ${result}`;
  return `${rejections[`${source}/${reason}`]?.[0] ?? `source ${source}, reason ${reason}`} (${kind})`;
}

function rejectionRemedy({ source, reason }: { source: number; reason: number }): string {
  return rejections[`${source}/${reason}`]?.[1] ?? "Look for the reason in the peer's log at this time.";
}
