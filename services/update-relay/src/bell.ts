/** Wakes one loop: rings are remembered until somebody waits, and many rings are one. */
export interface Bell {
  ring(): void;
  /** @returns After a ring, after `timeoutMs`, or once the signal is aborted; `true` for a ring. */
  wait(timeoutMs: number, signal?: AbortSignal): Promise<boolean>;
}

export function createBell(): Bell {
  let rung = false;
  let wake: (() => void) | undefined;
  return {
    ring: () => {
      rung = true;
      wake?.();
    },
    wait: async (timeoutMs, signal) => {
      if (!rung && !signal?.aborted) {
        const waiting = Promise.withResolvers<void>();
        wake = waiting.resolve;
        const timer = setTimeout(waiting.resolve, timeoutMs);
        signal?.addEventListener('abort', waiting.resolve as () => void, { once: true });
        await waiting.promise;
        clearTimeout(timer);
        signal?.removeEventListener('abort', waiting.resolve as () => void);
        wake = undefined;
      }
      const was = rung;
      rung = false;
      return was;
    },
  };
}
