import { dimseStatus, element, isFailure, tags, uids } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { requestAssociation } from '@isthmus/dimse';
import type { MoveOutcome, RequestedAssociation, StoreAnswer, StoreRequest } from '@isthmus/dimse';
import { requestSubjects, stationOfPeer } from '@isthmus/domain';
import type {
  Configuration,
  LocateAnswer,
  LocateRequest,
  RetrieveAnswer,
  RetrieveRequest,
} from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import { sleep } from '@isthmus/service-kit';
import type { Log } from '@isthmus/service-kit';
import type { AnnouncedPulls } from './announced-pulls.ts';
import { hopsBlock } from './find-rows.ts';
import type { ObjectStore } from './object-store.ts';
import { addressOf } from './outgoing.ts';
import type { CallingTls } from './outgoing.ts';
import { requestGetAssociation, takeFrom } from './pull-by-get.ts';
import type { Pulls } from './pulls.ts';
import type { Turns } from './turns.ts';

/** UIDs in one C-MOVE: a UI value of 500 stays far below the 64 KB at which toolkits change its VR to UN. */
const uidsPerMoveMax = 500;
const locateTimeoutMs = 15_000;
/** How often an asker hears of progress. */
const progressMs = 2_000;

export interface RetrieveParts {
  readonly cluster: string;
  readonly ourAeTitle: () => string;
  readonly configuration: () => Configuration;
  readonly eventLog: Pick<EventLog, 'requests'>;
  readonly store: Pick<ObjectStore, 'has'>;
  readonly pulls: Pulls;
  readonly announcedPulls: Pick<AnnouncedPulls, 'announce'>;
  readonly turns: Turns;
  readonly tls: CallingTls;
  /** Stores an object that a peer sends on an association of ours. */
  readonly take: (request: StoreRequest) => Promise<StoreAnswer>;
  readonly log: Log;
}

export interface Retrieves {
  /**
   * Brings objects of a study here: C-MOVE from each source to ourselves until the set is whole. One retrieve per study
   * runs at a time: who asks for what is under way anyway waits for it, anything else comes after it.
   *
   * @param options.passed - Ids of clusters that the request came through; told to a linked cluster, so that
   *   it does not come back to us for the same objects.
   */
  retrieve(
    request: RetrieveRequest,
    options: { readonly signal: AbortSignal; readonly passed?: readonly string[] },
  ): AsyncGenerator<RetrieveAnswer, void, undefined>;
}

type Done = Extract<RetrieveAnswer, { done: unknown }>['done'];
type Source = NonNullable<RetrieveRequest['sources']>[number];

interface Flight {
  readonly request: RetrieveRequest;
  readonly done: Promise<Done>;
  readonly arrived: () => number;
}

export function createRetrieves(parts: RetrieveParts): Retrieves {
  const flights = new Map<string, Flight>();

  const start = (request: RetrieveRequest, signal: AbortSignal, passed: readonly string[]): Flight => {
    const arrived = new Set<string>();
    const done = pullFromSources(request, arrived, signal, passed, parts).finally(() => {
      flights.delete(request.studyInstanceUid);
    });
    const flight = { request, done, arrived: () => arrived.size };
    flights.set(request.studyInstanceUid, flight);
    return flight;
  };

  return {
    retrieve: async function* (request, options) {
      const signal = AbortSignal.any([options.signal, AbortSignal.timeout(request.deadlineMs)]);
      let joined = false;
      for (;;) {
        const running = flights.get(request.studyInstanceUid);
        if (running && !covers(running.request, request)) {
          yield* progress(running, signal);
          if (signal.aborted) return yield { done: overdue(request) };
          continue;
        }
        const flight = running ?? start(request, signal, options.passed ?? []);
        yield* progress(flight, signal);
        // Who started it waits for its end, which the same signal brings about; who joined can leave.
        if (running && signal.aborted) return yield { done: overdue(request) };
        const done = await flight.done;
        if (!running) return yield { done };
        const judged = await judgedFor(request, done, parts);
        // It may have been cancelled by who started it, or tried other sources: then this asker's own turn comes.
        if (judged.outcome === 'complete' || joined) return yield { done: judged };
        joined = true;
      }
    },
  };
}

