import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { commandField } from './command-set.ts';
import type { CommandSet } from './command-set.ts';
import { Connection } from './connection.ts';
import type { ConnectionOwner } from './connection.ts';
import {
  AssociationAbortedError,
  AssociationLostError,
  ProtocolError,
  ResponseTimeoutError,
} from './errors.ts';
import type { DimseError } from './errors.ts';
import type {
  AdmitRequest,
  AdmitResult,
  AssociationEvent,
  AssociationHandlers,
  AssociationInfo,
  OfferedContext,
} from './handlers.ts';
import type { DimseLimits } from './limits.ts';
import { MessageReader } from './message-reader.ts';
import { encodeMessage, fragmentBytesMax } from './message-writer.ts';
import { answerTo, rejectionBefore } from './negotiation.ts';
import type { Rejection } from './negotiation.ts';
import {
  decodeAssociateRequest,
  encodeAssociateAccept,
  encodeAssociateReject,
  encodeReleaseResponse,
  pduType,
} from './pdu.ts';
import type { AssociateRequest } from './pdu.ts';
import { Operation } from './operation.ts';
import { serve } from './services.ts';

export interface AcceptingOptions {
  /** Called AE titles that are ours; empty = any. A function is asked for each association. */
  readonly aeTitles: readonly string[] | (() => readonly string[]);
  readonly implementationClassUid: string;
  readonly implementationVersionName: string;
  readonly limits: DimseLimits;
  readonly admit: (request: AdmitRequest) => AdmitResult | Promise<AdmitResult>;
  readonly handlers: AssociationHandlers;
  readonly onEvent: (event: AssociationEvent) => void;
}

/**
 * One connection on the accepting side: admission, then one operation at a time, then release. A request that
 * comes while another is under way waits on the socket, since no asynchronous operations window is granted;
 * only C-CANCEL passes.
 */
export class AcceptedAssociation implements ConnectionOwner {
  readonly #options: AcceptingOptions;
  readonly #limits: DimseLimits;
  readonly #connection: Connection;
  readonly #remoteAddress: string;
  /** Set when the acceptor is full: this connection only learns why. */
  readonly #refusal: Rejection | undefined;
  readonly #reader: MessageReader;
  /** Accepted contexts. */
  readonly #contexts = new Map<number, { sopClassUid: string; transferSyntaxUid: string }>();
  #association: AssociationInfo | undefined;
  #fragmentMax = 0;
  #operation: Operation | undefined;
  #waiting: { contextId: number; command: CommandSet } | undefined;
  #releaseAsked = false;
  #stopping = false;

