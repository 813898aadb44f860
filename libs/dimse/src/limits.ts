/**
 * Bounds on what one peer can make us hold or wait for. Every buffer, queue and wait of this library has its
 * name here. Bytes and milliseconds; each value is an integer above 0.
 */
export interface DimseLimits {
  /**
   * Open associations of one acceptor. More are answered with A-ASSOCIATE-RJ (transient, local limit
   * exceeded).
   */
  readonly associationsMax: number;
  /** Open connections from one network address, of whomever. */
  readonly associationsPerAddressMax: number;
  /** Those among them that `admit` has not called known: still without an association, or of strangers. */
  readonly unknownPerAddressMax: number;
  /** Open associations of one calling AE title, where `admit` says nothing else. */
  readonly associationsPerAeTitleMax: number;
  /** TLS handshakes in progress; the oldest is given up for one more. They count as associations, too. */
  readonly tlsHandshakesMax: number;
  /**
   * Connections beyond `associationsMax` that are still told why; more than these are closed without a word.
   */
  readonly refusalsMax: number;

  /** A-ASSOCIATE-RQ and -AC, variable field. */
  readonly associatePduBytesMax: number;
  /** P-DATA-TF, variable field: what we announce (PS3.8 D.1) and enforce, and the most that we send. */
  readonly pduBytesMax: number;
  /**
   * A peer that announces less is refused: tiny PDUs multiply the cost of every answer. 0 (unlimited) is
   * fine.
   */
  readonly peerPduBytesMin: number;
  /** One command set. */
  readonly commandBytesMax: number;
  /** One identifier (C-FIND, C-MOVE, C-GET) or other data set that is held in memory. */
  readonly identifierBytesMax: number;
  /** One data set of a C-STORE. It is streamed, so this bounds time and disk, not memory. */
  readonly storeBytesMax: number;

  /** Bytes queued for a handler at which reading from the socket stops … */
  readonly queuedBytesMax: number;
  /** … and at which it goes on. */
  readonly queuedBytesResume: number;
  /** Responses of a C-FIND are written in batches of about this size. */
  readonly batchBytes: number;

  /** From connection to the end of the TLS handshake. */
  readonly tlsHandshakeMs: number;
  /** From connection (or TLS handshake) to the last byte of A-ASSOCIATE-RQ, and again for `admit` to decide. */
  readonly firstPduMs: number;
  /** Between messages while nothing is under way. */
  readonly idleMs: number;
  /**
   * Between two PDUs of one message, and for one PDU to arrive whole. Not counted while we make the peer
   * wait.
   */
  readonly betweenPdusMs: number;
  /** For one whole message, time in which we make the peer wait not counted. */
  readonly messageMs: number;
  /** Data of a message must come at this rate at least … */
  readonly bytesPerSecondMin: number;
  /** … as measured over this time. Shorter messages are not measured. */
  readonly rateWindowMs: number;
  /** For the response to a request that we make on an association that the peer opened. */
  readonly responseMs: number;
  /** For a peer to take what we wrote. */
  readonly writeStallMs: number;
  /** How long a C-MOVE handler may take to stop after C-CANCEL before FE00 is answered without it. */
  readonly cancelGraceMs: number;
  /** From A-ABORT (or A-ASSOCIATE-RJ) to the end of the connection, whatever the peer does. */
  readonly abortLingerMs: number;
  /** From A-RELEASE-RP to the end of the connection, which the requestor should bring about (PS3.8 ARTIM). */
  readonly releaseLingerMs: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** The limits that hold where nothing else is said. */
export const defaultLimits: DimseLimits = {
  associationsMax: 256,
  associationsPerAddressMax: 64,
  unknownPerAddressMax: 64,
  associationsPerAeTitleMax: 64,
  tlsHandshakesMax: 64,
  refusalsMax: 32,
  associatePduBytesMax: MIB,
  pduBytesMax: 128 * KIB,
  peerPduBytesMin: 512,
  commandBytesMax: 64 * KIB,
  identifierBytesMax: 4 * MIB,
  storeBytesMax: 16 * 1024 * MIB,
  queuedBytesMax: MIB,
  queuedBytesResume: 256 * KIB,
  batchBytes: 64 * KIB,
  tlsHandshakeMs: 10_000,
  firstPduMs: 10_000,
  idleMs: 60_000,
  betweenPdusMs: 60_000,
  messageMs: 3_600_000,
  bytesPerSecondMin: 512,
  rateWindowMs: 30_000,
  responseMs: 60_000,
  writeStallMs: 60_000,
  cancelGraceMs: 5_000,
  abortLingerMs: 500,
  releaseLingerMs: 2_000,
};

/**
 * `defaultLimits` with some of them replaced. Throws RangeError on a value that is not an integer above 0.
 */
export function dimseLimits(some: Partial<DimseLimits> = {}): DimseLimits {
  const limits: DimseLimits = { ...defaultLimits, ...some };
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || (value as number) <= 0) {
      throw new RangeError(`dimse limit ${name} must be an integer above 0, not ${String(value)}`);
    }
  }
  if (limits.queuedBytesResume >= limits.queuedBytesMax) {
    throw new RangeError('dimse limit queuedBytesResume must be below queuedBytesMax');
  }
  if (limits.peerPduBytesMin < 8) throw new RangeError('dimse limit peerPduBytesMin must be at least 8');
  return limits;
}