/** Whether everything that `asked` wants comes with `running`. */
function covers(running: RetrieveRequest, asked: RetrieveRequest): boolean {
  if (!running.series) return true;
  return JSON.stringify(running.series) === JSON.stringify(asked.series);
}

/** Tells how many objects have arrived, every few seconds until the flight ends or the signal is aborted. */
async function* progress(
  flight: Flight,
  signal: AbortSignal,
): AsyncGenerator<RetrieveAnswer, void, undefined> {
  const ended = new AbortController();
  flight.done.finally(() => ended.abort()).catch(() => undefined);
  const either = AbortSignal.any([signal, ended.signal]);
  while (!either.aborted) {
    await sleep(progressMs, either);
    if (!either.aborted) yield { arrived: flight.arrived() };
  }
}

/** A retrieve that was joined may have brought more, or tried other sources, than this asker wanted. */
async function judgedFor(request: RetrieveRequest, done: Done, parts: RetrieveParts): Promise<Done> {
  const wanted = wantedUids(request);
  if (!wanted) return done;
  const missing: string[] = [];
  for (const uid of wanted) if (!(await parts.store.has(uid))) missing.push(uid);
  const outcome = missing.length === 0 ? 'complete' : missing.length < wanted.length ? 'partial' : 'failed';
  return { ...done, outcome, missing };
}

function overdue(request: RetrieveRequest): Done {
  const missing = wantedUids(request) ?? [];
  return {
    outcome: 'failed',
    arrived: 0,
    missing,
    detail: 'The time for the retrieve is over, or it was cancelled',
  };
}

/** The exact UID set, when the request names one for every series. */
function wantedUids(request: RetrieveRequest): readonly string[] | undefined {
  if (!request.series?.every((one) => one.sopInstanceUids)) return undefined;
  return request.series.flatMap((one) => one.sopInstanceUids ?? []);
}

async function pullFromSources(
  request: RetrieveRequest,
  arrived: Set<string>,
  signal: AbortSignal,
  passed: readonly string[],
  parts: RetrieveParts,
): Promise<Done> {
  const facts = { studyInstanceUid: request.studyInstanceUid, reason: request.reason };
  const details: string[] = [];
  let done: Done = { outcome: 'failed', arrived: 0, missing: wantedUids(request) ?? [] };
  const release = await parts.turns.take(signal).catch((error: Error) => error);
  if (release instanceof Error) return { ...done, detail: release.message };
  try {
    const sources = request.sources ?? (await locateSources(request.studyInstanceUid, parts));
    if (sources.length === 0) details.push('Nobody is known to hold it');
    for (const source of sources) {
      if (signal.aborted) break;
      const left = wantedUids(request) ? withoutArrived(request, arrived) : request;
      const pulled = await pullFrom(source, left, arrived, signal, passed, parts).catch((error: Error) => ({
        whole: false,
        detail: error.message,
      }));
      if (pulled.detail !== undefined) details.push(`${source.aeTitle}: ${pulled.detail}`);
      done = await judge(request, arrived, pulled.whole, parts);
      parts.log.info(
        { ...facts, peer: source.aeTitle, ...brief(done), why: pulled.detail },
        'retrieve: source tried',
      );
      if (done.outcome === 'complete') return done;
    }
    if (signal.aborted) details.push('The time for the retrieve is over, or it was cancelled');
    return { ...done, ...(details.length > 0 ? { detail: details.join('; ').slice(0, 1_000) } : {}) };
  } catch (error) {
    parts.log.warn({ ...facts, err: error }, 'retrieve failed');
    return { ...done, detail: (error as Error).message };
  } finally {
    release();
  }
}

function brief(done: Done): { outcome: string; arrived: number; missing: number } {
  return { outcome: done.outcome, arrived: done.arrived, missing: done.missing.length };
}

/**
 * By the UID set when it is known: in this retrieve's arrivals, or on disk. Else by what the peer said and what came.
 */
