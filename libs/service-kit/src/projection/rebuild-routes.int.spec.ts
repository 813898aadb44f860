import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { recordedLog } from '../../test/database.ts';
import { addProjectionRoutes, ProjectionHaltedError, readiness, startHttp } from '../index.ts';
import type { HttpServer, RebuildableState } from '../index.ts';

const state: RebuildableState = {
  name: 'states',
  state: 'running',
  checkpoints: { STUDY: 7 },
  lag: 0,
  rebuild: 'none',
};

describe('rebuild by HTTP', () => {
  let server: HttpServer;
  before(async () => {
    const rebuild = async (name: string): Promise<RebuildableState | 'unknown' | 'log-shortened'> => {
      if (name === 'broken') throw new ProjectionHaltedError('broken', 'event 2 is odd', 'Mend it.');
      if (name === 'old') return 'log-shortened';
      return name === 'states' ? { ...state, rebuild: 'done' } : 'unknown';
    };
    server = await startHttp({
      ...{ service: 'spec', cluster: 'north', host: '127.0.0.1', port: 0, log: recordedLog().log },
      ready: readiness({}),
      register: (app) =>
        addProjectionRoutes(app, { service: 'spec', rebuilds: { list: async () => [state], rebuild } }),
    });
  });
  after(() => server.stop());

  const ask = async (method: string, path: string): Promise<{ status: number; body: unknown }> => {
    const answer = await fetch(`${server.url}${path}`, { method });
    return { status: answer.status, body: await answer.json() };
  };
  const rebuild = async (name: string): Promise<{ status: number; code?: string; detail?: string }> => {
    const { status, body } = await ask('POST', `/api/v1/projections/spec/${name}:rebuild`);
    return { ...(body as object), status };
  };

  it('lists what can be rebuilt, and rebuilds it', async () => {
    assert.deepEqual(await ask('GET', '/api/v1/projections/spec'), { status: 200, body: { items: [state] } });
    assert.deepEqual(await ask('POST', '/api/v1/projections/spec/states:rebuild'), {
      status: 200,
      body: { ...state, rebuild: 'done' },
    });
  });

  it('refuses what would lose rows, and says why a rebuild halted', async () => {
    assert.equal((await rebuild('other')).status, 404);
    const { status, code } = await rebuild('old');
    assert.deepEqual([status, code], [409, 'LOG_SHORTENED']);
    const halted = await rebuild('broken');
    assert.deepEqual([halted.status, halted.code], [500, 'PROJECTION_HALTED']);
    assert.match(halted.detail ?? '', /event 2 is odd.*Mend it/);
  });

  it('names the service in the path itself, so that a front door can route by it', async () => {
    const { paths } = (await ask('GET', '/openapi.json')).body as { paths: object };
    assert.deepEqual(Object.keys(paths).sort(), [
      '/api/v1/projections/spec',
      '/api/v1/projections/spec/{name}:rebuild',
    ]);
  });
});
