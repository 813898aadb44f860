import {
  AssociationAbortedError,
  AssociationLostError,
  AssociationRejectedError,
  PoolExhaustedError,
} from './errors.ts';
import type { RequestedAssociation } from './requested-association.ts';
import { requestAssociation } from './requestor.ts';
import type { ContextProposal, RequestAssociationOptions } from './requestor.ts';

export interface AssociationPoolOptions {
  /** Open at once to one peer (host, port, both AE titles). Default 4. */
  readonly associationsPerPeerMax?: number;
  /**
   * An association that nobody used for so long is released. Default 10,000; keep it below the peers' idle
   * time.
   */
  readonly idleMs?: number;
  /** Calls that wait for one peer. Default 256. */
  readonly waitersMax?: number;
  /** How long a call waits for a free association. Default 60,000. */
  readonly waitMs?: number;
  /** How long it is remembered that a peer rejected an association beside those that stood. Default 600,000. */
  readonly grantRememberedMs?: number;
  /** How associations are opened; default `requestAssociation`. */
  readonly request?: (options: RequestAssociationOptions) => Promise<RequestedAssociation>;
}

export interface AssociationPool {
  /**
   * Runs `work` on an association that is its own meanwhile: an idle one to this peer when all proposed
   * contexts were proposed on it too, else a new one; waits when the peer has its maximum: ours, or those that
   * stood when it rejected one more. When a kept
   * association turns out to be dead before the peer has answered anything, `work` is run once more on a
   * fresh one, so it must bear that.
   *
   * Rejects as `requestAssociation` and `work` do, and with PoolExhaustedError. An association whose work
   * failed is kept only if it is still open and no operation is left on it.
   */
  use<T>(
    options: RequestAssociationOptions,
    work: (association: RequestedAssociation) => Promise<T>,
  ): Promise<T>;
  /** Associations open now, in use or idle. */
  readonly open: number;
  /** Refuses new calls, releases idle associations at once and the others when their work is done. */
  stop(): Promise<void>;
}

interface Pooled {
  readonly association: RequestedAssociation;
  readonly contexts: readonly ContextProposal[];
  idleTimer: NodeJS.Timeout | undefined;
}

interface Peer {
  readonly name: string;
  /** Opening, in use and idle. */
  count: number;
  /** Of those, the peer has accepted so many. */
  standing: number;
  granted: { readonly max: number; readonly until: number };
  readonly idle: Pooled[];
  readonly waiters: { wake: () => void; fail: (error: Error) => void }[];
}

/** Keeps a few associations per peer open and re-uses them; closes those that idle. */
export function associationPool(options: AssociationPoolOptions = {}): AssociationPool {
  return new Pool(options);
}

class Pool implements AssociationPool {
  readonly #associationsPerPeerMax: number;
  readonly #idleMs: number;
  readonly #waitersMax: number;
  readonly #waitMs: number;
  readonly #grantRememberedMs: number;
  readonly #request: (options: RequestAssociationOptions) => Promise<RequestedAssociation>;
  /** By name. Peers are configured systems, so few that none is ever taken out. */
  readonly #peers = new Map<string, Peer>();
  readonly #works = new Set<Promise<unknown>>();
  #stopped = false;

  constructor(options: AssociationPoolOptions) {
    this.#associationsPerPeerMax = options.associationsPerPeerMax ?? 4;
    this.#idleMs = options.idleMs ?? 10_000;
    this.#waitersMax = options.waitersMax ?? 256;
    this.#waitMs = options.waitMs ?? 60_000;
    this.#grantRememberedMs = options.grantRememberedMs ?? 600_000;
    this.#request = options.request ?? requestAssociation;
  }

