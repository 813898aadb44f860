import assert from 'node:assert/strict';
import { test } from 'node:test';

import { testServers } from './index.ts';

test('every call has a nats-server and a database of its own on one PostgreSQL', async (t) => {
  const [first, second] = await Promise.all([testServers(t), testServers(t)]);
  assert.notEqual(first.natsUrl, second.natsUrl);
  assert.notEqual(first.databaseUrl, second.databaseUrl);
  assert.equal(first.postgres, second.postgres);
  assert.equal(first.nats.running && second.nats.running && first.postgres.running, true);
});

test('stopping twice is one stop', async () => {
  const servers = await testServers();
  await Promise.all([servers.stop(), servers.stop()]);
  assert.equal(servers.nats.running, false);
  assert.equal(servers.postgres.running, true);
});
