import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { TlsOptions } from 'node:tls';
import { AcceptedAssociation } from './accepted-association.ts';
import type { AdmitRequest, AdmitResult, AssociationEvent, AssociationHandlers } from './handlers.ts';
import { dimseLimits } from './limits.ts';
import type { DimseLimits } from './limits.ts';
import { tooManyAssociations } from './negotiation.ts';

export interface AcceptAssociationsOptions {
  readonly host: string;
  /** 0 = any free port; see the answer's `address`. */
  readonly port: number;
  /** Called AE titles that are ours; empty = any. A function is asked anew for each association. */
  readonly aeTitles: readonly string[] | (() => readonly string[]);
  readonly implementationClassUid: string;
  /** At most 16 characters. */
  readonly implementationVersionName: string;
  readonly limits?: Partial<DimseLimits>;
  /** Decides on one association; a throw is answered with a transient rejection. */
  readonly admit: (request: AdmitRequest) => AdmitResult | Promise<AdmitResult>;
  readonly handlers: AssociationHandlers;
  /** Accepts TLS connections only, with these options. */
  readonly tls?: TlsOptions;
  readonly onEvent?: (event: AssociationEvent) => void;
}

export interface Acceptor {
  readonly address: { readonly host: string; readonly port: number };
  /** Connections that are open now, those that are being refused included. */
  readonly connections: number;
  /**
   * Stops listening, aborts idle associations, lets operations under way end and aborts what is left after
   * `graceMs` (default 20,000). Resolves when every connection is closed. May be called again.
   */
  stop(options?: { readonly graceMs?: number }): Promise<void>;
}

const keepAliveInitialDelayMs = 30_000;
const stopGraceMs = 20_000;

/**
 * Accepts DICOM associations (PS3.8) and serves their operations with `handlers`. Associations do not disturb
 * each other: what breaks a rule or a limit ends alone. Nothing that a handler, `admit` or `onEvent` throws
 * reaches the process. Resolves when it listens; rejects with the error of `listen` (EADDRINUSE …).
 */
export async function acceptAssociations(options: AcceptAssociationsOptions): Promise<Acceptor> {
  const limits = dimseLimits(options.limits);
  const onEvent = guarded(options.onEvent);
  const accepting = { ...options, limits, onEvent };
  const open = new Map<Socket, AcceptedAssociation>();
  const perAddress = new Map<string, number>();
  let serving = 0;

  const onSocket = (socket: Socket): void => {
    const remoteAddress = socket.remoteAddress ?? '';
    // Beyond its limits an acceptor still answers a few with a reason; the rest costs nothing.
    const isFull =
      serving >= limits.associationsMax ||
      (perAddress.get(remoteAddress) ?? 0) >= limits.associationsPerAddressMax;
    if (isFull && open.size - serving >= limits.refusalsMax) {
      socket.on('error', () => undefined);
      socket.destroy();
      onEvent({ type: 'turned-away', remoteAddress });
      return;
    }
    const association = new AcceptedAssociation(socket, accepting, isFull ? tooManyAssociations : undefined);
    open.set(socket, association);
    if (!isFull) {
      serving += 1;
      perAddress.set(remoteAddress, (perAddress.get(remoteAddress) ?? 0) + 1);
    }
    socket.once('close', () => {
      open.delete(socket);
      if (isFull) return;
      serving -= 1;
      const left = (perAddress.get(remoteAddress) ?? 1) - 1;
      if (left > 0) perAddress.set(remoteAddress, left);
      else perAddress.delete(remoteAddress);
    });
  };

  const server = listener(options.tls, onSocket);
  await listen(server, options);
  server.on('error', (error) => onEvent({ type: 'listener-failed', error }));
  const address = server.address() as AddressInfo;
  let stopped: Promise<void> | undefined;
  return {
    address: { host: address.address, port: address.port },
    get connections() {
      return open.size;
    },
    stop: ({ graceMs = stopGraceMs } = {}) => (stopped ??= stop(server, open, graceMs)),
  };
}

function listener(tls: TlsOptions | undefined, onSocket: (socket: Socket) => void): Server {
  // Without noDelay every answer waits for the peer's delayed acknowledgement: 40 ms per object.
  const tcp = { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveInitialDelayMs };
  return tls === undefined ? createServer(tcp, onSocket) : createTlsServer({ ...tcp, ...tls }, onSocket);
}

function listen(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function stop(server: Server, open: Map<Socket, AcceptedAssociation>, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const association of open.values()) association.stop();
  const timer = setTimeout(() => {
    for (const association of open.values()) association.abort('the acceptor is stopping');
  }, graceMs);
  await closed;
  clearTimeout(timer);
}

/** A listener for events must not be able to break an association. */
function guarded(
  onEvent: ((event: AssociationEvent) => void) | undefined,
): (event: AssociationEvent) => void {
  return (event) => {
    // There is nobody left to tell when it fails, at once or later.
    new Promise((resolve) => resolve(onEvent?.(event))).catch(() => undefined);
  };
}
