import assert from 'node:assert/strict';
import { test } from 'node:test';

import { natsConfigurationText } from './nats-configuration.ts';
import { compareNatsVersions, isAtLeast, parseNatsVersion } from './nats-version.ts';
import type { NatsVersion } from './nats-version.ts';

function version(text: string): NatsVersion {
  const parsed = parseNatsVersion(text);
  assert.ok(parsed);
  return parsed;
}

test('versions are read from what the program says, and compare by number', () => {
  assert.equal(version('nats-server: v2.9.10').text, '2.9.10');
  assert.equal(version('2.15.0-dev').text, '2.15.0');
  assert.equal(parseNatsVersion('something else'), undefined);
  assert.ok(compareNatsVersions(version('2.10.0'), version('2.9.10')) > 0);
  assert.equal(isAtLeast(version('2.9.10'), 2, 10), false);
});

const configuration = { port: 0, storeDir: '/data/js "x"', serverName: 'north', syncAlways: true };

test('a server from 2.10 acknowledges only what is on the disk; 2.9 would refuse the key', () => {
  assert.match(natsConfigurationText(version('2.10.0'), configuration), /sync_interval: always/);
  assert.doesNotMatch(natsConfigurationText(version('2.9.10'), configuration), /sync_interval/);
  const relaxed = { ...configuration, syncAlways: false };
  assert.doesNotMatch(natsConfigurationText(version('2.15.1'), relaxed), /sync_interval/);
});

test('the server listens on loopback only, and paths are quoted', () => {
  const text = natsConfigurationText(version('2.15.1'), configuration);
  assert.match(text, /listen: "127\.0\.0\.1:-1"/);
  assert.match(text, /store_dir: "\/data\/js \\"x\\""/);
  assert.match(
    natsConfigurationText(version('2.15.1'), { ...configuration, port: 4333 }),
    /127\.0\.0\.1:4333/,
  );
});
