import { backoff, describeError, sleep } from '@isthmus/service-kit';

import type { Kysely } from 'kysely';
import { changedJobs, claimJobs, endJob, renewLease } from './jobs.ts';
import type { Job, JobEnd } from './jobs.ts';
import { runJob } from './run-job.ts';
import type { RunJobParts } from './run-job.ts';
import type { PrefetcherTables } from './tables.ts';

export interface WorkerParts extends RunJobParts {
  readonly db: Kysely<PrefetcherTables>;
  readonly atOnceMax: number;
  readonly pollMs: number;
  readonly leaseMs: number;
  readonly attemptsMax: number;
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
  /** 0 up to, not including, 1. */
  readonly random: () => number;
}

export interface Worker {
  /** Something was triggered or changed: look now. */
  wake(): void;
  /** Gives back what it works on; another instance, or the next start, takes it up. */
  stop(): Promise<void>;
}

interface Running {
  readonly job: Job;
  readonly stopping: AbortController;
  readonly finished: Promise<void>;
}

/**
 * Works on the jobs of the table, a few at a time. A job lost by a crash is taken up again when its lease
 * is over.
 */
export function startWorker(parts: WorkerParts): Worker {
  const stopping = new AbortController();
  const running = new Map<string, Running>();
  let woken = new AbortController();

  const take = async (): Promise<void> => {
    for (const id of await changedJobs(
      parts.db,
      [...running.values()].map(({ job }) => job),
    ))
      running.get(id)?.stopping.abort();
    const limit = parts.atOnceMax - running.size;
    if (limit <= 0) return;
    for (const job of await claimJobs(parts.db, { limit, leaseMs: parts.leaseMs })) {
      const stop = new AbortController();
      const finished = work(job, parts, stop, stopping.signal).finally(() => {
        if (running.get(job.id)?.stopping === stop) running.delete(job.id);
        woken.abort();
      });
      running.set(job.id, { job, stopping: stop, finished });
    }
  };

  const loop = async (): Promise<void> => {
    const pause = backoff({ baseMs: parts.pollMs, maxMs: 30_000 });
    while (!stopping.signal.aborted) {
      woken = new AbortController();
      try {
        await take();
        pause.reset();
        await sleep(parts.pollMs, AbortSignal.any([woken.signal, stopping.signal]));
      } catch (error) {
        if (pause.attempts % 10 === 0)
          parts.log.warn(
            { err: error, attempt: pause.attempts },
            'prefetch: no jobs to be had; trying again',
          );
        await pause.wait(stopping.signal);
      }
    }
  };
  const looping = loop();

  return {
    wake: () => woken.abort(),
    stop: async () => {
      stopping.abort();
      await looping;
      await Promise.all([...running.values()].map(({ finished }) => finished));
    },
  };
}

/** One try of one job. Never rejects. */
async function work(
  job: Job,
  parts: WorkerParts,
  changed: AbortController,
  shutdown: AbortSignal,
): Promise<void> {
  const ended = new AbortController();
  const alive = keepLease(job, parts, changed, ended.signal);
  const signal = AbortSignal.any([changed.signal, shutdown]);
  const facts = { job: job.id, revision: job.revision, attempt: job.attempts, readAt: job.read_at };
  parts.log.info(facts, 'prefetch: job begins');
  const end = await tryOnce(job, parts, signal, shutdown);
  ended.abort();
  await alive;
  try {
    const written = changed.signal.aborted ? false : await endJob(parts.db, job, end);
    const reason = end.state === 'DONE' ? undefined : end.reason;
    parts.log.info(
      { ...facts, state: written ? end.state : 'changed meanwhile', reason },
      'prefetch: job ends',
    );
  } catch (error) {
    // The lease runs out, and the job is taken up again: what was brought already is passed over then.
    parts.log.warn({ ...facts, err: error }, 'prefetch: the end of a job could not be written');
  }
}

async function tryOnce(
  job: Job,
  parts: WorkerParts,
  signal: AbortSignal,
  shutdown: AbortSignal,
): Promise<JobEnd> {
  try {
    const wanted = {
      patient: { id: job.patient_id, issuer: job.patient_issuer },
      studyInstanceUid: job.study_instance_uid ?? undefined,
      readAt: job.read_at,
    };
    const { done, reason, priors } = await runJob(wanted, parts, signal);
    return done ? { state: 'DONE', priors } : { ...again(job, parts, reason ?? 'unknown'), priors };
  } catch (error) {
    if (shutdown.aborted)
      return { state: 'NEW', reason: 'the service was stopped', pauseMs: 0, untried: true };
    if (!signal.aborted) parts.log.warn({ job: job.id, err: error }, 'prefetch: a try failed');
    return again(job, parts, String(describeError(error)['message'] ?? 'failed').slice(0, 500));
  }
}

function again(job: Job, parts: WorkerParts, reason: string): JobEnd {
  if (job.attempts >= parts.attemptsMax)
    return { state: 'FAILED', reason: `${job.attempts} tries: ${reason}` };
  const ceiling = Math.min(parts.retryMaxMs, parts.retryBaseMs * 2 ** Math.min(job.attempts - 1, 30));
  return { state: 'NEW', reason, pauseMs: Math.round(ceiling / 2 + (ceiling / 2) * parts.random()) };
}

/** Renews the lease until the job ends; aborts the work when the job is no longer ours. */
async function keepLease(
  job: Job,
  parts: WorkerParts,
  changed: AbortController,
  ended: AbortSignal,
): Promise<void> {
  while (!ended.aborted) {
    await sleep(parts.leaseMs / 3, ended);
    if (ended.aborted) return;
    // A database that is away for a moment must not end a transfer.
    const ours = await renewLease(parts.db, job, parts.leaseMs).catch(() => true);
    if (!ours) return changed.abort();
  }
}
