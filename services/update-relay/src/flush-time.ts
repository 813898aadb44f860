export interface FlushLimits {
  /** No change for this long: the study has stopped arriving. */
  readonly quietMs: number;
  /** A study that keeps changing waits no longer than this. */
  readonly atMostMs: number;
}

/** Monotonic times of one study's changes. */
interface Timing {
  /** First change since the last flush; undefined when there is none. */
  waitingSince: number | undefined;
  lastChange: number;
  lastFlush: number | undefined;
}

/**
 * When to tell of a study's objects: at once for a lone object on a quiet study, coalesced while objects keep
 * coming.
 */
export interface FlushTimes {
  /** A change of the study was seen. `version` tells changes apart. */
  changed(study: string, version: number, now: number): void;
  /** When the study is to be flushed. */
  dueAt(study: string): number;
  flushed(study: string, now: number): void;
  /** Whether nothing has changed for the quiet time. */
  isQuiet(study: string, now: number): boolean;
  /** Forgets studies that have been quiet for long. */
  forget(now: number): void;
}

/** Keeps times in memory only: after a restart the first flush is at once, which is merely early. */
export function createFlushTimes(limits: FlushLimits): FlushTimes {
  const studies = new Map<string, Timing & { version: number }>();
  return {
    changed: (study, version, now) => {
      const timing = studies.get(study);
      if (!timing) {
        studies.set(study, { waitingSince: now, lastChange: now, lastFlush: undefined, version });
      } else if (timing.version !== version) {
        timing.version = version;
        timing.waitingSince ??= now;
        timing.lastChange = now;
      }
    },
    dueAt: (study) => {
      const timing = studies.get(study);
      if (timing?.waitingSince === undefined) return Number.POSITIVE_INFINITY;
      const { waitingSince, lastChange, lastFlush } = timing;
      const wasQuiet = lastFlush === undefined || waitingSince - lastFlush >= limits.quietMs;
      return wasQuiet ? waitingSince : Math.min(lastChange + limits.quietMs, waitingSince + limits.atMostMs);
    },
    flushed: (study, now) => {
      const timing = studies.get(study);
      if (!timing) return;
      timing.waitingSince = undefined;
      timing.lastFlush = now;
    },
    isQuiet: (study, now) => {
      const timing = studies.get(study);
      return timing === undefined || now - timing.lastChange >= limits.quietMs;
    },
    forget: (now) => {
      for (const [study, { waitingSince, lastChange, lastFlush }] of studies) {
        const last = Math.max(lastChange, lastFlush ?? lastChange);
        if (waitingSince === undefined && now - last > 2 * limits.quietMs) studies.delete(study);
      }
    },
  };
}
