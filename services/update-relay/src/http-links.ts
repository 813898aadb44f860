import type { Configuration } from '@isthmus/domain';
import { linkAllows, linkOfStation, stationOfAeTitle } from '@isthmus/domain';
import type { Link } from '@isthmus/domain';
import { failures, notFound } from '@isthmus/service-kit';
import type { HttpApp } from '@isthmus/service-kit';
import { sql } from 'kysely';
import type { BatchItem } from './batch.ts';
import type { Delivery } from './delivery.ts';
import type { LinkState } from './link-state.ts';
import { readPending } from './outbox.ts';
import type { Pending } from './outbox.ts';
import {
  LinkStatusAnswer,
  ParkedAnswer,
  ParkedListAnswer,
  ParkedQuery,
  UpdatesAnswer,
  UpdatesQuery,
} from './schemas.ts';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { RelayStore } from './store/rows.ts';
import type { ParkedTable, RelayDatabase } from './tables.ts';

export interface LinkRoutesParts {
  readonly cluster: string;
  /** For what people read and nothing else does. */
  readonly db: RelayDatabase;
  readonly store: RelayStore;
  readonly configuration: () => Configuration;
  readonly linkState: Pick<LinkState, 'health'>;
  readonly delivery: Pick<Delivery, 'status' | 'wake'>;
  readonly checkpoint: () => number;
}

/** How many entries of a queue a status counts; beyond, it says that there are more. */
const countedMax = 1_000;

/** Queues, links and parked updates. */
export function addLinkRoutes(app: HttpApp, parts: LinkRoutesParts): void {
  app.get(
    '/api/v1/updates',
    {
      schema: {
        tags: ['updates'],
        summary: 'What waits to be sent, in order of sending',
        querystring: UpdatesQuery,
        response: { 200: UpdatesAnswer, ...failures },
      },
    },
    async (request) => {
      const { peer, limit } = request.query;
      const peers = peer === undefined ? [...parts.configuration().links.keys()] : [linkOf(parts, peer).peer];
      const items: (Pending & { peer: string })[] = [];
      for (const name of peers) {
        const pending = await pendingOf(parts, name, limit - items.length);
        items.push(...pending.map((one) => ({ peer: name, ...one })));
        if (items.length >= limit) break;
      }
      return { items, nextCursor: null };
    },
  );
  app.get(
    '/api/v1/links/:peer/status',
    {
      schema: {
        tags: ['links'],
        summary: 'Health of a link and state of its queue',
        params: Type.Object({ peer: Type.String({ maxLength: 32 }) }),
        response: { 200: LinkStatusAnswer, ...failures },
      },
    },
    async (request) => linkStatus(parts, linkOf(parts, request.params.peer)),
  );
  addParkedRoutes(app, parts);
}

/** The link of a peer, named by cluster id or by an AE title that it answers to. */
function linkOf(parts: LinkRoutesParts, peer: string): Link {
  const configuration = parts.configuration();
  const link =
    configuration.links.get(peer) ?? linkOfStation(configuration, stationOfAeTitle(configuration, peer));
  if (!link) throw notFound('There is no link to this peer.');
  return link;
}

async function pendingOf(parts: LinkRoutesParts, peer: string, limit: number): Promise<readonly Pending[]> {
  const links = parts.configuration().links;
  const options = {
    peer,
    facts: {
      self: parts.cluster,
      served: [...links.keys()].filter((name) => linkAllows(links.get(name), 'updates', 'out')),
    },
    after: parts.delivery.status(peer).position,
    checkpoint: parts.checkpoint(),
  };
  return limit > 0 ? readPending(parts.store, options, limit) : [];
}

