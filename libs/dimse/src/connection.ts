import type { Socket } from 'node:net';
import {
  AssociationAbortedError,
  AssociationLostError,
  ProtocolError,
  ResponseTimeoutError,
} from './errors.ts';
import type { DimseError } from './errors.ts';
import { DeadlineClock } from './deadline-clock.ts';
import type { Deadline } from './deadline-clock.ts';
import { PduFramer } from './framer.ts';
import type { FramerState, PduReceiver } from './framer.ts';
import type { DimseLimits } from './limits.ts';
import { decodeAbort, encodeAbort, pduType } from './pdu.ts';

/**
 * One side of an association: gets the PDUs that open and close it, and exactly one `ended`. A throw in any of
 * them aborts the association.
 */
export interface ConnectionOwner extends Pick<PduReceiver, 'pdu'> {
  /**
   * Once, at the first of: an abort from either side, a broken rule or deadline, the end of the connection.
   * `undefined` after an orderly release. Nothing can be sent any more.
   */
  ended(error: DimseError | undefined): void;
}

/** Gets the contents of P-DATA-TF; a throw aborts the association. */
export type MessageReceiver = Pick<PduReceiver, 'pdvStart' | 'pdvData' | 'pdvEnd'>;

/**
 * Why reading is stopped; it goes on when no reason is left. An object stands for itself: several queues may
 * be full at once.
 */
export type PauseReason = 'operation under way' | object;

/** Less is left to the collector, which does it in passing. */
const recycledBytesMin = 16 * 1024;

/**
 * A socket with a framer on it: bounds, deadlines, back-pressure in both directions, abort-then-destroy. Used
 * by both sides of an association; knows nothing of messages.
 */
export class Connection {
  readonly socket: Socket;
  readonly framer: PduFramer;
  readonly #owner: ConnectionOwner;
  #messages: MessageReceiver | undefined;
  readonly #limits: DimseLimits;
  readonly #pausedFor = new Set<PauseReason>();
  readonly #clock = new DeadlineClock();
  /** For the next PDU. */
  readonly #pdu: Deadline;
  #pduMs = 0;
  /** What is awaited; `undefined` = nothing. */
  #pduAwaited: string | undefined;
  /** For the peer to take what we wrote. */
  readonly #stall: Deadline;
  /** For the whole message, and for the bytes of one window of it. */
  readonly #message: Deadline;
  readonly #window: Deadline;
  #windowBytes = 0;
  /** What is left for the message while reading is paused; `undefined` outside messages. */
  #messageLeftMs: number | undefined;
  #drainWaiters: { resolve: () => void; reject: (error: DimseError) => void }[] = [];
  #endedWith: DimseError | undefined;
  #ended = false;
  #socketError: Error | undefined;
  #ownsMemory = true;

