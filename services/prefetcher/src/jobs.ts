import { sql } from 'kysely';
import type { Kysely, Selectable } from 'kysely';
import type { CandidateView } from './candidate.ts';
import type { PrefetcherTables, PrefetchJobTable } from './tables.ts';

export type Job = Selectable<PrefetchJobTable>;

/**
 * Takes jobs whose time has come, and those whose worker died, for this instance. Safe among several
 * instances.
 */
export async function claimJobs(
  db: Kysely<PrefetcherTables>,
  options: { readonly limit: number; readonly leaseMs: number },
): Promise<readonly Job[]> {
  const claimed = await sql<Job>`update prefetch_job set state = 'RUNNING', attempts = attempts + 1,
      lease_until = now() + make_interval(secs => ${options.leaseMs / 1000}), updated_at = now()
    where id in (select id from prefetch_job
      where (state = 'NEW' and next_attempt_at <= now()) or (state = 'RUNNING' and lease_until < now())
      order by next_attempt_at, first_sequence limit ${options.limit} for update skip locked)
    returning *`.execute(db);
  return claimed.rows;
}

/** Says that the worker lives. @returns False when the job is no longer what it works on. */
export async function renewLease(db: Kysely<PrefetcherTables>, job: Job, leaseMs: number): Promise<boolean> {
  const renewed = await sql`update prefetch_job
    set lease_until = now() + make_interval(secs => ${leaseMs / 1000})
    where id = ${job.id} and revision = ${job.revision} and attempts = ${job.attempts} and state = 'RUNNING'`.execute(
    db,
  );
  return renewed.numAffectedRows === 1n;
}

/** Of these jobs at work, the ids of those that a trigger has changed since they were taken. */
export async function changedJobs(
  db: Kysely<PrefetcherTables>,
  jobs: readonly Job[],
): Promise<ReadonlySet<string>> {
  if (jobs.length === 0) return new Set();
  const rows = await db
    .selectFrom('prefetch_job')
    .select(['id', 'revision'])
    .where(
      'id',
      'in',
      jobs.map(({ id }) => id),
    )
    .execute();
  const now = new Map(rows.map(({ id, revision }) => [id, revision]));
  return new Set(jobs.filter(({ id, revision }) => now.get(id) !== revision).map(({ id }) => id));
}

export type JobEnd =
  | { readonly state: 'DONE'; readonly priors: readonly CandidateView[] }
  | { readonly state: 'FAILED'; readonly reason: string; readonly priors?: readonly CandidateView[] }
  | {
      readonly state: 'NEW';
      readonly reason: string;
      readonly pauseMs: number;
      /** Given back untried (shutdown): the attempt does not count. */
      readonly untried?: boolean;
      readonly priors?: readonly CandidateView[];
    };

/** Writes how a try ended, unless the job has changed meanwhile: then the change stands. */
export async function endJob(db: Kysely<PrefetcherTables>, job: Job, end: JobEnd): Promise<boolean> {
  const pauseMs = end.state === 'NEW' ? end.pauseMs : 0;
  const untried = end.state === 'NEW' && end.untried === true ? 1 : 0;
  const priors = end.priors === undefined ? sql`priors` : sql`${JSON.stringify(end.priors)}::jsonb`;
  const ended = await sql`update prefetch_job set state = ${end.state},
      reason = ${end.state === 'DONE' ? null : end.reason}, lease_until = null, updated_at = now(),
      next_attempt_at = now() + make_interval(secs => ${pauseMs / 1000}), attempts = attempts - ${untried},
      priors = ${priors}
    where id = ${job.id} and revision = ${job.revision} and attempts = ${job.attempts} and state = 'RUNNING'`.execute(
    db,
  );
  return ended.numAffectedRows === 1n;
}

/** Lets every waiting job try now: something that stood in its way may have changed. */
export async function hastenJobs(db: Kysely<PrefetcherTables>): Promise<void> {
  await sql`update prefetch_job set next_attempt_at = now()
    where state = 'NEW' and next_attempt_at > now()`.execute(db);
}
