import { commandField } from './command-set.ts';
import type { CommandSet } from './command-set.ts';
import type { Connection, MessageReceiver } from './connection.ts';
import { AssociationAbortedError, AssociationLostError, ProtocolError } from './errors.ts';
import type { DimseError } from './errors.ts';
import type { AssociationEvent, AssociationHandlers, AssociationInfo } from './handlers.ts';
import type { DimseLimits } from './limits.ts';
import { MessageReader } from './message-reader.ts';
import { MessageSender } from './message-sender.ts';
import { Operation } from './operation.ts';
import type { NegotiatedContext } from './operation.ts';
import { OutgoingRequests } from './outgoing-requests.ts';
import { serve } from './services.ts';

export interface DialogueParts {
  readonly connection: Connection;
  readonly limits: DimseLimits;
  readonly handlers: AssociationHandlers;
  readonly onEvent: (event: AssociationEvent) => void;
  /** May the peer send requests now? Otherwise they are against the protocol. */
  readonly takesRequests: () => boolean;
  /**
   * Whom we wait for when an operation of the peer and a request of ours are both under way. An acceptor's
   * request belongs to the operation (a sub-operation of C-GET): the peer has to answer. A requestor's
   * operation belongs to its request (the same, seen from there): we have to.
   */
  readonly operationsFirst: boolean;
  /** Nothing is under way: how long the peer may be silent. `undefined` = for ever. */
  readonly idleMs: number | undefined;
  /** An operation of the peer is over; true = go on with the next. */
  readonly afterOperation: () => boolean;
}

/** What was negotiated. */
export interface DialogueTerms {
  readonly association: AssociationInfo;
  readonly contexts: ReadonlyMap<number, NegotiatedContext>;
  /** Data bytes in one fragment that we send. */
  readonly fragmentMax: number;
  /** Operations that the peer may have under way at a time. */
  readonly performedMax: number;
  /** Requests that we may have under way at a time. */
  readonly invokedMax: number;
  readonly cancelMs: number;
}

/**
 * The messages of one association in both directions, the same on either side: operations that the peer asks
 * of us, and requests of ours (PS3.7 7.5). A request that comes before its turn waits on the socket; only
 * C-CANCEL passes.
 */
export class Dialogue implements MessageReceiver {
  readonly sender: MessageSender;
  readonly outgoing: OutgoingRequests;
  readonly #parts: DialogueParts;
  readonly #connection: Connection;
  readonly #limits: DimseLimits;
  readonly #reader: MessageReader;
  /** By Message ID. */
  readonly #operations = new Map<number, Operation>();
  /** Answered, but the peer has not taken the answer. */
  #draining = 0;
  #terms: DialogueTerms | undefined;
  #waiting: { contextId: number; command: CommandSet } | undefined;