  constructor(socket: Socket, owner: ConnectionOwner, limits: DimseLimits, state: FramerState) {
    this.socket = socket;
    this.#owner = owner;
    this.#limits = limits;
    this.#pdu = this.#clock.deadline(() => this.#pduIsLate());
    this.#stall = this.#clock.deadline(() => {
      this.abort(2, 0, { why: `peer took nothing for ${limits.writeStallMs} ms` });
    });
    this.#message = this.#clock.deadline(() => {
      this.abort(2, 0, { why: `one message took longer than ${limits.messageMs} ms` });
    });
    this.#window = this.#clock.deadline(() => this.#windowIsOver());
    this.framer = new PduFramer(
      {
        pdu: (type, body) => {
          this.#touch();
          if (type === pduType.abort) this.#peerAborted(body);
          else owner.pdu(type, body);
        },
        pdvStart: (contextId, isCommand, isLast, length) =>
          this.#messages?.pdvStart(contextId, isCommand, isLast, length),
        pdvData: (slice) => {
          this.#windowBytes += slice.length;
          this.#messages?.pdvData(slice);
        },
        pdvEnd: () => this.#messages?.pdvEnd(),
        dataPduEnd: () => this.#touch(),
      },
      { state, pduBytesMax: limits.pduBytesMax, associatePduBytesMax: limits.associatePduBytesMax },
    );
    socket.on('data', (chunk: Buffer) => {
      // Every chunk of a socket has its own memory; should one ever not, none is taken back.
      if (chunk.length !== chunk.buffer.byteLength) this.#ownsMemory = false;
      this.#read(() => this.framer.push(chunk));
    });
    socket.on('drain', () => this.#drained());
    socket.on('error', (error) => (this.#socketError = error));
    socket.on('end', () => this.#lost('the peer closed the connection'));
    socket.on('close', () => this.#lost(this.#socketError?.message ?? 'the connection was closed'));
  }

  /** Who gets the messages; to be said before the association is established. */
  messagesTo(receiver: MessageReceiver): void {
    this.#messages = receiver;
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

  /**
   * Writes `head`, if any, and `buffer` at once; resolves when the socket has let go of them, so that they may
   * be used again.
   */
  writeAndWait(head: Buffer | undefined, buffer: Buffer): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.assertOpen();
      this.#stall.set(this.#limits.writeStallMs);
      if (head !== undefined) {
        this.socket.cork();
        this.socket.write(head);
      }
      this.socket.write(buffer, (error) => {
        if (!this.isBehind) this.#stall.clear();
        if (error === null || error === undefined) resolve();
        else reject(this.#endedWith ?? new AssociationLostError(error.message, { cause: error }));
      });
      if (head !== undefined) this.socket.uncork();
    });
  }

  /**
   * Resolves when the peer has taken enough. Rejects when the connection ends, also for a peer that takes
   * nothing.
   */
  async drained(): Promise<void> {
    this.assertOpen();
    if (!this.isBehind) return;
    // One block must leave within this time; a fresh write gives a fresh wait.
    this.#stall.set(this.#limits.writeStallMs);
    await new Promise<void>((resolve, reject) => this.#drainWaiters.push({ resolve, reject }));
  }

  /** Stops reading, and with it the deadlines of the peer. A reason counts once, however often it is given. */
  pause(reason: PauseReason): void {
    const isFirst = this.#pausedFor.size === 0;
    this.#pausedFor.add(reason);
    if (!isFirst) return;
    this.socket.pause();
    this.#pdu.clear();
    this.#window.clear();
    if (this.#message.isSet) this.#messageLeftMs = Math.max(1, this.#message.dueAt - performance.now());
    this.#message.clear();
  }

  resume(reason: PauseReason): void {
    if (!this.#pausedFor.delete(reason) || this.#pausedFor.size > 0 || this.#ended) return;
    if (this.#pduAwaited !== undefined) this.#pdu.set(this.#pduMs);
    if (this.#messageLeftMs !== undefined) this.#watchMessage(this.#messageLeftMs);
    this.socket.resume();
  }

  /**
   * Frees the memory of a chunk whose data have been used, at once: all of its slices are empty then. With
   * more than one operation at a time slices of one chunk may belong to several: not to be called then.
   */
  recycle(memory: ArrayBufferLike): void {
    if (!(memory instanceof ArrayBuffer) || memory.byteLength < recycledBytesMin) return;
    if (this.#ownsMemory && !this.framer.needs(memory)) memory.transfer(0);
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
   * Ends the association with ResponseTimeoutError(`what`) unless a PDU arrives within `ms`; every whole PDU
   * starts it anew.
   * Replaces the deadline before. It stands still while reading is paused.
   */
  expectPdu(what: string, ms: number): void {
    this.#pduMs = ms;
    this.#pduAwaited = what;
    if (this.#pausedFor.size === 0 && !this.#ended) this.#pdu.set(ms);
  }

  /** No deadline: we are working, or the association is over. */
  expectNothing(): void {
    this.#pduAwaited = undefined;
    this.#pdu.clear();
  }

  /**
   * A message has begun: until `messageEnded` its bytes must come at `bytesPerSecondMin` at least, and all of
   * it within `messageMs`. Time in which we make the peer wait is not counted.
   */
  messageBegan(): void {
    this.#messageLeftMs = this.#limits.messageMs;
    if (this.#pausedFor.size === 0) this.#watchMessage(this.#messageLeftMs);
  }

  messageEnded(): void {
    this.#messageLeftMs = undefined;
    this.#message.clear();
    this.#window.clear();
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
    this.#destroyAfter(lingerMs);
  }

  #destroyAfter(ms: number): void {
    // Go on reading (the framer throws it away), so that the peer's close is seen and our last PDU is not
    // lost to a reset.
    this.#pausedFor.clear();
    this.framer.state = 'ended';
    this.socket.resume();
    const timer = setTimeout(() => this.socket.destroy(), ms);
    this.socket.once('close', () => clearTimeout(timer));
  }

  #end(error: DimseError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#endedWith = error;
    this.framer.state = 'ended';
    this.#pduAwaited = undefined;
    this.#clock.stop();
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const { reject } of waiters)
      reject(error ?? new AssociationLostError('the association was released'));
    this.#owner.ended(error);
  }

  #drained(): void {
    this.#stall.clear();
    if (this.#drainWaiters.length === 0) return;
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const { resolve } of waiters) resolve();
  }

  #touch(): void {
    if (this.#pdu.isSet) this.#pdu.set(this.#pduMs);
  }

  #pduIsLate(): void {
    const error = new ResponseTimeoutError(this.#pduAwaited ?? 'PDU', this.#pduMs);
    this.abort(2, 0, { why: error.message, error });
  }

  #watchMessage(leftMs: number): void {
    const now = performance.now();
    this.#message.set(leftMs, now);
    this.#window.set(this.#limits.rateWindowMs, now);
    this.#windowBytes = 0;
  }

  #windowIsOver(): void {
    const { bytesPerSecondMin, rateWindowMs } = this.#limits;
    if (this.#windowBytes * 1000 < bytesPerSecondMin * rateWindowMs) {
      this.abort(2, 0, { why: `peer sent its message at fewer than ${bytesPerSecondMin} bytes/s` });
      return;
    }
    this.#windowBytes = 0;
    this.#window.set(rateWindowMs);
  }
}
