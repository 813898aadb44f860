import type { Socket } from 'node:net';
import { uids } from '@isthmus/dicom';
import { commandField, encodeCommandSet } from './command-set.ts';
import type { CommandSet } from './command-set.ts';
import { Connection } from './connection.ts';
import type { ConnectionOwner } from './connection.ts';
import { openDataSet } from './data-set-sender.ts';
import {
  AssociationLostError,
  AssociationRejectedError,
  NoPresentationContextError,
  ProtocolError,
  ResponseTimeoutError,
} from './errors.ts';
import type { DimseError } from './errors.ts';
import { Exchange } from './exchange.ts';
import { FindResponses } from './find-responses.ts';
import type { FindOutcome } from './find-responses.ts';
import type { DimseLimits } from './limits.ts';
import { ByteCollector, MessageReader } from './message-reader.ts';
import { encodeFragments, fragmentBytesMax } from './message-writer.ts';
import { countsOf, encoded, failedUids, outcomeOf } from './outcomes.ts';
import type {
  AcceptedContext,
  FindQuery,
  MoveOutcome,
  MoveQuery,
  PeerInfo,
  ResponseOutcome,
  StoreObject,
} from './outcomes.ts';
import {
  decodeAssociateAccept,
  decodeAssociateReject,
  encodeAssociateRequest,
  encodeReleaseRequest,
  encodeReleaseResponse,
  pduType,
} from './pdu.ts';
import type { AssociateAccept, AssociateRequest } from './pdu.ts';
import type { RequestTimeouts } from './requestor.ts';

/** Calls of one association take turns; so many may wait. */
const waitingCallsMax = 1024;

/**
 * An association that we opened. One operation at a time: calls made while another runs wait for their turn.
 * When the association ends, everything under way and waiting rejects with the error that ended it.
 */
export class RequestedAssociation implements ConnectionOwner {
  /** Settles when the peer has answered the request for association; `requestAssociation` waits for it. */
  readonly negotiated: Promise<void>;
  readonly #negotiation = Promise.withResolvers<void>();
  readonly #request: AssociateRequest;
  readonly #limits: DimseLimits;
  readonly #timeouts: RequestTimeouts;
  readonly #connection: Connection;
  readonly #reader: MessageReader;
  readonly #accepted = new Map<number, { sopClassUid: string; transferSyntaxUid: string }>();
  readonly #closed = Promise.withResolvers<void>();
  #peer: PeerInfo = { maxPduBytes: 0, extendedNegotiations: [] };
  #fragmentMax = 0;
  #exchange: Exchange | undefined;
  #lastMessageId = 0;
  #responses = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #waitingCalls = 0;

