import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { Connection } from './connection.ts';
import type { ConnectionOwner } from './connection.ts';
import { Dialogue } from './dialogue.ts';
import { AssociationLostError, ProtocolError, ResponseTimeoutError } from './errors.ts';
import type { DimseError } from './errors.ts';
import type {
  AdmitRequest,
  AdmitResult,
  AssociationEvent,
  AssociationHandlers,
  AssociationInfo,
  OfferedContext,
  TlsFacts,
} from './handlers.ts';
import type { DimseLimits } from './limits.ts';
import { fragmentBytesMax } from './message-writer.ts';
import { answerTo, rejectionBefore, tooManyAssociations } from './negotiation.ts';
import type { Rejection } from './negotiation.ts';
import type { Place } from './occupancy.ts';
import {
  decodeAssociateRequest,
  encodeAssociateAccept,
  encodeAssociateReject,
  encodeReleaseResponse,
  pduType,
} from './pdu.ts';
import type { AssociateRequest } from './pdu.ts';
import type { NegotiatedContext } from './operation.ts';

export interface AcceptingOptions {
  /** Called AE titles that are ours; empty = any. A function is asked for each association. */
  readonly aeTitles: readonly string[] | (() => readonly string[]);
  readonly implementationClassUid: string;
  readonly implementationVersionName: string;
  /** Operations that a peer may have under way at a time, if it asks for more than one. Default 1. */
  readonly operationsPerformedMax?: number;
  readonly limits: DimseLimits;
  readonly admit: (request: AdmitRequest) => AdmitResult | Promise<AdmitResult>;
  readonly handlers: AssociationHandlers;
  readonly onEvent: (event: AssociationEvent) => void;
}

/** What an acceptor knows of a connection before anything was said on it. */
export interface ConnectionFacts {
  readonly remoteAddress: string;
  /** Set when the acceptor is full: this connection only learns why. */
  readonly refusal?: Rejection;
  readonly tls?: TlsFacts;
  /** Called when it has asked for an association: until then its place may go to another connection. */
  readonly asked: () => void;
  /** Takes a place for a calling AE title, given back by the acceptor; false when there is none. */
  readonly takePlace: Place['take'];
}

/**
 * One connection on the accepting side: admission, then operations, then release. The messages are the
 * dialogue's.
 */
export class AcceptedAssociation implements ConnectionOwner {
  readonly #options: AcceptingOptions;
  readonly #limits: DimseLimits;
  readonly #facts: ConnectionFacts;
  readonly #connection: Connection;
  readonly #dialogue: Dialogue;
  #association: AssociationInfo | undefined;
  #releaseAsked = false;
  #stopping = false;

