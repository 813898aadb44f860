import type { DimseLimits } from './limits.ts';

/** One connection's places; `leave` when it is closed. */
export interface Place {
  /** False: the acceptor is full, and this connection is only told so. */
  readonly isServed: boolean;
  /** Takes a place of this calling AE title too, once; false when it has `associationsMax` already. */
  take(callingAeTitle: string, associationsMax: number): boolean;
  leave(): void;
}

/** Who holds how many connections of one acceptor: in all, by address, by calling AE title. */
export class Occupancy {
  readonly #limits: DimseLimits;
  readonly #byAddress = new Map<string, number>();
  readonly #byAeTitle = new Map<string, number>();
  #served = 0;
  #refused = 0;

  constructor(limits: DimseLimits) {
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
    const { associationsMax, associationsPerAddressMax, refusalsMax } = this.#limits;
    const isServed =
      this.#served < associationsMax && (this.#byAddress.get(address) ?? 0) < associationsPerAddressMax;
    if (!isServed && this.#refused >= refusalsMax) return undefined;
    if (isServed) {
      this.#served += 1;
      add(this.#byAddress, address, 1);
    } else this.#refused += 1;
    let aeTitle: string | undefined;
    let isLeft = false;
    return {
      isServed,
      take: (callingAeTitle, max) => {
        if ((this.#byAeTitle.get(callingAeTitle) ?? 0) >= max) return false;
        aeTitle = callingAeTitle;
        add(this.#byAeTitle, callingAeTitle, 1);
        return true;
      },
      leave: () => {
        if (isLeft) return;
        isLeft = true;
        if (aeTitle !== undefined) add(this.#byAeTitle, aeTitle, -1);
        if (isServed) {
          this.#served -= 1;
          add(this.#byAddress, address, -1);
        } else this.#refused -= 1;
      },
    };
  }
}

/** Counts that are zero are forgotten, so that the map holds only who is here. */
function add(counts: Map<string, number>, name: string, by: number): void {
  const count = (counts.get(name) ?? 0) + by;
  if (count > 0) counts.set(name, count);
  else counts.delete(name);
}
