import type { Random } from './random.ts';

/** A process from its start until it is killed. What a dead one waits for never comes. */
export interface Life {
  readonly name: string;
  alive: boolean;
  /** Called once when it is killed, for those who wait for its answer. */
  readonly onDeath: Set<() => void>;
}

interface Waiting {
  readonly life: Life;
  go(): void;
}

/**
 * Decides which of all simulated processes goes on next. Every call that leaves a process (log, database,
 * network) waits here before and after, so that the others can come between, and so that the process can die
 * there.
 */
export interface Scheduler {
  /** Resolves when it is this process's turn; never when it was killed. */
  turn(life: Life): Promise<void>;
  /** Turns of living processes that are waited for. */
  readonly waiting: number;
  /** Lets one process go on until it waits again. @returns Whether there was one. */
  step(): Promise<boolean>;
  /** Oldest first from now on, instead of by chance. */
  beFair(): void;
}

export function createScheduler(random: Random): Scheduler {
  let queue: Waiting[] = [];
  let fair = false;
  const forgetDead = (): void => {
    queue = queue.filter(({ life }) => life.alive);
  };
  return {
    turn: (life) => new Promise((resolve) => queue.push({ life, go: resolve })),
    get waiting() {
      forgetDead();
      return queue.length;
    },
    step: async () => {
      forgetDead();
      const [next] = queue.splice(fair ? 0 : random.below(queue.length), 1);
      if (!next) return false;
      next.go();
      // Nothing in the simulation waits for anything but promises: after one round of the event loop all have run.
      await new Promise((resolve) => setImmediate(resolve));
      return true;
    },
    beFair: () => {
      fair = true;
    },
  };
}
