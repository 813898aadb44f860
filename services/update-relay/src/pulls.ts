import { backoff } from '@isthmus/service-kit';
import { createBell } from './bell.ts';
import { pullStudy } from './pull-study.ts';
import type { PullParts } from './pull-study.ts';
import type { PullRow } from './store/rows.ts';

export interface Pulls {
  wake(): void;
  stop(): Promise<void>;
}

export interface PullsParts extends PullParts {
  isQuiet(study: string): boolean;
  readonly concurrencyMax: number;
  /** How often a study that is still arriving is looked at again, and the first pause after a failure. */
  readonly pauseMs: number;
  readonly backoffMaxMs: number;
}

const idleMs = 30_000;
/** Studies looked at in one round. */
const roundMax = 200;

/**
 * Brings objects that manifests name and this cluster lacks, for studies that it holds. `pulls` rows are the
 * durable to-do list: a row goes when nothing is missing any more, or when we no longer hold the study.
 */
export function startPulls(parts: PullsParts): Pulls {
  const { log } = parts;
  const bell = createBell();
  const stopping = new AbortController();
  const running = new Map<string, Promise<void>>();

  const begin = (row: PullRow): void => {
    const work = pullStudy(parts, row, stopping.signal)
      .catch(async (error: unknown) => {
        if (stopping.signal.aborted) return;
        const reason = (error as Error).message;
        log.warn(
          { study: row.study, attempts: row.attempts + 1, reason },
          'pull: failed; trying again later',
        );
        await postpone(parts, row, reason).catch(() => undefined);
      })
      .finally(() => {
        running.delete(row.study);
        bell.ring();
      });
    running.set(row.study, work);
  };

  const round = async (): Promise<number> => {
    const rows = await parts.store.pulls(roundMax);
    let waitMs = idleMs;
    for (const row of rows) {
      if (running.has(row.study)) continue;
      if (row.waitMs > 0) waitMs = Math.min(waitMs, row.waitMs);
      else if (!parts.isQuiet(row.study)) waitMs = Math.min(waitMs, parts.pauseMs);
      else if (running.size < parts.concurrencyMax) begin(row);
    }
    return waitMs;
  };

  const run = async (): Promise<void> => {
    const pause = backoff({ baseMs: 100, maxMs: 5_000 });
    while (!stopping.signal.aborted) {
      try {
        const waitMs = await round();
        pause.reset();
        await bell.wait(Math.max(10, Math.ceil(waitMs)), stopping.signal);
      } catch (error) {
        if (stopping.signal.aborted) return;
        log.warn({ err: error }, 'pull: could not read what is missing; trying again');
        await pause.wait(stopping.signal);
      }
    }
  };
  const done = run();

  return {
    wake: () => bell.ring(),
    stop: async () => {
      stopping.abort();
      await done;
      await Promise.allSettled(running.values());
    },
  };
}

async function postpone(parts: PullsParts, row: PullRow, reason: string): Promise<void> {
  const factor = 2 ** Math.min(row.attempts, 20) * (0.5 + Math.random() / 2);
  const waitMs = Math.min(parts.backoffMaxMs, parts.pauseMs * factor);
  await parts.store.write((rows) => rows.postponePull(row.study, waitMs, reason.slice(0, 500)));
}
