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
import type { Log } from '@isthmus/service-kit';
import type { PullRow, RelayStore } from './store/rows.ts';

/** What pulling the missing objects of a study needs of its cluster. */
export interface PullParts {
  readonly cluster: string;
  readonly store: RelayStore;
  readonly eventLog: { readonly requests: Pick<EventLog['requests'], 'askStream'> };
  readonly log: Log;
  configuration(): Configuration;
  /** Next hops for retrieval. */
  nextHop(): { readonly [cluster: string]: string };
  /** Resolves when all objects stored so far are projected, or a moment later. */
  instancesProjected(): Promise<unknown>;
  readonly deadlineMs: number;
}

/** The edge says something at least every 5 s while a retrieval runs. */
const silenceMs = 20_000;

/**
 * Pulls what is known of a study and missing here. The to-do row goes when nothing is missing any more, or
 * when this cluster does not hold the study.
 *
 * @throws With the reason when something is still missing: to be tried again.
 */
export async function pullStudy(parts: PullParts, row: PullRow, signal: AbortSignal): Promise<void> {
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
  parts: PullParts,
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
