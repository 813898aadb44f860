import { Type } from 'typebox';
import { failures, notFound, Problem } from '../http/problem.ts';
import type { HttpApp } from '../http/server.ts';
import { ProjectionHaltedError } from './errors.ts';
import type { Rebuilds } from './rebuilds.ts';

const state = Type.Object({
  name: Type.String(),
  state: Type.String({ description: 'running and standby follow the log; halted does not go on by itself' }),
  checkpoints: Type.Object({
    STUDY: Type.Optional(Type.Integer()),
    INSTANCES: Type.Optional(Type.Integer()),
  }),
  lag: Type.Integer({ description: 'Events that are not folded yet' }),
  rebuild: Type.Enum(['none', 'running', 'done', 'failed'], {
    description: 'The last rebuild since the service started',
  }),
});

/**
 * `GET /api/v1/projections/<service>` and `POST /api/v1/projections/<service>/{name}:rebuild`. The service's name stands
 * in the path itself, so that several services behind one origin never offer the same.
 */
export function addProjectionRoutes(app: HttpApp, parts: { service: string; rebuilds: Rebuilds }): void {
  const { service, rebuilds } = parts;
  const url = `/api/v1/projections/${service}`;
  const tags = ['operating'];
  app.get(
    url,
    {
      schema: {
        tags,
        summary: `Projections of ${service}, and how far they are behind the log`,
        response: { 200: Type.Object({ items: Type.Array(state) }), ...failures },
      },
    },
    async () => ({ items: [...(await rebuilds.list())] }),
  );
  app.post(
    `${url}/:name(^[a-z-]+)::rebuild`,
    {
      schema: {
        tags,
        summary: `Empty a projection of ${service} and fold the log anew; answers when it has caught up`,
        description:
          'The service goes on serving what is folded so far. A rebuild that runs already is joined.',
        params: Type.Object({ name: Type.String() }),
        response: { 200: state, ...failures },
      },
    },
    async (request) => {
      const rebuilt = await rebuilds.rebuild(request.params.name).catch((error: unknown) => {
        throw error instanceof ProjectionHaltedError ? haltedProblem(error) : error;
      });
      if (rebuilt === 'unknown') throw notFound('There is no such projection.');
      if (rebuilt === 'log-shortened') {
        const detail = 'A log that it folds no longer has its first events: what they told would be lost.';
        throw new Problem(409, undefined, { detail, code: 'LOG_SHORTENED' });
      }
      return rebuilt;
    },
  );
}

function haltedProblem(cause: ProjectionHaltedError): Problem {
  const detail = `The rebuild is not complete: ${cause.message}. ${cause.remedy}`;
  return new Problem(500, undefined, { detail, code: 'PROJECTION_HALTED', cause });
}
