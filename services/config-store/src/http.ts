import type { Configuration, ConfigurationKind } from '@isthmus/domain';
import {
  etagOf,
  failures,
  listOf,
  newUuid,
  notFound,
  pageFields,
  Problem,
  requireIfMatch,
  unprocessable,
} from '@isthmus/service-kit';
import type { Database, HttpApp, Idempotency, Projection, WriteAnswer } from '@isthmus/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { TSchema } from 'typebox';
import { authorOf, reasonOf } from './author.ts';
import { exportClusterFile } from './cluster-file.ts';
import { clusterOf, linkOf, stationOf } from './entities.ts';
import { readHistory, readOrder } from './history.ts';
import {
  isThirdParty,
  linkWarnings,
  refuseCluster,
  refuseLink,
  refuseStation,
  refuseStationRemoval,
} from './rules.ts';
import type { Refusal } from './rules.ts';
import {
  aeTitleSchema,
  clusterAnswer,
  clusterBody,
  historyAnswer,
  linkAnswer,
  linkBody,
  peerSchema,
  stationAnswer,
  stationBody,
} from './schemas.ts';
import { selfName } from './seed.ts';
import type { ConfigurationStore, Held } from './store.ts';

export interface RouteParts {
  readonly store: ConfigurationStore;
  readonly idempotency: Idempotency;
  readonly history: Projection;
  readonly db: Database;
  readonly cluster: string;
  readonly ownViewWaitMs: number;
}

const tags = ['configuration'];
const stationParams = Type.Object({ aeTitle: aeTitleSchema });
const linkParams = Type.Object({ peer: peerSchema });

function answers(ok: { [status: number]: TSchema }): { [status: string]: TSchema } {
  return { ...ok, ...failures };
}

export function registerRoutes(app: HttpApp, parts: RouteParts): void {
  registerCluster(app, parts);
  registerStations(app, parts);
  registerLinks(app, parts);
  registerWhole(app, parts);
}

function registerCluster(app: HttpApp, parts: RouteParts): void {
  const url = '/api/v1/cluster';
  const view = (configuration: Configuration) => {
    if (!configuration.cluster) throw notFound('This cluster is not configured yet: PUT /api/v1/cluster.');
    return { ...configuration.cluster, version: versionOf(configuration, 'cluster', selfName) };
  };
  app.get(
    url,
    { schema: { tags, operationId: 'getCluster', response: answers({ 200: clusterAnswer }) } },
    async (_, reply) => sendEntity(reply, view(parts.store.current())),
  );
  const schema = {
    tags,
    operationId: 'putCluster',
    body: clusterBody,
    response: answers({ 200: clusterAnswer, 201: clusterAnswer, 202: clusterAnswer }),
  };
  app.put(url, { schema }, (request, reply) =>
    write(parts, request, reply, 'cluster', selfName, view, (configuration) => {
      const value = clusterOf(request.body);
      refuse(refuseCluster(configuration, parts.cluster, value));
      return value;
    }),
  );
}

function registerStations(app: HttpApp, parts: RouteParts): void {
  const url = '/api/v1/stations';
  const view = (name: string) => (configuration: Configuration) => {
    const station = configuration.stations.get(name);
    if (!station) throw notFound('No station has this AE title.');
    return { ...station, version: versionOf(configuration, 'station', name) };
  };
  const list = { tags, operationId: 'listStations', response: answers({ 200: listOf(stationAnswer) }) };
  app.get(url, { schema: list }, async () => {
    const now = parts.store.current();
    return { items: sorted(now.stations).map((name) => view(name)(now)), nextCursor: null };
  });
  const get = {
    tags,
    operationId: 'getStation',
    params: stationParams,
    response: answers({ 200: stationAnswer }),
  };
  app.get(`${url}/:aeTitle`, { schema: get }, async (request, reply) =>
    sendEntity(reply, view(request.params.aeTitle)(parts.store.current())),
  );
  const put = {
    tags,
    operationId: 'putStation',
    params: stationParams,
    body: stationBody,
    response: answers({ 200: stationAnswer, 201: stationAnswer, 202: stationAnswer }),
  };
  app.put(`${url}/:aeTitle`, { schema: put }, (request, reply) => {
    const { aeTitle } = request.params;
    sameName(aeTitle, request.body.aeTitle, '/aeTitle');
    return write(parts, request, reply, 'station', aeTitle, view(aeTitle), (configuration) => {
      const value = stationOf({ ...request.body, aeTitle });
      refuse(refuseStation(configuration, parts.cluster, value));
      return value;
    });
  });
  const remove = {
    tags,
    operationId: 'deleteStation',
    params: stationParams,
    response: answers({ 204: Type.Null() }),
  };
  app.delete(`${url}/:aeTitle`, { schema: remove }, (request, reply) => {
    const { aeTitle } = request.params;
    return write(parts, request, reply, 'station', aeTitle, view(aeTitle), (configuration) => {
      const station = configuration.stations.get(aeTitle);
      if (!station) throw notFound('No station has this AE title.');
      refuse(refuseStationRemoval(configuration, station));
      return null;
    });
  });
}

