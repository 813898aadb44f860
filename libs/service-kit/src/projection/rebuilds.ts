import { ProjectionHaltedError } from './errors.ts';
import type { EventSource, Projection } from './projection.ts';

type Stream = Parameters<EventSource['lastSequence']>[0];

/** One fold behind a name. */
export interface RebuildStage {
  readonly stream: Stream;
  /** As the projection has it. */
  readonly filter?: string;
  readonly projection: Pick<Projection, 'checkpoint' | 'health' | 'lag' | 'rebuild' | 'state' | 'waitFor'>;
}

/** What can be rebuilt under one name. */
export interface Rebuildable {
  readonly name: string;
  /** One after the other, in this order: a later one may write into rows that an earlier one empties. */
  readonly stages: readonly RebuildStage[];
}

export interface RebuildableState {
  readonly name: string;
  /** Of the first stage that does not follow its log, else of the first. */
  readonly state: string;
  /** Last event of each log whose rows are committed. */
  readonly checkpoints: { readonly [stream in Stream]?: number };
  /** Events that are not folded yet, over all stages. */
  readonly lag: number;
  /** What became of the last rebuild that this process was asked for. */
  readonly rebuild: 'none' | 'running' | 'done' | 'failed';
}

export interface Rebuilds {
  /** @throws When the log cannot be asked. */
  list(): Promise<readonly RebuildableState[]>;
  /**
   * Empties the tables and folds the log anew; resolves when all is folded that the log had at the beginning. Who asks
   * for what is being rebuilt already waits for that rebuild. `log-shortened`: nothing was done, since a log no longer
   * begins at its beginning and the rows of what is gone would be lost.
   *
   * @throws {ProjectionHaltedError} A stage halted or was stopped; later stages were not begun. Ask again.
   */
  rebuild(name: string): Promise<RebuildableState | 'unknown' | 'log-shortened'>;
}

/** How long the log may take to show its first event. */
const firstEventTimeoutMs = 10_000;
/** A rebuild has no time limit; it looks this often whether it can still end. */
const lookMs = 60_000;

/** The rebuilds that a service offers. @param source - The log that its projections fold. */
export function createRebuilds(
  rebuildables: readonly Rebuildable[],
  source: Pick<EventSource, 'follow' | 'lastOf' | 'lastSequence'>,
): Rebuilds {
  const running = new Map<string, Promise<RebuildableState | 'log-shortened'>>();
  const outcomes = new Map<string, 'done' | 'failed'>();
  const stateOf = async ({ name, stages }: Rebuildable): Promise<RebuildableState> => {
    const states = stages.map(({ projection }) => projection.state());
    const lags = await Promise.all(stages.map(({ projection }) => projection.lag()));
    return {
      name,
      state: states.find((state) => state !== 'running' && state !== 'standby') ?? states[0] ?? 'running',
      checkpoints: Object.fromEntries(
        stages.map(({ stream, projection }) => [stream, projection.checkpoint()]),
      ),
      lag: lags.reduce((sum, lag) => sum + lag, 0),
      rebuild: running.has(name) ? 'running' : (outcomes.get(name) ?? 'none'),
    };
  };
  const run = async (wanted: Rebuildable): Promise<RebuildableState | 'log-shortened'> => {
    outcomes.set(wanted.name, 'failed');
    for (const stream of new Set(wanted.stages.map((stage) => stage.stream)))
      if ((await firstSequence(stream, source)) > 1) return 'log-shortened';
    for (const stage of wanted.stages) await rebuildStage(wanted.name, stage, source);
    outcomes.set(wanted.name, 'done');
    return { ...(await stateOf(wanted)), rebuild: 'done' };
  };
  return {
    list: () => Promise.all(rebuildables.map(stateOf)),
    async rebuild(name) {
      const wanted = rebuildables.find((one) => one.name === name);
      if (!wanted) return 'unknown';
      const begun = running.get(name) ?? run(wanted).finally(() => running.delete(name));
      running.set(name, begun);
      return begun;
    },
  };
}

async function rebuildStage(
  name: string,
  { stream, filter, projection }: RebuildStage,
  source: Pick<EventSource, 'lastOf' | 'lastSequence'>,
): Promise<void> {
  // The old position may be far behind: the projection had halted there. Events of others never move a checkpoint.
  const last =
    filter === undefined
      ? await source.lastSequence(stream)
      : ((await source.lastOf?.(stream, filter))?.sequence ?? 0);
  await projection.rebuild();
  // Another instance may do the folding; this one follows its checkpoint.
  while (!(await projection.waitFor(last, lookMs))) {
    if (!['halted', 'stopped'].includes(projection.state())) continue;
    const { detail } = projection.health();
    throw new ProjectionHaltedError(name, detail ?? 'unknown', 'Remove the cause, then rebuild again.');
  }
}

/** Sequence of the first event that the log still has; 1 for an empty log. */
async function firstSequence(
  stream: Stream,
  source: Pick<EventSource, 'follow' | 'lastSequence'>,
): Promise<number> {
  if ((await source.lastSequence(stream)) === 0) return 1;
  const reading = new AbortController();
  try {
    const signal = AbortSignal.any([reading.signal, AbortSignal.timeout(firstEventTimeoutMs)]);
    for await (const [first] of source.follow(stream, { after: 0, batchMax: 1, signal })) {
      if (first) return first.sequence;
    }
    // All events are gone, or the log did not answer: either way there is nothing to fold from.
    return Infinity;
  } finally {
    reading.abort();
  }
}
