import { element, privateBlock, privateCreator, studyElements, tags } from '@isthmus/dicom';
import { requestSubjects } from '@isthmus/domain';
import type {
  ClusterOutcome,
  Configuration,
  DataSetJson,
  FindAnswer,
  FindRequest,
  LocateAnswer,
  LocateRequest,
  RoutesAnswer,
} from '@isthmus/domain';
import type { Requests } from '@isthmus/event-log';
import type { Log } from '@isthmus/service-kit';
import type { Candidate, PrefetchSource } from './candidate.ts';
import { choosePriors, newestFirst, readPrior } from './prior.ts';
import type { Choice, Prior } from './prior.ts';
import { clustersToAsk, destinationOf, mayPrefetch, sourcesOf } from './reach.ts';
import type { Routes } from './reach.ts';

export interface FindCandidatesParts {
  readonly cluster: string;
  readonly requests: Pick<Requests, 'ask' | 'askStream'>;
  readonly configuration: () => Configuration;
  readonly log: Log;
  readonly priorsMax: number;
  readonly candidatesMax: number;
  readonly queryTimeoutMs: number;
}

/** What priors are wanted of whom, and where. */
export interface PrefetchWanted {
  readonly patient: { readonly id: string; readonly issuer: string };
  readonly studyInstanceUid?: string | undefined;
  /** Cluster that will read. */
  readonly readAt: string;
}

export interface Considered {
  /** Newest first. */
  readonly candidates: readonly Candidate[];
  readonly outcomes: readonly ClusterOutcome[];
  /** Clusters that were asked and did not answer: there may be newer priors than those found. */
  readonly silent: readonly string[];
}

/**
 * Finds a patient's priors here and at the clusters that our prefetch may ask, chooses by the fixed rule,
 * and says for each study what follows. Moves nothing.
 *
 * @throws When query-federator cannot be asked.
 */
export async function findCandidates(
  wanted: PrefetchWanted,
  parts: FindCandidatesParts,
  signal: AbortSignal,
): Promise<Considered> {
  const routes = await askRoutes(parts, signal);
  const asked = clustersToAsk(parts.configuration(), parts.cluster, routes);
  const { rows, outcomes } = await query(wanted, asked, parts, signal);
  const choices = choosePriors(rows, { ...wanted, priorsMax: parts.priorsMax });
  const here = await locate(
    choices.filter(({ chosen }) => chosen).map(({ prior }) => prior.studyInstanceUid),
    parts,
    signal,
  );
  const silent = outcomes.filter(({ cluster, status }) => status !== 'answered' && asked.includes(cluster));
  return {
    candidates: choices.map((choice) => follows(choice, wanted, here, { parts, routes })),
    outcomes,
    silent: silent.map(({ cluster }) => cluster),
  };
}

/** Routes are a help for clusters behind a hub; without them the peers themselves are asked. */
async function askRoutes(parts: FindCandidatesParts, signal: AbortSignal): Promise<Routes> {
  try {
    const options = { timeoutMs: 2_000, signal };
    const answer = await parts.requests.ask<object, RoutesAnswer>(requestSubjects.routes, {}, options);
    return answer.nextHop;
  } catch (error) {
    signal.throwIfAborted();
    parts.log.warn({ err: error }, 'prefetch: no routes from update-relay; only direct peers are used');
    return {};
  }
}

async function query(
  wanted: PrefetchWanted,
  clusters: readonly string[],
  parts: FindCandidatesParts,
  signal: AbortSignal,
): Promise<{ rows: readonly Prior[]; outcomes: readonly ClusterOutcome[] }> {
  const request: FindRequest = {
    model: 'STUDY_ROOT',
    level: 'STUDY',
    identifier: priorsIdentifier(wanted.patient),
    asker: { kind: 'client' },
    clusters,
    ...(clusters.length === 1 ? { localOnly: true } : {}),
    linked: true,
    hops: [],
    remainingMs: parts.queryTimeoutMs,
  };
  const options = { timeoutMs: parts.queryTimeoutMs + 5_000, signal };
  const rows: Prior[] = [];
  let outcomes: readonly ClusterOutcome[] = [];
  for await (const answer of parts.requests.askStream<FindRequest, FindAnswer>(
    requestSubjects.find,
    request,
    options,
  )) {
    if ('done' in answer) outcomes = answer.done.outcomes;
    else {
      const prior = readPrior(answer.row);
      if (prior) rows.push(prior);
      // Rows come in no order: the newest are kept.
      if (rows.length > 2 * parts.candidatesMax) rows.sort(newestFirst).splice(parts.candidatesMax);
    }
  }
  return { rows: rows.sort(newestFirst).slice(0, parts.candidatesMax), outcomes };
}