  constructor(socket: Socket, request: AssociateRequest, limits: DimseLimits, timeouts: RequestTimeouts) {
    this.#request = request;
    this.#limits = limits;
    this.#timeouts = timeouts;
    this.negotiated = this.#negotiation.promise;
    this.#reader = new MessageReader({
      limits,
      isAccepted: (contextId) => this.#accepted.has(contextId),
      onCommand: (contextId, command) => this.#response(contextId, command),
    });
    socket.once('close', () => this.#closed.resolve());
    this.#connection = new Connection(socket, this, limits, 'awaiting-answer');
    this.#expect('answer to the association request', timeouts.associateMs);
    this.#connection.write(encodeAssociateRequest(request));
  }

  /** False once it was released, aborted or lost; calls reject then. */
  get isOpen(): boolean {
    return !this.#connection.isEnded && this.#connection.framer.state === 'established';
  }

  /** True while an operation is under way or waits for its turn. */
  get isBusy(): boolean {
    return this.#waitingCalls > 0;
  }

  /** Resolves when the connection is closed, for whatever reason. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  get peer(): PeerInfo {
    return this.#peer;
  }

  /** Responses received so far. When it has not changed, the peer has answered nothing since. */
  get responsesReceived(): number {
    return this.#responses;
  }

  /**
   * The contexts that the peer accepted for a SOP class, in the order proposed; none when it refused them.
   */
  accepted(sopClassUid: string): AcceptedContext[] {
    return [...this.#accepted]
      .filter(([, context]) => context.sopClassUid === sopClassUid)
      .map(([contextId, { transferSyntaxUid }]) => ({ contextId, transferSyntaxUid }))
      .sort((one, other) => one.contextId - other.contextId);
  }

  // -------------------------------------------------------------------------------------------------
  // operations

  /**
   * C-ECHO (PS3.7 9.1.5). Rejects with NoPresentationContextError when Verification was not accepted, and as
   * all operations do with AssociationAbortedError, AssociationLostError or ResponseTimeoutError.
   */
  async cEcho(): Promise<ResponseOutcome> {
    const sopClassUid = uids.VerificationSopClass;
    const { contextId } = this.#contextFor(sopClassUid);
    return this.#inTurn(async () => {
      const exchange = this.#send(contextId, {
        commandField: commandField.cEchoRq,
        affectedSopClassUid: sopClassUid,
      });
      return outcomeOf(await this.#finalOf(exchange, this.#timeouts.responseMs));
    });
  }

  /**
   * C-STORE (PS3.7 9.1.1): sends one object, bytes unchanged, at the pace of the peer. The status is the
   * peer's; it is not retried. Also rejects with NoPresentationContextError when no context has exactly this
   * transfer syntax, and with DataSetSourceError when the data set cannot be read; when part of it had been
   * sent the association is aborted.
   */
  async cStore(object: StoreObject): Promise<ResponseOutcome> {
    const { contextId } = this.#contextFor(object.sopClassUid, object.transferSyntaxUid);
    const dataSet = await openDataSet(object.dataSet);
    try {
      return await this.#inTurn(async () => {
        const exchange = this.#send(contextId, {
          commandField: commandField.cStoreRq,
          hasDataSet: true,
          affectedSopClassUid: object.sopClassUid,
          affectedSopInstanceUid: object.sopInstanceUid,
          priority: 0,
          moveOriginatorAeTitle: object.moveOriginator?.aeTitle,
          moveOriginatorMessageId: object.moveOriginator?.messageId,
        });
        try {
          await dataSet.send(this.#connection, contextId, this.#fragmentMax);
        } catch (error) {
          // Half a message cannot be taken back.
          this.#connection.abort(0, 0, { why: 'data set could not be sent', cause: error });
          throw error;
        }
        return outcomeOf(await this.#finalOf(exchange, this.#timeouts.responseMs));
      });
    } finally {
      await dataSet.close();
    }
  }

  /**
   * C-FIND (PS3.7 9.1.2). Sent at once; answers the identifiers of all pending responses (FF00 and FF01
   * alike) and then the final status. It has to be iterated, since unread rows stop the association. Leaving
   * the loop early sends C-CANCEL and waits for the peer's final response. Errors come out of the iteration
   * and of `final`.
   */
  cFind(query: FindQuery): FindResponses {
    const responses = new FindResponses({
      limits: this.#limits,
      pause: () => this.#connection.pause('handler is slow'),
      resume: () => this.#connection.resume('handler is slow'),
    });
    responses.follow(this.#find(query, responses));
    return responses;
  }

  async #find(query: FindQuery, responses: FindResponses): Promise<FindOutcome> {
    const { contextId, transferSyntaxUid } = this.#contextFor(query.sopClassUid);
    responses.transferSyntaxUid = transferSyntaxUid;
    const identifier = encoded(query.identifier, transferSyntaxUid);
    return this.#inTurn(async () => {
      if (query.signal?.aborted === true || responses.isCancelled)
        return { status: 0xfe00, withWarnings: false };
      let withWarnings = false;
      const command = {
        commandField: commandField.cFindRq,
        affectedSopClassUid: query.sopClassUid,
        priority: 0,
      };
      const exchange = this.#send(contextId, command, identifier, (pending, row) => {
        withWarnings ||= pending.status === 0xff01;
        if (row !== undefined) responses.push(row);
      });
      responses.onCancel(() => this.#cancel(exchange));
      const final = await this.#finalOf(exchange, this.#timeouts.responseMs, query.signal, () =>
        responses.cancel(),
      );
      return { ...outcomeOf(final), withWarnings };
    });
  }

  /**
   * C-MOVE (PS3.7 9.1.4): asks the peer to send what matches to `destinationAeTitle`. Resolves with its final
   * response; its status and counts prove nothing about what arrived there.
   */
  async cMove(query: MoveQuery): Promise<MoveOutcome> {
    const { contextId, transferSyntaxUid } = this.#contextFor(query.sopClassUid);
    const identifier = encoded(query.identifier, transferSyntaxUid);
    return this.#inTurn(async () => {
      query.signal?.throwIfAborted();
      const command = {
        commandField: commandField.cMoveRq,
        affectedSopClassUid: query.sopClassUid,
        priority: 0,
        moveDestination: query.destinationAeTitle,
      };
      const exchange = this.#send(contextId, command, identifier, (pending) =>
        query.onPending?.(countsOf(pending)),
      );
      const final = await this.#finalOf(exchange, this.#timeouts.moveResponseMs, query.signal, () =>
        this.#cancel(exchange),
      );
      return {
        ...outcomeOf(final),
        counts: countsOf(final.command),
        failedSopInstanceUids: failedUids(final.dataSet, transferSyntaxUid),
      };
    });
  }

  /**
   * A-RELEASE after the operations that wait, then closes. Never rejects: what cannot be released is closed
   * all the same.
   */
  async release(): Promise<void> {
    await this.#inTurn(async () => {
      if (!this.isOpen) return;
      this.#connection.framer.state = 'releasing';
      this.#expect('release response', this.#timeouts.releaseMs);
      this.#connection.write(encodeReleaseRequest());
      await this.#closed.promise;
    }).catch(() => undefined);
    await this.#closed.promise;
  }

  /** A-ABORT at once; operations under way and waiting reject with AssociationAbortedError. */
  abort(): void {
    this.#connection.abort(0, 0, { why: 'on request' });
  }

  // --------------------------------------------------------------------------------------- called by the
  // connection

  pdu(type: number, body: Buffer): void {
    switch (type) {
      case pduType.associateAc:
        this.#negotiate(decodeAssociateAccept(body));
        return;
      case pduType.associateRj: {
        const error = new AssociationRejectedError(decodeAssociateReject(body));
        this.#negotiation.reject(error);
        this.#connection.close();
        return;
      }
      case pduType.releaseRp:
        this.#connection.close();
        return;
      case pduType.releaseRq:
        // Collision (PS3.8 9.2.3, AR-8 and AR-9): we answer the peer's request and still wait for the answer
        // to ours.
        if (this.#connection.framer.state === 'releasing') this.#connection.write(encodeReleaseResponse());
        else this.#peerReleases();
        return;
      default:
        throw new ProtocolError(2, `PDU type ${type}`);
    }
  }

  pdvStart(contextId: number, isCommand: boolean, isLast: boolean): void {
    this.#reader.pdvStart(contextId, isCommand, isLast);
  }

  pdvData(slice: Buffer): void {
    this.#reader.pdvData(slice);
  }

  pdvEnd(): void {
    this.#reader.pdvEnd();
  }

  dataPduEnd(): void {
    // Deadlines are refreshed by the connection.
  }

  ended(error: DimseError | undefined): void {
    const why = error ?? new AssociationLostError('the association was released');
    this.#negotiation.reject(why);
    this.negotiated.catch(() => undefined);
    this.#exchange?.fail(why);
    this.#exchange = undefined;
  }

  // ------------------------------------------------------------------------------------------------------
  // inside

  #negotiate(accept: AssociateAccept): void {
    this.#connection.expectNothing();
    for (const { id, result, transferSyntaxUid } of accept.contexts) {
      const proposed = this.#request.contexts.find((context) => context.id === id);
      // A syntax that was never proposed cannot be used: the same as a refusal.
      if (result !== 0 || proposed === undefined || transferSyntaxUid === undefined) continue;
      if (!proposed.transferSyntaxUids.includes(transferSyntaxUid)) continue;
      this.#accepted.set(id, { sopClassUid: proposed.sopClassUid, transferSyntaxUid });
    }
    const {
      maxPduBytes = 0,
      implementationClassUid,
      implementationVersionName,
      extendedNegotiations,
    } = accept.user;
    if (maxPduBytes !== 0 && maxPduBytes < this.#limits.peerPduBytesMin) {
      throw new ProtocolError(6, `peer announced a maximum PDU length of ${maxPduBytes}`);
    }
    this.#fragmentMax = fragmentBytesMax(maxPduBytes, this.#limits.pduBytesMax);
    this.#peer = {
      maxPduBytes,
      implementationClassUid,
      implementationVersionName,
      extendedNegotiations: extendedNegotiations ?? [],
    };
    this.#connection.framer.state = 'established';
    this.#negotiation.resolve();
  }

  #peerReleases(): void {
    const error = this.#exchange && new AssociationLostError('the peer released it during an operation');
    this.#connection.finish(encodeReleaseResponse(), this.#limits.releaseLingerMs, error);
  }

  #contextFor(sopClassUid: string, transferSyntaxUid?: string): AcceptedContext {
    this.#connection.assertOpen();
    const context = this.accepted(sopClassUid).find(
      (one) => transferSyntaxUid === undefined || one.transferSyntaxUid === transferSyntaxUid,
    );
    if (context === undefined) throw new NoPresentationContextError(sopClassUid, transferSyntaxUid);
    return context;
  }

  /** One operation after the other: no asynchronous operations window is negotiated. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waitingCalls >= waitingCallsMax)
      throw new Error(`more than ${waitingCallsMax} calls wait for their turn`);
    this.#waitingCalls += 1;
    const before = this.#turn;
    const mine = Promise.withResolvers<void>();
    this.#turn = mine.promise;
    try {
      await before;
      this.#connection.assertOpen();
      return await work();
    } finally {
      this.#waitingCalls -= 1;
      mine.resolve();
    }
  }

  /** Writes a request; for C-STORE the data set follows. */
  #send(
    contextId: number,
    command: Partial<CommandSet> & { commandField: number },
    dataSet?: Buffer,
    onPending?: (command: CommandSet, dataSet: Buffer | undefined) => void,
  ): Exchange {
    this.#lastMessageId = (this.#lastMessageId % 0xffff) + 1;
    const exchange = new Exchange({ contextId, messageId: this.#lastMessageId, onPending });
    const hasDataSet = command.hasDataSet ?? dataSet !== undefined;
    const set = { ...command, hasDataSet, messageId: exchange.messageId };
    const parts = [encodeFragments(contextId, true, encodeCommandSet(set), this.#fragmentMax)];
    if (dataSet !== undefined) parts.push(encodeFragments(contextId, false, dataSet, this.#fragmentMax));
    this.#connection.write(...parts);
    this.#exchange = exchange;
    return exchange;
  }

  async #finalOf(exchange: Exchange, timeoutMs: number, signal?: AbortSignal, onAbort?: () => void) {
    // The final response may have come while the data set was still on its way.
    if (!exchange.isOver) this.#expect('response', timeoutMs);
    if (onAbort !== undefined) signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await exchange.final;
    } finally {
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
    }
  }

  #cancel(exchange: Exchange): void {
    if (exchange.isOver || exchange.isCancelled || this.#connection.isEnded) return;
    const set = {
      commandField: commandField.cCancelRq,
      hasDataSet: false,
      messageIdBeingRespondedTo: exchange.messageId,
    };
    this.#connection.write(
      encodeFragments(exchange.contextId, true, encodeCommandSet(set), this.#fragmentMax),
    );
    const { cancelMs } = this.#timeouts;
    exchange.cancelled(cancelMs, () => {
      const error = new ResponseTimeoutError('final response after C-CANCEL', cancelMs);
      this.#connection.abort(0, 0, { why: error.message, error });
    });
  }

  /** A whole command set from the peer: it must be a response to what is under way. */
  #response(contextId: number, command: CommandSet): void {
    const exchange = this.#exchange;
    if ((command.commandField & commandField.response) === 0) {
      throw new ProtocolError(2, `request 0x${command.commandField.toString(16)} from the acceptor`);
    }
    if (exchange === undefined || command.messageIdBeingRespondedTo !== exchange.messageId) {
      throw new ProtocolError(
        2,
        `response to message ${command.messageIdBeingRespondedTo}, which is not under way`,
      );
    }
    if (contextId !== exchange.contextId)
      throw new ProtocolError(6, 'response on another presentation context');
    if (command.status === undefined) throw new ProtocolError(6, 'response without status');
    if (!command.hasDataSet) {
      this.#take(exchange, command, undefined);
      return;
    }
    const collector = new ByteCollector(this.#limits.identifierBytesMax, 'identifier');
    this.#reader.expectDataSet({
      push: (slice) => collector.push(slice),
      end: () => this.#take(exchange, command, collector.take()),
    });
  }

  #take(exchange: Exchange, command: CommandSet, dataSet: Buffer | undefined): void {
    this.#responses += 1;
    if (command.status === 0xff00 || command.status === 0xff01) {
      exchange.pending(command, dataSet);
      return;
    }
    this.#exchange = undefined;
    this.#connection.expectNothing();
    exchange.finish({ command, dataSet });
  }

  #expect(what: string, ms: number): void {
    this.#connection.expectPdu(ms, () => new ResponseTimeoutError(what, ms));
  }
}