  constructor(socket: Socket, options: AcceptingOptions, refusal?: Rejection) {
    this.#options = options;
    this.#limits = options.limits;
    this.#refusal = refusal;
    this.#remoteAddress = plainAddress(socket.remoteAddress ?? '');
    this.#reader = new MessageReader({
      limits: this.#limits,
      isAccepted: (contextId) => this.#contexts.has(contextId),
      onCommand: (contextId, command) => this.#command(contextId, command),
    });
    this.#connection = new Connection(socket, this, this.#limits, 'awaiting-request');
    this.#connection.expectPdu(
      this.#limits.firstPduMs,
      () => new ResponseTimeoutError('association request', this.#limits.firstPduMs),
    );
  }

  /** Ends it now when idle, else after the operation under way. */
  stop(): void {
    this.#stopping = true;
    if (this.#operation === undefined && !this.#reader.insideMessage) this.abort('the acceptor is stopping');
  }

  abort(why: string): void {
    this.#connection.abort(0, 0, { why });
  }

  // --------------------------------------------------------------------------------------- called by the
  // connection

  pdu(type: number, body: Buffer): void {
    if (type === pduType.associateRq) this.#associate(decodeAssociateRequest(body));
    else if (type === pduType.releaseRq) this.#release();
    else throw new ProtocolError(2, `PDU type ${type}`);
  }

  pdvStart(contextId: number, isCommand: boolean, isLast: boolean): void {
    const begins = !this.#reader.insideMessage;
    this.#reader.pdvStart(contextId, isCommand, isLast);
    if (begins && this.#operation === undefined) this.#expectRestOfMessage();
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
    const association = this.#association;
    this.#operation?.end(error ?? new AssociationLostError('the association was released'));
    this.#waiting = undefined;
    if (error === undefined) {
      if (association !== undefined) this.#options.onEvent({ type: 'released', association });
    } else {
      this.#options.onEvent({ type: 'ended', association, remoteAddress: this.#remoteAddress, error });
    }
  }

  // -------------------------------------------------------------------------------------- opening and
  // closing

  #associate(request: AssociateRequest): void {
    this.#connection.expectNothing();
    // Nothing but an abort is legal until we have answered.
    this.#connection.hold();
    const rejection = this.#refusal ?? rejectionBefore(request, this.#options, this.#limits);
    if (rejection !== undefined) return this.#reject(request, rejection);
    const admitRequest: AdmitRequest = {
      callingAeTitle: request.callingAeTitle,
      calledAeTitle: request.calledAeTitle,
      remoteAddress: this.#remoteAddress,
      contexts: request.contexts,
      roles: request.user.roles ?? [],
      extendedNegotiations: request.user.extendedNegotiations ?? [],
      implementationClassUid: request.user.implementationClassUid,
      implementationVersionName: request.user.implementationVersionName,
      userIdentity: request.user.userIdentity,
    };
    this.#admit(admitRequest)
      .then((result) => {
        if (result.accept) this.#accept(request, result);
        else this.#reject(request, result);
      })
      .catch((error: unknown) => {
        this.#options.onEvent({ type: 'handler-failed', service: 'admit', error });
        this.#reject(request, { result: 2, source: 3, reason: 1 });
      });
  }

  /** What `admit` throws at once becomes a rejection, too. A decision that never comes must not keep a connection. */
  async #admit(request: AdmitRequest): Promise<AdmitResult> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const { firstPduMs } = this.#limits;
      timer = setTimeout(() => reject(new ResponseTimeoutError('admission', firstPduMs)), firstPduMs);
    });
    try {
      return await Promise.race([this.#options.admit(request), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #accept(request: AssociateRequest, result: AdmitResult & { accept: true }): void {
    if (this.#connection.isEnded) return;
    const accept = answerTo(request, result, this.#options, this.#limits);
    for (const answered of accept.contexts) {
      if (answered.result !== 0 || answered.transferSyntaxUid === undefined) continue;
      const offered = request.contexts.find(({ id }) => id === answered.id) as OfferedContext;
      const { sopClassUid } = offered;
      this.#contexts.set(answered.id, { sopClassUid, transferSyntaxUid: answered.transferSyntaxUid });
    }
    this.#fragmentMax = fragmentBytesMax(request.user.maxPduBytes, this.#limits.pduBytesMax);
    const association: AssociationInfo = {
      id: randomUUID(),
      callingAeTitle: request.callingAeTitle,
      calledAeTitle: request.calledAeTitle,
      remoteAddress: this.#remoteAddress,
      implementationClassUid: request.user.implementationClassUid,
      implementationVersionName: request.user.implementationVersionName,
    };
    this.#association = association;
    this.#connection.write(encodeAssociateAccept(accept));
    this.#connection.framer.state = 'established';
    this.#options.onEvent({ type: 'accepted', association, acceptedContexts: this.#contexts.size });
    this.#expectNextMessage();
    this.#connection.release();
    if (this.#stopping) this.stop();
  }

  #reject(request: AssociateRequest, rejection: Rejection): void {
    if (this.#connection.isEnded) return;
    const { result, source, reason } = rejection;
    this.#options.onEvent({
      type: 'rejected',
      callingAeTitle: request.callingAeTitle,
      calledAeTitle: request.calledAeTitle,
      remoteAddress: this.#remoteAddress,
      result,
      source,
      reason,
    });
    this.#connection.finish(encodeAssociateReject({ result, source, reason }), this.#limits.abortLingerMs);
  }

  #release(): void {
    if (this.#reader.insideMessage) throw new ProtocolError(2, 'A-RELEASE-RQ inside a message');
    if (this.#operation !== undefined) {
      // The peer should have waited for our response; it gets both.
      this.#releaseAsked = true;
      this.#connection.hold();
      return;
    }
    this.#connection.finish(encodeReleaseResponse(), this.#limits.releaseLingerMs);
  }

  // -----------------------------------------------------------------------------------------------
  // operations

  #command(contextId: number, command: CommandSet): void {
    if (command.commandField === commandField.cCancelRq) {
      if (command.hasDataSet) throw new ProtocolError(6, 'C-CANCEL with a data set');
      if (this.#operation === undefined) this.#expectNextMessage();
      else this.#operation.cancel(command.messageIdBeingRespondedTo);
      return;
    }
    if ((command.commandField & commandField.response) !== 0) {
      throw new ProtocolError(2, `response 0x${command.commandField.toString(16)} to nothing`);
    }
    if (this.#operation !== undefined) {
      this.#waiting = { contextId, command };
      this.#connection.hold();
      return;
    }
    this.#begin(contextId, command);
  }

  #begin(contextId: number, command: CommandSet): void {
    const context = this.#contexts.get(contextId);
    const association = this.#association;
    if (context === undefined || association === undefined)
      throw new ProtocolError(2, 'message without association');
    if (command.messageId === undefined) throw new ProtocolError(6, 'request without Message ID');
    const operation = new Operation({
      association,
      contextId,
      context,
      command,
      messageId: command.messageId,
      connection: this.#connection,
      limits: this.#limits,
      fragmentMax: this.#fragmentMax,
      onDataSetReceived: () => this.#connection.expectNothing(),
    });
    this.#operation = operation;
    if (operation.dataSet === undefined) this.#connection.expectNothing();
    else {
      this.#reader.expectDataSet(operation.dataSet);
      this.#expectRestOfMessage();
    }
    serve(operation, this.#options.handlers, this.#options.onEvent)
      .then(async (response) => {
        if (this.#connection.isEnded) return;
        this.#connection.write(
          encodeMessage(contextId, response.command, response.dataSet, this.#fragmentMax),
        );
        // A peer that asks and never reads must not make us pile up answers.
        await this.#connection.drained();
      })
      .catch((error: unknown) => {
        // `serve` answers for handlers; what comes here is the connection's end or a defect of this library.
        if (error instanceof AssociationLostError || error instanceof AssociationAbortedError) return;
        this.#connection.abort(0, 0, { why: 'internal error', cause: error });
      })
      .finally(() => this.#operationDone())
      .catch((error: unknown) => this.#connection.abort(0, 0, { why: 'internal error', cause: error }));
  }

  #operationDone(): void {
    this.#operation = undefined;
    if (this.#connection.isEnded) return;
    if (this.#releaseAsked) {
      this.#connection.finish(encodeReleaseResponse(), this.#limits.releaseLingerMs);
      return;
    }
    if (this.#stopping) {
      this.abort('the acceptor is stopping');
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) {
      if (this.#reader.insideMessage) this.#expectRestOfMessage();
      else this.#expectNextMessage();
    } else this.#begin(waiting.contextId, waiting.command);
    if (this.#connection.framer.isHeld) this.#connection.release();
  }

  #expectNextMessage(): void {
    this.#connection.expectPdu(
      this.#limits.idleMs,
      () => new ResponseTimeoutError('message', this.#limits.idleMs),
    );
  }

  #expectRestOfMessage(): void {
    this.#connection.expectPdu(
      this.#limits.betweenPdusMs,
      () => new ResponseTimeoutError('next PDU of the message', this.#limits.betweenPdusMs),
    );
  }
}

function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
