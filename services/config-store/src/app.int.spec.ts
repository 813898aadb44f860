import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { configSubject, studySubject } from '@isthmus/domain';
import { connectEventLog } from '@isthmus/event-log';
import type { EventLog } from '@isthmus/event-log';
import { connectPostgres, createLog, readConfig, watchConfiguration } from '@isthmus/service-kit';
import type { Database } from '@isthmus/service-kit';
import { eventually, requestJson, testServers } from '@isthmus/testing';
import type { JsonAnswer, TestServers } from '@isthmus/testing';
import { sql } from 'kysely';
import { configStoreConfig, startConfigStore } from './app.ts';

const clusterFile = `cluster:
  id: north
  name: North
  aeTitle: NORTH
  patientDomain: DEMO
stations:
  - aeTitle: SOUTH
    host: 127.0.0.1
    port: 11113
    kind: cluster
    cluster: south
  - aeTitle: ARCHIVE
    host: archive.example
    port: 104
    kind: third-party
    alsoSendsAs:
      - ARCHIVE2
links:
  - peer: south
  - peer: ARCHIVE
    enabled: false
    prefetching:
      in: true
      out: false
`;

describe('config-store', () => {
  const log = createLog({ service: 'config-store', cluster: 'north', level: 'silent' });
  let servers: TestServers;
  let folder: string;
  let eventLog: EventLog;
  let db: Database;
  let store: Awaited<ReturnType<typeof startConfigStore>>;

  const start = (file?: string): ReturnType<typeof startConfigStore> => {
    const env = { ISTHMUS_CLUSTER: 'north', DATABASE_URL: servers.databaseUrl, CLUSTER_FILE: file };
    return startConfigStore({ config: readConfig(configStoreConfig, env), log, eventLog, db });
  };
  const fileOf = async (text: string): Promise<string> => {
    const file = path.join(folder, 'cluster.yaml');
    await writeFile(file, text);
    return file;
  };

  before(async () => {
    servers = await testServers();
    folder = await mkdtemp(path.join(tmpdir(), 'isthmus-config-'));
    eventLog = await connectEventLog({
      servers: servers.natsUrl,
      cluster: 'north',
      service: 'config-store',
      log,
    });
    db = await connectPostgres({ url: servers.databaseUrl, schema: 'config_store', poolMax: 6 });
    store = await start(await fileOf(clusterFile));
  });
  after(async () => {
    await store.stop();
    await eventLog.close();
    await db.destroy();
    await servers.stop();
    await rm(folder, { recursive: true });
  });

  type Answer = JsonAnswer<Record<string, unknown>> & { etag: string };
  const ask = async (
    method: string,
    url: string,
    body?: object,
    headers: Record<string, string> = {},
  ): Promise<Answer> => {
    const answer = await requestJson<Answer['body']>(method, store.address + url, body, headers);
    return { ...answer, etag: answer.headers.get('etag') ?? '' };
  };
  const change = async (url: string, edit: object, headers = {}): Promise<Answer> => {
    const { body, etag } = await ask('GET', url);
    return ask('PUT', url, { ...body, ...edit }, { 'if-match': etag, ...headers });
  };
  const pointerOf = (answer: Answer): unknown => (answer.body['errors'] as { pointer: string }[])[0]?.pointer;

  it('[L1] gives the seeded file back as it was', async () => {
    const { status, text } = await ask('GET', '/api/v1/configuration/export');
    assert.equal(status, 200);
    assert.equal(text, clusterFile);
  });

  it('[L2] serves the link table with every switch', async () => {
    const { body } = await ask('GET', '/api/v1/links');
    const items = body['items'] as { peer: string; enabled: boolean; updates: object; version: number }[];
    assert.deepEqual(
      items.map(({ peer, enabled, updates, version }) => [peer, enabled, updates, version]),
      [
        ['ARCHIVE', false, { in: false, out: false }, 1],
        ['south', true, { in: true, out: true }, 1],
      ],
    );
  });

  it('[L2] switches take effect at once for every service that watches, without a restart', async () => {
    const watch = watchConfiguration({ source: eventLog, log });
    await watch.ready;
    const heard = new Promise<boolean>((resolve) =>
      watch.onChange((now) => {
        if (now.links.get('south')?.updates.out === false) resolve(true);
      }),
    );
    const off = await change('/api/v1/links/south', { updates: { in: true, out: false } });
    assert.deepEqual([off.status, off.etag], [200, '"2"']);
    assert.equal(await heard, true);
    assert.deepEqual((await ask('GET', '/api/v1/links/south')).body['updates'], { in: true, out: false });
    await change('/api/v1/links/south', { updates: { in: true, out: true } });
    watch.stop();
  });

  it('needs If-Match to overwrite or remove, refuses a stale one, and needs none for what is new', async () => {
    const station = { host: '127.0.0.1', port: 11120, kind: 'workstation' };
    const added = await ask('PUT', '/api/v1/stations/READER%201', station);
    assert.deepEqual([added.status, added.etag], [201, '"1"']);
    assert.equal((await ask('PUT', '/api/v1/stations/READER%201', station)).status, 428);
    assert.equal((await ask('DELETE', '/api/v1/stations/READER%201')).status, 428);
    const moved = await ask(
      'PUT',
      '/api/v1/stations/READER%201',
      { ...station, port: 1 },
      { 'if-match': '"1"' },
    );
    assert.deepEqual([moved.status, moved.etag, moved.body['port']], [200, '"2"', 1]);
    const stale = await ask('PUT', '/api/v1/stations/READER%201', station, { 'if-match': '"1"' });
    assert.equal(stale.status, 412);
    assert.equal((await ask('PUT', '/api/v1/stations/NEW', station, { 'if-match': '"1"' })).status, 412);
    assert.equal(
      (await ask('DELETE', '/api/v1/stations/READER%201', undefined, { 'if-match': '"2"' })).status,
      204,
    );
    assert.equal((await ask('GET', '/api/v1/stations/READER%201')).status, 404);
    assert.equal(
      (await ask('DELETE', '/api/v1/stations/READER%201', undefined, { 'if-match': '"3"' })).status,
      404,
    );
    const again = await ask('PUT', '/api/v1/stations/READER%201', station);
    assert.deepEqual([again.status, again.etag], [201, '"4"']);
  });

  it('writes one of two changes that were decided on the same version', async () => {
    const url = '/api/v1/stations/RACE';
    await ask('PUT', url, { host: 'h', port: 1, kind: 'modality' });
    const both = [2, 3].map((port) =>
      ask('PUT', url, { host: 'h', port, kind: 'modality' }, { 'if-match': '"1"' }),
    );
    assert.deepEqual((await Promise.all(both)).map(({ status }) => status).sort(), [200, 412]);
  });

  it('answers 422 with the pointer: unknown fields, a link without station, updates with a third party', async () => {
    const unknown = await ask('PUT', '/api/v1/stations/X', {
      host: 'h',
      port: 1,
      kind: 'modality',
      colour: 'red',
    });
    assert.deepEqual([unknown.status, pointerOf(unknown)], [422, '/colour']);
    assert.equal(pointerOf(await ask('PUT', '/api/v1/links/east', { updates: { on: true } })), '/updates/on');
    const alone = await ask('PUT', '/api/v1/links/east', {});
    assert.deepEqual([alone.status, pointerOf(alone)], [422, '/peer']);
    const updates = await change('/api/v1/links/ARCHIVE', { updates: { in: false, out: true } });
    assert.deepEqual([updates.status, pointerOf(updates)], [422, '/updates/out']);
    assert.match(String(updates.body['detail']), /does not/);
    assert.equal((await ask('GET', '/api/v1/stations/WAY-TOO-LONG-AE-TITLE')).status, 400);
    const otherName = await ask('PUT', '/api/v1/stations/X', {
      aeTitle: 'Y',
      host: 'h',
      port: 1,
      kind: 'modality',
    });
    assert.deepEqual([otherName.status, pointerOf(otherName)], [422, '/aeTitle']);
  });

  it('answers 409 when an AE title is in use or a link needs the station', async () => {
    const station = { host: 'h', port: 1, kind: 'modality' };
    assert.equal((await ask('PUT', '/api/v1/stations/NORTH', station)).status, 409);
    assert.equal((await ask('PUT', '/api/v1/stations/ARCHIVE2', station)).status, 409);
    assert.equal(
      (await ask('DELETE', '/api/v1/stations/SOUTH', undefined, { 'if-match': '"1"' })).status,
      409,
    );
  });

  it('[L2] warns of prefetching without internal queries', async () => {
    const { body } = await change('/api/v1/links/south', { internalQueries: { in: true, out: false } });
    assert.deepEqual(
      (body['warnings'] as { code: string; pointer: string }[]).map(({ pointer }) => pointer),
      ['/prefetching/out'],
    );
    await change('/api/v1/links/south', { internalQueries: {} });
  });

  it('keeps who changed what and why, newest first, page by page', async () => {
    const headers = { 'x-isthmus-user': 'jörg', 'x-reason': 'maintenance' };
    const wire = Object.fromEntries(
      Object.entries(headers).map(([k, v]) => [k, Buffer.from(v).toString('latin1')]),
    );
    await change('/api/v1/links/ARCHIVE', { enabled: true }, wire);
    await change('/api/v1/links/ARCHIVE', { enabled: false, reason: 'done' });
    const { body } = await ask('GET', '/api/v1/configuration/history?kind=link&name=ARCHIVE&limit=2');
    const items = body['items'] as {
      author: string;
      reason: string;
      version: number;
      value: { enabled: boolean };
    }[];
    assert.deepEqual(
      items.map(({ author, reason, version, value }) => [author, reason, version, value.enabled]),
      [
        ['anonymous', 'done', 3, false],
        ['jörg', 'maintenance', 2, true],
      ],
    );
    const cursor = String(body['nextCursor']);
    const rest = await ask('GET', `/api/v1/configuration/history?kind=link&name=ARCHIVE&cursor=${cursor}`);
    assert.equal((rest.body['items'] as { author: string }[])[0]?.author, 'cluster-file');
    assert.equal(rest.body['nextCursor'], null);
  });

  it('repeats the first answer to a retry with the same Idempotency-Key', async () => {
    const key = { 'idempotency-key': 'k1' };
    const first = await ask('PUT', '/api/v1/stations/ONCE', { host: 'h', port: 1, kind: 'modality' }, key);
    const retry = await ask('PUT', '/api/v1/stations/ONCE', { host: 'h', port: 1, kind: 'modality' }, key);
    assert.deepEqual([first.status, retry.status, retry.etag], [201, 201, '"1"']);
  });

  it('changes the cluster itself, but not its id', async () => {
    assert.equal(
      (await change('/api/v1/cluster', { name: 'North Hospital' })).body['name'],
      'North Hospital',
    );
    assert.equal(pointerOf(await change('/api/v1/cluster', { id: 'east' })), '/id');
    await change('/api/v1/cluster', { name: 'North' });
  });

  it('keeps everything over a restart, and seeds only what the log has never known', async () => {
    const removed = await ask('DELETE', '/api/v1/stations/ONCE', undefined, { 'if-match': '"1"' });
    assert.equal(removed.status, 204);
    await change('/api/v1/links/south', { externalQueries: { in: false, out: false } });
    await store.stop();
    const more = clusterFile.replace(
      'links:',
      `  - { aeTitle: ONCE, host: h, port: 1, kind: modality }\n  - { aeTitle: FRESH, host: h, port: 1, kind: modality }\nlinks:`,
    );
    store = await start(await fileOf(more));
    assert.equal((await ask('GET', '/api/v1/stations/ONCE')).status, 404);
    assert.equal((await ask('GET', '/api/v1/stations/FRESH')).status, 200);
    const { body } = await ask('GET', '/api/v1/links/south');
    assert.deepEqual(body['externalQueries'], { in: false, out: false });
  });

  it('does not start on a file that is wrong, and adds nothing of it', async () => {
    const wrong = clusterFile.replace('cluster: south', 'cluster: west').replace('SOUTH', 'WEST');
    const faulty = await fileOf(wrong);
    await assert.rejects(start(faulty), {
      code: 'cluster-file-invalid',
      message: /\/links\/0\/peer: No station/,
    });
    assert.equal((await ask('GET', '/api/v1/stations/WEST')).status, 404);
    await assert.rejects(start(path.join(folder, 'absent.yaml')), { code: 'cluster-file-invalid' });
  });

  it('goes on by itself after nats-server and PostgreSQL were killed, with all that was acknowledged', async () => {
    const before = await change('/api/v1/links/south', { prefetching: { in: false, out: false } });
    assert.equal(before.status, 200);
    await servers.nats.kill();
    await servers.postgres.kill();
    assert.equal((await ask('GET', '/api/v1/links/south')).status, 200);
    assert.equal((await ask('GET', '/health/ready')).status, 503);
    await servers.nats.restart();
    await servers.postgres.restart();
    await eventually('it is ready', async () => (await ask('GET', '/health/ready')).status === 200);
    assert.deepEqual((await ask('GET', '/api/v1/links/south')).body['prefetching'], {
      in: false,
      out: false,
    });
    const changed = await change('/api/v1/links/south', { prefetching: { in: true, out: true } });
    assert.equal(changed.status, 200);
    const { body } = await ask('GET', '/api/v1/configuration/history?kind=link&name=south&limit=1');
    assert.equal((body['items'] as { version: number }[])[0]?.version, changed.body['version']);
  });

  it('[O4] shows no lag of its history when others write to the log', async () => {
    const [last] = await eventLog.readSubject('STUDY', configSubject('cluster', 'self'), 0);
    assert.ok(last);
    await eventLog.append('STUDY', studySubject('1.2'), {
      ...last.event,
      id: 'another',
      type: 'StudyCommented',
    });
    const answer = await fetch(`${store.address}/metrics`);
    assert.match(
      await answer.text(),
      /isthmus_projection_lag_events\{projection="configuration_history",[^}]*\} 0\n/,
    );
  });

  it('tells the same history after it is folded anew while it serves', async () => {
    const before = await ask('GET', '/api/v1/configuration/history?limit=200');
    await sql`delete from configuration_change`.execute(db);
    const rebuilt = await ask('POST', '/api/v1/projections/config-store/history:rebuild');
    assert.deepEqual([rebuilt.status, rebuilt.body['rebuild'], rebuilt.body['lag']], [200, 'done', 0]);
    assert.deepEqual((await ask('GET', '/api/v1/configuration/history?limit=200')).body, before.body);
  });

  it('[O4] is ready, and describes itself', async () => {
    assert.equal((await ask('GET', '/health/ready')).status, 200);
    const { body } = await ask('GET', '/openapi.json');
    assert.ok('/api/v1/links/{peer}' in (body['paths'] as object));
  });
});
