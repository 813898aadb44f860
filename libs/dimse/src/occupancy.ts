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
  leave(): void;
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
   */
  enter(address: string): Place | undefined {
    const isServed = this.#hasRoom(address);
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
    return {
      isServed,
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
        if (aeTitle !== undefined) add(this.#byAeTitle, aeTitle, -1);
        becomeKnown();
        if (isServed) {
          this.#served -= 1;
          add(this.#byAddress, address, -1);
        } else this.#refused -= 1;
      },
    };
  }

  #hasRoom(address: string): boolean {
    const { associationsMax, associationsPerAddressMax, unknownPerAddressMax } = this.#limits;
    return (
      this.#served < associationsMax &&
      (this.#byAddress.get(address) ?? 0) < associationsPerAddressMax &&
      (this.#unknownByAddress.get(address) ?? 0) < unknownPerAddressMax
    );
  }
}

/** Counts that are zero are forgotten, so that the map holds only who is here. */
function add(counts: Map<string, number>, name: string, by: number): void {
  const count = (counts.get(name) ?? 0) + by;
  if (count > 0) counts.set(name, count);
  else counts.delete(name);
}
