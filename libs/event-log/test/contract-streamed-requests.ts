import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually } from '@isthmus/testing';
import { NoResponderError, RequestFailedError, RequestTimeoutError } from '../src/index.ts';
import { upTo } from './bench.ts';
import type { LogFactory } from './bench.ts';

const quick = { timeoutMs: 10_000 };
const window = 256;

export function testStreamedRequests(factory: LogFactory): void {
  test('many answers come all, in order', async (t) => {
    const bench = await factory(t);
    const [asker, answerer] = await Promise.all([bench.connect(), bench.connect()]);
    answerer.requests.answerStream<number, number>('test.count', async function* ({ payload }) {
      yield* upTo(payload);
    });
    await answerer.lastSequence('STUDY');
    assert.deepEqual(await all(asker.requests.askStream('test.count', 5000, quick)), upTo(5000));
    assert.deepEqual(await all(asker.requests.askStream('test.count', 0, quick)), []);
  });

  test('a handler is never further ahead than the window', async (t) => {
    const log = await (await factory(t)).connect();
    let produced = 0;
    log.requests.answerStream<number, number>('test.ahead', async function* ({ payload }) {
      for (const number of upTo(payload)) {
        produced++;
        yield number;
      }
    });
    await log.lastSequence('STUDY');
    let used = 0;
    for await (const _ of log.requests.askStream('test.ahead', 2000, quick)) {
      used++;
      // One more is made than sent: the handler runs up to the next answer.
      assert.ok(produced - used <= window + 1, `${produced} made, ${used} used`);
      if (used % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(used, 2000);
  });

  test('large answers go one by one, too large ones end the stream by name', async (t) => {
    const log = await (await factory(t)).connect();
    log.requests.answerStream<number, string>('test.sizes', async function* ({ payload }) {
      yield 'a'.repeat(20_000);
      yield 'b'.repeat(20_000);
      yield 'c'.repeat(500_000);
      yield 'd'.repeat(payload);
    });
    await log.lastSequence('STUDY');
    const sizes = (await all<string>(log.requests.askStream('test.sizes', 1, quick))).map(
      (one) => one.length,
    );
    assert.deepEqual(sizes, [20_000, 20_000, 500_000, 1]);
    await assert.rejects(all(log.requests.askStream('test.sizes', 600_000, quick)), {
      code: 'request-too-large',
    });
  });

  test('nobody there is known at once, for a stream too', async (t) => {
    const log = await (await factory(t)).connect();
    await assert.rejects(
      all(log.requests.askStream('test.nobody', {}, { timeoutMs: 600_000 })),
      NoResponderError,
    );
  });

  test('answers before an error arrive, then the error with its code', async (t) => {
    const log = await (await factory(t)).connect();
    log.requests.answerStream('test.broken', async function* () {
      yield 1;
      yield 2;
      throw Object.assign(new Error('lost the peer'), { code: 'peer-lost' });
    });
    await log.lastSequence('STUDY');
    const seen: unknown[] = [];
    const asking = (async () => {
      for await (const one of log.requests.askStream('test.broken', {}, quick)) seen.push(one);
    })();
    await assert.rejects(
      asking,
      (error) => error instanceof RequestFailedError && error.code === 'peer-lost',
    );
    assert.deepEqual(seen, [1, 2]);
  });

  testLeaving(factory);
}

/** A handler without end, which tells when it was told to stop. */
function endless(
  log: Awaited<ReturnType<Awaited<ReturnType<LogFactory>>['connect']>>,
  subject: string,
): { left: boolean } {
  const state = { left: false };
  log.requests.answerStream(subject, async function* ({ signal }) {
    yield 1;
    await new Promise<void>((resolve) => {
      signal.addEventListener(
        'abort',
        () => {
          state.left = true;
          resolve();
        },
        { once: true },
      );
    });
  });
  return state;
}

function testLeaving(factory: LogFactory): void {
  test('leaving the loop cancels the handler', async (t) => {
    const log = await (await factory(t)).connect();
    const handler = endless(log, 'test.endless');
    await log.lastSequence('STUDY');
    for await (const _ of log.requests.askStream('test.endless', {}, quick)) break;
    await eventually('the handler is cancelled', () => handler.left);
  });

  test('aborting cancels the handler', async (t) => {
    const log = await (await factory(t)).connect();
    const handler = endless(log, 'test.endless');
    await log.lastSequence('STUDY');
    const controller = new AbortController();
    const asking = (async () => {
      for await (const _ of log.requests.askStream(
        'test.endless',
        {},
        { ...quick, signal: controller.signal },
      )) {
        controller.abort();
      }
    })();
    await assert.rejects(asking, { name: 'AbortError' });
    await eventually('the handler is cancelled', () => handler.left);
  });

  test('an asker that is gone without a word cancels the handler', async (t) => {
    const bench = await factory(t);
    const [asker, answerer] = await Promise.all([bench.connect(), bench.connect()]);
    const handler = endless(answerer, 'test.endless');
    await answerer.lastSequence('STUDY');
    const asking = (async () => {
      for await (const _ of asker.requests.askStream('test.endless', {}, quick)) void asker.close();
    })();
    await assert.rejects(asking, RequestTimeoutError);
    await eventually('the handler is cancelled', () => handler.left);
  });

  test('silence between two answers ends the stream and the handler', async (t) => {
    const log = await (await factory(t)).connect();
    const handler = endless(log, 'test.endless');
    await log.lastSequence('STUDY');
    await assert.rejects(
      all(log.requests.askStream('test.endless', {}, { timeoutMs: 100 })),
      RequestTimeoutError,
    );
    await eventually('the handler is cancelled', () => handler.left);
  });

  test('a service that stops ends its streams by name', { timeout: 30_000 }, async (t) => {
    const bench = await factory(t);
    const [asker, answerer] = await Promise.all([bench.connect(), bench.connect()]);
    const handler = endless(answerer, 'test.endless');
    await answerer.lastSequence('STUDY');
    const seen: unknown[] = [];
    const asking = (async () => {
      for await (const one of asker.requests.askStream('test.endless', {}, { timeoutMs: 30_000 })) {
        seen.push(one);
        void answerer.close();
      }
    })();
    await assert.rejects(asking, { code: 'service-stopping' });
    assert.deepEqual(seen, [1]);
    assert.equal(handler.left, true);
  });
}

async function all<T>(answers: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = [];
  for await (const one of answers) seen.push(one);
  return seen;
}
