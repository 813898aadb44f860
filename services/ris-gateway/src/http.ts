import type { Configuration, OrderPlaced, VisitBooked } from '@isthmus/domain';
import { failures, listOf, unprocessable } from '@isthmus/service-kit';
import type { HttpApp, Idempotency, Projection, WriteAnswer } from '@isthmus/service-kit';
import type { Kysely } from 'kysely';
import { Type } from 'typebox';
import { place } from './place.ts';
import type { PlaceParts } from './place.ts';
import { listRecords, oneRecord } from './read-records.ts';
import { orderName, visitName } from './records.ts';
import type { RecordKind, RecordName, RisRecord } from './records.ts';
import { ListQuery, OrderAnswer, OrderInput, VisitAnswer, VisitInput } from './schemas.ts';
import type { RisGatewayTables } from './tables.ts';

export interface RoutesParts extends PlaceParts {
  readonly db: Kysely<RisGatewayTables>;
  readonly projection: Pick<Projection, 'waitFor'>;
  readonly projectionWaitMs: number;
  readonly idempotency: Idempotency;
  readonly configuration: () => Configuration;
}

/** Orders and visits: placed, listed, looked up. */
export function addRoutes(app: HttpApp, parts: RoutesParts): void {
  addOrders(app, parts);
  addVisits(app, parts);
}

function addOrders(app: HttpApp, parts: RoutesParts): void {
  const written = { 200: OrderAnswer, 201: OrderAnswer, 202: OrderAnswer, ...failures };
  app.post(
    '/api/v1/orders',
    {
      schema: {
        tags: ['orders'],
        summary: 'Place, change or cancel an order',
        body: OrderInput,
        response: written,
      },
    },
    async (request, reply) =>
      (await parts.idempotency.once(request, reply, (eventId) => {
        const patient = patientWithIssuer(request.body.patient, parts.configuration());
        const order: OrderPlaced = { ...request.body, patient, status: request.body.status ?? 'SCHEDULED' };
        return write('order', orderName(order), order, eventId, parts);
      })) as never,
  );
  app.get(
    '/api/v1/orders',
    {
      schema: {
        tags: ['orders'],
        summary: 'Orders, newest placed first',
        querystring: ListQuery,
        response: { 200: listOf(OrderAnswer), ...failures },
      },
    },
    async (request) => (await listRecords(parts.db, 'order', request.query)) as never,
  );
  app.get(
    '/api/v1/orders/:accessionNumber',
    {
      schema: {
        tags: ['orders'],
        summary: 'One order',
        params: Type.Object({ accessionNumber: Type.String({ maxLength: 16 }) }),
        querystring: Type.Object({ issuer: Type.Optional(Type.String({ maxLength: 64 })) }),
        response: { 200: OrderAnswer, ...failures },
      },
    },
    async (request) =>
      (await oneRecord(parts.db, 'order', request.params.accessionNumber, request.query.issuer)) as never,
  );
}

function addVisits(app: HttpApp, parts: RoutesParts): void {
  const written = { 200: VisitAnswer, 201: VisitAnswer, 202: VisitAnswer, ...failures };
  app.post(
    '/api/v1/visits',
    {
      schema: {
        tags: ['visits'],
        summary: 'Book, change or cancel a visit',
        body: VisitInput,
        response: written,
      },
    },
    async (request, reply) =>
      (await parts.idempotency.once(request, reply, (eventId) => {
        const patient = patientWithIssuer(request.body.patient, parts.configuration());
        const visit: VisitBooked = { ...request.body, patient, status: request.body.status ?? 'BOOKED' };
        return write('visit', visitName(visit), visit, eventId, parts);
      })) as never,
  );
  app.get(
    '/api/v1/visits',
    {
      schema: {
        tags: ['visits'],
        summary: 'Visits, newest booked first',
        querystring: ListQuery,
        response: { 200: listOf(VisitAnswer), ...failures },
      },
    },
    async (request) => (await listRecords(parts.db, 'visit', request.query)) as never,
  );
  app.get(
    '/api/v1/visits/:visitNumber',
    {
      schema: {
        tags: ['visits'],
        summary: 'One visit',
        params: Type.Object({ visitNumber: Type.String({ maxLength: 64 }) }),
        response: { 200: VisitAnswer, ...failures },
      },
    },
    async (request) => (await oneRecord(parts.db, 'visit', request.params.visitNumber, undefined)) as never,
  );
}

/** 201 new, 200 changed or the same, 202 durable but not in the lists yet. */
async function write(
  kind: RecordKind,
  name: RecordName,
  record: RisRecord,
  eventId: string | undefined,
  parts: RoutesParts,
): Promise<WriteAnswer> {
  const placed = await place({ kind, name, record }, eventId, parts);
  const shown = await parts.projection.waitFor(placed.sequence, parts.projectionWaitMs);
  const { placedAt, changedAt } = placed;
  const issuer = name.issuer === '' ? '' : `?issuer=${encodeURIComponent(name.issuer)}`;
  const location = `/api/v1/${kind}s/${encodeURIComponent(name.number)}${issuer}`;
  return {
    status: !shown ? 202 : placed.outcome === 'created' ? 201 : 200,
    headers: { location },
    body: { ...placed.record, placedAt, changedAt },
  };
}

/** A RIS that serves one domain leaves the issuer out: then it is the cluster's own. */
function patientWithIssuer(
  patient: OrderInput['patient'],
  configuration: Configuration,
): OrderPlaced['patient'] {
  const issuer = patient.issuer ?? configuration.cluster?.patientDomain;
  if (issuer === undefined || issuer === '')
    throw unprocessable('/patient/issuer', 'is required: this cluster has no patient domain of its own');
  return { ...patient, issuer };
}
