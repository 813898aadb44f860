import { randomUUID } from 'node:crypto';
import { stationOfPeer } from '@isthmus/domain';
import type { Configuration, RetrieveRequest, Station } from '@isthmus/domain';
import type { Log } from '@isthmus/service-kit';
import { deliver } from './deliver.ts';
import type { DeliverParts } from './deliver.ts';
import { StationUnknownError, TooMuchWaitingError } from './errors.ts';
import type { Retrieves } from './retrieve.ts';

export type RetrieveJobState = 'RUNNING' | 'COMPLETE' | 'PARTIAL' | 'FAILED';

/** A retrieve that a user asked for. */
export interface RetrieveJob {
  readonly id: string;
  readonly studyInstanceUid: string;
  /** AE title that the study was sent on to; absent: it was brought here. */
  readonly destination?: string;
  /** Peer that it had to come from, when one was named. */
  readonly from?: string;
  readonly state: RetrieveJobState;
  /** Objects that have arrived here, or at the destination. */
  readonly done: number;
  readonly missing: readonly string[];
  readonly detail?: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly endedAt?: string;
}

export interface RetrieveJobs {
  /**
   * Starts a retrieve.
   * @throws {StationUnknownError} The destination, or the peer to take it from, is not configured.
   * @throws {TooMuchWaitingError} As many jobs as may be remembered are running.
   */
  start(request: { studyInstanceUid: string; destination?: string; from?: string }): RetrieveJob;
  get(id: string): RetrieveJob | undefined;
  /** Newest first. */
  list(): readonly RetrieveJob[];
  /** Ends what runs, and waits for it. */
  stop(): Promise<void>;
}

export interface RetrieveJobsParts extends DeliverParts {
  readonly configuration: () => Configuration;
  readonly retrieves: Retrieves;
  readonly jobsMax: number;
  readonly timeoutMs: number;
  readonly log: Log;
  readonly now: () => Date;
}

/** What a job ends as. */
type JobEnd = Pick<RetrieveJob, 'state' | 'done' | 'missing' | 'detail'>;
type Told = (done: number) => void;

/** Jobs live in memory: after a restart they are gone, and asked for again. Objects that had arrived are kept. */
export function createRetrieveJobs(parts: RetrieveJobsParts): RetrieveJobs {
  const jobs = new Map<string, RetrieveJob>();
  const running = new Map<string, Promise<void>>();
  const stopping = new AbortController();

  const change = (id: string, what: Partial<RetrieveJob>): RetrieveJob => {
    const changed = { ...(jobs.get(id) as RetrieveJob), ...what };
    jobs.set(id, changed);
    return changed;
  };
  const run = async (job: RetrieveJob, sources: RetrieveRequest['sources']): Promise<void> => {
    const told: Told = (done) => void change(job.id, { done });
    const work =
      job.destination === undefined
        ? bring(job, sources, parts, stopping.signal, told)
        : sendOn(job, job.destination, parts, stopping.signal, told);
    const end = await work.catch((error: Error) => ({ state: 'FAILED' as const, detail: error.message }));
    const { studyInstanceUid, state, done, detail } = change(job.id, {
      ...end,
      endedAt: parts.now().toISOString(),
    });
    parts.log.info({ jobId: job.id, studyInstanceUid, state, done, why: detail }, 'retrieve job');
  };
  const makeRoom = (): void => {
    if (jobs.size < parts.jobsMax) return;
    const oldestEnded = [...jobs.values()].find((job) => job.state !== 'RUNNING');
    if (!oldestEnded) throw new TooMuchWaitingError('retrieve jobs (RETRIEVE_JOBS_MAX)', parts.jobsMax);
    jobs.delete(oldestEnded.id);
  };

  return {
    start: ({ studyInstanceUid, destination, from }) => {
      const sources = from === undefined ? undefined : sourcesFrom(from, parts.configuration());
      if (destination !== undefined) stationNamed(destination, parts.configuration());
      makeRoom();
      const job: RetrieveJob = {
        id: randomUUID(),
        studyInstanceUid,
        ...(destination === undefined ? {} : { destination }),
        ...(from === undefined ? {} : { from }),
        state: 'RUNNING',
        done: 0,
        missing: [],
        startedAt: parts.now().toISOString(),
      };
      jobs.set(job.id, job);
      running.set(
        job.id,
        run(job, sources).finally(() => running.delete(job.id)),
      );
      return job;
    },
    get: (id) => jobs.get(id),
    list: () => [...jobs.values()].reverse(),
    stop: async () => {
      stopping.abort();
      await Promise.allSettled(running.values());
    },
  };
}

/** Brings the study here. */
async function bring(
  job: RetrieveJob,
  sources: RetrieveRequest['sources'],
  parts: RetrieveJobsParts,
  signal: AbortSignal,
  told: Told,
): Promise<JobEnd> {
  const request: RetrieveRequest = {
    studyInstanceUid: job.studyInstanceUid,
    ...(sources ? { sources } : {}),
    reason: 'user',
    deadlineMs: parts.timeoutMs,
  };
  for await (const answer of parts.retrieves.retrieve(request, { signal })) {
    if ('arrived' in answer) {
      told(answer.arrived);
      continue;
    }
    const { outcome, arrived, missing, detail } = answer.done;
    return { state: states[outcome], done: arrived, missing, ...(detail === undefined ? {} : { detail }) };
  }
  return { state: 'FAILED', done: 0, missing: [], detail: 'The retrieve ended without a result' };
}

const states = { complete: 'COMPLETE', partial: 'PARTIAL', failed: 'FAILED' } as const;

/** Sends the study on to a station, what is here at once and the rest as it comes. */
async function sendOn(
  job: RetrieveJob,
  aeTitle: string,
  parts: RetrieveJobsParts,
  signal: AbortSignal,
  told: Told,
): Promise<JobEnd> {
  const destination = stationNamed(aeTitle, parts.configuration());
  const delivery = deliver(
    {
      scope: { level: 'STUDY', studyInstanceUids: [job.studyInstanceUid] },
      destination,
      fetch: true,
      passed: [],
      notFrom: [destination.aeTitle, ...(destination.cluster === undefined ? [] : [destination.cluster])],
      deadlineMs: parts.timeoutMs,
      signal,
    },
    parts,
  );
  for (;;) {
    const next = await delivery.next();
    const done = next.value.completed + next.value.warning;
    if (!next.done) {
      told(done);
      continue;
    }
    const { failed, failedSopInstanceUids, unknown } = next.value;
    const state = unknown || done === 0 ? 'FAILED' : failed === 0 ? 'COMPLETE' : 'PARTIAL';
    const detail = unknown ? 'Nothing is known of this study' : next.value.detail;
    return { state, done, missing: failedSopInstanceUids, ...(detail === undefined ? {} : { detail }) };
  }
}

function stationNamed(aeTitle: string, configuration: Configuration): Station {
  const station = configuration.stations.get(aeTitle);
  if (!station || station.port === 0) throw new StationUnknownError(aeTitle);
  return station;
}

function sourcesFrom(from: string, configuration: Configuration): RetrieveRequest['sources'] {
  const station = stationOfPeer(configuration, from) ?? configuration.stations.get(from);
  if (!station) throw new StationUnknownError(from);
  return [{ peer: station.cluster ?? station.aeTitle, aeTitle: station.aeTitle }];
}
