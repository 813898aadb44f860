import { ProtocolError } from './errors.ts';
import { pduHeaderBytes, pduType } from './pdu.ts';

/** Where an association stands, as far as the legality of incoming PDUs goes (states of PS3.8 9.2.1). */
export type FramerState =
  /** Acceptor, before A-ASSOCIATE-RQ (Sta2). */
  | 'awaiting-request'
  /** Requestor, before A-ASSOCIATE-AC or -RJ (Sta5). */
  | 'awaiting-answer'
  /** Data may flow (Sta6). */
  | 'established'
  /** We sent A-RELEASE-RQ; the peer may still send data, or collide (Sta7). */
  | 'releasing'
  /** Waiting for the end of the connection: whatever comes is thrown away (Sta13). */
  | 'ended';

/**
 * Takes what the framer found. Slices are views into the socket's chunk: valid for ever, but they keep the
 * chunk alive.
 */
export interface PduReceiver {
  /** A whole PDU other than P-DATA-TF; `body` is its variable field. */
  pdu(type: number, body: Buffer): void;
  /** The header of a presentation data value; `length` bytes of data follow. May throw ProtocolError. */
  pdvStart(contextId: number, isCommand: boolean, isLast: boolean, length: number): void;
  /** Some of its bytes; never empty. */
  pdvData(slice: Buffer): void;
  pdvEnd(): void;
  /** A whole P-DATA-TF has passed. */
  dataPduEnd(): void;
}

const pdvHeaderBytes = 6;
const releaseAndAbortBytes = 4;

/**
 * Cuts a byte stream into PDUs and PDVs (PS3.8 9.3, Annex E) without copying data. The length of every PDU is
 * judged by the state before a byte of it is kept. Does not know sockets; throws ProtocolError, after which
 * it must not be used.
 */
export class PduFramer {
  state: FramerState;
  readonly #receiver: PduReceiver;
  readonly #pduBytesMax: number;
  readonly #associatePduBytesMax: number;
  readonly #header = Buffer.alloc(pduHeaderBytes);
  #headerBytes = 0;
  /** What the next bytes are. */
  #part: 'pdu-header' | 'pdu-body' | 'pdv-header' | 'pdv-data' = 'pdu-header';
  #type = 0;
  /** Bytes of the present PDU that are still to come. */
  #pduLeft = 0;
  #pdvLeft = 0;
  #body: Buffer[] = [];
  #held = false;
  #backlog: Buffer | undefined;

  constructor(
    receiver: PduReceiver,
    options: { state: FramerState; pduBytesMax: number; associatePduBytesMax: number },
  ) {
    this.#receiver = receiver;
    this.state = options.state;
    this.#pduBytesMax = options.pduBytesMax;
    this.#associatePduBytesMax = options.associatePduBytesMax;
  }

  /** True while a PDU has begun and not ended. */
  get insidePdu(): boolean {
    return this.#part !== 'pdu-header' || this.#headerBytes > 0;
  }

  /**
   * Stops after the present PDV or PDU, even inside a chunk; what is left of the chunk waits for `release`.
   */
  hold(): void {
    this.#held = true;
  }

  get isHeld(): boolean {
    return this.#held;
  }

  /** Whether bytes that are still to be looked at lie in `memory`. */
  needs(memory: ArrayBufferLike): boolean {
    return this.#backlog?.buffer === memory;
  }

  /** Goes on with what was left. May throw as `push` does. */
  release(): void {
    this.#held = false;
    const backlog = this.#backlog;
    this.#backlog = undefined;
    if (backlog !== undefined) this.push(backlog);
  }

