import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { OrderPlacedEvent } from '@isthmus/domain';
import { eventually } from '@isthmus/testing';
import type { PageBody, ProblemBody } from '@isthmus/testing';
import { sql } from 'kysely';
import { configurePatientDomain, startGateway } from '../test/start-gateway.ts';
import type { RecordBody, RunningGateway } from '../test/start-gateway.ts';
import { recordSubject } from './records.ts';

const patient = { id: 'P1', issuer: 'NORTH', name: 'DOE^JANE', birthDate: '19700203', sex: 'F' };
let numbers = 0;
const order = (changes: object = {}): Record<string, unknown> => ({
  accessionNumber: `A${++numbers}`,
  patient,
  modality: 'CT',
  procedure: 'CT CHEST',
  scheduledAt: '2026-11-23T09:00:00Z',
  ...changes,
});

describe('orders and visits on a real nats-server and PostgreSQL', () => {
  let gateway: RunningGateway;
  const ends: (() => Promise<void>)[] = [];
  before(async () => {
    gateway = await startGateway({ after: (end) => void ends.push(end) });
  });
  after(async () => {
    for (const end of ends) await end();
  });
  const events = async (accessionNumber: unknown): Promise<readonly OrderPlacedEvent[]> => {
    const subject = recordSubject('order', { number: String(accessionNumber), issuer: '' });
    return (await gateway.eventLog.readSubject('STUDY', subject, 0)).map(
      ({ event }) => event as OrderPlacedEvent,
    );
  };

  it('[H4] answers 201 once the order is in the log and in the lists', async () => {
    const wanted = order();
    const answer = await gateway.post('/api/v1/orders', wanted);
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.get('location'), `/api/v1/orders/${String(wanted['accessionNumber'])}`);
    const [event] = await events(wanted['accessionNumber']);
    assert.equal(event?.type, 'OrderPlaced');
    assert.deepEqual(event?.data, { ...wanted, status: 'SCHEDULED' });
    const found = await gateway.get(`/api/v1/orders/${String(wanted['accessionNumber'])}`);
    assert.equal(found.status, 200);
    assert.deepEqual(found.body, answer.body);
    assert.deepEqual(found.body.patient, patient);
  });

  it('[H4] repeats the answer to a repeat with the same Idempotency-Key, and places nothing twice', async () => {
    const wanted = order();
    const first = await gateway.post('/api/v1/orders', wanted, 'key-1');
    const again = await gateway.post('/api/v1/orders', wanted, 'key-1');
    assert.deepEqual([first.status, again.status], [201, 201]);
    assert.deepEqual(again.body, first.body);
    assert.equal(again.headers.get('idempotency-replayed'), 'true');
    assert.equal((await events(wanted['accessionNumber'])).length, 1);
  });

  it('[H4] refuses the same Idempotency-Key with another body', async () => {
    await gateway.post('/api/v1/orders', order(), 'key-2');
    assert.equal((await gateway.post('/api/v1/orders', order(), 'key-2')).status, 422);
  });

  it('gives the first answer to a retry whose first try died between append and answer', async () => {
    const wanted = order();
    const first = await gateway.post('/api/v1/orders', wanted, 'key-3');
    await sql`delete from idempotency_key`.execute(gateway.db);
    const again = await gateway.post('/api/v1/orders', wanted, 'key-3');
    assert.equal(again.status, 201);
    assert.deepEqual(again.body, first.body);
    assert.equal((await events(wanted['accessionNumber'])).length, 1);
  });

  it('takes an order with other content as a change, and the same content as said already', async () => {
    const wanted = order();
    await gateway.post('/api/v1/orders', wanted);
    assert.equal((await gateway.post('/api/v1/orders', wanted)).status, 200);
    const moved = await gateway.post('/api/v1/orders', { ...wanted, scheduledAt: '2026-11-24T09:00:00Z' });
    const cancelled = await gateway.post('/api/v1/orders', { ...wanted, status: 'CANCELLED' });
    assert.deepEqual([moved.status, cancelled.status], [200, 200]);
    const stored = await events(wanted['accessionNumber']);
    assert.equal(stored.length, 3);
    assert.equal(stored[1]?.basis, stored[0]?.hlc);
    const found = await gateway.get(`/api/v1/orders/${String(wanted['accessionNumber'])}`);
    assert.equal(found.body.status, 'CANCELLED');
    assert.equal(found.body.placedAt, stored[0]?.time);
  });

  it('lists the same after its lists are folded anew while it serves', async () => {
    const wanted = order();
    await gateway.post('/api/v1/orders', wanted);
    await gateway.post('/api/v1/orders', { ...wanted, procedure: 'CT HEAD' });
    const before = await gateway.get('/api/v1/orders?limit=200');
    await gateway.db.updateTable('ris_record').set({ status: 'CANCELLED' }).execute();
    const rebuilt = await gateway.post<{ rebuild: string; lag: number }>(
      '/api/v1/projections/ris-gateway/records:rebuild',
      {},
    );
    assert.deepEqual([rebuilt.status, rebuilt.body.rebuild, rebuilt.body.lag], [200, 'done', 0]);
    assert.deepEqual((await gateway.get('/api/v1/orders?limit=200')).body, before.body);
  });

  it('puts changes made at one time in order: each is stored, the last one shows', async () => {
    const wanted = order();
    const answers = await Promise.all(
      [1, 2, 3, 4, 5].map((hour) =>
        gateway.post('/api/v1/orders', { ...wanted, scheduledAt: `2026-11-25T0${hour}:00:00Z` }),
      ),
    );
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 200, 200, 201]);
    const stored = await events(wanted['accessionNumber']);
    assert.equal(stored.length, 5);
    const found = await gateway.get(`/api/v1/orders/${String(wanted['accessionNumber'])}`);
    assert.equal(found.body.scheduledAt, stored.at(-1)?.data.scheduledAt);
  });

  for (const [pointer, change] of [
    ['/accessionNumber', { accessionNumber: '' }],
    ['/accessionNumber', { accessionNumber: '12345678901234567' }],
    ['/patient/id', { patient: { issuer: 'NORTH' } }],
    ['/patient/birthDate', { patient: { ...patient, birthDate: '1970-02-03' } }],
    ['/patient/sex', { patient: { ...patient, sex: 'X' } }],
    ['/scheduledAt', { scheduledAt: 'tomorrow' }],
    ['/studyInstanceUid', { studyInstanceUid: '1.2.>' }],
    ['/status', { status: 'DONE' }],
    ['/readAt', { readAt: 'The South' }],
    ['/priority', { priority: 'high' }],
  ] as const) {
    it(`[H4] refuses a bad order and names ${pointer} (${Object.keys(change).join()})`, async () => {
      const answer = await gateway.post<ProblemBody>('/api/v1/orders', order(change));
      assert.equal(answer.status, 422);
      assert.equal(answer.headers.get('content-type')?.split(';')[0], 'application/problem+json');
      assert.equal(answer.body.errors[0]?.pointer, pointer);
    });
  }

  it('says 404 for an order that nobody placed and 400 for a cursor that no list gave', async () => {
    assert.equal((await gateway.get('/api/v1/orders/NONE')).status, 404);
    assert.equal((await gateway.get('/api/v1/orders?cursor=x')).status, 400);
    assert.equal((await gateway.get('/api/v1/orders?limit=0')).status, 400);
  });

  it('keeps the same number of two issuers apart', async () => {
    const wanted = order();
    await gateway.post('/api/v1/orders', { ...wanted, accessionIssuer: 'RIS1' });
    assert.equal((await gateway.post('/api/v1/orders', { ...wanted, accessionIssuer: 'RIS2' })).status, 201);
    const path = `/api/v1/orders/${String(wanted['accessionNumber'])}`;
    assert.equal((await gateway.get(path)).status, 409);
    assert.equal((await gateway.get(`${path}?issuer=RIS2`)).body.accessionIssuer, 'RIS2');
  });

  it('pages through the visits, newest first, none twice and none left out', async () => {
    const visit = (place: number): object => ({ visitNumber: `V${place}`, patient, location: 'WARD 1' });
    for (let place = 1; place <= 5; place++)
      assert.equal((await gateway.post('/api/v1/visits', visit(place))).status, 201);
    const list = (query: string) => gateway.get<PageBody<RecordBody>>(`/api/v1/visits?${query}`);
    const first = await list('limit=2');
    await gateway.post('/api/v1/visits', visit(6));
    const second = await list(`limit=2&cursor=${first.body.nextCursor}`);
    const third = await list(`limit=2&cursor=${second.body.nextCursor}`);
    const numbers = [first, second, third].map(({ body }) =>
      body.items.map(({ visitNumber }) => visitNumber),
    );
    assert.deepEqual(numbers, [['V5', 'V4'], ['V3', 'V2'], ['V1']]);
    assert.equal(third.body.nextCursor, null);
    assert.equal((await list('status=CANCELLED')).body.items.length, 0);
    assert.equal((await gateway.get('/api/v1/visits/V3')).body.location, 'WARD 1');
  });

  it('takes the cluster’s patient domain for the issuer that a RIS leaves out', async () => {
    const without = order({ patient: { id: 'P9' } });
    const refused = await gateway.post<ProblemBody>('/api/v1/orders', without);
    assert.equal(refused.body.errors[0]?.pointer, '/patient/issuer');
    await configurePatientDomain(gateway.eventLog, 'NORTH-HOSPITAL');
    const answer = await eventually('the patient domain is known', async () => {
      const tried = await gateway.post('/api/v1/orders', without);
      return tried.status !== 422 && tried;
    });
    assert.equal(answer.status, 201);
    assert.equal(answer.body.patient.issuer, 'NORTH-HOSPITAL');
  });

  it('[U11] shows the same lists after a restart', async () => {
    const before = await gateway.get<PageBody<RecordBody>>('/api/v1/orders?limit=200');
    await gateway.restart();
    assert.deepEqual((await gateway.get('/api/v1/orders?limit=200')).body, before.body);
    assert.ok(before.body.items.length > 3);
  });

  it('publishes its OpenAPI document and says that it is ready', async () => {
    const document = await gateway.get<{ openapi: string; paths: object }>('/openapi.json');
    assert.equal(document.body.openapi, '3.1.0');
    assert.ok('/api/v1/orders' in document.body.paths);
    await eventually('it is ready', async () => (await gateway.get('/health/ready')).status === 200);
  });
});
