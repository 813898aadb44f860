import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

interface Answer {
  readonly status: number;
  readonly body: object;
}

const program = fileURLToPath(new URL('rebuild.ts', import.meta.url));
const folded = (name: string, rebuild = 'done', checkpoints: object = { STUDY: 9 }): Answer => ({
  status: 200,
  body: { name, state: 'running', checkpoints, lag: 0, rebuild },
});

describe('npm run rebuild', () => {
  let server: Server;
  let address: string;
  /** Scripted answers of the console; the last one is given again. */
  let answers: Record<string, Answer[]>;
  let asked: string[];

  before(async () => {
    server = createServer((request, response) => {
      const key = `${request.method} ${request.url}`;
      if (request.method === 'POST') asked.push(key.slice('POST /api/v1/projections/'.length));
      const [answer, ...rest] = answers[key] ?? [];
      if (rest.length > 0) answers[key] = rest;
      response.writeHead(answer?.status ?? 404, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer?.body ?? { detail: 'not scripted' }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => void server.close());
  beforeEach(() => {
    asked = [];
    answers = {};
    const offered = {
      'query-federator': ['instances', 'changes'],
      'update-relay': ['states'],
      'a-new-one': ['rows'],
      'config-store': ['history'],
    };
    const paths: Record<string, object> = { '/api/v1/studies/{uid}': {} };
    for (const [service, names] of Object.entries(offered)) {
      const url = `/api/v1/projections/${service}`;
      paths[url] = {};
      paths[`${url}/{name}:rebuild`] = {};
      answers[`GET ${url}`] = [{ status: 200, body: { items: names.map((name) => ({ name })) } }];
      for (const name of names) answers[`POST ${url}/${name}:rebuild`] = [folded(name)];
    }
    answers['GET /openapi.json'] = [{ status: 200, body: { paths } }];
  });

  const run = (...args: string[]): Promise<{ code: number; lines: string[]; complaint: string }> =>
    new Promise((resolve) => {
      execFile(process.execPath, [program, ...args], (error, stdout, stderr) => {
        const code = error ? Number(error.code) : 0;
        resolve({ code, lines: stdout.trim().split('\n'), complaint: stderr });
      });
    });

  it('rebuilds all that the cluster offers, what others read first', async () => {
    const states = 'POST /api/v1/projections/update-relay/states:rebuild';
    answers[states] = [folded('states', 'done', { STUDY: 9, INSTANCES: 4 })];
    const { code, lines } = await run(address);
    assert.equal(code, 0);
    assert.deepEqual(lines, [
      'config-store/history: rebuilt up to event 9 of STUDY',
      'update-relay/states: rebuilt up to event 9 of STUDY and event 4 of INSTANCES',
      'query-federator/instances: rebuilt up to event 9 of STUDY',
      'query-federator/changes: rebuilt up to event 9 of STUDY',
      'a-new-one/rows: rebuilt up to event 9 of STUDY',
    ]);
  });

  it('rebuilds one service, or one projection', async () => {
    await run(address, 'query-federator');
    assert.deepEqual(asked, ['query-federator/instances:rebuild', 'query-federator/changes:rebuild']);
    asked = [];
    await run(address, 'query-federator/changes');
    assert.deepEqual(asked, ['query-federator/changes:rebuild']);
  });

  it('goes on after a refusal, and ends with 1', async () => {
    answers['POST /api/v1/projections/query-federator/instances:rebuild'] = [
      { status: 409, body: { code: 'LOG_SHORTENED', detail: 'First events are gone.' } },
    ];
    const { code, lines } = await run(address, 'query-federator');
    assert.equal(code, 1);
    assert.deepEqual(lines, [
      'query-federator/instances: LOG_SHORTENED: First events are gone.',
      'query-federator/changes: rebuilt up to event 9 of STUDY',
    ]);
  });

  it('waits for a rebuild that takes longer than the console waits for an answer', async () => {
    const items = (rebuild: string): Answer => ({
      status: 200,
      body: { items: [folded('states', rebuild).body] },
    });
    answers['GET /api/v1/projections/update-relay'] = [items('none'), items('running'), items('done')];
    answers['POST /api/v1/projections/update-relay/states:rebuild'] = [{ status: 504, body: {} }];
    const { code, lines } = await run(address, 'update-relay');
    assert.deepEqual([code, lines], [0, ['update-relay/states: rebuilt up to event 9 of STUDY']]);
    assert.equal(asked.length, 1);
  });

  it('says so when the service was started anew meanwhile', async () => {
    const state = { status: 200, body: { items: [folded('states', 'none').body] } };
    answers['GET /api/v1/projections/update-relay'] = [state];
    answers['POST /api/v1/projections/update-relay/states:rebuild'] = [{ status: 504, body: {} }];
    const { code, lines } = await run(address, 'update-relay');
    assert.equal(code, 1);
    assert.match(lines[0] ?? '', /broken off/);
  });

  it('says how it is called, and what the cluster does not offer', async () => {
    const wrong = await run('north');
    assert.equal(wrong.code, 2);
    assert.match(wrong.complaint, /npm run rebuild -- /);
    const unknown = await run(address, 'prefetcher');
    assert.equal(unknown.code, 2);
    assert.match(unknown.complaint, /offers no rebuild of prefetcher/);
  });
});
