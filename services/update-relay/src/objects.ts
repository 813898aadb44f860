import { backoff } from '@isthmus/service-kit';
import { createBell } from './bell.ts';
import { flushStudy } from './flush-objects.ts';
import type { FlushParts } from './flush-objects.ts';
import { createFlushTimes } from './flush-time.ts';
import type { FlushLimits, FlushTimes } from './flush-time.ts';

export interface Objects {
  /** Objects or holders of some study may have changed. */
  wake(): void;
  /** Whether no object of the study has come for a while: a pull now would not race one that runs. */
  isQuiet(study: string): boolean;
  stop(): Promise<void>;
}

export interface ObjectsParts extends FlushParts {
  readonly limits: FlushLimits;
  /** After a flush: states may be due, and objects may be missing. */
  onFlushed(): void;
}

/** Dirty studies looked at in one round. */
const roundMax = 500;
const idleMs = 30_000;

/**
 * Tells the federation what this cluster has of its studies. `objects_dirty` rows, written by the projections,
 * are the durable to-do list.
 */
export function startObjects(parts: ObjectsParts): Objects {
  const { log } = parts;
  const times = createFlushTimes(parts.limits);
  const bell = createBell();
  const stopping = new AbortController();

  const round = async (): Promise<number> => {
    const dirty = await parts.store.dirtyStudies(roundMax);
    const now = performance.now();
    for (const row of dirty) times.changed(row.study, row.version, now);
    let next = now + idleMs;
    for (const row of dirty) {
      if (stopping.signal.aborted) return next;
      const dueAt = times.dueAt(row.study);
      if (dueAt > performance.now()) {
        next = Math.min(next, dueAt);
        continue;
      }
      await flushStudy(parts, row);
      times.flushed(row.study, performance.now());
      parts.onFlushed();
    }
    times.forget(now);
    return next;
  };

  const run = async (): Promise<void> => {
    const pause = backoff({ baseMs: 100, maxMs: 5_000 });
    while (!stopping.signal.aborted) {
      try {
        const next = await round();
        pause.reset();
        await bell.wait(Math.max(1, next - performance.now()), stopping.signal);
      } catch (error) {
        if (stopping.signal.aborted) return;
        log.warn({ err: error }, 'objects: could not tell of changed studies; trying again');
        await pause.wait(stopping.signal);
      }
    }
  };
  const done = run();

  return {
    wake: () => bell.ring(),
    isQuiet: (study) => isQuiet(times, study),
    stop: async () => {
      stopping.abort();
      await done;
    },
  };
}

function isQuiet(times: FlushTimes, study: string): boolean {
  return times.isQuiet(study, performance.now());
}
