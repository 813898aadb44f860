import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { implementationVersionName, isAeTitle, uids } from '@isthmus/dicom';
import { AssociationLostError } from './errors.ts';
import type { AssociationEvent, RequestorHandlers } from './handlers.ts';
import { dimseLimits } from './limits.ts';
import type { DimseLimits } from './limits.ts';
import { dicomApplicationContext } from './pdu.ts';
import type { AssociateRequest, ExtendedNegotiation, RoleSelection } from './pdu.ts';
import { RequestedAssociation } from './requested-association.ts';
import { bcp195 } from './tls.ts';

/** How long we wait for a peer. Milliseconds, integers above 0. */
export interface RequestTimeouts {
  /** For the connection, TLS included. */
  readonly connectMs: number;
  /** For the answer to A-ASSOCIATE-RQ. */
  readonly associateMs: number;
  /** For a response, from the last byte of the request or from the response before. */
  readonly responseMs: number;
  /** The same for C-MOVE, where a peer may be silent while it sends. */
  readonly moveResponseMs: number;
  /** For the final response after C-CANCEL, however many responses come before it. */
  readonly cancelMs: number;
  /** For A-RELEASE-RP. */
  readonly releaseMs: number;
}

export const defaultTimeouts: RequestTimeouts = {
  connectMs: 5_000,
  associateMs: 10_000,
  responseMs: 60_000,
  moveResponseMs: 600_000,
  cancelMs: 30_000,
  releaseMs: 5_000,
};

/** One presentation context to propose. */
export interface ContextProposal {
  readonly sopClassUid: string;
  /** The peer picks one. */
  readonly transferSyntaxUids: readonly string[];
  /**
   * Our role for the SOP class, any class (PS3.7 D.3.3.4). Default `scu`, which needs no negotiation; `scp` to
   * take objects of it in a C-GET, or to send N-EVENT-REPORT. Contexts of one class share what they ask for.
   */
  readonly role?: 'scu' | 'scp' | 'both';
}

export interface RequestAssociationOptions {
  readonly host: string;
  readonly port: number;
  readonly calledAeTitle: string;
  readonly callingAeTitle: string;
  /** 1 to 128; proposed in this order. Name a SOP class twice to learn of two transfer syntaxes. */
  readonly contexts: readonly ContextProposal[];
  /** Default: that of Isthmus. */
  readonly implementationClassUid?: string;
  /** At most 16 characters. Default: that of Isthmus. */
  readonly implementationVersionName?: string;
  /** SOP class extended negotiation (PS3.7 D.3.3.5), e.g. relational queries. */
  readonly extendedNegotiations?: readonly ExtendedNegotiation[];
  /**
   * Asks for an asynchronous operations window of so many C-STORE (PS3.7 D.3.3.3); what the peer grants is
   * used. Default 1: nothing is asked for.
   */
  readonly operationsInvokedMax?: number;
  /** Requests of the peer on this association. What they throw becomes a status, and an event. */
  readonly handlers?: RequestorHandlers;
  readonly onEvent?: (event: AssociationEvent) => void;
  readonly limits?: Partial<DimseLimits>;
  readonly timeouts?: Partial<RequestTimeouts>;
  /** Connects with TLS and these options on top of the profile `bcp195`. */
  readonly tls?: ConnectionOptions;
  /** Gives up connecting and negotiating. Has no effect afterwards. */
  readonly signal?: AbortSignal;
}

const contextsMax = 128;
const keepAliveInitialDelayMs = 30_000;

/**
 * Connects to a peer and opens an association (PS3.8 7.1). Resolves when the peer has accepted the
 * association; that does not mean that it accepted any presentation context: see `accepted`.
 *
 * Rejects with AssociationRejectedError, AssociationAbortedError, AssociationLostError (no connection, or it
 * broke), ResponseTimeoutError, or the signal's reason; the connection is closed then. Throws RangeError on
 * illegal AE titles and on none or more than 128 contexts.
 */