/** Everything of one patient: ID and issuer are matched, and checked again when the rows are read. */
export function priorsIdentifier(patient: PrefetchWanted['patient']): DataSetJson {
  return {
    [tags.QueryRetrieveLevel]: element('CS', 'STUDY'),
    [tags.PatientID]: element('LO', patient.id),
    [tags.IssuerOfPatientID]: element('LO', patient.issuer),
    [tags.StudyInstanceUID]: element('UI'),
    [tags.StudyDate]: element('DA'),
    [tags.StudyTime]: element('TM'),
    [tags.StudyDescription]: element('LO'),
    [tags.ModalitiesInStudy]: element('CS'),
    [tags.NumberOfStudyRelatedInstances]: element('IS'),
    ...privateBlock(privateCreator.study, {
      [studyElements.holders]: element('SQ'),
      [studyElements.homeCluster]: element('LO'),
    }),
  };
}

/** What is here of a study, and who else has it. */
interface Located {
  readonly complete: boolean;
  readonly sources: readonly PrefetchSource[];
}

async function locate(
  studyInstanceUids: readonly string[],
  parts: FindCandidatesParts,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Located>> {
  const located = new Map<string, Located>();
  if (studyInstanceUids.length === 0) return located;
  const request: LocateRequest = { level: 'STUDY', studyInstanceUids };
  const options = { timeoutMs: parts.queryTimeoutMs, signal };
  for await (const answer of parts.requests.askStream<LocateRequest, LocateAnswer>(
    requestSubjects.locate,
    request,
    options,
  )) {
    if (!('studies' in answer)) continue;
    for (const { studyInstanceUid, complete, sources } of answer.studies)
      located.set(studyInstanceUid, {
        complete,
        sources: sources.map(({ peer, aeTitle }) => ({ peer, aeTitle })),
      });
  }
  return located;
}

function follows(
  choice: Choice,
  wanted: PrefetchWanted,
  located: ReadonlyMap<string, Located>,
  { parts, routes }: { readonly parts: FindCandidatesParts; readonly routes: Routes },
): Candidate {
  const nothing = (why: string, blocked: boolean): Candidate => ({
    ...choice,
    why,
    action: 'none',
    sources: [],
    blocked,
  });
  if (!choice.chosen) return nothing(choice.why, false);
  const configuration = parts.configuration();
  const here = located.get(choice.prior.studyInstanceUid);
  const isHere = here?.complete === true;
  const readHere = wanted.readAt === parts.cluster;
  if (readHere && isHere) return nothing('is here already', false);
  if (!readHere) {
    const holder = choice.prior.holders.find(({ cluster }) => cluster === wanted.readAt);
    if (holder?.complete) return nothing(`is at ${wanted.readAt} already`, false);
    const destination = destinationOf(configuration, wanted.readAt);
    if ('obstacle' in destination) return nothing(destination.obstacle, true);
    if (isHere) return { ...choice, action: 'send', sources: [], blocked: false };
  }
  const holders = choice.prior.holders.filter(({ cluster }) => cluster !== parts.cluster);
  const sources = unique([
    ...(here?.sources ?? []),
    ...sourcesOf(
      configuration,
      routes,
      holders.map(({ cluster }) => cluster),
    ),
  ]);
  const allowed = sources.filter(({ peer }) => mayPrefetch(configuration, peer));
  if (allowed.length === 0) {
    const names = sources.map(({ peer }) => peer).join(', ');
    const why =
      names === '' ? 'nobody that we can reach holds it' : `Link Prefetching towards ${names} is off`;
    return nothing(why, true);
  }
  const action = readHere ? 'retrieve' : 'retrieve-and-send';
  return { ...choice, action, sources: allowed, blocked: false };
}

function unique(sources: readonly PrefetchSource[]): readonly PrefetchSource[] {
  const seen = new Set<string>();
  return sources.filter(({ aeTitle }) => !seen.has(aeTitle) && seen.add(aeTitle) !== undefined);
}
