import httpProxy from '@fastify/http-proxy';
import { Problem } from '@isthmus/service-kit';
import type { HttpApp } from '@isthmus/service-kit';
import type { FastifyRequest } from 'fastify';
import type { Upstream } from './config.ts';
import type { Directory } from './directory.ts';

export interface ProxyParts {
  readonly directory: Directory;
  readonly upstreams: readonly Upstream[];
  readonly answerTimeoutMs: number;
  readonly connectionsMax: number;
}

/** Headers that belong to the hop between browser and console, which has checked them. */
const hopHeaders = [
  'origin',
  'referer',
  'sec-fetch-site',
  'sec-fetch-mode',
  'sec-fetch-dest',
  'sec-fetch-user',
];

/** Sends each request under /api/v1 and /dicom-web to the service whose OpenAPI names its method and path. */
export async function registerProxy(app: HttpApp, parts: ProxyParts): Promise<void> {
  const chosen = new WeakMap<FastifyRequest, Upstream>();
  for (const prefix of ['/api/v1', '/dicom-web']) {
    await app.register(httpProxy, {
      prefix,
      rewritePrefix: prefix,
      upstream: '',
      disableRequestLogging: true,
      undici: {
        connections: parts.connectionsMax,
        headersTimeout: parts.answerTimeoutMs,
        // An event stream may be silent for long.
        bodyTimeout: 0,
      },
      preHandler: (request, _reply, done) => {
        try {
          chosen.set(request, choose(parts, request.method, request.url.split('?')[0] ?? ''));
          done();
        } catch (error) {
          done(error as Error);
        }
      },
      replyOptions: {
        getUpstream: (request) => chosen.get(request as FastifyRequest)?.url ?? '',
        rewriteRequestHeaders: (_request, headers) =>
          Object.fromEntries(Object.entries(headers).filter(([name]) => !hopHeaders.includes(name))),
        // A connection that the service closed while at rest is noticed only by the next request on it.
        retryDelay: ({ err, req, attempt }) =>
          err && req.method === 'GET' && attempt === 0 && wasReset(err) ? 10 : null,
        onError: (reply, { error }) => {
          const name = chosen.get(reply.request as FastifyRequest)?.name ?? 'a service';
          void reply.send(failure(name, error));
        },
      },
    });
  }
}

function choose(parts: ProxyParts, method: string, path: string): Upstream {
  const { directory, upstreams } = parts;
  const answer = directory.routes().find(method, path);
  if (answer && 'service' in answer) {
    const upstream = upstreams.find(({ name }) => name === answer.service);
    if (upstream) return upstream;
  }
  directory.refreshSoon();
  const unknown = directory.unknown();
  if (unknown.length > 0 && !answer) {
    const detail = `Nobody known offers this; not known yet: ${unknown.join(', ')}.`;
    throw new Problem(503, undefined, {
      detail,
      headers: { 'retry-after': '1' },
      extra: { services: unknown },
    });
  }
  if (answer && 'allowed' in answer) {
    const allow = answer.allowed.join(', ');
    throw new Problem(405, undefined, { detail: `This resource takes ${allow}.`, headers: { allow } });
  }
  throw new Problem(404, undefined, { detail: 'There is no such resource.' });
}

function failure(service: string, error: Error): Problem {
  const cause = (error.cause ?? error) as Error & { code?: string; statusCode?: number };
  const { statusCode } = error as Error & { statusCode?: number };
  const late =
    statusCode === 504 ||
    cause.code === 'UND_ERR_CONNECT_TIMEOUT' ||
    cause.code === 'UND_ERR_HEADERS_TIMEOUT';
  const detail = late
    ? `${service} did not answer in time.`
    : `${service} cannot be reached, or broke off its answer.`;
  return new Problem(late ? 504 : 502, undefined, { detail, extra: { service }, cause });
}

function wasReset(error: Error): boolean {
  return ['ECONNRESET', 'UND_ERR_SOCKET', 'EPIPE'].includes((error as { code?: string }).code ?? '');
}