async function judge(
  request: RetrieveRequest,
  arrived: ReadonlySet<string>,
  whole: boolean,
  parts: RetrieveParts,
): Promise<Done> {
  const wanted = wantedUids(request);
  if (!wanted) {
    const outcome = whole && arrived.size > 0 ? 'complete' : arrived.size > 0 ? 'partial' : 'failed';
    return { outcome, arrived: arrived.size, missing: [] };
  }
  const missing: string[] = [];
  for (const uid of wanted) if (!arrived.has(uid) && !(await parts.store.has(uid))) missing.push(uid);
  const outcome = missing.length === 0 ? 'complete' : missing.length < wanted.length ? 'partial' : 'failed';
  return { outcome, arrived: arrived.size, missing };
}

function withoutArrived(request: RetrieveRequest, arrived: ReadonlySet<string>): RetrieveRequest {
  const series = request.series
    ?.map((one) => ({ ...one, sopInstanceUids: one.sopInstanceUids?.filter((uid) => !arrived.has(uid)) }))
    .filter((one) => one.sopInstanceUids === undefined || one.sopInstanceUids.length > 0);
  return { ...request, series };
}

async function locateSources(studyInstanceUid: string, parts: RetrieveParts): Promise<readonly Source[]> {
  const question: LocateRequest = { level: 'STUDY', studyInstanceUids: [studyInstanceUid] };
  const answers = parts.eventLog.requests.askStream<LocateRequest, LocateAnswer>(
    requestSubjects.locate,
    question,
    {
      timeoutMs: locateTimeoutMs,
    },
  );
  const sources: Source[] = [];
  for await (const answer of answers) {
    if ('studies' in answer) sources.push(...answer.studies.flatMap((study) => study.sources));
  }
  return sources;
}

/**
 * All C-MOVEs to one source, over one association; C-GETs when it sends nothing, as one that does not know us as a move
 * destination: PS3.4 C.4.2.1.5 has A801 for that, Orthanc says C000.
 */
async function pullFrom(
  source: Source,
  request: RetrieveRequest,
  arrived: Set<string>,
  signal: AbortSignal,
  passed: readonly string[],
  parts: RetrieveParts,
): Promise<Pulled> {
  const configuration = parts.configuration();
  const station = configuration.stations.get(source.aeTitle) ?? stationOfPeer(configuration, source.peer);
  if (!station) return { whole: false, refused: true, detail: 'no such station is configured' };
  const facts = {
    studyInstanceUid: request.studyInstanceUid,
    peer: source.peer,
    aeTitles: [station.aeTitle, ...station.alsoSendsAs],
  };
  const pull = parts.pulls.open(facts, ({ instance }) => arrived.add(instance.sopInstanceUid));
  let association: RequestedAssociation | undefined;
  let takeBack: (() => Promise<void>) | undefined;
  try {
    takeBack = await parts.announcedPulls.announce(facts);
    association = await requestAssociation({
      ...addressOf(station, parts.tls),
      callingAeTitle: parts.ourAeTitle(),
      contexts: [
        {
          sopClassUid: uids.StudyRootMove,
          transferSyntaxUids: [uids.ExplicitVrLittleEndian, uids.ImplicitVrLittleEndian],
        },
      ],
    });
    // Only a cluster knows our private elements; a third party may answer nothing at all to one that it does not know.
    const hops = station.kind === 'cluster' ? hopsBlock([...new Set([...passed, parts.cluster])]) : {};
    const asking = { request, hops, signal, arrived: pull.arrived };
    const moved =
      association.accepted(uids.StudyRootMove).length > 0
        ? await moveAll(association, asking, parts.ourAeTitle())
        : { whole: false, refused: true, detail: 'C-MOVE is not accepted' };
    if (!moved.refused || signal.aborted) return moved;
    // The peer may not know where we are; on an association of ours it need not.
    await association.release().catch(() => {});
    association = await requestGetAssociation(station, parts.ourAeTitle(), parts.tls);
    if (association.accepted(uids.StudyRootGet).length === 0) return moved;
    const got = await getAll(association, asking, takeFrom(station, parts.take));
    return got.refused ? { ...got, detail: `${moved.detail}; by C-GET: ${got.detail}` } : got;
  } finally {
    pull.close();
    await takeBack?.();
    await association?.release().catch(() => {});
  }
}

