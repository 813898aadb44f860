import { studyStamp, uidPattern } from '@isthmus/domain';
import { addProjectionRoutes, etagOf, failures, listOf, notFound } from '@isthmus/service-kit';
import type { Database, HttpApp, Rebuilds } from '@isthmus/service-kit';
import { Type } from 'typebox';
import type { CircuitBreaker } from './circuit-breaker.ts';
import { addDicomWeb } from './dicomweb.ts';
import type { Federation } from './federate.ts';
import { readStudies } from './local-find.ts';
import type { Here } from './rows.ts';
import { FoundStudySchema, OutcomeSchema, SearchBody, StudySchema } from './schemas.ts';
import type { SearchAnswer, StudySearch } from './search.ts';
import { studyOfRecord } from './study-body.ts';
import type { Tables } from './tables.ts';

export interface RoutesParts {
  readonly db: Database<Tables>;
  readonly here: () => Here;
  readonly breaker: Pick<CircuitBreaker, 'isOpen'>;
  readonly search: (search: StudySearch, signal: AbortSignal) => Promise<SearchAnswer>;
  readonly federation: Federation;
  readonly rebuilds: Rebuilds;
  /** Time for a query over all clusters, and rows of it at most. */
  readonly queryTimeoutMs: number;
  readonly rowsMax: number;
}

/** Studies, search, QIDO-RS, and the rebuild of the index. */
export function addRoutes(app: HttpApp, parts: RoutesParts): void {
  addStudies(app, parts);
  addProjectionRoutes(app, { service: 'query-federator', rebuilds: parts.rebuilds });
  addDicomWeb(app, parts);
}

function addStudies(app: HttpApp, parts: RoutesParts): void {
  app.get(
    '/api/v1/studies/:uid',
    {
      schema: {
        tags: ['studies'],
        summary: 'One study, as this cluster knows it; no other cluster is asked',
        params: Type.Object({ uid: Type.String({ pattern: uidPattern.source }) }),
        response: { 200: StudySchema, ...failures },
      },
    },
    async (request, reply) => {
      const { uid } = request.params;
      const record = (await readStudies(parts.db, [uid])).get(uid);
      // Objects without a known patient are a copy whose sender has not said yet who it is.
      if (!record || record.registers['patient'] === undefined)
        throw notFound('No such study is known here.');
      const here = parts.here();
      const body = studyOfRecord(record, here, false);
      const { homeCluster } = body;
      const stale = homeCluster !== null && homeCluster !== here.cluster && parts.breaker.isOpen(homeCluster);
      reply.header('etag', etagOf(studyStamp(record.registers, record.patientRegisters)));
      return { ...body, stale } as never;
    },
  );
  app.post(
    '/api/v1/studies::search',
    {
      schema: {
        tags: ['studies'],
        summary: 'Search all linked clusters, newest study first',
        body: SearchBody,
        response: {
          200: Type.Object({
            ...listOf(FoundStudySchema).properties,
            clusters: Type.Array(OutcomeSchema),
          }),
          ...failures,
        },
      },
    },
    async (request) => (await parts.search(request.body, leaving(request.raw))) as never,
  );
}

/** Aborted when the client goes away before the answer. */
export function leaving(request: {
  socket: { once(event: 'close', listener: () => void): unknown };
}): AbortSignal {
  const controller = new AbortController();
  request.socket.once('close', () => controller.abort(new Error('the client went away')));
  return controller.signal;
}
