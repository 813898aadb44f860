import type { Socket } from 'node:net';
import {
  AssociationAbortedError,
  AssociationLostError,
  ProtocolError,
  ResponseTimeoutError,
} from './errors.ts';
import type { DimseError } from './errors.ts';
import { PduFramer } from './framer.ts';
import type { FramerState, PduReceiver } from './framer.ts';
import type { DimseLimits } from './limits.ts';
import { decodeAbort, encodeAbort, pduType } from './pdu.ts';

/**
 * One side of an association: gets PDUs, and exactly one `ended`. A throw in any of them aborts the
 * association.
 */
export interface ConnectionOwner extends PduReceiver {
  /**
   * Once, at the first of: an abort from either side, a broken rule or deadline, the end of the connection.
   * `undefined` after an orderly release. Nothing can be sent any more.
   */
  ended(error: DimseError | undefined): void;
}

/** Why reading is stopped; it goes on when no reason is left. */
export type PauseReason = 'handler is slow' | 'operation under way';

/**
 * A socket with a framer on it: bounds, deadlines, back-pressure in both directions, abort-then-destroy. Used
 * by both sides of an association; knows nothing of messages.
 */
export class Connection {
  readonly socket: Socket;
  readonly framer: PduFramer;
  readonly #owner: ConnectionOwner;
  readonly #limits: DimseLimits;
  readonly #pausedFor = new Set<PauseReason>();
  #deadline: NodeJS.Timeout | undefined;
  #deadlineMs = 0;
  #deadlineExpired: (() => DimseError) | undefined;
  #stall: NodeJS.Timeout | undefined;
  #drainWaiters: { resolve: () => void; reject: (error: DimseError) => void }[] = [];
  #endedWith: DimseError | undefined;
  #ended = false;
  #socketError: Error | undefined;

