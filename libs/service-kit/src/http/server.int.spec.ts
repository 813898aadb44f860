import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { sql } from 'kysely';
import { Type } from 'typebox';
import { ownDatabase, recordedLog } from '../../test/database.ts';
import {
  connectPostgres,
  createIdempotency,
  createMetrics,
  idempotencyMigration,
  migrate,
  pageFields,
  Problem,
  readiness,
  startHttp,
} from '../index.ts';
import type { Database, HttpApp, HttpServer } from '../index.ts';

const statusBody = Type.Object({ status: Type.Enum(['NEW', 'APPROVED']) }, { additionalProperties: false });
const base = { service: 'spec', cluster: 'north', host: '127.0.0.1', port: 0 };

function routes(app: HttpApp): void {
  const querystring = Type.Object({ limit: Type.Optional(Type.Integer()) }, { additionalProperties: false });
  app.put(
    '/api/v1/things/:id(^[0-9.]+$)',
    { schema: { body: statusBody, querystring } },
    async (request) => ({
      limit: request.query.limit ?? null,
    }),
  );
  const page = Type.Object({ ...pageFields({ limitMax: 9, limitDefault: 3 }), of: Type.String() });
  app.get('/api/v1/things', { schema: { querystring: page } }, async ({ query }) => ({ limit: query.limit }));
  app.post('/api/v1/things/:id(^[0-9.]+)::retrieve', {}, async (request, reply) =>
    reply.code(202).send(request.params),
  );
  app.get('/api/v1/bug', async () => {
    throw new Error('DOE^JANE is in this message');
  });
  app.get('/api/v1/away', async () => {
    throw Object.assign(new Error('x'), { code: 'ECONNREFUSED' });
  });
  app.get('/api/v1/refused', async () => {
    throw new Problem(409, 'Conflict', {
      detail: 'Not now.',
      code: 'NOT_NOW',
      headers: { 'retry-after': '3' },
    });
  });
}