  constructor(socket: Socket, options: AcceptingOptions, facts: ConnectionFacts) {
    this.#options = options;
    this.#limits = options.limits;
    this.#facts = facts;
    this.#connection = new Connection(socket, this, this.#limits, 'awaiting-request');
    this.#dialogue = new Dialogue({
      connection: this.#connection,
      limits: this.#limits,
      handlers: options.handlers,
      onEvent: options.onEvent,
      takesRequests: () => true,
      operationsFirst: false,
      idleMs: this.#limits.idleMs,
      afterOperation: () => this.#afterOperation(),
    });
    this.#connection.expectPdu('association request', this.#limits.firstPduMs);
  }

  /** Ends it now when idle, else after the operation under way. */
  stop(): void {
    this.#stopping = true;
    if (!this.#dialogue.isServing && !this.#dialogue.insideMessage) this.abort('the acceptor is stopping');
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

  ended(error: DimseError | undefined): void {
    const association = this.#association;
    this.#dialogue.end(error ?? new AssociationLostError('the association was released'));
    const { remoteAddress } = this.#facts;
    if (error !== undefined) this.#options.onEvent({ type: 'ended', association, remoteAddress, error });
    else if (association !== undefined) this.#options.onEvent({ type: 'released', association });
  }

  // -------------------------------------------------------------------------------------- opening and
  // closing

  #associate(request: AssociateRequest): void {
    this.#facts.asked();
    this.#connection.expectNothing();
    // Nothing but an abort is legal until we have answered.
    this.#connection.hold();
    const rejection = this.#facts.refusal ?? rejectionBefore(request, this.#options, this.#limits);
    if (rejection !== undefined) return this.#reject(request, rejection);
    const admitRequest: AdmitRequest = {
      callingAeTitle: request.callingAeTitle,
      calledAeTitle: request.calledAeTitle,
      remoteAddress: this.#facts.remoteAddress,
      contexts: request.contexts,
      roles: request.user.roles ?? [],
      extendedNegotiations: request.user.extendedNegotiations ?? [],
      implementationClassUid: request.user.implementationClassUid,
      implementationVersionName: request.user.implementationVersionName,
      userIdentity: request.user.userIdentity,
      tls: this.#facts.tls,
    };
    this.#admit(admitRequest)
      .then((result) => {
        if (!result.accept) this.#reject(request, result);
        else if (this.#hasPlace(request, result)) this.#accept(request, result);
        else this.#reject(request, tooManyAssociations);
      })
      .catch((error: unknown) => {
        this.#options.onEvent({ type: 'handler-failed', service: 'admit', error });
        this.#reject(request, { result: 2, source: 3, reason: 1 });
      });
  }

  #hasPlace(request: AssociateRequest, result: AdmitResult & { accept: true }): boolean {
    if (this.#connection.isEnded) return true;
    const associationsMax = result.associationsMax ?? this.#limits.associationsPerAeTitleMax;
    return this.#facts.takePlace(request.callingAeTitle, associationsMax, result.isKnown === true);
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
    const contexts = new Map<number, NegotiatedContext>();
    for (const answered of accept.contexts) {
      if (answered.result !== 0 || answered.transferSyntaxUid === undefined) continue;
      const offered = request.contexts.find(({ id }) => id === answered.id) as OfferedContext;
      const { sopClassUid } = offered;
      const peerIsScp =
        accept.user.roles?.some((role) => role.sopClassUid === sopClassUid && role.scp) === true;
      contexts.set(answered.id, { sopClassUid, transferSyntaxUid: answered.transferSyntaxUid, peerIsScp });
    }
    const association: AssociationInfo = {
      id: randomUUID(),
      callingAeTitle: request.callingAeTitle,
      calledAeTitle: request.calledAeTitle,
      remoteAddress: this.#facts.remoteAddress,
      implementationClassUid: request.user.implementationClassUid,
      implementationVersionName: request.user.implementationVersionName,
    };
    this.#association = association;
    this.#connection.write(encodeAssociateAccept(accept));
    this.#connection.framer.state = 'established';
    this.#options.onEvent({ type: 'accepted', association, acceptedContexts: contexts.size });
    this.#dialogue.open({
      association,
      contexts,
      fragmentMax: fragmentBytesMax(request.user.maxPduBytes, this.#limits.pduBytesMax),
      performedMax: accept.user.asyncOperations?.invoked ?? 1,
      invokedMax: 1,
      cancelMs: this.#limits.responseMs,
    });
    this.#connection.release();
    if (this.#stopping) this.stop();
  }

  #reject(request: AssociateRequest, rejection: Rejection & { readonly why?: string }): void {
    if (this.#connection.isEnded) return;
    const { result, source, reason, why } = rejection;
    this.#options.onEvent({
      type: 'rejected',
      callingAeTitle: request.callingAeTitle,
      calledAeTitle: request.calledAeTitle,
      remoteAddress: this.#facts.remoteAddress,
      result,
      source,
      reason,
      ...(why !== undefined && { why }),
    });
    this.#connection.finish(encodeAssociateReject({ result, source, reason }), this.#limits.abortLingerMs);
  }

  #release(): void {
    if (this.#dialogue.insideMessage) throw new ProtocolError(2, 'A-RELEASE-RQ inside a message');
    if (this.#dialogue.isServing) {
      // The peer should have waited for our response; it gets both.
      this.#releaseAsked = true;
      this.#connection.hold();
      return;
    }
    this.#connection.finish(encodeReleaseResponse(), this.#limits.releaseLingerMs);
  }

  /** What was put off while an operation was under way. */
  #afterOperation(): boolean {
    if (this.#dialogue.isServing) return true;
    if (this.#releaseAsked) {
      this.#connection.finish(encodeReleaseResponse(), this.#limits.releaseLingerMs);
      return false;
    }
    if (this.#stopping) this.abort('the acceptor is stopping');
    return !this.#stopping;
  }
}