function registerLinks(app: HttpApp, parts: RouteParts): void {
  const url = '/api/v1/links';
  const view = (name: string) => (configuration: Configuration) => {
    const link = configuration.links.get(name);
    if (!link) throw notFound('There is no link to this peer.');
    return { ...link, version: versionOf(configuration, 'link', name), warnings: linkWarnings(link) };
  };
  const list = { tags, operationId: 'listLinks', response: answers({ 200: listOf(linkAnswer) }) };
  app.get(url, { schema: list }, async () => {
    const now = parts.store.current();
    return { items: sorted(now.links).map((name) => view(name)(now)), nextCursor: null };
  });
  const get = { tags, operationId: 'getLink', params: linkParams, response: answers({ 200: linkAnswer }) };
  app.get(`${url}/:peer`, { schema: get }, async (request, reply) =>
    sendEntity(reply, view(request.params.peer)(parts.store.current())),
  );
  const put = {
    tags,
    operationId: 'putLink',
    params: linkParams,
    body: linkBody,
    response: answers({ 200: linkAnswer, 201: linkAnswer, 202: linkAnswer }),
  };
  app.put(`${url}/:peer`, { schema: put }, (request, reply) => {
    const { peer } = request.params;
    sameName(peer, request.body.peer, '/peer');
    return write(parts, request, reply, 'link', peer, view(peer), (configuration) => {
      const value = linkOf({ ...request.body, peer }, isThirdParty(configuration, peer));
      refuse(refuseLink(configuration, parts.cluster, value));
      return value;
    });
  });
  const remove = {
    tags,
    operationId: 'deleteLink',
    params: linkParams,
    response: answers({ 204: Type.Null() }),
  };
  app.delete(`${url}/:peer`, { schema: remove }, (request, reply) => {
    const { peer } = request.params;
    return write(parts, request, reply, 'link', peer, view(peer), (configuration) => {
      if (!configuration.links.has(peer)) throw notFound('There is no link to this peer.');
      return null;
    });
  });
}

function registerWhole(app: HttpApp, parts: RouteParts): void {
  const url = '/api/v1/configuration';
  const whole = {
    tags,
    operationId: 'exportConfiguration',
    produces: ['text/yaml'],
    response: { 200: { type: 'string', description: 'cluster.yaml' }, '5xx': failures['5xx'] },
  };
  app.get(`${url}/export`, { schema: whole }, async (_request, reply) => {
    const text = exportClusterFile(parts.store.current(), await readOrder(parts.db));
    return reply.type('text/yaml; charset=utf-8').send(text);
  });
  const querystring = Type.Object(
    {
      kind: Type.Optional(Type.Enum(['cluster', 'station', 'link'])),
      name: Type.Optional(Type.String({ maxLength: 64 })),
      ...pageFields({ limitMax: 200, limitDefault: 50 }),
    },
    { additionalProperties: false },
  );
  const past = {
    tags,
    operationId: 'listConfigurationHistory',
    querystring,
    response: answers({ 200: historyAnswer }),
  };
  app.get(`${url}/history`, { schema: past }, async (request) => readHistory(parts.db, request.query));
}

/**
 * One change of one entity: `If-Match` against the log's newest version, then the rules, then the event;
 * answered once this service sees its own change.
 */
function write(
  parts: RouteParts,
  request: FastifyRequest,
  reply: FastifyReply,
  kind: ConfigurationKind,
  name: string,
  view: (configuration: Configuration) => object,
  decide: (configuration: Configuration) => object | null,
): Promise<FastifyReply> {
  return parts.idempotency.once(request, reply, async (eventId): Promise<WriteAnswer> => {
    const context = { author: authorOf(request), reason: reasonOf(request), eventId: eventId ?? newUuid() };
    const outcome = await parts.store.change(kind, name, context, (held, configuration) => {
      const present = presentVersion(held);
      if (request.method === 'DELETE' && present === undefined)
        throw notFound('There is nothing of this name.');
      requireIfMatch(request, present === undefined ? undefined : etagOf(present));
      return decide(configuration);
    });
    if (!outcome.done) {
      const detail = 'It was changed at the same moment. Read it again and decide anew.';
      throw new Problem(412, undefined, { detail, code: 'STALE' });
    }
    if (outcome.sequence > 0) await parts.history.waitFor(outcome.sequence, parts.ownViewWaitMs);
    if (request.method === 'DELETE') return { status: 204 };
    const status = !outcome.seen ? 202 : outcome.created ? 201 : 200;
    const body = outcome.seen ? view(parts.store.current()) : undefined;
    return { status, body, headers: { etag: etagOf(outcome.version) } };
  });
}

function presentVersion(held: Held | undefined): number | undefined {
  return held && held.value !== null ? held.version : undefined;
}

function refuse(refusal: Refusal | undefined): void {
  if (!refusal) return;
  const { status, code, pointer, detail } = refusal;
  if (status === 422) throw unprocessable(pointer, detail, { code });
  throw new Problem(409, undefined, { detail, code, errors: [{ pointer, detail }] });
}

function sameName(inPath: string, inBody: string | undefined, pointer: string): void {
  if (inBody !== undefined && inBody !== inPath)
    throw unprocessable(pointer, 'It differs from the name in the path.');
}

function sendEntity<Entity extends { version: number }>(reply: FastifyReply, entity: Entity): Entity {
  reply.header('etag', etagOf(entity.version));
  return entity;
}

function versionOf(configuration: Configuration, kind: ConfigurationKind, name: string): number {
  return configuration.versions.get(`${kind}/${name}`) ?? 0;
}

function sorted(entities: ReadonlyMap<string, unknown>): string[] {
  return [...entities.keys()].sort();
}