  get open(): number {
    return [...this.#peers.values()].reduce((sum, peer) => sum + peer.count, 0);
  }

  async use<T>(
    options: RequestAssociationOptions,
    work: (association: RequestedAssociation) => Promise<T>,
  ): Promise<T> {
    const peer = this.#peerOf(options);
    if (this.#stopped) throw new PoolExhaustedError(peer.name, 'the pool is stopped');
    const running = this.#run(peer, options, work);
    this.#works.add(running);
    try {
      return await running;
    } finally {
      this.#works.delete(running);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    const idle = [...this.#peers.values()].flatMap((peer) => {
      for (const { fail } of peer.waiters.splice(0))
        fail(new PoolExhaustedError(peer.name, 'the pool is stopped'));
      return peer.idle.splice(0).map((pooled) => this.#close(peer, pooled));
    });
    await Promise.all(idle);
    await Promise.allSettled(this.#works);
  }

  async #run<T>(
    peer: Peer,
    options: RequestAssociationOptions,
    work: (association: RequestedAssociation) => Promise<T>,
  ): Promise<T> {
    const { kept, pooled } = await this.#obtain(peer, options);
    const answersBefore = pooled.association.responsesReceived;
    try {
      return await work(pooled.association);
    } catch (error) {
      const isStale =
        kept !== undefined &&
        (error instanceof AssociationLostError || error instanceof AssociationAbortedError) &&
        pooled.association.responsesReceived === answersBefore &&
        !this.#stopped;
      if (!isStale) throw error;
      // A peer may close an idle association at the very moment we use it; that says nothing about the peer.
      return await this.#onFresh(peer, options, work);
    } finally {
      await this.#giveBack(peer, pooled);
    }
  }

  async #onFresh<T>(
    peer: Peer,
    options: RequestAssociationOptions,
    work: (association: RequestedAssociation) => Promise<T>,
  ): Promise<T> {
    peer.count += 1; // In place of the dead one, which the caller gives back.
    const fresh = await this.#openFor(peer, options);
    try {
      return await work(fresh.association);
    } finally {
      await this.#giveBack(peer, fresh);
    }
  }

  /** A kept association, or a new one; when the peer does not grant that beside others, one of those in its turn. */
  async #obtain(
    peer: Peer,
    options: RequestAssociationOptions,
  ): Promise<{ kept: Pooled | undefined; pooled: Pooled }> {
    for (;;) {
      const kept = await this.#acquire(peer, options);
      if (kept !== undefined) return { kept, pooled: kept };
      try {
        return { kept, pooled: await this.#openFor(peer, options) };
      } catch (error) {
        const others = peer.standing;
        if (!(error instanceof AssociationRejectedError) || others === 0) throw error;
        peer.granted = { max: others, until: performance.now() + this.#grantRememberedMs };
      }
    }
  }

  #maxOf({ granted }: Peer): number {
    if (performance.now() >= granted.until) return this.#associationsPerPeerMax;
    return Math.min(granted.max, this.#associationsPerPeerMax);
  }

  /** A kept association, or `undefined` with the right to open one (already counted). */
  async #acquire(peer: Peer, options: RequestAssociationOptions): Promise<Pooled | undefined> {
    const deadline = performance.now() + this.#waitMs;
    for (;;) {
      if (this.#stopped) throw new PoolExhaustedError(peer.name, 'the pool is stopped');
      const index = peer.idle.findIndex(({ contexts }) => covers(contexts, options.contexts));
      if (index >= 0) {
        const [pooled] = peer.idle.splice(index, 1) as [Pooled];
        clearTimeout(pooled.idleTimer);
        if (pooled.association.isOpen) return pooled;
        this.#freed(peer);
        continue;
      }
      if (peer.count >= this.#maxOf(peer)) {
        // One for other contexts has to make room.
        const other = peer.idle.shift();
        if (other !== undefined) this.#close(peer, other).catch(() => undefined);
      }
      if (peer.count < this.#maxOf(peer)) {
        peer.count += 1;
        return undefined;
      }
      await this.#waitFor(peer, deadline - performance.now());
    }
  }

  async #waitFor(peer: Peer, waitMs: number): Promise<void> {
    if (peer.waiters.length >= this.#waitersMax) {
      throw new PoolExhaustedError(peer.name, `${this.#waitersMax} calls wait already`);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { wake: resolve, fail: reject };
    peer.waiters.push(waiter);
    const timer = setTimeout(
      () => {
        // Out of the queue at once, so that nobody wakes it in vain.
        const index = peer.waiters.indexOf(waiter);
        if (index >= 0) peer.waiters.splice(index, 1);
        reject(new PoolExhaustedError(peer.name, `none within ${this.#waitMs} ms`));
      },
      Math.max(0, waitMs),
    );
    try {
      await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  async #openFor(peer: Peer, options: RequestAssociationOptions): Promise<Pooled> {
    try {
      const association = await this.#request(options);
      peer.standing += 1;
      void association.closed.then(() => (peer.standing -= 1));
      return { association, contexts: options.contexts, idleTimer: undefined };
    } catch (error) {
      this.#freed(peer);
      throw error;
    }
  }

  async #giveBack(peer: Peer, pooled: Pooled): Promise<void> {
    if (this.#stopped || !pooled.association.isOpen || pooled.association.isBusy) {
      if (pooled.association.isBusy) pooled.association.abort();
      await this.#close(peer, pooled);
      return;
    }
    peer.idle.push(pooled);
    pooled.idleTimer = setTimeout(() => this.#drop(peer, pooled), this.#idleMs);
    pooled.association.closed.then(() => this.#drop(peer, pooled)).catch(() => undefined);
    peer.waiters.shift()?.wake();
  }

  /** Takes an idle association out, if it is still idle. */
  #drop(peer: Peer, pooled: Pooled): void {
    const index = peer.idle.indexOf(pooled);
    if (index < 0) return;
    peer.idle.splice(index, 1);
    this.#close(peer, pooled).catch(() => undefined);
  }

  async #close(peer: Peer, pooled: Pooled): Promise<void> {
    clearTimeout(pooled.idleTimer);
    this.#freed(peer);
    await pooled.association.release();
  }

  #freed(peer: Peer): void {
    peer.count -= 1;
    peer.waiters.shift()?.wake();
  }

  #peerOf({ host, port, calledAeTitle, callingAeTitle }: RequestAssociationOptions): Peer {
    const name = `${callingAeTitle}→${calledAeTitle}@${host}:${port}`;
    let peer = this.#peers.get(name);
    if (peer === undefined) {
      peer = { name, count: 0, standing: 0, granted: { max: Infinity, until: 0 }, idle: [], waiters: [] };
      this.#peers.set(name, peer);
    }
    return peer;
  }
}

/**
 * Every wanted (SOP class, transfer syntax) was proposed; what the peer refused then it would refuse again.
 */
function covers(proposed: readonly ContextProposal[], wanted: readonly ContextProposal[]): boolean {
  return wanted.every(({ sopClassUid, transferSyntaxUids, role }) =>
    transferSyntaxUids.every((uid) =>
      proposed.some(
        (one) => one.sopClassUid === sopClassUid && one.role === role && one.transferSyntaxUids.includes(uid),
      ),
    ),
  );
}
