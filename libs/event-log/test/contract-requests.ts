import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually } from '@isthmus/testing';
import {
  NoResponderError,
  RequestFailedError,
  RequestTimeoutError,
  RequestTooLargeError,
} from '../src/index.ts';
import { upTo } from './bench.ts';
import type { LogFactory } from './bench.ts';

const quick = { timeoutMs: 10_000 };

export function testRequests(factory: LogFactory): void {
  test('a question gets the answer of a handler elsewhere, bytes travel beside it', async (t) => {
    const bench = await factory(t);
    const [asker, answerer] = await Promise.all([bench.connect(), bench.connect()]);
    answerer.requests.answer<{ word: string }, unknown>('test.ask', async ({ payload, attachment }) => ({
      said: payload.word,
      bytes: attachment === undefined ? undefined : [...attachment],
    }));
    await settled(answerer);
    assert.deepEqual(await asker.requests.ask('test.ask', { word: 'Müller' }, quick), { said: 'Müller' });
    const attachment = Uint8Array.of(0, 1, 254, 255);
    assert.deepEqual(await asker.requests.ask('test.ask', { word: 'b' }, { ...quick, attachment }), {
      said: 'b',
      bytes: [0, 1, 254, 255],
    });
  });

  test('nobody there is known at once', async (t) => {
    const log = await (await factory(t)).connect();
    await assert.rejects(log.requests.ask('test.nobody', {}, { timeoutMs: 600_000 }), NoResponderError);
  });

  test('what the handler throws arrives with its code', async (t) => {
    const log = await (await factory(t)).connect();
    log.requests.answer('test.coded', async () => {
      throw Object.assign(new Error('the station is asleep'), { code: 'station-asleep' });
    });
    log.requests.answer('test.plain', async () => {
      throw new Error('no code');
    });
    await settled(log);
    await assert.rejects(log.requests.ask('test.coded', {}, quick), (error) => {
      assert.ok(error instanceof RequestFailedError);
      assert.equal(error.code, 'station-asleep');
      assert.match(error.message, /asleep/);
      return true;
    });
    await assert.rejects(log.requests.ask('test.plain', {}, quick), { code: 'request-failed' });
  });

  test('silence ends with the time of the asker, and the handler is told', async (t) => {
    const log = await (await factory(t)).connect();
    let told = false;
    log.requests.answer('test.slow', async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      told = true;
    });
    await settled(log);
    await assert.rejects(log.requests.ask('test.slow', {}, { timeoutMs: 50 }), RequestTimeoutError);
    await eventually('the handler learns it', () => told);
  });

  test('an asker may stop waiting', async (t) => {
    const log = await (await factory(t)).connect();
    let release: (() => void) | undefined;
    log.requests.answer('test.wait', () => new Promise<void>((resolve) => (release = resolve)));
    await settled(log);
    const controller = new AbortController();
    const asking = log.requests.ask('test.wait', {}, { ...quick, signal: controller.signal });
    await eventually('it is at work', () => release !== undefined);
    controller.abort();
    await assert.rejects(asking, { name: 'AbortError' });
    release?.();
    const given = AbortSignal.abort();
    await assert.rejects(log.requests.ask('test.wait', {}, { ...quick, signal: given }), {
      name: 'AbortError',
    });
  });

  test('what is over 512 KiB is refused on either side, by name', async (t) => {
    const log = await (await factory(t)).connect();
    log.requests.answer<number, string>('test.large', async ({ payload }) => 'x'.repeat(payload));
    await settled(log);
    const attachment = new Uint8Array(512 * 1024);
    await assert.rejects(log.requests.ask('test.large', 1, { ...quick, attachment }), RequestTooLargeError);
    await assert.rejects(log.requests.ask('test.large', 600_000, quick), { code: 'request-too-large' });
    const most: string = await log.requests.ask('test.large', 512 * 1024 - 2, quick);
    assert.equal(most.length, 512 * 1024 - 2);
  });

  testSharing(factory);
}

function testSharing(factory: LogFactory): void {
  test('handlers of one subject share the work, each request is done once', async (t) => {
    const bench = await factory(t);
    const [asker, one, other] = await Promise.all([bench.connect(), bench.connect(), bench.connect()]);
    const done: number[] = [];
    const by = new Set<string>();
    for (const [name, log] of Object.entries({ one, other })) {
      log.requests.answer<number, void>('test.shared', async ({ payload }) => {
        done.push(payload);
        by.add(name);
      });
      await settled(log);
    }
    await Promise.all(upTo(200).map((number) => asker.requests.ask('test.shared', number, quick)));
    assert.deepEqual(
      done.sort((a, b) => a - b),
      upTo(200),
    );
    assert.equal(by.size, 2);
  });

  test('a handler has no more at work than it wants', async (t) => {
    const log = await (await factory(t)).connect();
    let atWork = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++atWork);
      await new Promise((resolve) => setImmediate(resolve));
      atWork--;
    };
    log.requests.answer('test.limited', work, { concurrencyMax: 3 });
    await settled(log);
    await Promise.all(upTo(60).map((number) => log.requests.ask('test.limited', number, quick)));
    assert.equal(most, 3);
  });

  test('a handler that stops ends its work and takes no more', async (t) => {
    const log = await (await factory(t)).connect();
    let release: () => void = () => {};
    let begun = false;
    const stop = log.requests.answer('test.stopping', async () => {
      begun = true;
      await new Promise<void>((resolve) => (release = resolve));
      return 'done';
    });
    await settled(log);
    const asking = log.requests.ask('test.stopping', {}, quick);
    await eventually('it is at work', () => begun);
    let stopped = false;
    const stopping = stop().then(() => (stopped = true));
    await settled(log);
    assert.equal(stopped, false);
    release();
    assert.equal(await asking, 'done');
    await stopping;
    await assert.rejects(log.requests.ask('test.stopping', {}, quick), NoResponderError);
  });

  test('questions go on after the server was killed', async (t) => {
    const bench = await factory(t);
    const [asker, answerer] = await Promise.all([bench.connect(), bench.connect()]);
    answerer.requests.answer<number, number>('test.after', async ({ payload }) => payload + 1);
    await settled(answerer);
    assert.equal(await asker.requests.ask('test.after', 1, quick), 2);
    await bench.kill();
    const waiting = asker.requests.ask('test.after', 2, quick).catch((error: unknown) => error);
    await bench.restart();
    // The handler may be back later than the asker: then nobody is there, which is an answer too.
    const first = await waiting;
    assert.ok(first === 3 || first instanceof NoResponderError || first instanceof RequestTimeoutError);
    await settled(answerer);
    assert.equal(await asker.requests.ask('test.after', 3, quick), 4);
  });
}

/** A round trip: the server knows our subscriptions. */
function settled(log: { lastSequence(stream: 'STUDY'): Promise<number> }): Promise<number> {
  return eventually('the server answers', () => log.lastSequence('STUDY'));
}
