import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, { LogController } from 'fastify';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import { Value } from 'typebox/value';
import type { TObject, TSchema } from 'typebox';
import type { Log } from '../log/log.ts';
import { toProblem } from './error-answers.ts';
import type { Readiness } from './health.ts';
import { guardLoopback, InsecureListenError, isLoopback } from './loopback.ts';
import { createMetrics } from './metrics.ts';
import type { Metrics } from './metrics.ts';
import { Problem, problemBody } from './problem.ts';

/** A Fastify server whose handlers get their types from TypeBox schemas. */
export type HttpApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

export interface HttpOptions {
  readonly service: string;
  readonly cluster: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly log: Log;
  /** Adds the routes. */
  register(app: HttpApp): void | Promise<void>;
  /** Behind `/health/ready`; see `readiness`. */
  ready(): Promise<Readiness>;
  /** Behind `/metrics`. @default A registry with the default metrics of Node. */
  readonly metrics?: Metrics;
  /** @default 1 MiB */
  readonly bodyBytesMax?: number;
  /**
   * Checks every request outside `/health`; throws a 401 or 403 `Problem`. Without it only loopback addresses
   * are listened on.
   */
  authenticate?(request: IncomingMessage): Promise<void>;
  /** Shown in the OpenAPI document. */
  readonly about?: string;
  readonly version?: string;
  /**
   * False: the service brings its own `/openapi.json`, `/health/ready` and `/metrics` (the console).
   * @default true
   */
  readonly standardRoutes?: boolean;
}

export interface HttpServer {
  /** `http://host:port`, the port that was really taken. */
  readonly url: string;
  /** Takes no new connections, lets running requests end for up to 5 s, then cuts them. */
  stop(): Promise<void>;
}

const mebibyte = 1024 * 1024;
const stopGraceMs = 5_000;

/**
 * Starts a service's HTTP server: unknown fields are errors, failures are problem+json,
 * and there are
 * `/health/live`, `/health/ready`, `/metrics` and `/openapi.json` (OpenAPI 3.1).
 *
 * @throws {InsecureListenError} The host is not loopback and nobody authenticates.
 * @throws When the port is taken or a route is wrong; nothing stays open.
 */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  if (!options.authenticate && !isLoopback(options.host)) throw new InsecureListenError(options.host);
  const app = createApp(options);
  try {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: `Isthmus ${options.service}`,
          description: options.about ?? '',
          version: options.version ?? '0.1.0',
        },
      },
      transform: ({ schema, url }) => ({ schema: withDefaultsOptional(schema ?? {}), url }),
    });
    if (options.standardRoutes !== false) addStandardRoutes(app, options);
    await app.register(async (scope) => options.register(scope as unknown as HttpApp));
    const listenTextResolver = (address: string): string => `http: listening at ${address}`;
    await app.listen({ host: options.host, port: options.port, listenTextResolver });
  } catch (error) {
    await app.close();
    throw error;
  }
  const { port, address, family } = app.server.address() as AddressInfo;
  const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  return { url, stop: () => stopGracefully(app) };
}

/** A parameter of the query that has a default need not be given, although handlers always find it. */
function withDefaultsOptional<Schema extends { querystring?: unknown }>(schema: Schema): Schema {
  const query = schema.querystring as TObject | undefined;
  if (!query?.required) return schema;
  const required = query.required.filter((name) => !Object.hasOwn(query.properties[name] ?? {}, 'default'));
  return { ...schema, querystring: { ...query, required } };
}

function createApp(options: HttpOptions): HttpApp {
  const app = Fastify({
    loggerInstance: options.log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: () => randomUUID(),
    bodyLimit: options.bodyBytesMax ?? mebibyte,
    requestTimeout: 60_000,
    keepAliveTimeout: 30_000,
    forceCloseConnections: 'idle',
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allErrors: false } },
    routerOptions: { maxParamLength: 256 },
  }).withTypeProvider<TypeBoxTypeProvider>() as unknown as HttpApp;
  app.removeContentTypeParser('text/plain');
  if (!options.authenticate) guardLoopback(app as unknown as FastifyInstance);
  else addAuthentication(app, options.authenticate);
  app.addHook('preValidation', async (request) => {
    // A query string knows text only; numbers and booleans are read as the route's schema asks. Bodies are
    // taken literally.
    const schema = request.routeOptions.schema?.querystring as TSchema | undefined;
    if (schema) request.query = Value.Convert(schema, request.query);
  });
  app.addHook('onSend', async (_request, reply) => {
    reply.header('x-content-type-options', 'nosniff');
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
  });
  app.addHook('onResponse', async (request, reply) => {
    const facts = { method: request.method, route: request.routeOptions.url };
    request.log.debug(
      { ...facts, status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      'http: answered',
    );
  });
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error);
    const facts = { method: request.method, route: request.routeOptions.url };
    if (problem.status >= 500) request.log.error({ ...facts, err: problem.cause ?? problem }, 'http: failed');
    return reply
      .code(problem.status)
      .headers(problem.headers)
      .type('application/problem+json')
      .send(JSON.stringify(problemBody(problem, request.id)));
  });
  app.setNotFoundHandler(() => {
    throw new Problem(404, undefined, { detail: 'There is no such resource, or not with this method.' });
  });
  return app;
}

function addAuthentication(app: HttpApp, authenticate: NonNullable<HttpOptions['authenticate']>): void {
  app.addHook('onRequest', async (request) => {
    if (!request.url.startsWith('/health/')) await authenticate(request.raw);
  });
}

function addStandardRoutes(app: HttpApp, options: HttpOptions): void {
  const hidden = { schema: { hide: true } };
  const metrics = options.metrics ?? createMetrics(options);
  app.get('/health/live', hidden, async () => ({ status: 'ok' }));
  app.get('/health/ready', hidden, async (_request, reply) => {
    const { ok, checks } = await options.ready();
    return reply.code(ok ? 200 : 503).send({ status: ok ? 'ok' : 'not ready', checks });
  });
  app.get('/metrics', hidden, async (_request, reply) => {
    return reply.type(metrics.contentType).send(await metrics.metrics());
  });
  app.get('/openapi.json', hidden, async () => app.swagger());
}

async function stopGracefully(app: HttpApp): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), stopGraceMs);
  await app.close();
  clearTimeout(cut);
}