  constructor(socket: Socket, owner: ConnectionOwner, limits: DimseLimits, state: FramerState) {
    this.socket = socket;
    this.#owner = owner;
    this.#limits = limits;
    this.framer = new PduFramer(
      {
        pdu: (type, body) => {
          this.#touch();
          if (type === pduType.abort) this.#peerAborted(body);
          else owner.pdu(type, body);
        },
        pdvStart: (contextId, isCommand, isLast, length) =>
          owner.pdvStart(contextId, isCommand, isLast, length),
        pdvData: (slice) => owner.pdvData(slice),
        pdvEnd: () => owner.pdvEnd(),
        dataPduEnd: () => {
          this.#touch();
          owner.dataPduEnd();
        },
      },
      { state, pduBytesMax: limits.pduBytesMax, associatePduBytesMax: limits.associatePduBytesMax },
    );
    socket.on('data', (chunk: Buffer) => this.#read(() => this.framer.push(chunk)));
    socket.on('drain', () => this.#drained());
    socket.on('error', (error) => (this.#socketError = error));
    socket.on('end', () => this.#lost('the peer closed the connection'));
    socket.on('close', () => this.#lost(this.#socketError?.message ?? 'the connection was closed'));
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  /** The peer has not taken what was written: await `drained` before more. */
  get isBehind(): boolean {
    return this.socket.writableNeedDrain;
  }

  /** Throws what ended the connection, if anything did. */
  assertOpen(): void {
    if (this.#ended) throw this.#endedWith ?? new AssociationLostError('the association was released');
  }

  /** Writes; false when the peer is behind and `drained` should be awaited before more. Throws when ended. */
  write(...buffers: readonly Buffer[]): boolean {
    this.assertOpen();
    if (buffers.length > 1) this.socket.cork();
    for (const buffer of buffers) this.socket.write(buffer);
    if (buffers.length > 1) this.socket.uncork();
    return !this.isBehind;
  }

  /** Writes and resolves when the socket has let go of the buffer, which may then be used again. */
  async writeAndWait(buffer: Buffer): Promise<void> {
    this.assertOpen();
    this.#watchForStall();
    await new Promise<void>((resolve, reject) => {
      this.socket.write(buffer, (error) => {
        if (!this.isBehind) this.#unwatchForStall();
        if (error === null || error === undefined) resolve();
        else reject(this.#endedWith ?? new AssociationLostError(error.message, { cause: error }));
      });
    });
  }

  /**
   * Resolves when the peer has taken enough. Rejects when the connection ends, also for a peer that takes
   * nothing.
   */
  async drained(): Promise<void> {
    this.assertOpen();
    if (!this.isBehind) return;
    this.#watchForStall();
    await new Promise<void>((resolve, reject) => this.#drainWaiters.push({ resolve, reject }));
  }

  /** Stops reading. A reason counts once, however often it is given. */
  pause(reason: PauseReason): void {
    this.#pausedFor.add(reason);
    this.socket.pause();
    this.#stopDeadline();
  }

  resume(reason: PauseReason): void {
    if (!this.#pausedFor.delete(reason) || this.#pausedFor.size > 0 || this.#ended) return;
    if (this.#deadlineExpired !== undefined && this.#deadline === undefined) this.#startDeadline();
    this.socket.resume();
  }

  /** Stops the framer behind what it is at, and the socket. */
  hold(): void {
    this.framer.hold();
    this.pause('operation under way');
  }

  /** Goes on after `hold`: first with what the framer has, which may lead to the next `hold`. */
  release(): void {
    if (this.#ended) return;
    this.#read(() => this.framer.release());
    if (!this.framer.isHeld) this.resume('operation under way');
  }

  /**
   * Ends the association with an abort unless a PDU arrives within `ms`; every whole PDU starts it anew.
   * Replaces the deadline before. It stands still while reading is paused.
   */
  expectPdu(ms: number, expired: () => DimseError): void {
    this.#deadlineMs = ms;
    this.#deadlineExpired = expired;
    this.#stopDeadline();
    if (this.#pausedFor.size === 0 && !this.#ended) this.#startDeadline();
  }

  /** No deadline: we are working, or the association is over. */
  expectNothing(): void {
    this.#deadlineExpired = undefined;
    this.#stopDeadline();
  }

  /**
   * A-ABORT to the peer, then the end of the connection after `abortLingerMs` at the latest. Does nothing
   * when ended.
   */
  abort(source: 0 | 2, reason: number, facts: { why: string; cause?: unknown; error?: DimseError }): void {
    if (this.#ended) return;
    const error = facts.error ?? new AssociationAbortedError({ by: 'us', source, reason, ...facts });
    this.#sendLast(encodeAbort(source, reason), this.#limits.abortLingerMs);
    this.#end(error);
  }

  /** Sends one last PDU (A-ASSOCIATE-RJ, A-RELEASE-RP) and waits `lingerMs` for the peer to close. */
  finish(lastPdu: Buffer, lingerMs: number, error?: DimseError): void {
    if (this.#ended) return;
    this.#sendLast(lastPdu, lingerMs);
    this.#end(error);
  }

  /** Closes our half after an orderly release that we asked for, and the whole soon after. */
  close(): void {
    if (this.#ended) return;
    this.socket.end();
    this.#destroyAfter(this.#limits.abortLingerMs);
    this.#end(undefined);
  }

  /**
   * Runs what reads; a protocol error becomes an A-ABORT, and so does a defect of ours: it must not end the
   * process.
   */
  #read(work: () => void): void {
    if (this.#ended) return;
    try {
      work();
    } catch (error) {
      if (error instanceof ProtocolError) this.abort(2, error.reason, { why: error.message, cause: error });
      else this.abort(0, 0, { why: 'internal error', cause: error });
    }
  }

  #peerAborted(body: Buffer): void {
    const { source, reason } = decodeAbort(body);
    this.socket.end();
    this.#destroyAfter(this.#limits.abortLingerMs);
    this.#end(new AssociationAbortedError({ by: 'peer', source, reason }));
  }

  #lost(why: string): void {
    if (this.#ended) return;
    this.socket.end();
    if (!this.socket.destroyed) this.#destroyAfter(this.#limits.abortLingerMs);
    this.#end(new AssociationLostError(why, { cause: this.#socketError }));
  }

  #sendLast(pdu: Buffer, lingerMs: number): void {
    this.socket.end(pdu);
    // Go on reading (the framer throws it away), so that the peer's close is seen and our last PDU is not
    // lost to a reset.
    this.#pausedFor.clear();
    this.framer.state = 'ended';
    this.socket.resume();
    this.#destroyAfter(lingerMs);
  }

  #destroyAfter(ms: number): void {
    const timer = setTimeout(() => this.socket.destroy(), ms);
    this.socket.once('close', () => clearTimeout(timer));
  }

  #end(error: DimseError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#endedWith = error;
    this.framer.state = 'ended';
    this.expectNothing();
    this.#unwatchForStall();
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const { reject } of waiters)
      reject(error ?? new AssociationLostError('the association was released'));
    this.#owner.ended(error);
  }

  #drained(): void {
    this.#unwatchForStall();
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const { resolve } of waiters) resolve();
  }

  /** One block must leave within `writeStallMs`; a fresh write gives a fresh wait. */
  #watchForStall(): void {
    if (this.#stall !== undefined) this.#stall.refresh();
    else {
      this.#stall = setTimeout(() => {
        this.abort(2, 0, { why: `peer took nothing for ${this.#limits.writeStallMs} ms` });
      }, this.#limits.writeStallMs);
    }
  }

  #unwatchForStall(): void {
    clearTimeout(this.#stall);
    this.#stall = undefined;
  }

  #touch(): void {
    this.#deadline?.refresh();
  }

  #startDeadline(): void {
    this.#deadline = setTimeout(() => {
      const error = this.#deadlineExpired?.() ?? new ResponseTimeoutError('PDU', this.#deadlineMs);
      this.abort(2, 0, { why: error.message, error });
    }, this.#deadlineMs);
  }

  #stopDeadline(): void {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
  }
}
