import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';

import { eventually, natsBinariesHere, temporaryFolder, testNats } from '@isthmus/testing';
import { jetstreamManager } from '@nats-io/jetstream';
import type { StreamConfig } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

import { event, following, studyA } from '../test/bench.ts';
import { isAtLeast } from './capabilities.ts';
import { connectEventLog, LogCorruptError, LogUnavailableError, StreamMismatchError } from './index.ts';
import type { EventLog, EventLogOptions } from './index.ts';

const here = natsBinariesHere();
const oldest = here.findLast((server) => !isAtLeast(server.version, 2, 10));
const newest = here.find((server) => isAtLeast(server.version, 2, 12));

async function logOn(
  t: TestContext,
  servers: string,
  options: Partial<EventLogOptions> = {},
): Promise<EventLog> {
  const log = { info() {}, warn() {}, error() {} };
  const connected = await connectEventLog({ servers, cluster: 'north', service: 'test', log, ...options });
  t.after(() => connected.close());
  return connected;
}

/** A server whose connections are closed before it is. */
async function rawStreams(
  url: string,
  work: (add: (config: Partial<StreamConfig>) => Promise<unknown>) => Promise<void>,
) {
  const nc = await connect({ servers: url });
  const jsm = await jetstreamManager(nc);
  await work((config) => jsm.streams.add(config as StreamConfig));
  await nc.close();
}

describe(
  'streams',
  { skip: newest === undefined ? 'there is no nats-server 2.12 or later here' : false },
  () => {
    test('a stream of our name that does not keep what was acknowledged is refused by name', async (t) => {
      const nats = await testNats(t, { natsBinary: newest?.path });
      await rawStreams(nats.url, async (add) => {
        await add({ name: 'STUDY', subjects: ['study.>'], storage: 'memory' });
      });
      await assert.rejects(logOn(t, nats.url), (error) => {
        assert.ok(error instanceof StreamMismatchError);
        assert.match(error.message, /storage/);
        return true;
      });
    });

    test('a stream that can be made right is made right, and keeps its events', async (t) => {
      const nats = await testNats(t, { natsBinary: newest?.path });
      await rawStreams(nats.url, async (add) => {
        await add({ name: 'STUDY', subjects: ['study.>'], discard: 'old' });
      });
      const log = await logOn(t, nats.url, { streams: { studyBytesMax: 60_000 } });
      assert.equal((await log.append('STUDY', 'config.link.61', event('x'.repeat(40_000)))).sequence, 1);
      await assert.rejects(log.append('STUDY', studyA, event('x'.repeat(40_000))), { code: 'log-full' });
      const raised = await logOn(t, nats.url, { streams: { studyBytesMax: 200_000 } });
      assert.equal(raised.incarnation, log.incarnation);
      assert.equal((await log.append('STUDY', studyA, event('x'.repeat(40_000)))).sequence, 2);
    });

    test('streams beyond the room of the server are refused with what to do', async (t) => {
      const nats = await testNats(t, { natsBinary: newest?.path });
      const wish = logOn(t, nats.url, { streams: { studyBytesMax: 2 ** 52 } });
      await assert.rejects(wish, { code: 'log-no-room' });
    });

    test('a message that is no event stops the reader instead of being passed by', async (t) => {
      const nats = await testNats(t, { natsBinary: newest?.path });
      const log = await logOn(t, nats.url);
      const followed = following(t, log, 'STUDY');
      await log.append('STUDY', studyA, event({ number: 0 }));
      const nc = await connect({ servers: nats.url });
      await nc.request(studyA, 'no JSON');
      await nc.close();
      await followed.ended;
      assert.equal(followed.events.length, 1);
      assert.ok(followed.error instanceof LogCorruptError);
      await assert.rejects(log.lastOf('STUDY', studyA), LogCorruptError);
    });
  },
);

test('without a server connecting ends in its time', async (t) => {
  const nats = await testNats(t);
  await nats.stop();
  await assert.rejects(logOn(t, nats.url, { connectTimeoutMs: 300 }), LogUnavailableError);
});

test('a service may be started before its server', async (t) => {
  const nats = await testNats(t);
  await nats.stop();
  let warned = false;
  const log = { info() {}, warn: () => (warned = true), error() {} };
  const connecting = logOn(t, nats.url, { log });
  await eventually('the first attempt', () => warned);
  await nats.restart();
  assert.equal((await (await connecting).append('STUDY', studyA, event())).sequence, 1);
});

test('a server older than 2.10 is named with what it cannot promise', async (t) => {
  if (oldest === undefined) return t.skip('there is no nats-server 2.9 here');
  const nats = await testNats(t, { natsBinary: oldest.path });
  const warnings: string[] = [];
  const log = { info() {}, warn: (_: object, message: string) => warnings.push(message), error() {} };
  const connected = await logOn(t, nats.url, { log });
  assert.deepEqual(connected.capabilities, {
    version: oldest.version,
    syncAlways: false,
    atomicBatch: false,
  });
  assert.match(warnings.join(), /power/);
});

test('a log made by an old server keeps its incarnation and its events when the server is replaced', async (t) => {
  if (oldest === undefined || newest === undefined)
    return t.skip('needs a nats-server 2.9 and a 2.12 or later');
  const dataDir = await temporaryFolder(t);
  const before = await testNats(t, { natsBinary: oldest.path, dataDir });
  const old = await logOn(t, before.url);
  await old.append('STUDY', studyA, event({ number: 0 }));
  const incarnation = old.incarnation;
  await old.close();
  await before.stop();
  const after = await testNats(t, { natsBinary: newest.path, dataDir });
  const log = await logOn(t, after.url);
  assert.equal(log.incarnation, incarnation);
  assert.equal(log.capabilities.atomicBatch, true);
  const answers = await log.appendAll(
    'STUDY',
    Array.from({ length: 50 }, () => ({ subject: studyA, event: event() })),
  );
  assert.deepEqual([answers[0]?.sequence, answers.at(-1)?.sequence], [2, 51]);
});
