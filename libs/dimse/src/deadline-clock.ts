/**
 * Several deadlines on one timer. Moving a deadline forwards, which every PDU does, is an assignment: the
 * timer then rings too early once, and is set anew. Times are of `performance.now()`, milliseconds.
 */
export class DeadlineClock {
  readonly #deadlines: Deadline[] = [];
  #timer: NodeJS.Timeout | undefined;
  #ringsAt = Infinity;
  #isStopped = false;

  /** A deadline that is not set yet. `expired` is called at most once for each time it is set. */
  deadline(expired: () => void): Deadline {
    const deadline = new Deadline(expired, (dueAt) => this.#ringAt(dueAt));
    this.#deadlines.push(deadline);
    return deadline;
  }

  /** For good: no timer is left, and nothing expires any more. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #ringAt(dueAt: number): void {
    if (dueAt >= this.#ringsAt || this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#ringsAt = dueAt;
    this.#timer = setTimeout(() => this.#rang(), Math.max(1, Math.ceil(dueAt - performance.now())));
  }

  #rang(): void {
    this.#ringsAt = Infinity;
    const now = performance.now();
    let next = Infinity;
    for (const deadline of this.#deadlines) {
      if (deadline.dueAt <= now) deadline.expire();
      else next = Math.min(next, deadline.dueAt);
    }
    if (next !== Infinity) this.#ringAt(next);
  }
}

/** One of the deadlines of a clock. */
export class Deadline {
  /** Infinity while it is not set. */
  dueAt = Infinity;
  readonly #expired: () => void;
  readonly #ringAt: (dueAt: number) => void;

  constructor(expired: () => void, ringAt: (dueAt: number) => void) {
    this.#expired = expired;
    this.#ringAt = ringAt;
  }

  get isSet(): boolean {
    return this.dueAt !== Infinity;
  }

  /** Due in `ms` from now, whatever it was before. */
  set(ms: number, now = performance.now()): void {
    this.dueAt = now + ms;
    this.#ringAt(this.dueAt);
  }

  clear(): void {
    this.dueAt = Infinity;
  }

  /** Called by the clock. */
  expire(): void {
    this.dueAt = Infinity;
    this.#expired();
  }
}