export async function requestAssociation(options: RequestAssociationOptions): Promise<RequestedAssociation> {
  const limits = dimseLimits(options.limits);
  const timeouts = { ...defaultTimeouts, ...options.timeouts };
  const request = associateRequest(options, limits);
  options.signal?.throwIfAborted();
  const socket = await connect(options, timeouts.connectMs);
  const { handlers = {}, onEvent = () => undefined } = options;
  const association = new RequestedAssociation(socket, { request, limits, timeouts, handlers, onEvent });
  const giveUp = (): void => association.abort();
  options.signal?.addEventListener('abort', giveUp, { once: true });
  try {
    await association.negotiated;
    return association;
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', giveUp);
  }
}

function associateRequest(options: RequestAssociationOptions, limits: DimseLimits): AssociateRequest {
  const { calledAeTitle, callingAeTitle, contexts } = options;
  for (const aeTitle of [calledAeTitle, callingAeTitle]) {
    if (!isAeTitle(aeTitle)) throw new RangeError(`not an AE title: ${JSON.stringify(aeTitle)}`);
  }
  if (contexts.length === 0 || contexts.length > contextsMax) {
    throw new RangeError(
      `an association has 1 to ${contextsMax} presentation contexts, not ${contexts.length}`,
    );
  }
  return {
    protocolVersion: 1,
    calledAeTitle,
    callingAeTitle,
    applicationContextName: dicomApplicationContext,
    contexts: contexts.map(({ sopClassUid, transferSyntaxUids }, index) => ({
      id: index * 2 + 1,
      sopClassUid,
      transferSyntaxUids,
    })),
    user: {
      maxPduBytes: limits.pduBytesMax,
      implementationClassUid: options.implementationClassUid ?? uids.IsthmusImplementationClass,
      implementationVersionName: options.implementationVersionName ?? implementationVersionName,
      ...((options.operationsInvokedMax ?? 1) > 1 && {
        asyncOperations: { invoked: Math.min(options.operationsInvokedMax ?? 1, 0xffff), performed: 1 },
      }),
      roles: proposedRoles(contexts),
      extendedNegotiations: options.extendedNegotiations,
    },
  };
}

/** One item for each class that asks for more than the default role. */
function proposedRoles(contexts: readonly ContextProposal[]): RoleSelection[] {
  const roles = new Map<string, RoleSelection>();
  for (const { sopClassUid, role = 'scu' } of contexts) {
    const before = roles.get(sopClassUid);
    const scu = before?.scu === true || role !== 'scp';
    roles.set(sopClassUid, { sopClassUid, scu, scp: before?.scp === true || role !== 'scu' });
  }
  return [...roles.values()].filter(({ scp }) => scp);
}

function connect(options: RequestAssociationOptions, connectMs: number): Promise<Socket> {
  const { host, port, signal, tls } = options;
  const where = `${host}:${port}`;
  // Without noDelay every request waits for the peer's delayed acknowledgement: 40 ms per object.
  const tcp = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveInitialDelayMs };
  return new Promise((resolve, reject) => {
    const socket = tls === undefined ? connectTcp(tcp) : connectTls({ ...tcp, ...bcp195, ...tls });
    const settle = (then: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
      socket.removeListener('error', failed);
      then();
    };
    const failWith = (error: unknown): void => {
      settle(() => {
        socket.on('error', () => undefined);
        socket.destroy();
        reject(error as Error);
      });
    };
    const failed = (cause: Error): void => {
      // An error of several addresses (localhost: ::1 and 127.0.0.1) has an empty message, but a code.
      const why = cause.message === '' ? ((cause as NodeJS.ErrnoException).code ?? 'failed') : cause.message;
      failWith(new AssociationLostError(`cannot connect to ${where}: ${why}`, { cause }));
    };
    const aborted = (): void => failWith(signal?.reason);
    const timer = setTimeout(() => {
      failWith(new AssociationLostError(`cannot connect to ${where}: no answer within ${connectMs} ms`));
    }, connectMs);
    signal?.addEventListener('abort', aborted, { once: true });
    socket.once('error', failed);
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => settle(() => resolve(socket)));
  });
}
