import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createSecureContext, createServer as createTlsServer } from 'node:tls';
import type { SecureContextOptions, Server as TlsServer, TlsOptions, TLSSocket } from 'node:tls';
import { AcceptedAssociation } from './accepted-association.ts';
import type { AcceptingOptions } from './accepted-association.ts';
import type {
  AdmitRequest,
  AdmitResult,
  AssociationEvent,
  AssociationHandlers,
  TlsFacts,
} from './handlers.ts';
import { dimseLimits } from './limits.ts';
import type { DimseLimits } from './limits.ts';
import { tooManyAssociations } from './negotiation.ts';
import { Occupancy } from './occupancy.ts';
import type { Place } from './occupancy.ts';
import { bcp195, certificateRefusal, tlsFacts, withoutResumption } from './tls.ts';

export interface AcceptAssociationsOptions {
  readonly host: string;
  /** 0 = any free port; see the answer's `address`. */
  readonly port: number;
  /** Lets other processes listen on the same port; the system deals out connections (Linux). Default false. */
  readonly reusePort?: boolean;
  /** Called AE titles that are ours; empty = any. A function is asked anew for each association. */
  readonly aeTitles: readonly string[] | (() => readonly string[]);
  readonly implementationClassUid: string;
  /** At most 16 characters. */
  readonly implementationVersionName: string;
  readonly limits?: Partial<DimseLimits>;
  /**
   * Operations that a peer may have under way at a time, if it asks for an asynchronous operations window
   * (PS3.7 D.3.3.3). Default 1: none is granted. Handlers of one association run side by side then.
   */
  readonly operationsPerformedMax?: number;
  /** Decides on one association; a throw is answered with a transient rejection. */
  readonly admit: (request: AdmitRequest) => AdmitResult | Promise<AdmitResult>;
  readonly handlers: AssociationHandlers;
  /**
   * Accepts TLS connections only, with these options on top of the profile `bcp195`. For mutual TLS give
   * `requestCert`, `rejectUnauthorized` and `ca`. Sessions are not resumed.
   */
  readonly tls?: TlsOptions;
  readonly onEvent?: (event: AssociationEvent) => void;
  /** Given to several acceptors, they share the places that its limits allow. Default: places of its own. */
  readonly occupancy?: Occupancy;
}

export interface Acceptor {
  readonly address: { readonly host: string; readonly port: number };
  /**
   * Connections that are open now, those in a TLS handshake and those that are being refused included; of all
   * acceptors that share the occupancy.
   */
  readonly connections: number;
  /**
   * Takes other keys, certificates and authorities, for connections that come from now on; those that are
   * open go on. Throws when they cannot be used: the present ones stay then. Also throws on an acceptor
   * without TLS.
   */
  reloadTls(options: SecureContextOptions): void;
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
  const accepting = { ...options, limits, onEvent: guarded(options.onEvent) };
  const listening = new Listening(accepting, options.tls, options.occupancy ?? new Occupancy(limits));
  await listening.listen(options);
  return listening;
}

type Listen = Pick<AcceptAssociationsOptions, 'host' | 'port' | 'reusePort'>;

class Listening implements Acceptor {
  readonly #options: AcceptingOptions;
  readonly #limits: DimseLimits;
  readonly #server: Server;
  /** Takes over sockets of `#server`; does not listen itself. */
  readonly #tls: TlsServer | undefined;
  readonly #needsCertificate: boolean = false;
  readonly #occupancy: Occupancy;
  readonly #places = new WeakMap<Socket, Place>();
  readonly #open = new Set<AcceptedAssociation>();
  readonly #handshakes = new Set<Socket>();
  #stopped: Promise<void> | undefined;

