/**
 * So many places, taken in the order of asking. One call may take several places, for instance all: nobody
 * who asks later overtakes it.
 */
export class Turns {
  readonly #places: number;
  readonly #waitingMax: number;
  #free: number;
  readonly #waiting: { readonly places: number; readonly begin: () => void }[] = [];

  constructor(places: number, waitingMax: number) {
    this.#places = places;
    this.#free = places;
    this.#waitingMax = waitingMax;
  }

  /** All of them. */
  get places(): number {
    return this.#places;
  }

  get isIdle(): boolean {
    return this.#free === this.#places && this.#waiting.length === 0;
  }

  /**
   * Takes places, at once when they are free: then there is nothing to wait for. `give` them back.
   * Throws RangeError when too many wait already.
   */
  take(places: number): Promise<void> | undefined {
    if (this.#waiting.length === 0 && places <= this.#free) {
      this.#free -= places;
      return undefined;
    }
    if (this.#waiting.length >= this.#waitingMax) {
      throw new RangeError(`more than ${this.#waitingMax} calls wait for their turn`);
    }
    return new Promise((begin) => this.#waiting.push({ places, begin }));
  }

  give(places: number): void {
    this.#free += places;
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined || next.places > this.#free) return;
      this.#waiting.shift();
      this.#free -= next.places;
      next.begin();
    }
  }
}