  /** Takes the next bytes of the stream. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && this.state !== 'ended') {
      if (this.#held) {
        const rest = chunk.subarray(at);
        this.#backlog = this.#backlog === undefined ? rest : Buffer.concat([this.#backlog, rest]);
        return;
      }
      at = this.#step(chunk, at);
    }
  }

  #step(chunk: Buffer, at: number): number {
    switch (this.#part) {
      case 'pdu-header':
      case 'pdv-header': {
        // Both headers happen to have six bytes. Most lie whole in the chunk, but one may arrive byte by byte.
        if (this.#headerBytes === 0 && at + pduHeaderBytes <= chunk.length) {
          this.#takeHeader(chunk, at);
          return at + pduHeaderBytes;
        }
        const end = Math.min(chunk.length, at + pduHeaderBytes - this.#headerBytes);
        chunk.copy(this.#header, this.#headerBytes, at, end);
        this.#headerBytes += end - at;
        if (this.#headerBytes === pduHeaderBytes) {
          this.#headerBytes = 0;
          this.#takeHeader(this.#header, 0);
        }
        return end;
      }
      case 'pdu-body': {
        const end = Math.min(chunk.length, at + this.#pduLeft);
        this.#body.push(chunk.subarray(at, end));
        this.#pduLeft -= end - at;
        if (this.#pduLeft === 0) this.#pduEnd();
        return end;
      }
      case 'pdv-data': {
        const end = Math.min(chunk.length, at + this.#pdvLeft);
        this.#pdvLeft -= end - at;
        this.#pduLeft -= end - at;
        this.#receiver.pdvData(chunk.subarray(at, end));
        if (this.#pdvLeft === 0) this.#pdvEnd();
        return end;
      }
    }
  }

  #takeHeader(bytes: Buffer, at: number): void {
    if (this.#part === 'pdv-header') this.#pdvHeader(bytes, at);
    else this.#pduHeader(bytes, at);
  }

  #pduHeader(bytes: Buffer, at: number): void {
    this.#type = bytes.readUInt8(at);
    this.#pduLeft = bytes.readUInt32BE(at + 2);
    this.#judge(this.#type, this.#pduLeft);
    if (this.#type === pduType.data) this.#part = 'pdv-header';
    else {
      this.#part = 'pdu-body';
      this.#body = [];
    }
  }

  /** Type and length against the state, before anything is kept. */
  #judge(type: number, length: number): void {
    if (type < pduType.associateRq || type > pduType.abort) throw new ProtocolError(1, `PDU type ${type}`);
    if (!legal[this.state].includes(type)) throw new ProtocolError(2, `PDU type ${type} while ${this.state}`);
    if (type === pduType.data) {
      if (length < pdvHeaderBytes) throw new ProtocolError(6, `P-DATA-TF of ${length} bytes`);
      if (length > this.#pduBytesMax) {
        throw new ProtocolError(6, `P-DATA-TF of ${length} bytes, announced maximum ${this.#pduBytesMax}`);
      }
    } else if (type === pduType.associateRq || type === pduType.associateAc) {
      if (length > this.#associatePduBytesMax) throw new ProtocolError(6, `A-ASSOCIATE of ${length} bytes`);
      if (length < 68) throw new ProtocolError(6, `A-ASSOCIATE of ${length} bytes is too short`);
    } else if (length !== releaseAndAbortBytes) {
      throw new ProtocolError(6, `PDU type ${type} of ${length} bytes`);
    }
  }

  #pduEnd(): void {
    this.#part = 'pdu-header';
    const body = this.#body.length === 1 ? (this.#body[0] as Buffer) : Buffer.concat(this.#body);
    this.#body = [];
    this.#receiver.pdu(this.#type, body);
  }

  #pdvHeader(bytes: Buffer, at: number): void {
    // PDV length counts the context id and the message control header; it does not count itself (PS3.8
    // 9.3.5.1).
    const length = bytes.readUInt32BE(at);
    if (length < 2 || length + 4 > this.#pduLeft) throw new ProtocolError(6, `PDV length ${length}`);
    this.#pduLeft -= pdvHeaderBytes;
    this.#pdvLeft = length - 2;
    // Bits 2 to 7 are not checked by the receiver (PS3.8 E.2).
    const control = bytes.readUInt8(at + 5);
    const contextId = bytes.readUInt8(at + 4);
    this.#receiver.pdvStart(contextId, (control & 1) !== 0, (control & 2) !== 0, this.#pdvLeft);
    this.#part = 'pdv-data';
    if (this.#pdvLeft === 0) this.#pdvEnd();
  }

  #pdvEnd(): void {
    if (this.#pduLeft !== 0 && this.#pduLeft < pdvHeaderBytes) {
      throw new ProtocolError(6, `${this.#pduLeft} bytes left over in a P-DATA-TF`);
    }
    this.#part = this.#pduLeft === 0 ? 'pdu-header' : 'pdv-header';
    this.#receiver.pdvEnd();
    if (this.#part === 'pdu-header') this.#receiver.dataPduEnd();
  }
}

const { associateRq, associateAc, associateRj, data, releaseRq, releaseRp, abort } = pduType;

/** PS3.8 table 9-10: PDU types that are legal in each state. */
const legal: { readonly [S in FramerState]: readonly number[] } = {
  'awaiting-request': [associateRq, abort],
  'awaiting-answer': [associateAc, associateRj, abort],
  established: [data, releaseRq, abort],
  releasing: [data, releaseRq, releaseRp, abort],
  ended: [],
};