async function linkStatus(parts: LinkRoutesParts, link: Link): Promise<Static<typeof LinkStatusAnswer>> {
  const { peer } = link;
  const health = parts.linkState.health(peer);
  const delivery = parts.delivery.status(peer);
  const pending = await pendingOf(parts, peer, countedMax + 1);
  const checkpoint = parts.checkpoint();
  const parked = await sql<{ count: number }>`select count(*) from parked where peer = ${peer}`.execute(
    parts.db,
  );
  return {
    peer,
    enabled: link.enabled,
    reachable: health.reachable,
    lastContact: timeOf(health.lastContactMs),
    nextAttempt: timeOf(health.nextAttemptMs),
    lastError: health.lastError ?? null,
    roundTripMs: health.roundTripMs ?? null,
    peerFormat: health.updateFormat ?? null,
    peerIncarnation: health.incarnation ?? null,
    clockOffsetMs: health.clockOffsetMs ?? null,
    updates: {
      out: linkAllows(link, 'updates', 'out'),
      in: linkAllows(link, 'updates', 'in'),
      queued: Math.min(pending.length, countedMax),
      moreQueued: pending.length > countedMax,
      position: delivery.position,
      checkpoint,
      lag: Math.max(0, checkpoint - delivery.position),
      oldestQueued: pending[0]?.since ?? null,
      failures: delivery.failures,
      lastSent: timeOf(delivery.lastSentMs),
      nextAttempt: timeOf(delivery.nextAttemptMs),
      lastError: delivery.lastError ?? null,
      sentUpdates: delivery.sentUpdates,
      sentItems: delivery.sentItems,
      parked: parked.rows[0]?.count ?? 0,
    },
  };
}

function timeOf(milliseconds: number | undefined): string | null {
  return milliseconds === undefined ? null : new Date(milliseconds).toISOString();
}

function addParkedRoutes(app: HttpApp, parts: LinkRoutesParts): void {
  app.get(
    '/api/v1/parked',
    {
      schema: {
        tags: ['updates'],
        summary: 'Updates that a peer refused for good, oldest first',
        querystring: ParkedQuery,
        response: { 200: ParkedListAnswer, ...failures },
      },
    },
    async (request) => {
      const { peer, limit } = request.query;
      const rows = await parts.db
        .selectFrom('parked')
        .selectAll()
        .$if(peer !== undefined, (query) => query.where('peer', '=', peer ?? ''))
        .orderBy('parked_at')
        .limit(limit)
        .execute();
      return { items: rows.map(parkedItem), nextCursor: null };
    },
  );
  app.post(
    '/api/v1/parked/:id(^[0-9a-f-]{36})::replay',
    {
      schema: {
        tags: ['updates'],
        summary: 'Send a parked update again',
        params: Type.Object({ id: Type.String({ format: 'uuid' }) }),
        response: { 202: ParkedAnswer, ...failures },
      },
    },
    async (request, reply) => {
      const found = await sql<ParkedTable>`update parked set replay = true where id = ${request.params.id}
        returning *`.execute(parts.db);
      const [row] = found.rows;
      if (!row) throw notFound('There is no such parked update (any more).');
      parts.delivery.wake(row.peer);
      return reply.code(202).send(parkedItem(row));
    },
  );
}

function parkedItem(row: ParkedTable): Static<typeof ParkedAnswer> {
  return {
    id: row.id,
    peer: row.peer,
    study: studyOfItem(row.item),
    type: row.item.kind === 'event' ? row.item.event.type : row.item.kind === 'state' ? 'State' : 'Manifest',
    eventId: row.item.kind === 'event' ? row.item.event.id : null,
    reason: row.reason,
    status: row.status.toString(16).padStart(4, '0').toUpperCase(),
    refusals: row.refusals,
    parkedAt: row.parked_at.toISOString(),
    replaying: row.replay,
  };
}

/** A patient's key is patient data: only studies are named in lists. */
function studyOfItem(item: BatchItem): string | null {
  if (item.kind === 'state') return item.study;
  if (item.kind === 'manifest') return item.manifest.studyInstanceUid;
  return (item.event.data as { aggregate?: unknown }).aggregate === 'study' ? item.event.subject : null;
}
