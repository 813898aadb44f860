import { randomUUID } from 'node:crypto';
import { stationOfPeer } from '@isthmus/domain';
import type { Configuration, RetrieveRequest } from '@isthmus/domain';
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

/** Jobs live in memory: after a restart they are gone, and asked for again. Objects that had arrived are kept. */
export function createRetrieveJobs(parts: RetrieveJobsParts): RetrieveJobs {
  const jobs = new Map<string, RetrieveJob>();
  const running = new Map<string, Promise<void>>();
  const stopping = new AbortController();

  const change = (id: string, what: Partial<RetrieveJob>): void => {
    const job = jobs.get(id);
    if (job) jobs.set(id, { ...job, ...what });
  };

  const run = async (job: RetrieveJob, sources: RetrieveRequest['sources']): Promise<void> => {
    try {
      const end =
        job.destination === undefined ? await bring(job, sources) : await sendOn(job, job.destination);
      change(job.id, { ...end, endedAt: parts.now().toISOString() });
    } catch (error) {
      change(job.id, {
        state: 'FAILED',
        detail: (error as Error).message,
        endedAt: parts.now().toISOString(),
      });
    }
    const { state, done, detail } = jobs.get(job.id) ?? job;
    parts.log.info(
      { jobId: job.id, studyInstanceUid: job.studyInstanceUid, state, done, why: detail },
      'retrieve job',
    );
  };

  const bring = async (
    job: RetrieveJob,
    sources: RetrieveRequest['sources'],
  ): Promise<Partial<RetrieveJob>> => {
    const { studyInstanceUid } = job;
    const request: RetrieveRequest = {
      studyInstanceUid,
      ...(sources ? { sources } : {}),
      reason: 'user',
      deadlineMs: parts.timeoutMs,
    };
    for await (const answer of parts.retrieves.retrieve(request, { signal: stopping.signal })) {
      if ('arrived' in answer) {
        change(job.id, { done: answer.arrived });
        continue;
      }
      const { outcome, arrived, missing, detail } = answer.done;
      return { state: stateOf(outcome), done: arrived, missing, ...(detail === undefined ? {} : { detail }) };
    }
    return { state: 'FAILED', detail: 'The retrieve ended without a result' };
  };

  const sendOn = async (job: RetrieveJob, aeTitle: string): Promise<Partial<RetrieveJob>> => {
    const destination = stationNamed(aeTitle);
    const delivery = deliver(
      {
        scope: { level: 'STUDY', studyInstanceUids: [job.studyInstanceUid] },
        destination,
        fetch: true,
        passed: [],
        notFrom: [destination.aeTitle, ...(destination.cluster === undefined ? [] : [destination.cluster])],
        deadlineMs: parts.timeoutMs,
        signal: stopping.signal,
      },
      parts,
    );
    for (;;) {
      const next = await delivery.next();
      if (!next.done) {
        change(job.id, { done: next.value.completed + next.value.warning });
        continue;
      }
      const { failed, failedSopInstanceUids, unknown, detail } = next.value;
      const done = next.value.completed + next.value.warning;
      const state = unknown || done === 0 ? 'FAILED' : failed === 0 ? 'COMPLETE' : 'PARTIAL';
      const why = unknown ? 'Nothing is known of this study' : detail;
      return { state, done, missing: failedSopInstanceUids, ...(why === undefined ? {} : { detail: why }) };
    }
  };

  const stationNamed = (aeTitle: string) => {
    const station = parts.configuration().stations.get(aeTitle);
    if (!station || station.port === 0) throw new StationUnknownError(aeTitle);
    return station;
  };

  const sourcesFrom = (from: string | undefined): RetrieveRequest['sources'] => {
    if (from === undefined) return undefined;
    const configuration = parts.configuration();
    const station = stationOfPeer(configuration, from) ?? configuration.stations.get(from);
    if (!station) throw new StationUnknownError(from);
    return [{ peer: station.cluster ?? station.aeTitle, aeTitle: station.aeTitle }];
  };

  const makeRoom = (): void => {
    if (jobs.size < parts.jobsMax) return;
    const oldestEnded = [...jobs.values()].find((job) => job.state !== 'RUNNING');
    if (!oldestEnded) throw new TooMuchWaitingError('retrieve jobs (RETRIEVE_JOBS_MAX)', parts.jobsMax);
    jobs.delete(oldestEnded.id);
  };

  return {
    start: ({ studyInstanceUid, destination, from }) => {
      const sources = sourcesFrom(from);
      if (destination !== undefined) stationNamed(destination);
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

function stateOf(outcome: 'complete' | 'partial' | 'failed'): RetrieveJobState {
  return outcome === 'complete' ? 'COMPLETE' : outcome === 'partial' ? 'PARTIAL' : 'FAILED';
}