  constructor(parts: DialogueParts) {
    this.#parts = parts;
    this.#connection = parts.connection;
    this.#connection.messagesTo(this);
    this.#limits = parts.limits;
    this.sender = new MessageSender(parts.connection);
    this.outgoing = new OutgoingRequests({
      connection: parts.connection,
      sender: this.sender,
      limits: parts.limits,
      onChange: () => this.#sentOrAnswered(),
    });
    this.#reader = new MessageReader({
      limits: parts.limits,
      isAccepted: (contextId) => this.#terms?.contexts.has(contextId) === true,
      onCommand: (contextId, command) => this.#command(contextId, command),
    });
  }

  open(terms: DialogueTerms): void {
    this.#terms = terms;
    this.sender.fragmentMax = terms.fragmentMax;
    this.outgoing.open(terms);
    this.expect();
  }

  /** An operation of the peer is under way. */
  get isServing(): boolean {
    return this.#operations.size + this.#draining > 0;
  }

  get insideMessage(): boolean {
    return this.#reader.insideMessage;
  }

  end(error: DimseError): void {
    this.#waiting = undefined;
    for (const operation of this.#operations.values()) operation.end(error);
    this.outgoing.end(error);
  }

  /** Sets the deadline of the peer, by whose turn it is. */
  expect(): void {
    const { operationsFirst, idleMs } = this.#parts;
    const { betweenPdusMs } = this.#limits;
    if (this.#reader.insideMessage) {
      this.#connection.expectPdu('next PDU of the message', betweenPdusMs);
      return;
    }
    const waitsMs = operationsFirst && this.isServing ? undefined : this.outgoing.waitsMs;
    if (waitsMs !== undefined) this.#connection.expectPdu('response', waitsMs);
    else if (this.isServing || idleMs === undefined) this.#connection.expectNothing();
    else this.#connection.expectPdu('message', idleMs);
  }

  // --------------------------------------------------------------------------- called by the connection

  pdvStart(contextId: number, isCommand: boolean, isLast: boolean): void {
    const begins = !this.#reader.insideMessage;
    this.#reader.pdvStart(contextId, isCommand, isLast);
    if (!begins) return;
    this.#connection.messageBegan();
    this.expect();
  }

  pdvData(slice: Buffer): void {
    this.#reader.pdvData(slice);
  }

  pdvEnd(): void {
    this.#reader.pdvEnd();
    if (!this.#reader.insideMessage) this.#connection.messageEnded();
  }

  // ------------------------------------------------------------------------------------------ messages

  #command(contextId: number, command: CommandSet): void {
    if ((command.commandField & commandField.response) !== 0) {
      const sink = this.outgoing.response(contextId, command);
      if (sink !== undefined) this.#reader.expectDataSet(sink);
      return;
    }
    if (command.commandField === commandField.cCancelRq) {
      if (command.hasDataSet) throw new ProtocolError(6, 'C-CANCEL with a data set');
      this.#operations.get(command.messageIdBeingRespondedTo ?? -1)?.cancel();
      this.expect();
      return;
    }
    if (!this.#parts.takesRequests()) {
      throw new ProtocolError(2, `request 0x${command.commandField.toString(16)} where none is due`);
    }
    const performedMax = this.#terms?.performedMax ?? 1;
    if (this.#operations.size + this.#draining < performedMax) this.#begin(contextId, command);
    else if (this.outgoing.isBusy) {
      // To hold it back would hold back the answer that we wait for, too.
      throw new ProtocolError(2, 'request beyond the asynchronous operations window');
    } else {
      this.#waiting = { contextId, command };
      this.#connection.hold();
    }
  }

  #begin(contextId: number, command: CommandSet): void {
    const terms = this.#terms;
    const context = terms?.contexts.get(contextId);
    if (terms === undefined || context === undefined)
      throw new ProtocolError(2, 'message without association');
    const { messageId } = command;
    if (messageId === undefined) throw new ProtocolError(6, 'request without Message ID');
    if (this.#operations.has(messageId)) throw new ProtocolError(6, `Message ID ${messageId} is in use`);
    const operation = new Operation({
      association: terms.association,
      contextId,
      context,
      command,
      messageId,
      connection: this.#connection,
      limits: this.#limits,
      sender: this.sender,
      outgoing: this.outgoing,
      contexts: terms.contexts,
      onDataSetReceived: () => this.expect(),
      isAlone: terms.performedMax === 1,
    });
    this.#operations.set(messageId, operation);
    if (command.hasDataSet) this.#reader.expectDataSet(operation);
    this.expect();
    void this.#perform(operation);
  }

  /** Never rejects. */
  async #perform(operation: Operation): Promise<void> {
    const { contextId } = operation.facts;
    try {
      const response = await serve(operation, this.#parts.handlers, this.#parts.onEvent);
      this.sender.send(contextId, response.command, response.dataSet);
      // Its Message ID may be used again as soon as the peer has the answer.
      this.#operations.delete(operation.facts.messageId);
      if (this.#connection.isBehind) {
        // A peer that asks and never reads must not make us pile up answers.
        this.#draining += 1;
        await this.#connection.drained().finally(() => (this.#draining -= 1));
      }
      this.#done();
    } catch (error) {
      this.#operations.delete(operation.facts.messageId);
      // `serve` answers for handlers; what comes here is the connection's end or a defect of this library.
      if (error instanceof AssociationLostError || error instanceof AssociationAbortedError) return;
      this.#connection.abort(0, 0, { why: 'internal error', cause: error });
    }
  }

  #done(): void {
    if (this.#connection.isEnded || !this.#parts.afterOperation()) return;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.expect();
    else this.#begin(waiting.contextId, waiting.command);
    if (this.#connection.framer.isHeld) this.#connection.release();
  }

  #sentOrAnswered(): void {
    if (this.#waiting !== undefined && this.outgoing.waitsMs !== undefined) {
      // The request that waits on the socket is beyond the window, and the answer is behind it.
      const why = 'request beyond the asynchronous operations window';
      this.#connection.abort(2, 2, { why });
      return;
    }
    this.expect();
  }
}
