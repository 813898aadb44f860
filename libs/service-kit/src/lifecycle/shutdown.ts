import type { Log } from '../log/log.ts';
import { sleep } from './backoff.ts';

/** Waits until this process is asked to end. @returns The name of the signal. */
export function untilSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => resolve(name));
  });
}

/**
 * Stops parts one after the other. A part that fails or takes longer than `eachMs` is logged by name and
 * passed over, so that the parts after it are still closed.
 */
export async function stopInOrder(
  log: Log,
  parts: readonly (readonly [name: string, stop: () => unknown])[],
  eachMs = 20_000,
): Promise<void> {
  for (const [name, stop] of parts) {
    const overdue = new AbortController();
    const outcome = await Promise.race([
      Promise.resolve()
        .then(stop)
        .then(
          () => 'stopped' as const,
          (error: unknown) => ({ error }),
        ),
      sleep(eachMs, overdue.signal).then(() => 'overdue' as const),
    ]);
    overdue.abort();
    if (outcome === 'overdue') log.error({ part: name, eachMs }, 'did not stop in time; going on');
    else if (outcome !== 'stopped') log.error({ part: name, err: outcome.error }, 'failed to stop; going on');
  }
}
