import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { uids } from '@isthmus/dicom';
import { commandField } from './command-set.ts';
import type { CommandSet } from './command-set.ts';
import { Connection } from './connection.ts';
import type { ConnectionOwner } from './connection.ts';
import { Dialogue } from './dialogue.ts';
import {
  AssociationLostError,
  AssociationRejectedError,
  NoPresentationContextError,
  ProtocolError,
} from './errors.ts';
import type { DimseError } from './errors.ts';
import { FindResponses } from './find-responses.ts';
import type { FindOutcome } from './find-responses.ts';
import type { AssociationEvent, AssociationHandlers, RequestorHandlers } from './handlers.ts';
import type { DimseLimits } from './limits.ts';
import { fragmentBytesMax } from './message-writer.ts';
import { grantedRoles, grantedWindow } from './negotiation.ts';
import { sendEventReport } from './normalised-services.ts';
import type { NegotiatedContext } from './operation.ts';
import { countsOf, encoded, failedUids, nOutcomeOf, outcomeOf } from './outcomes.ts';
import type {
  AcceptedContext,
  EventReport,
  FindQuery,
  GetQuery,
  MoveOutcome,
  MoveQuery,
  NInstance,
  NOutcome,
  PeerInfo,
  ResponseOutcome,
  StoreObject,
} from './outcomes.ts';
import type { OutgoingRequests } from './outgoing-requests.ts';
import {
  decodeAssociateAccept,
  decodeAssociateReject,
  encodeAssociateRequest,
  encodeReleaseRequest,
  encodeReleaseResponse,
  pduType,
} from './pdu.ts';
import type { AssociateAccept, AssociateRequest, RoleSelection } from './pdu.ts';
import type { RequestTimeouts } from './requestor.ts';

/** What `requestAssociation` has worked out. */
export interface RequestingOptions {
  readonly request: AssociateRequest;
  readonly limits: DimseLimits;
  readonly timeouts: RequestTimeouts;
  readonly handlers: RequestorHandlers;
  readonly onEvent: (event: AssociationEvent) => void;
}

/**
 * An association that we opened. Calls made while others run wait for their turn; C-STORE share the
 * asynchronous operations window, if the peer granted one, everything else runs alone. When the association
 * ends, everything under way and waiting rejects with the error that ended it.
 */
export class RequestedAssociation implements ConnectionOwner {
  /** Settles when the peer has answered the request for association; `requestAssociation` waits for it. */
  readonly negotiated: Promise<void>;
  readonly #negotiation = Promise.withResolvers<void>();
  readonly #request: AssociateRequest;
  readonly #limits: DimseLimits;
  readonly #timeouts: RequestTimeouts;
  readonly #remoteAddress: string;
  readonly #connection: Connection;
  readonly #dialogue: Dialogue;
  readonly #outgoing: OutgoingRequests;
  readonly #accepted = new Map<number, NegotiatedContext>();
  /** Result of each context that the peer refused. */
  readonly #refused = new Map<number, number>();
  readonly #roles = new Map<string, RoleSelection>();
  readonly #closed = Promise.withResolvers<void>();
  #peer: PeerInfo = { maxPduBytes: 0, extendedNegotiations: [] };
  /** Takes the objects of the C-GET that is under way. */
  #onStore: GetQuery['onStore'] | undefined;

