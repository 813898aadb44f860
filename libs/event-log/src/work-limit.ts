/** Runs at most `concurrencyMax` tasks at a time; at most `waitingMax` wait for their turn, in order. */
export class WorkLimit {
  readonly #concurrencyMax: number;
  readonly #waitingMax: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #whenIdle: (() => void)[] = [];

  constructor(concurrencyMax: number, waitingMax: number) {
    this.#concurrencyMax = concurrencyMax;
    this.#waitingMax = waitingMax;
  }

  /** @returns False when too many wait already; the task will not run. A task must not reject. */
  add(task: () => Promise<void>): boolean {
    if (this.#running < this.#concurrencyMax) this.#run(task);
    else if (this.#waiting.length < this.#waitingMax) this.#waiting.push(() => this.#run(task));
    else return false;
    return true;
  }

  /** Resolves when nothing runs and nothing waits. */
  idle(): Promise<void> {
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenIdle.push(resolve);
    });
  }

  #run(task: () => Promise<void>): void {
    this.#running++;
    void task().finally(() => {
      this.#running--;
      this.#waiting.shift()?.();
      if (this.#running === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
    });
  }
}
