import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createLog, readConfig, readiness, startHttp } from '@isthmus/service-kit';
import type { HttpApp, HttpServer } from '@isthmus/service-kit';
import { eventually, freePort, requestJson } from '@isthmus/testing';
import type { JsonAnswer } from '@isthmus/testing';
import { consoleConfig, startConsole } from './app.ts';

const log = createLog({ service: 'console', cluster: 'north', level: 'silent' });

function service(name: string, register: (app: HttpApp) => void, port = 0, ok = true): Promise<HttpServer> {
  const ready = readiness({ database: () => ({ ok, detail: ok ? 'there' : 'away' }) });
  return startHttp({ service: name, cluster: 'north', host: '127.0.0.1', port, log, register, ready });
}

describe('console', () => {
  let configStore: HttpServer;
  let relay: HttpServer | undefined;
  let relayPort: number;
  let door: Awaited<ReturnType<typeof startConsole>>;

  before(async () => {
    relayPort = await freePort();
    configStore = await service('config-store', (app) => {
      app.get('/api/v1/links', async () => ({ items: [] }));
      app.put('/api/v1/links/:peer', async (request, reply) =>
        reply.code(201).header('etag', '"1"').send(request.body),
      );
      app.post('/api/v1/studies/:uid(^[0-9.]+)::retrieve', async (request, reply) =>
        reply.code(202).send(request.params),
      );
      app.get('/api/v1/slow', () => new Promise(() => undefined));
      app.get('/api/v1/broken', (_request, reply) => {
        reply.hijack();
        reply.raw.destroy();
      });
    });
    const env = {
      ISTHMUS_CLUSTER: 'north',
      CONFIG_STORE_URL: configStore.url,
      UPDATE_RELAY_URL: `http://127.0.0.1:${relayPort}`,
      ANSWER_TIMEOUT_MS: '300',
    };
    door = await startConsole({ config: readConfig(consoleConfig, env), log });
    await eventually(
      'the routes of config-store',
      async () => (await ask('GET', '/api/v1/links')).status === 200,
    );
  });
  after(async () => {
    await door.stop();
    await relay?.stop();
    await configStore.stop();
  });

  const ask = (
    method: string,
    path: string,
    body?: object,
    headers: Record<string, string> = {},
  ): Promise<JsonAnswer<Record<string, unknown>>> => requestJson(method, door.address + path, body, headers);

  it('sends a request to the service that names its method and path, with body, ETag and verb', async () => {
    const put = await ask('PUT', '/api/v1/links/south', { enabled: true }, { origin: door.address });
    assert.deepEqual([put.status, put.headers.get('etag'), put.body], [201, '"1"', { enabled: true }]);
    const verb = await ask('POST', '/api/v1/studies/1.2:retrieve');
    assert.deepEqual([verb.status, verb.body], [202, { uid: '1.2' }]);
    const method = await ask('PATCH', '/api/v1/links/south', {});
    assert.deepEqual([method.status, method.headers.get('allow')], [405, 'PUT']);
  });

  it('passes on a problem of a service as it is', async () => {
    const { status, headers } = await ask('PUT', '/api/v1/links/south', undefined, {
      'content-type': 'text/plain',
    });
    assert.equal(status, 415);
    assert.match(headers.get('content-type') ?? '', /problem\+json/);
  });

  it('says 503 for what a service that was never heard of may offer, then 404, once it is known', async () => {
    const before = await ask('GET', '/api/v1/nothing');
    assert.deepEqual([before.status, before.body['services']], [503, ['update-relay']]);
    assert.equal((await ask('GET', '/health/ready')).status, 503);
    relay = await service(
      'update-relay',
      (app) => void app.get('/api/v1/updates', async () => ({ items: [] })),
      relayPort,
    );
    await eventually(
      'the routes of update-relay',
      async () => (await ask('GET', '/api/v1/updates')).status === 200,
    );
    assert.equal((await ask('GET', '/api/v1/nothing')).status, 404);
  });

  it('[O4] is ready when every service is, and names each with its checks', async () => {
    const { status, body } = await ask('GET', '/health/ready');
    assert.equal(status, 200);
    const checks = body['checks'] as Record<string, { ok: boolean; checks?: object }>;
    assert.deepEqual(Object.keys(checks), ['update-relay', 'config-store', 'routes']);
    assert.deepEqual(checks['config-store']?.checks, { database: { ok: true, detail: 'there' } });
  });

  it('names the service that cannot be reached, breaks off, or is late', async () => {
    const broken = await ask('GET', '/api/v1/broken');
    assert.deepEqual([broken.status, broken.body['service']], [502, 'config-store']);
    const late = await ask('GET', '/api/v1/slow');
    assert.deepEqual([late.status, late.body['service']], [504, 'config-store']);
    await relay?.stop();
    const gone = await ask('GET', '/api/v1/updates');
    assert.deepEqual([gone.status, gone.body['service']], [502, 'update-relay']);
    assert.match(gone.headers.get('content-type') ?? '', /problem\+json/);
    const checks = (await ask('GET', '/health/ready')).body['checks'] as Record<string, { ok: boolean }>;
    assert.equal(checks['update-relay']?.ok, false);
    relay = await service(
      'update-relay',
      (app) => void app.get('/api/v1/updates', async () => ({ items: [] })),
      relayPort,
    );
    assert.equal((await ask('GET', '/api/v1/updates')).status, 200);
  });

  it('serves one OpenAPI document and its reader from this origin alone', async () => {
    const { body } = await ask('GET', '/openapi.json');
    assert.equal(body['openapi'], '3.1.0');
    assert.ok('/api/v1/links/{peer}' in (body['paths'] as object));
    assert.ok('/api/v1/updates' in (body['paths'] as object));
    const docs = await ask('GET', '/docs/');
    assert.equal(docs.status, 200);
    assert.doesNotMatch(docs.text, /https?:\/\//);
    assert.deepEqual((await ask('GET', '/docs/json')).body, body);
  });

  it('[O4] gives the metrics of all services', async () => {
    const { text } = await ask('GET', '/metrics');
    for (const name of ['console', 'config-store', 'update-relay']) {
      assert.match(text, new RegExp(`process_cpu_seconds_total\\{service="${name}"`));
    }
    assert.equal(text.match(/^# TYPE process_cpu_seconds_total /gm)?.length, 1);
    assert.match(text, /isthmus_up\{service="config-store"\} 1/);
  });

  it('serves its page with nothing inline and nothing from elsewhere, under a policy that says so', async () => {
    const { status, text, headers } = await ask('GET', '/');
    assert.equal(status, 200);
    assert.match(headers.get('content-security-policy') ?? '', /default-src 'none'; script-src 'self'/);
    assert.equal(headers.get('x-frame-options'), 'DENY');
    assert.doesNotMatch(text, /style=|onclick=|<script>|https?:\/\//);
    const names = [...text.matchAll(/(?:src|href)="([^"#/][^"]*)"/g)].map(([, name]) => name);
    for (const name of [...names, 'dom.js', 'links.js', 'search.js', 'health.js']) {
      assert.equal((await ask('GET', `/${name}`)).status, 200, name);
    }
  });

  it('refuses a path that climbs out, a foreign page’s write, and an address that others can reach', async () => {
    assert.equal((await ask('GET', '/..%2f..%2fpackage.json')).status, 404);
    assert.equal((await ask('GET', '/api/v1/x/..%2f..%2f..%2fmetrics')).status, 404);
    const foreign = await ask('PUT', '/api/v1/links/south', {}, { origin: 'http://evil.example' });
    assert.equal(foreign.status, 403);
    const env = { ISTHMUS_CLUSTER: 'north', HTTP_HOST: '0.0.0.0' };
    const open = startConsole({ config: readConfig(consoleConfig, env), log });
    await assert.rejects(open, { code: 'insecure-listen' });
  });
});