  constructor(options: AcceptingOptions, tls: TlsOptions | undefined, occupancy: Occupancy) {
    this.#options = options;
    this.#limits = options.limits;
    this.#occupancy = occupancy;
    // Without noDelay every answer waits for the peer's delayed acknowledgement: 40 ms per object.
    const tcp = { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveInitialDelayMs };
    this.#server = createServer(tcp, (socket) => this.#connected(socket));
    if (tls === undefined) return;
    this.#needsCertificate = tls.requestCert === true && tls.rejectUnauthorized !== false;
    this.#tls = createTlsServer({
      ...bcp195,
      ...tls,
      ...withoutResumption,
      handshakeTimeout: this.#limits.tlsHandshakeMs,
      // Node would hang up without saying why.
      rejectUnauthorized: false,
    });
    this.#tls.on('secureConnection', (socket) => this.#secured(socket));
    this.#tls.on('tlsClientError', (error, socket) => this.#handshakeFailed(error, socket));
  }

  get address(): { readonly host: string; readonly port: number } {
    const { address, port } = this.#server.address() as AddressInfo;
    return { host: address, port };
  }

  get connections(): number {
    return this.#occupancy.connections;
  }

  listen({ host, port, reusePort = false }: Listen): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, host, reusePort }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', (error) => this.#options.onEvent({ type: 'listener-failed', error }));
        resolve();
      });
    });
  }

  reloadTls(options: SecureContextOptions): void {
    if (this.#tls === undefined) throw new Error('this acceptor does not use TLS');
    const context = { ...bcp195, ...options, ...withoutResumption };
    // Tried first: a server whose context cannot be made would be left with half of it.
    createSecureContext(context);
    this.#tls.setSecureContext(context);
  }

  stop({ graceMs = stopGraceMs }: { readonly graceMs?: number } = {}): Promise<void> {
    this.#stopped ??= this.#stop(graceMs);
    return this.#stopped;
  }

  #connected(socket: Socket): void {
    const remoteAddress = plainAddress(socket.remoteAddress);
    const place = this.#occupancy.enter(remoteAddress, () => socket.destroy());
    if (place === undefined) {
      socket.on('error', () => undefined);
      socket.destroy();
      this.#options.onEvent({ type: 'turned-away', remoteAddress });
      return;
    }
    socket.once('close', () => {
      this.#handshakes.delete(socket);
      place.leave();
    });
    if (this.#tls === undefined) this.#serve(socket, place, remoteAddress);
    else {
      this.#makeRoomForHandshake();
      this.#handshakes.add(socket);
      this.#places.set(socket, place);
      this.#tls.emit('connection', socket);
    }
  }

  /** The oldest handshake gives up its place: who means it is done in a few round trips. */
  #makeRoomForHandshake(): void {
    if (this.#handshakes.size < this.#limits.tlsHandshakesMax) return;
    const [oldest] = this.#handshakes;
    this.#handshakes.delete(oldest!);
    oldest!.destroy();
  }

  #secured(socket: TLSSocket): void {
    const raw = rawSocketOf(socket);
    const place = raw && this.#places.get(raw);
    if (raw === undefined || place === undefined) {
      socket.destroy();
      return;
    }
    const refusal = this.#needsCertificate ? certificateRefusal(socket) : undefined;
    if (refusal !== undefined) {
      this.#handshakeFailed(refusal, socket);
      return;
    }
    this.#handshakes.delete(raw);
    this.#serve(socket, place, plainAddress(socket.remoteAddress), tlsFacts(socket));
  }

  #handshakeFailed(error: Error, socket: TLSSocket): void {
    const remoteAddress = plainAddress(socket.remoteAddress ?? rawSocketOf(socket)?.remoteAddress);
    this.#options.onEvent({ type: 'tls-failed', remoteAddress, error });
    socket.destroy();
    rawSocketOf(socket)?.destroy();
  }

  #serve(socket: Socket, place: Place, remoteAddress: string, tls?: TlsFacts): void {
    const association = new AcceptedAssociation(socket, this.#options, {
      remoteAddress,
      tls,
      refusal: place.isServed ? undefined : tooManyAssociations,
      asked: () => place.asked(),
      takePlace: (callingAeTitle, max, isKnown) => place.take(callingAeTitle, max, isKnown),
    });
    this.#open.add(association);
    socket.once('close', () => this.#open.delete(association));
  }

  async #stop(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#handshakes) socket.destroy();
    for (const association of this.#open) association.stop();
    const timer = setTimeout(() => {
      for (const association of this.#open) association.abort('the acceptor is stopping');
    }, graceMs);
    await closed;
    clearTimeout(timer);
  }
}

/** The socket that a TLS server was given; Node keeps it on the wrapped one, without saying so in its types. */
function rawSocketOf(socket: TLSSocket): Socket | undefined {
  return (socket as TLSSocket & { readonly _parent?: Socket })._parent;
}

function plainAddress(address: string | undefined): string {
  if (address === undefined) return '';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
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
