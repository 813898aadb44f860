import { notFound, ProblemSchema } from '@isthmus/service-kit';
import type { HttpApp } from '@isthmus/service-kit';
import { Type } from 'typebox';
import type { CommitmentReports } from './commitment-reports.ts';

/** Requests that one answer lists at most. */
const listedMax = 500;

const StorageCommitmentSchema = Type.Object(
  {
    id: Type.String(),
    aeTitle: Type.String({ description: 'Who asked' }),
    transactionUid: Type.String(),
    instances: Type.Integer({ description: 'Objects that it asks about' }),
    receivedAt: Type.String({ format: 'date-time' }),
    state: Type.Enum(['PENDING', 'UNDELIVERED']),
  },
  { title: 'StorageCommitment' },
);

/** Routes for storage commitment that is still to be reported on, or was given up. */
export function registerCommitmentRoutes(
  app: HttpApp,
  reports: Pick<CommitmentReports, 'list' | 'retry'>,
): void {
  app.get(
    '/api/v1/storage-commitments',
    {
      schema: {
        summary: 'Requests for storage commitment without a delivered report, of all processes, newest first',
        tags: ['objects'],
        response: {
          200: Type.Object({ items: Type.Array(StorageCommitmentSchema), nextCursor: Type.Null() }),
        },
      },
    },
    async () => ({ items: [...(await reports.list(listedMax))], nextCursor: null }),
  );

  app.post(
    '/api/v1/storage-commitments/:id(^[0-9a-f]{64}$)::retry',
    {
      schema: {
        summary: 'Send a report again that was given up',
        tags: ['objects'],
        params: Type.Object({ id: Type.String() }),
        response: { 202: Type.Object({}), default: ProblemSchema },
      },
    },
    async (request, reply) => {
      if (!(await reports.retry(request.params.id))) throw notFound('No report with this id was given up.');
      return reply.code(202).send({});
    },
  );
}
