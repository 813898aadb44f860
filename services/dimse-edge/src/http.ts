import { uidPattern } from '@isthmus/domain';
import { notFound, Problem, ProblemSchema, unprocessable } from '@isthmus/service-kit';
import type { HttpApp } from '@isthmus/service-kit';
import { Type } from 'typebox';
import { StationUnknownError, TooMuchWaitingError } from './errors.ts';
import type { ObjectConflict, ObjectStore } from './object-store.ts';
import type { RetrieveJobs } from './retrieve-jobs.ts';

/** Conflicts that one answer lists at most. */
const conflictsMax = 500;

const RetrieveJobSchema = Type.Object(
  {
    id: Type.String(),
    studyInstanceUid: Type.String(),
    destination: Type.Optional(Type.String()),
    from: Type.Optional(Type.String()),
    state: Type.Enum(['RUNNING', 'COMPLETE', 'PARTIAL', 'FAILED']),
    done: Type.Integer({ description: 'Objects that have arrived here, or at the destination' }),
    missing: Type.Array(Type.String(), {
      description: 'SOP Instance UIDs that could not be had, where known',
    }),
    detail: Type.Optional(Type.String()),
    startedAt: Type.String({ format: 'date-time' }),
    endedAt: Type.Optional(Type.String({ format: 'date-time' })),
  },
  { title: 'RetrieveJob' },
);

const ObjectConflictSchema = Type.Object(
  {
    sopInstanceUid: Type.String(),
    studyInstanceUid: Type.String(),
    seriesInstanceUid: Type.String(),
    sopClassUid: Type.String(),
    callingAeTitle: Type.String(),
    receivedAt: Type.String({ format: 'date-time' }),
    kept: Type.String({ description: 'File of the object that was here first and stays' }),
    aside: Type.String({ description: 'File of the object that came later with other content' }),
    asideDataSetSha256: Type.String(),
    differences: Type.Optional(
      Type.Array(Type.String(), {
        description:
          'Attributes that differ, as in 00081140[1].00081155; not all of them when there are many',
      }),
    ),
    notCompared: Type.Optional(
      Type.String({ description: 'Why it is not known what differs: timeout, busy, truncated, malformed …' }),
    ),
  },
  { title: 'ObjectConflict' },
);

const RetrieveBody = Type.Object(
  {
    destination: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 16,
        description: 'AE title to send it on to; absent: bring it here',
      }),
    ),
    from: Type.Optional(Type.String({ minLength: 1, maxLength: 32, description: 'Peer to take it from' })),
  },
  { additionalProperties: false },
);

/** The routes of dimse-edge. */
export function registerRoutes(
  app: HttpApp,
  parts: { readonly jobs: RetrieveJobs; readonly store: Pick<ObjectStore, 'conflicts'> },
): void {
  app.post(
    '/api/v1/studies/:uid(^[0-9.]{1,64}$)::retrieve',
    {
      schema: {
        summary: 'Bring a study here, or send it on to a station',
        tags: ['retrieve'],
        params: Type.Object({ uid: Type.String() }),
        body: RetrieveBody,
        response: { 202: RetrieveJobSchema, default: ProblemSchema },
      },
      // No body says as much as an empty one.
      preValidation: async (request) => void (request.body ??= {}),
    },
    async (request, reply) => {
      const job = startJob(parts.jobs, request.params.uid, request.body);
      return reply
        .code(202)
        .header('location', `/api/v1/retrieve-jobs/${job.id}`)
        .send({ ...job, missing: [] });
    },
  );

  app.get(
    '/api/v1/retrieve-jobs',
    {
      schema: {
        summary: 'Retrieves that were asked for since this service started, newest first',
        tags: ['retrieve'],
        response: { 200: Type.Object({ items: Type.Array(RetrieveJobSchema), nextCursor: Type.Null() }) },
      },
    },
    async () => ({ items: parts.jobs.list().map(mutable), nextCursor: null }),
  );

  app.get(
    '/api/v1/retrieve-jobs/:id',
    {
      schema: {
        summary: 'One retrieve',
        tags: ['retrieve'],
        params: Type.Object({ id: Type.String() }),
        response: { 200: RetrieveJobSchema, default: ProblemSchema },
      },
    },
    async (request, reply) => {
      const job = parts.jobs.get(request.params.id);
      if (!job) throw notFound('There is no retrieve job of this id, or it was forgotten.');
      return reply.code(200).send(mutable(job));
    },
  );

  app.get(
    '/api/v1/object-conflicts',
    {
      schema: {
        summary: 'Objects that came under a known SOP Instance UID with other content',
        tags: ['objects'],
        response: { 200: Type.Object({ items: Type.Array(ObjectConflictSchema), nextCursor: Type.Null() }) },
      },
    },
    async () => ({ items: (await parts.store.conflicts(conflictsMax)).map(shownConflict), nextCursor: null }),
  );
}

function startJob(jobs: RetrieveJobs, uid: string, body: { destination?: string; from?: string }) {
  if (!uidPattern.test(uid)) throw notFound('This is no Study Instance UID.');
  try {
    return jobs.start({ studyInstanceUid: uid, ...body });
  } catch (error) {
    if (error instanceof StationUnknownError) {
      const pointer = error.aeTitle === body.destination ? '/destination' : '/from';
      throw unprocessable(pointer, 'No such station is configured', { code: error.code });
    }
    if (error instanceof TooMuchWaitingError) {
      throw new Problem(503, undefined, {
        detail: error.message,
        code: error.code,
        headers: { 'retry-after': '30' },
      });
    }
    throw error;
  }
}

function mutable<Job extends { readonly missing: readonly string[] }>(job: Job): Job & { missing: string[] } {
  return { ...job, missing: [...job.missing] };
}

function shownConflict({ differences, ...conflict }: ObjectConflict) {
  return { ...conflict, ...(differences === undefined ? {} : { differences: [...differences] }) };
}
