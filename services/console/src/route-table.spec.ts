import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mergeOpenApi } from './openapi.ts';
import type { OpenApiDocument } from './openapi.ts';
import { routeTable } from './route-table.ts';

const info = { title: 't', version: '1' };
const document = (paths: Record<string, object>, rest: object = {}): OpenApiDocument => ({
  openapi: '3.1.0',
  info,
  paths: paths as OpenApiDocument['paths'],
  ...rest,
});
const relay = {
  service: 'update-relay',
  document: document({
    '/api/v1/studies/{uid}': { patch: {} },
    '/api/v1/studies/{uid}/report-status': { put: {} },
    '/api/v1/links/{peer}/status': { get: {} },
    '/health/live': { get: {} },
  }),
};
const federator = {
  service: 'query-federator',
  document: document({
    '/api/v1/studies/{studyInstanceUid}': { get: {} },
    '/api/v1/studies:search': { post: {} },
    '/api/v1/studies/{uid}:retrieve': { post: {} },
  }),
};

describe('route table', () => {
  const table = routeTable([relay, federator]);
  const service = (method: string, path: string) => {
    const found = table.find(method, path);
    return found && 'service' in found ? found.service : found?.allowed.join(' ');
  };

  it('finds the service of a method and path, also where two services share a path', () => {
    assert.equal(service('GET', '/api/v1/studies/1.2'), 'query-federator');
    assert.equal(service('HEAD', '/api/v1/studies/1.2'), 'query-federator');
    assert.equal(service('PATCH', '/api/v1/studies/1.2'), 'update-relay');
    assert.equal(service('PUT', '/api/v1/studies/1.2/report-status'), 'update-relay');
    assert.deepEqual(table.conflicts, []);
  });

  it('tells a verb from an identifier', () => {
    assert.equal(service('POST', '/api/v1/studies:search'), 'query-federator');
    assert.equal(service('POST', '/api/v1/studies/1.2:retrieve'), 'query-federator');
    assert.equal(service('POST', '/api/v1/studies/1.2'), 'GET PATCH');
  });

  it('takes an encoded slash for part of a name, and knows nothing of paths that are not public', () => {
    assert.equal(service('GET', '/api/v1/links/A%2FB/status'), 'update-relay');
    assert.equal(service('GET', '/api/v1/links/A/B/status'), undefined);
    assert.equal(service('GET', '/health/live'), undefined);
  });

  it('lets the first of two services have what both offer, and says so', () => {
    const twice = routeTable([relay, { service: 'other', document: relay.document }]);
    assert.equal(twice.conflicts.length, 3);
    assert.deepEqual(twice.find('PATCH', '/api/v1/studies/1'), { service: 'update-relay' });
  });
});

describe('merged OpenAPI', () => {
  const schema = (type: string) => ({ components: { schemas: { Item: { type } } } });
  const operation = {
    operationId: 'list',
    tags: ['x'],
    responses: { 200: { $ref: '#/components/schemas/Item' } },
  };
  const merged = mergeOpenApi(info, [
    {
      service: 'a',
      document: document({ '/api/v1/things': { get: operation }, '/metrics': { get: {} } }, schema('string')),
    },
    {
      service: 'b',
      document: document({ '/api/v1/things': { post: operation, get: {} } }, schema('number')),
    },
    { service: 'c', document: document({ '/api/v1/studies/{uid}:retrieve': { post: {} } }) },
  ]);
  const at = (path: string, method: string) => merged.paths?.[path]?.[method] as Record<string, unknown>;

  it('keeps components of one name apart and points each operation to its own', () => {
    assert.deepEqual(merged.components?.['schemas'], {
      'a.Item': { type: 'string' },
      'b.Item': { type: 'number' },
    });
    assert.deepEqual(at('/api/v1/things', 'get')['responses'], {
      200: { $ref: '#/components/schemas/a.Item' },
    });
    assert.deepEqual(at('/api/v1/things', 'post')['responses'], {
      200: { $ref: '#/components/schemas/b.Item' },
    });
  });

  it('tags by service and gives every operation an id of its own', () => {
    assert.deepEqual(
      [at('/api/v1/things', 'get')['operationId'], at('/api/v1/things', 'get')['tags']],
      ['list', ['a']],
    );
    assert.equal(at('/api/v1/things', 'post')['operationId'], 'b.list');
    assert.equal(at('/api/v1/studies/{uid}:retrieve', 'post')['operationId'], 'postStudiesUidRetrieve');
    assert.equal('/metrics' in (merged.paths ?? {}), false);
  });
});