/** What a peer is asked for. */
interface Asking {
  readonly request: RetrieveRequest;
  /** Elements beside the keys. */
  readonly hops: DataSetJson;
  readonly signal: AbortSignal;
  /** SOP Instance UIDs that have come from it. */
  readonly arrived: ReadonlySet<string>;
}

interface Pulled {
  /** The peer said success to each, and as many objects arrived as it counted. */
  readonly whole: boolean;
  readonly detail?: string;
  /** Nothing was sent, and every answer was a failure. */
  readonly refused: boolean;
}

function moveAll(association: RequestedAssociation, asking: Asking, ourAeTitle: string): Promise<Pulled> {
  return askAll(asking, (identifier) =>
    association.cMove({
      sopClassUid: uids.StudyRootMove,
      destinationAeTitle: ourAeTitle,
      identifier,
      signal: asking.signal,
    }),
  );
}

function getAll(
  association: RequestedAssociation,
  asking: Asking,
  onStore: RetrieveParts['take'],
): Promise<Pulled> {
  return askAll(asking, (identifier) =>
    association.cGet({ sopClassUid: uids.StudyRootGet, identifier, onStore, signal: asking.signal }),
  );
}

async function askAll(
  { request, hops, signal, arrived }: Asking,
  ask: (identifier: DataSetJson) => Promise<MoveOutcome>,
): Promise<Pulled> {
  let completed = 0;
  let failuresOnly = true;
  const problems: string[] = [];
  for (const identifier of identifiersOf(request)) {
    if (signal.aborted) break;
    let answer = await ask({ ...identifier, ...hops });
    const narrowed = withoutImages(identifier);
    const destinationUnknown = answer.status === dimseStatus.MoveDestinationUnknown;
    // A peer without lists (or IMAGE level) gets the whole series asked; what is here already is recognised as such.
    if (narrowed && !destinationUnknown && isFailure(answer.status) && answer.counts.completed === 0) {
      answer = await ask({ ...narrowed, ...hops });
    }
    completed += answer.counts.completed + answer.counts.warning;
    failuresOnly &&= isFailure(answer.status);
    if (answer.status !== dimseStatus.Success) {
      problems.push(`status ${hex(answer.status)} ${answer.errorComment ?? ''}`.trim());
      if (destinationUnknown) break;
    }
  }
  const short = arrived.size < completed;
  if (short) problems.push(`${completed} sent by its count, ${arrived.size} arrived`);
  return {
    whole: problems.length === 0 && completed > 0 && !signal.aborted,
    refused: failuresOnly && completed === 0 && problems.length > 0,
    ...(problems.length > 0 ? { detail: problems[0] } : {}),
  };
}

function hex(status: number): string {
  return status.toString(16).padStart(4, '0');
}

/** The identifiers of a retrieve: STUDY level for all, else one per series, lists of at most 500 UIDs. */
export function identifiersOf(request: RetrieveRequest): readonly DataSetJson[] {
  const study = { [tags.StudyInstanceUID]: element('UI', request.studyInstanceUid) };
  if (!request.series) return [{ [tags.QueryRetrieveLevel]: element('CS', 'STUDY'), ...study }];
  return request.series.flatMap(({ seriesInstanceUid, sopInstanceUids }) => {
    const series = { ...study, [tags.SeriesInstanceUID]: element('UI', seriesInstanceUid) };
    if (!sopInstanceUids) return [{ [tags.QueryRetrieveLevel]: element('CS', 'SERIES'), ...series }];
    const identifiers: DataSetJson[] = [];
    for (let at = 0; at < sopInstanceUids.length; at += uidsPerMoveMax) {
      identifiers.push({
        [tags.QueryRetrieveLevel]: element('CS', 'IMAGE'),
        ...series,
        [tags.SOPInstanceUID]: element('UI', ...sopInstanceUids.slice(at, at + uidsPerMoveMax)),
      });
    }
    return identifiers;
  });
}

function withoutImages(identifier: DataSetJson): DataSetJson | undefined {
  if (!identifier[tags.SOPInstanceUID]) return undefined;
  const { [tags.SOPInstanceUID]: _images, ...series } = identifier;
  return { ...series, [tags.QueryRetrieveLevel]: element('CS', 'SERIES') };
}