describe('HTTP server of a service', () => {
  let server: HttpServer;
  let healthy = true;
  const { log, lines } = recordedLog();
  before(async () => {
    const ready = readiness({ always: () => true, sometimes: () => ({ ok: healthy, detail: 'told' }) });
    server = await startHttp({ ...base, log, ready, register: routes, bodyBytesMax: 1000 });
  });
  after(() => server.stop());

  type Answer = { status: number; headers: Headers; body: Record<string, unknown>; text: string };
  const ask = async (method: string, path: string, body?: string, headers = {}): Promise<Answer> => {
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    const response = await fetch(server.url + path, {
      method,
      body: body ?? null,
      headers: { ...type, ...headers },
    });
    const text = await response.text();
    const json = /json/.test(response.headers.get('content-type') ?? '');
    const parsed = json ? (JSON.parse(text) as Record<string, unknown>) : {};
    return { status: response.status, headers: response.headers, text, body: parsed };
  };
  const pointerOf = (answer: Answer): unknown => (answer.body['errors'] as { pointer: string }[])[0]?.pointer;

  it('answers 422 with the pointer for a bad body, and never repeats the value', async () => {
    const wrong = await ask('PUT', '/api/v1/things/1.2', '{"status":"DOE^JANE"}');
    assert.equal(wrong.status, 422);
    assert.match(wrong.headers.get('content-type') ?? '', /^application\/problem\+json/);
    assert.equal(pointerOf(wrong), '/status');
    assert.deepEqual((wrong.body['errors'] as { allowed: string[] }[])[0]?.allowed, ['NEW', 'APPROVED']);
    assert.doesNotMatch(wrong.text, /DOE/);
    assert.equal(pointerOf(await ask('PUT', '/api/v1/things/1.2', '{"status":"NEW","a/b":1}')), '/a~1b');
    assert.equal(pointerOf(await ask('PUT', '/api/v1/things/1.2', '{}')), '/status');
    assert.equal((await ask('PUT', '/api/v1/things/1.2')).status, 422);
  });

  it('answers 400 for syntax and for query parameters, and reads numbers of a query as numbers', async () => {
    const broken = await ask('PUT', '/api/v1/things/1.2', '{"status":"DOE^JANE');
    assert.equal(broken.status, 400);
    assert.doesNotMatch(broken.text, /DOE/);
    const query = await ask('PUT', '/api/v1/things/1.2?limit=x', '{"status":"NEW"}');
    assert.deepEqual([query.status, pointerOf(query)], [400, 'limit']);
    assert.equal((await ask('PUT', '/api/v1/things/1.2?other=1', '{"status":"NEW"}')).status, 400);
    assert.deepEqual((await ask('PUT', '/api/v1/things/1.2?limit=5', '{"status":"NEW"}')).body, { limit: 5 });
  });

  it('answers 404, 413 and 415 as problems too, and serves verbs after a colon', async () => {
    assert.equal((await ask('GET', '/nothing')).body['status'], 404);
    assert.equal((await ask('GET', '/api/v1/things/not-a-uid')).body['status'], 404);
    assert.equal((await ask('PUT', '/api/v1/things/1.2', `"${'x'.repeat(1000)}"`)).body['status'], 413);
    assert.equal(
      (await ask('PUT', '/api/v1/things/1', 'x', { 'content-type': 'text/plain' })).body['status'],
      415,
    );
    assert.equal((await ask('POST', '/api/v1/things/1.2:retrieve')).status, 202);
  });

  it('gives a parameter its default, and says in OpenAPI that only those without one are required', async () => {
    assert.deepEqual((await ask('GET', '/api/v1/things?of=a')).body, { limit: 3 });
    assert.deepEqual((await ask('GET', '/api/v1/things?of=a&limit=2')).body, { limit: 2 });
    assert.equal(pointerOf(await ask('GET', '/api/v1/things?limit=2')), 'of');
    assert.equal(pointerOf(await ask('GET', '/api/v1/things?of=a&limit=10')), 'limit');
    const { paths } = (await ask('GET', '/openapi.json')).body as {
      paths: Record<string, { get: { parameters: { name: string; required: boolean }[] } }>;
    };
    const described = paths['/api/v1/things']?.get.parameters.map(({ name, required }) => [name, required]);
    assert.deepEqual(described, [
      ['limit', false],
      ['cursor', false],
      ['of', true],
    ]);
  });

  it('hides what went wrong inside, logs it under the request id, and says 503 when a part is away', async () => {
    const bug = await ask('GET', '/api/v1/bug');
    assert.equal(bug.status, 500);
    assert.doesNotMatch(bug.text, /DOE/);
    assert.ok(lines.some((line) => line['requestId'] === bug.body['requestId'] && line['level'] === 50));
    const away = await ask('GET', '/api/v1/away');
    assert.deepEqual([away.status, away.headers.get('retry-after')], [503, '1']);
  });

  it('answers with the problem that a route throws', async () => {
    const { status, body, headers } = await ask('GET', '/api/v1/refused');
    assert.deepEqual([status, body['code'], body['detail']], [409, 'NOT_NOW', 'Not now.']);
    assert.equal(headers.get('retry-after'), '3');
  });

  it('[O4] tells liveness and readiness with named checks', async () => {
    assert.equal((await ask('GET', '/health/live')).status, 200);
    assert.equal((await ask('GET', '/health/ready')).status, 200);
    healthy = false;
    const { status, body } = await ask('GET', '/health/ready');
    healthy = true;
    assert.equal(status, 503);
    assert.deepEqual(body['checks'], { always: { ok: true }, sometimes: { ok: false, detail: 'told' } });
  });

  it('describes itself in OpenAPI 3.1 and measures itself', async () => {
    const { body } = await ask('GET', '/openapi.json');
    assert.equal(body['openapi'], '3.1.0');
    assert.deepEqual(Object.keys(body['paths'] as object), [
      '/api/v1/things/{id}',
      '/api/v1/things',
      '/api/v1/things/{id}:retrieve',
      '/api/v1/bug',
      '/api/v1/away',
      '/api/v1/refused',
    ]);
    assert.match(
      (await ask('GET', '/metrics')).text,
      /process_cpu_seconds_total\{service="spec",cluster="north"\}/,
    );
  });

  it('refuses another host without authentication, foreign Host names and writes from foreign pages', async () => {
    const parts = { log, ready: readiness({}), register: routes, metrics: createMetrics(base) };
    await assert.rejects(startHttp({ ...base, ...parts, host: '0.0.0.0' }), { code: 'insecure-listen' });
    const foreign = { origin: 'http://evil.example' };
    assert.equal((await ask('POST', '/api/v1/things/1.2:retrieve', undefined, foreign)).status, 403);
    const own = { origin: server.url };
    assert.equal((await ask('POST', '/api/v1/things/1.2:retrieve', undefined, own)).status, 202);
    const { request } = await import('node:http');
    const rebound = await new Promise<number | undefined>((resolve, reject) => {
      request(`${server.url}/api/v1/things/1`, { headers: { host: 'evil.example' } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
        .on('error', reject)
        .end();
    });
    assert.equal(rebound, 421);
  });
});

describe('Idempotency-Key', () => {
  let postgres: Awaited<ReturnType<typeof ownDatabase>>;
  let db: Database;
  let server: HttpServer;
  let done: (string | undefined)[] = [];
  let outcome: () => Promise<void> = async () => undefined;

  before(async () => {
    postgres = await ownDatabase();
    db = await connectPostgres({ url: postgres.url, schema: 'spec', poolMax: 4 });
    await migrate(db, 'spec', [idempotencyMigration]);
    const idempotency = createIdempotency({ db, service: 'spec' });
    const { log } = recordedLog();
    server = await startHttp({
      ...base,
      log,
      ready: readiness({}),
      register: (app) => {
        app.post('/orders', (request, reply) =>
          idempotency.once(request, reply, async (eventId) => {
            await outcome();
            done.push(eventId);
            return { status: 201, body: { number: done.length }, headers: { etag: '"1"' } };
          }),
        );
      },
    });
  });
  after(async () => {
    await server.stop();
    await db.destroy();
    await postgres.remove();
  });

  const post = async (key: string | undefined, body: unknown): Promise<[number, unknown, string | null]> => {
    const headers = {
      'content-type': 'application/json',
      ...(key === undefined ? {} : { 'idempotency-key': key }),
    };
    const answer = await fetch(`${server.url}/orders`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers,
    });
    return [answer.status, await answer.json(), answer.headers.get('idempotency-replayed')];
  };

  it('repeats the first answer to a retry, and does the work once', async () => {
    done = [];
    assert.deepEqual(await post('a', { n: 1 }), [201, { number: 1 }, null]);
    assert.deepEqual(await post('a', { n: 1 }), [201, { number: 1 }, 'true']);
    assert.deepEqual(await post(undefined, { n: 1 }), [201, { number: 2 }, null]);
    assert.equal(done.length, 2);
    assert.match(done[0] ?? '', /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('refuses the same key with another body, and a key that is not one', async () => {
    await post('b', { n: 1 });
    assert.equal((await post('b', { n: 2 }))[0], 422);
    assert.equal((await post('x'.repeat(256), {}))[0], 400);
  });

  it('says 409 while the first request is at work, and frees the key when it failed', async () => {
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    outcome = async () => {
      begun.resolve();
      await gate.promise;
      throw new Problem(409, 'Conflict', { code: 'REFUSED' });
    };
    const first = post('c', {});
    await begun.promise;
    const second = await post('c', {});
    assert.deepEqual([second[0], (second[1] as { code: string }).code], [409, 'IN_PROGRESS']);
    gate.resolve();
    assert.equal(((await first)[1] as { code: string }).code, 'REFUSED');
    outcome = async () => undefined;
    assert.equal((await post('c', {}))[0], 201);
  });

  it('takes up at once what it left behind itself when the database went away, and waits for another', async () => {
    done = [];
    await post('e', {});
    // What a lost database leaves: begun, never answered, by nobody who is still at work.
    await sql`update idempotency_key set status = null`.execute(db);
    assert.equal((await post('e', {}))[0], 201);
    await sql`update idempotency_key set status = null, worker = gen_random_uuid()`.execute(db);
    assert.equal((await post('e', {}))[0], 409);
    assert.equal(done.length, 2);
    assert.equal(done[0], done[1]);
  });

  it('gives the same event id to a retry after a crash between work and answer', async () => {
    done = [];
    await post('d', {});
    await sql`update idempotency_key set status = null, started_at = now() - interval '5 minutes'`.execute(
      db,
    );
    await post('d', {});
    assert.equal(done.length, 2);
    assert.equal(done[0], done[1]);
  });
});
