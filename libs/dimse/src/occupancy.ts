import type { DimseLimits } from './limits.ts';

/** One connection's places; `leave` when it is closed. */
export interface Place {
  /** False: the acceptor is full, and this connection is only told so. */
  readonly isServed: boolean;
  /**
   * Takes a place of this calling AE title too, once; false when it has `associationsMax` already.
   * @param isKnown - Gives back the place among those of its address that nobody knows.
   */
  take(callingAeTitle: string, associationsMax: number, isKnown: boolean): boolean;
  /** It has asked for an association: its place is not given to others any more. */
  asked(): void;
  leave(): void;
}

/** A connection that has not asked for an association yet. */
interface Silent {
  readonly leave: () => void;
  readonly giveUp: () => void;
}

type Limits = Pick<
  DimseLimits,
  'associationsMax' | 'associationsPerAddressMax' | 'unknownPerAddressMax' | 'refusalsMax'
>;

/** Who holds how many connections: in all, by address, by calling AE title. Several acceptors may share one. */
export class Occupancy {
  readonly #limits: Limits;
  readonly #byAddress = new Map<string, number>();
  readonly #unknownByAddress = new Map<string, number>();
  readonly #byAeTitle = new Map<string, number>();
  /** By address, the oldest first. */
  readonly #silent = new Map<string, Set<Silent>>();
  #served = 0;
  #refused = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get connections(): number {
    return this.#served + this.#refused;
  }

  /**
   * A place for a new connection. Beyond its limits an acceptor still answers a few with a reason;
   * `undefined`: not even that.
   *
   * Where there is no room, a connection that has been silent for longest gives its place up: who means it asks for an
   * association at once. So connections that are only opened keep nobody out.
   * @param giveUp - Ends the connection; called when its place goes to another, which may be while `enter` runs.
   */
  enter(address: string, giveUp?: () => void): Place | undefined {
    const isServed = this.#hasRoom(address) || this.#makeRoom(address);
    if (!isServed && this.#refused >= this.#limits.refusalsMax) return undefined;
    if (isServed) {
      this.#served += 1;
      add(this.#byAddress, address, 1);
      add(this.#unknownByAddress, address, 1);
    } else this.#refused += 1;
    let aeTitle: string | undefined;
    let isUnknown = isServed;
    let isLeft = false;
    const becomeKnown = (): void => {
      if (isUnknown) add(this.#unknownByAddress, address, -1);
      isUnknown = false;
    };
    let silent: Silent | undefined;
    const asked = (): void => {
      if (silent !== undefined) this.#forget(address, silent);
      silent = undefined;
    };
    const place: Place = {
      isServed,
      asked,
      take: (callingAeTitle, max, isKnown) => {
        if ((this.#byAeTitle.get(callingAeTitle) ?? 0) >= max) return false;
        aeTitle = callingAeTitle;
        add(this.#byAeTitle, callingAeTitle, 1);
        if (isKnown) becomeKnown();
        return true;
      },
      leave: () => {
        if (isLeft) return;
        isLeft = true;
        asked();
        if (aeTitle !== undefined) add(this.#byAeTitle, aeTitle, -1);
        becomeKnown();
        if (isServed) {
          this.#served -= 1;
          add(this.#byAddress, address, -1);
        } else this.#refused -= 1;
      },
    };
    if (isServed && giveUp !== undefined) {
      silent = { leave: place.leave, giveUp };
      this.#silent.set(address, (this.#silent.get(address) ?? new Set()).add(silent));
    }
    return place;
  }

  #forget(address: string, silent: Silent): void {
    const others = this.#silent.get(address);
    others?.delete(silent);
    if (others?.size === 0) this.#silent.delete(address);
  }

  /** An address that has all its places makes room by itself; else the one that has the most silent connections. */
  #makeRoom(address: string): boolean {
    const sets = this.#isAddressFull(address) ? [this.#silent.get(address)] : [...this.#silent.values()];
    const most = sets.reduce(
      (one, other) => ((other?.size ?? 0) > (one?.size ?? 0) ? other : one),
      undefined,
    );
    const oldest = most?.values().next().value;
    if (oldest === undefined) return false;
    oldest.leave();
    oldest.giveUp();
    return this.#hasRoom(address);
  }

  #hasRoom(address: string): boolean {
    return this.#served < this.#limits.associationsMax && !this.#isAddressFull(address);
  }

  #isAddressFull(address: string): boolean {
    const { associationsPerAddressMax, unknownPerAddressMax } = this.#limits;
    return (
      (this.#byAddress.get(address) ?? 0) >= associationsPerAddressMax ||
      (this.#unknownByAddress.get(address) ?? 0) >= unknownPerAddressMax
    );
  }
}

/** Counts that are zero are forgotten, so that the map holds only who is here. */
function add(counts: Map<string, number>, name: string, by: number): void {
  const count = (counts.get(name) ?? 0) + by;
  if (count > 0) counts.set(name, count);
  else counts.delete(name);
}
