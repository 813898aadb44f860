import { failures, notFound, pageOf, sequenceOfCursor } from '@isthmus/service-kit';
import type { HttpApp, Page } from '@isthmus/service-kit';
import type { Kysely } from 'kysely';
import { Type } from 'typebox';
import { candidateView } from './candidate.ts';
import { findCandidates } from './find-candidates.ts';
import type { FindCandidatesParts } from './find-candidates.ts';
import type { Job } from './jobs.ts';
import { DryRunAnswer, DryRunInput, JobAnswer, JobList, JobQuery } from './schemas.ts';
import type { PrefetcherTables } from './tables.ts';

export interface RoutesParts extends FindCandidatesParts {
  readonly db: Kysely<PrefetcherTables>;
}

/** Jobs, and what a job would do. */
export function addRoutes(app: HttpApp, parts: RoutesParts): void {
  app.get(
    '/api/v1/prefetch-jobs',
    {
      schema: {
        tags: ['prefetch'],
        summary: 'Prefetch jobs, newest first',
        querystring: JobQuery,
        response: { 200: JobList, ...failures },
      },
    },
    async (request) => (await listJobs(parts.db, request.query)) as never,
  );
  app.get(
    '/api/v1/prefetch-jobs/:id',
    {
      schema: {
        tags: ['prefetch'],
        summary: 'One prefetch job',
        params: Type.Object({ id: Type.String({ maxLength: 64 }) }),
        response: { 200: JobAnswer, ...failures },
      },
    },
    async (request) => {
      const query = parts.db.selectFrom('prefetch_job').selectAll().where('id', '=', request.params.id);
      const job = await query.executeTakeFirst();
      if (!job) throw notFound('There is no such prefetch job.');
      return jobView(job) as never;
    },
  );
  app.post(
    '/api/v1/prefetch::dry-run',
    {
      schema: {
        tags: ['prefetch'],
        summary: 'What would be fetched for a patient, and why or why not; nothing is moved',
        body: DryRunInput,
        response: { 200: DryRunAnswer, ...failures },
      },
    },
    async (request) => {
      const { patient, studyInstanceUid, readAt = parts.cluster } = request.body;
      const signal = AbortSignal.timeout(parts.queryTimeoutMs + 10_000);
      const considered = await findCandidates({ patient, studyInstanceUid, readAt }, parts, signal);
      return {
        readAt,
        candidates: considered.candidates.map((candidate) => candidateView(candidate)),
        clusters: considered.outcomes.map(({ cluster, status, detail, rows }) => ({
          cluster,
          status,
          rows,
          ...(detail === undefined ? {} : { detail }),
        })),
      } as never;
    },
  );
}

async function listJobs(
  db: Kysely<PrefetcherTables>,
  page: { readonly limit: number; readonly cursor?: string; readonly state?: string },
): Promise<Page<object>> {
  const before = sequenceOfCursor(page.cursor);
  let query = db
    .selectFrom('prefetch_job')
    .selectAll()
    .orderBy('first_sequence', 'desc')
    .limit(page.limit + 1);
  if (page.state !== undefined) query = query.where('state', '=', page.state as Job['state']);
  if (before !== undefined) query = query.where('first_sequence', '<', before);
  return pageOf(await query.execute(), page.limit, (job) => job.first_sequence, jobView);
}

function jobView(job: Job): object {
  return {
    id: job.id,
    trigger: { kind: 'order', accessionNumber: job.accession_number, accessionIssuer: job.accession_issuer },
    patient: { id: job.patient_id, issuer: job.patient_issuer },
    studyInstanceUid: job.study_instance_uid,
    readAt: job.read_at,
    scheduledAt: job.scheduled_at?.toISOString() ?? null,
    state: job.state,
    reason: job.reason,
    attempts: job.attempts,
    nextAttemptAt: job.state === 'NEW' ? job.next_attempt_at.toISOString() : null,
    createdAt: job.created_at.toISOString(),
    updatedAt: job.updated_at.toISOString(),
    priors: job.priors,
  };
}
