import {
  compareText,
  holdersOf,
  holdingOf,
  homeOf,
  linkAllows,
  requestSubjects,
  stationOfPeer,
} from '@isthmus/domain';
import type { Configuration, RegisterMap, RetrieveAnswer, RetrieveRequest } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import { backoff } from '@isthmus/service-kit';
import type { Log } from '@isthmus/service-kit';
import { createBell } from './bell.ts';
import type { PullRow, RelayStore } from './store/rows.ts';

export interface Pulls {
  wake(): void;
  stop(): Promise<void>;
}

export interface PullsParts {
  readonly cluster: string;
  readonly store: RelayStore;
  readonly eventLog: EventLog;
  readonly log: Log;
  configuration(): Configuration;
  /** Next hops for retrieval. */
  nextHop(): { readonly [cluster: string]: string };
  isQuiet(study: string): boolean;
  /** Resolves when all objects stored so far are projected, or a moment later. */
  instancesProjected(): Promise<unknown>;
  readonly deadlineMs: number;
  readonly concurrencyMax: number;
  /** How often a study that is still arriving is looked at again, and the first pause after a failure. */
  readonly pauseMs: number;
  readonly backoffMaxMs: number;
}

/** The edge says something at least every 5 s while a retrieval runs. */
const silenceMs = 20_000;
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

async function pullStudy(parts: PullsParts, row: PullRow, signal: AbortSignal): Promise<void> {
  const { store, cluster, log } = parts;
  const { study } = row;
  await parts.instancesProjected();
  const { missing, local } = await seriesOf(store, study);
  const registers = (await store.studies([study])).get(study)?.registers ?? {};
  const holding = holdingOf(registers, cluster);
  if (missing.length === 0) return endPull(store, study, 'complete');
  // Only a part was ever wanted here: not completed unasked.
  if (holding?.scope === 'listed') return endPull(store, study, 'always');
  if (holding?.holds !== true) {
    if (local > 0) throw new Error('this cluster is not known as a holder yet');
    return endPull(store, study, 'always');
  }
  const sources = sourcesFor(parts, row.peer, registers);
  if (sources.length === 0)
    throw new Error('no linked holder whose updates we take can be reached by a route');
  const wanted = missing.reduce((sum, series) => sum + series.sopInstanceUids.length, 0);
  log.info({ study, wanted, peer: sources[0]?.peer }, 'pull: asking for missing objects');
  const request: RetrieveRequest = {
    studyInstanceUid: study,
    series: missing,
    sources,
    reason: 'objects-missing',
    deadlineMs: parts.deadlineMs,
  };
  const answers = parts.eventLog.requests.askStream<RetrieveRequest, RetrieveAnswer>(
    requestSubjects.retrieve,
    request,
    {
      timeoutMs: silenceMs,
      signal,
    },
  );
  let detail = 'the edge ended without an outcome';
  for await (const answer of answers) {
    if ('done' in answer)
      detail = `${answer.done.outcome}${answer.done.detail ? `: ${answer.done.detail}` : ''}`;
  }
  await parts.instancesProjected();
  // What counts is the set of objects that are here, not what anybody says of it.
  const { missing: left } = await seriesOf(store, study);
  if (left.length > 0) throw new Error(detail);
  log.info({ study, wanted }, 'pull: everything known is here');
  await endPull(store, study, 'complete');
}

/** Objects that are missing here, by series, and how many are not. */
async function seriesOf(
  store: RelayStore,
  study: string,
): Promise<{
  readonly missing: readonly { seriesInstanceUid: string; sopInstanceUids: string[] }[];
  readonly local: number;
}> {
  const rows = await store.objects([study]);
  const absent = rows.filter((row) => !row.local);
  const bySeries = Map.groupBy(absent, (row) => row.seriesInstanceUid);
  const missing = [...bySeries]
    .sort(([a], [b]) => compareText(a, b))
    .map(([seriesInstanceUid, series]) => ({
      seriesInstanceUid,
      sopInstanceUids: series.map((row) => row.sopInstanceUid).sort(compareText),
    }));
  return { missing, local: rows.length - absent.length };
}

/**
 * Where to pull from, best first: by way of whoever told of the objects, then complete holders, the home
 * first among them. Nothing comes from a peer whose updates we do not take.
 */
function sourcesFor(
  parts: PullsParts,
  teller: string,
  study: RegisterMap,
): { readonly peer: string; readonly aeTitle: string }[] {
  const configuration = parts.configuration();
  const nextHop = parts.nextHop();
  const home = homeOf(study);
  const rank = (holder: string): number =>
    (holder === teller ? 0 : 4) + (holdingOf(study, holder)?.complete ? 0 : 2) + (holder === home ? 0 : 1);
  const holders = holdersOf(study)
    .filter((holder) => holder !== parts.cluster)
    .sort((a, b) => rank(a) - rank(b) || compareText(a, b));
  const towards = holders.flatMap((holder) =>
    Object.hasOwn(nextHop, holder) ? [nextHop[holder] ?? ''] : [],
  );
  // A teller that holds nothing itself is a hub on the way to a holder.
  const peers = new Set([...(towards.includes(teller) ? [teller] : []), ...towards]);
  return [...peers].flatMap((peer) => {
    const station = stationOfPeer(configuration, peer);
    const taken = linkAllows(configuration.links.get(peer), 'updates', 'in');
    return station && taken ? [{ peer, aeTitle: station.aeTitle }] : [];
  });
}

async function endPull(store: RelayStore, study: string, when: 'always' | 'complete'): Promise<void> {
  await store.write((rows) => rows.endPull(study, when));
}

async function postpone(parts: PullsParts, row: PullRow, reason: string): Promise<void> {
  const factor = 2 ** Math.min(row.attempts, 20) * (0.5 + Math.random() / 2);
  const waitMs = Math.min(parts.backoffMaxMs, parts.pauseMs * factor);
  await parts.store.write((rows) => rows.postponePull(row.study, waitMs, reason.slice(0, 500)));
}