  constructor(socket: Socket, options: RequestingOptions) {
    const { request, limits, timeouts, handlers, onEvent } = options;
    this.#request = request;
    this.#limits = limits;
    this.#timeouts = timeouts;
    this.#remoteAddress = socket.remoteAddress ?? '';
    this.negotiated = this.#negotiation.promise;
    socket.once('close', () => this.#closed.resolve());
    this.#connection = new Connection(socket, this, limits, 'awaiting-answer');
    this.#dialogue = new Dialogue({
      connection: this.#connection,
      limits,
      handlers: this.#handlersWith(handlers),
      onEvent,
      takesRequests: () => this.#onStore !== undefined || handlers.nEventReport !== undefined,
      operationsFirst: true,
      idleMs: undefined,
      afterOperation: () => true,
    });
    this.#outgoing = this.#dialogue.outgoing;
    this.#connection.expectPdu('answer to the association request', timeouts.associateMs);
    this.#connection.write(encodeAssociateRequest(request));
  }

  #handlersWith(handlers: RequestorHandlers): AssociationHandlers {
    const onStore = (): GetQuery['onStore'] | undefined => this.#onStore;
    return {
      ...handlers,
      // Asked for when a C-STORE comes: without a C-GET there is nobody to take it.
      get cStore() {
        return onStore();
      },
    };
  }

  /** False once it was released, aborted or lost; calls reject then. */
  get isOpen(): boolean {
    return !this.#connection.isEnded && this.#connection.framer.state === 'established';
  }

  /** True while an operation is under way or waits for its turn. */
  get isBusy(): boolean {
    return this.#outgoing.isBusy;
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
    return this.#outgoing.responsesReceived;
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

  /** Requests that the peer lets us have under way at a time: 1, or the window that it granted for C-STORE. */
  get operationsInvokedMax(): number {
    return this.#outgoing.window;
  }

  /**
   * Our roles for a SOP class, as negotiated (PS3.7 D.3.3.4). With `scp` we take C-STORE of it in a C-GET.
   */
  roleFor(sopClassUid: string): { readonly scu: boolean; readonly scp: boolean } {
    const { scu, scp } = this.#roles.get(sopClassUid) ?? { scu: true, scp: false };
    return { scu, scp };
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
    const command = { commandField: commandField.cEchoRq, affectedSopClassUid: sopClassUid };
    const { responseMs } = this.#timeouts;
    return this.#outgoing.alone(async () =>
      outcomeOf(await this.#outgoing.request({ contextId, command, timeoutMs: responseMs })),
    );
  }

  /**
   * C-STORE (PS3.7 9.1.1): sends one object, bytes unchanged, at the pace of the peer. The status is the
   * peer's; it is not retried. Also rejects with NoPresentationContextError when no context has exactly this
   * transfer syntax, and with DataSetSourceError when the data set cannot be read; when part of it had been
   * sent the association is aborted.
   *
   * Called again before the call before has resolved, it opens and reads the next file meanwhile, and sends
   * it as soon as the window allows.
   */
  async cStore(object: StoreObject): Promise<ResponseOutcome> {
    const { contextId } = this.#contextFor(object.sopClassUid, object.transferSyntaxUid);
    return this.#outgoing.cStore(contextId, object, this.#timeouts.responseMs);
  }

  /**
   * C-FIND (PS3.7 9.1.2). Sent at once; answers the identifiers of all pending responses (FF00 and FF01
   * alike) and then the final status. It has to be iterated, since unread rows stop the association. Leaving
   * the loop early sends C-CANCEL and waits for the peer's final response. Errors come out of the iteration
   * and of `final`.
   */
  cFind(query: FindQuery): FindResponses {
    const responses: FindResponses = new FindResponses({
      limits: this.#limits,
      pause: () => this.#connection.pause(responses),
      resume: () => this.#connection.resume(responses),
    });
    responses.follow(this.#find(query, responses));
    return responses;
  }

  async #find(query: FindQuery, responses: FindResponses): Promise<FindOutcome> {
    const { contextId, transferSyntaxUid } = this.#contextFor(query.sopClassUid);
    responses.transferSyntaxUid = transferSyntaxUid;
    const dataSet = encoded(query.identifier, transferSyntaxUid);
    return this.#outgoing.alone(async () => {
      if (query.signal?.aborted === true || responses.isCancelled)
        return { status: 0xfe00, withWarnings: false };
      let withWarnings = false;
      const final = await this.#outgoing.request({
        contextId,
        command: queryCommand(commandField.cFindRq, query.sopClassUid),
        dataSet,
        onPending: (pending, row) => {
          withWarnings ||= pending.status === 0xff01;
          if (row !== undefined) responses.push(row);
        },
        timeoutMs: this.#timeouts.responseMs,
        signal: query.signal,
        onAbort: () => responses.cancel(),
        onSent: (exchange) => responses.onCancel(() => this.#outgoing.cancel(exchange)),
      });
      return { ...outcomeOf(final), withWarnings };
    });
  }

  /**
   * C-MOVE (PS3.7 9.1.4): asks the peer to send what matches to `destinationAeTitle`. Resolves with its final
   * response; its status and counts prove nothing about what arrived there.
   */
  async cMove(query: MoveQuery): Promise<MoveOutcome> {
    const command = {
      ...queryCommand(commandField.cMoveRq, query.sopClassUid),
      moveDestination: query.destinationAeTitle,
    };
    return this.#retrieve(query, command);
  }

  /**
   * C-GET (PS3.7 9.1.3): asks the peer to send what matches on this association. Its C-STORE requests go to
   * `onStore`, as they would to the handler of an acceptor; the classes must have been proposed with role
   * `scp` or `both`. Resolves with the final response; what arrived is what `onStore` was given.
   */
  async cGet(query: GetQuery): Promise<MoveOutcome> {
    return this.#retrieve(query, queryCommand(commandField.cGetRq, query.sopClassUid), query.onStore);
  }

  async #retrieve(
    query: Omit<GetQuery, 'onStore'>,
    command: Partial<CommandSet> & { commandField: number },
    onStore?: GetQuery['onStore'],
  ): Promise<MoveOutcome> {
    const { contextId, transferSyntaxUid } = this.#contextFor(query.sopClassUid);
    const dataSet = encoded(query.identifier, transferSyntaxUid);
    return this.#outgoing.alone(async () => {
      query.signal?.throwIfAborted();
      this.#onStore = onStore;
      try {
        const final = await this.#outgoing.request({
          contextId,
          command,
          dataSet,
          onPending: (pending) => query.onPending?.(countsOf(pending)),
          timeoutMs: this.#timeouts.moveResponseMs,
          signal: query.signal,
        });
        return {
          ...outcomeOf(final),
          counts: countsOf(final.command),
          failedSopInstanceUids: failedUids(final.dataSet, transferSyntaxUid),
        };
      } finally {
        this.#onStore = undefined;
      }
    });
  }

  /** N-EVENT-REPORT (PS3.7 10.1.1), as the SCP of the class: propose it with role `scp`. */
  async nEventReport(report: EventReport): Promise<NOutcome> {
    const context = this.#contextFor(report.sopClassUid);
    return sendEventReport(this.#outgoing, context, report, this.#timeouts.responseMs);
  }

  /** N-ACTION (PS3.7 10.1.4); `dataSet` is the Action Information. */
  async nAction(action: NInstance & { readonly actionTypeId: number }): Promise<NOutcome> {
    return this.#normalised(action, {
      commandField: commandField.nActionRq,
      requestedSopClassUid: action.sopClassUid,
      requestedSopInstanceUid: action.sopInstanceUid,
      actionTypeId: action.actionTypeId,
    });
  }

  /** N-CREATE (PS3.7 10.1.5). Without a SOP Instance UID the peer chooses one: it is in the outcome. */
  async nCreate(instance: Omit<NInstance, 'sopInstanceUid'> & Partial<NInstance>): Promise<NOutcome> {
    return this.#normalised(instance, {
      commandField: commandField.nCreateRq,
      affectedSopClassUid: instance.sopClassUid,
      affectedSopInstanceUid: instance.sopInstanceUid,
    });
  }

  /** N-SET (PS3.7 10.1.3); `dataSet` is the Modification List. */
  async nSet(instance: NInstance): Promise<NOutcome> {
    return this.#normalised(instance, {
      commandField: commandField.nSetRq,
      requestedSopClassUid: instance.sopClassUid,
      requestedSopInstanceUid: instance.sopInstanceUid,
    });
  }

  /** N-GET (PS3.7 10.1.2). Tags are eight hexadecimal digits; without any the peer gives all attributes. */
  async nGet(
    instance: Omit<NInstance, 'dataSet'> & { readonly attributeTags?: readonly string[] },
  ): Promise<NOutcome> {
    return this.#normalised(instance, {
      commandField: commandField.nGetRq,
      requestedSopClassUid: instance.sopClassUid,
      requestedSopInstanceUid: instance.sopInstanceUid,
      attributeTags: instance.attributeTags,
    });
  }

  /** N-DELETE (PS3.7 10.1.6). */
  async nDelete(instance: Omit<NInstance, 'dataSet'>): Promise<NOutcome> {
    return this.#normalised(instance, {
      commandField: commandField.nDeleteRq,
      requestedSopClassUid: instance.sopClassUid,
      requestedSopInstanceUid: instance.sopInstanceUid,
    });
  }

  async #normalised(
    { sopClassUid, dataSet }: Pick<NInstance, 'sopClassUid' | 'dataSet'>,
    command: Partial<CommandSet> & { commandField: number },
  ): Promise<NOutcome> {
    const { contextId, transferSyntaxUid } = this.#contextFor(sopClassUid);
    const bytes = dataSet && encoded(dataSet, transferSyntaxUid);
    const { responseMs: timeoutMs } = this.#timeouts;
    return this.#outgoing.alone(async () => {
      const final = await this.#outgoing.request({ contextId, command, dataSet: bytes, timeoutMs });
      return nOutcomeOf(final, transferSyntaxUid);
    });
  }

  /**
   * A-RELEASE after the operations that wait, then closes. Never rejects: what cannot be released is closed
   * all the same.
   */
  async release(): Promise<void> {
    const release = this.#outgoing.alone(async () => {
      if (!this.isOpen) return;
      this.#connection.framer.state = 'releasing';
      this.#connection.expectPdu('release response', this.#timeouts.releaseMs);
      this.#connection.write(encodeReleaseRequest());
      await this.#closed.promise;
    });
    await release.catch(() => this.abort());
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

  ended(error: DimseError | undefined): void {
    const why = error ?? new AssociationLostError('the association was released');
    this.#negotiation.reject(why);
    this.negotiated.catch(() => undefined);
    this.#dialogue.end(why);
  }

  // ------------------------------------------------------------------------------------------------------
  // inside

  #negotiate(accept: AssociateAccept): void {
    this.#connection.expectNothing();
    for (const { id, result, transferSyntaxUid } of accept.contexts) {
      const proposed = this.#request.contexts.find((context) => context.id === id);
      // A syntax that was never proposed cannot be used: the same as a refusal.
      if (result !== 0) this.#refused.set(id, result);
      if (result !== 0 || proposed === undefined || transferSyntaxUid === undefined) continue;
      if (!proposed.transferSyntaxUids.includes(transferSyntaxUid)) continue;
      this.#accepted.set(id, { sopClassUid: proposed.sopClassUid, transferSyntaxUid, peerIsScp: true });
    }
    for (const role of grantedRoles(this.#request, accept)) this.#roles.set(role.sopClassUid, role);
    const {
      maxPduBytes = 0,
      implementationClassUid,
      implementationVersionName,
      extendedNegotiations,
    } = accept.user;
    if (maxPduBytes !== 0 && maxPduBytes < this.#limits.peerPduBytesMin) {
      throw new ProtocolError(6, `peer announced a maximum PDU length of ${maxPduBytes}`);
    }
    this.#peer = {
      maxPduBytes,
      implementationClassUid,
      implementationVersionName,
      extendedNegotiations: extendedNegotiations ?? [],
    };
    this.#connection.framer.state = 'established';
    const { callingAeTitle, calledAeTitle } = this.#request;
    this.#dialogue.open({
      association: {
        id: randomUUID(),
        callingAeTitle,
        calledAeTitle,
        remoteAddress: this.#remoteAddress,
        implementationClassUid,
        implementationVersionName,
      },
      contexts: this.#accepted,
      fragmentMax: fragmentBytesMax(maxPduBytes, this.#limits.pduBytesMax),
      performedMax: 1,
      invokedMax: grantedWindow(this.#request, accept),
      cancelMs: this.#timeouts.cancelMs,
    });
    this.#negotiation.resolve();
  }

  #peerReleases(): void {
    const error = this.#outgoing.isBusy
      ? new AssociationLostError('the peer released it during an operation')
      : undefined;
    this.#connection.finish(encodeReleaseResponse(), this.#limits.releaseLingerMs, error);
  }

  #contextFor(sopClassUid: string, transferSyntaxUid?: string): AcceptedContext {
    this.#connection.assertOpen();
    const context = this.accepted(sopClassUid).find(
      (one) => transferSyntaxUid === undefined || one.transferSyntaxUid === transferSyntaxUid,
    );
    if (context !== undefined) return context;
    throw new NoPresentationContextError(
      sopClassUid,
      transferSyntaxUid,
      this.#resultOf(sopClassUid, transferSyntaxUid),
    );
  }

  #resultOf(sopClassUid: string, transferSyntaxUid: string | undefined): number | undefined {
    const proposed = this.#request.contexts.find(
      (context) =>
        context.sopClassUid === sopClassUid &&
        (transferSyntaxUid === undefined || context.transferSyntaxUids.includes(transferSyntaxUid)),
    );
    return proposed && this.#refused.get(proposed.id);
  }
}

function queryCommand(
  field: number,
  affectedSopClassUid: string,
): Partial<CommandSet> & { commandField: number } {
  return { commandField: field, affectedSopClassUid, priority: 0 };
}
