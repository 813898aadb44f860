import type { EventLog, StreamName } from '@isthmus/event-log';
import type { Projection } from '@isthmus/service-kit';

/** A projection that can be rebuilt by name. */
export interface NamedProjection {
  readonly name: string;
  readonly stream: StreamName;
  readonly projection: Projection;
}

export interface ProjectionState {
  readonly name: string;
  readonly state: string;
  readonly checkpoint: number;
  readonly lag: number;
}

export interface Rebuilds {
  list(): Promise<ProjectionState[]>;
  /**
   * Empties the projection's tables and folds the log anew; resolves when the old position is reached. `log-shortened`:
   * nothing was done, since the log no longer begins at its beginning and the rows of what is gone would be lost.
   */
  rebuild(name: string): Promise<ProjectionState | 'unknown' | 'log-shortened'>;
}

export function createRebuilds(
  projections: readonly NamedProjection[],
  eventLog: Pick<EventLog, 'follow' | 'lastSequence'>,
): Rebuilds {
  const stateOf = async ({ name, projection }: NamedProjection): Promise<ProjectionState> => ({
    name,
    state: projection.state(),
    checkpoint: projection.checkpoint(),
    lag: await projection.lag(),
  });
  return {
    list: () => Promise.all(projections.map(stateOf)),
    async rebuild(name) {
      const named = projections.find((one) => one.name === name);
      if (!named) return 'unknown';
      if ((await firstSequence(named.stream, eventLog)) > 1) return 'log-shortened';
      const last = await eventLog.lastSequence(named.stream);
      await named.projection.rebuild();
      // Another instance may do the folding; this one follows its checkpoint.
      while (!(await named.projection.waitFor(last, 60_000))) {
        const { detail = '' } = named.projection.health();
        const ended = ['halted', 'stopped'].includes(named.projection.state());
        if (ended) throw new Error(`the rebuild of ${name} came to a halt: ${detail}`);
      }
      return stateOf(named);
    },
  };
}

/** Sequence of the first event that the log still has; 1 for an empty log. */
async function firstSequence(
  stream: StreamName,
  eventLog: Pick<EventLog, 'follow' | 'lastSequence'>,
): Promise<number> {
  if ((await eventLog.lastSequence(stream)) === 0) return 1;
  const reading = new AbortController();
  try {
    const signal = AbortSignal.any([reading.signal, AbortSignal.timeout(10_000)]);
    for await (const [first] of eventLog.follow(stream, { after: 0, batchMax: 1, signal })) {
      if (first) return first.sequence;
    }
    // All events are gone, or the log did not answer: either way there is nothing to fold from.
    return Infinity;
  } finally {
    reading.abort();
  }
}
