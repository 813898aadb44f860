import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { acknowledgedIds } from './acknowledged.ts';
import { inRounds } from './durability.ts';
import { turns } from './turns.ts';
import { workQueue } from './work-queue.ts';

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('work in rounds', () => {
  it('is done once for all who ask while a round runs, and again for who asks later', async () => {
    let rounds = 0;
    let go = Promise.withResolvers<void>();
    const sync = inRounds<string>(async () => {
      rounds += 1;
      await go.promise;
    });
    const first = sync('a');
    const [second, third] = [sync('a'), sync('a')];
    assert.equal(rounds, 1);
    go.resolve();
    go = Promise.withResolvers();
    await first;
    await soon();
    assert.equal(rounds, 2);
    go.resolve();
    await Promise.all([second, third]);
    assert.equal(rounds, 2);
  });

  it('fails only those whose key failed', async () => {
    const sync = inRounds<string>(async (key) => {
      if (key === 'bad') throw new Error('disk');
    });
    const results = await Promise.allSettled([sync('good'), sync('bad'), sync('good')]);
    assert.deepEqual(
      results.map((result) => result.status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
  });
});

describe('turns', () => {
  it('are taken in order, so many at once, and refused when too many wait', async () => {
    const two = turns({ runningMax: 1, waitingMax: 1, what: 'tests' });
    const release = await two.take();
    const waiting = two.take();
    await assert.rejects(two.take(), { code: 'TOO_MUCH_WAITING' });
    release();
    release();
    const second = await waiting;
    const third = two.take();
    second();
    (await third)();
  });

  it('are taken at once or not at all, and are wanted while somebody waits', async () => {
    const one = turns({ runningMax: 1, waitingMax: 1, what: 'tests' });
    const release = one.takeNow();
    assert.equal(one.takeNow(), undefined);
    assert.equal(one.isWanted, false);
    const waiting = one.take();
    assert.equal(one.isWanted, true);
    release?.();
    (await waiting)();
    assert.equal(one.isWanted, false);
  });

  it('are given up when the signal is aborted', async () => {
    const one = turns({ runningMax: 1, waitingMax: 1, what: 'tests' });
    const release = await one.take();
    const giveUp = new AbortController();
    const waiting = one.take(giveUp.signal);
    giveUp.abort();
    await assert.rejects(waiting, { name: 'AbortError' });
    const next = one.take();
    release();
    (await next)();
  });
});

describe('a work queue', () => {
  const signal = new AbortController().signal;

  it('gives what waits before it says that it is closed', async () => {
    const queue = workQueue<{ n: number }>();
    queue.push({ n: 1 });
    queue.push({ n: 2 });
    queue.close();
    const taken = [];
    for (let n = 0; n < 3; n++) taken.push(await queue.take({ waitMs: 1_000, signal }));
    assert.deepEqual(taken, [{ n: 1 }, { n: 2 }, 'closed']);
  });

  it('gives the first that fits at once, and tells its listeners of every change', () => {
    const queue = workQueue<{ n: number }>();
    let changes = 0;
    const stopListening = queue.onChange(() => (changes += 1));
    for (const n of [1, 2, 3]) queue.push({ n });
    assert.deepEqual(
      queue.takeNow(({ n }) => n > 1),
      { n: 2 },
    );
    assert.equal(
      queue.takeNow(({ n }) => n > 3),
      undefined,
    );
    assert.deepEqual([queue.takeNow(), queue.takeNow(), queue.takeNow()], [{ n: 1 }, { n: 3 }, undefined]);
    assert.equal(queue.isClosed, false);
    queue.close();
    stopListening();
    queue.push({ n: 4 });
    assert.deepEqual([changes, queue.isClosed], [4, true]);
  });

  it('serves several takers', async () => {
    const queue = workQueue<{ n: number }>();
    const taking = [1, 2].map(() => queue.take({ waitMs: 10_000, signal }));
    queue.push({ n: 1 });
    queue.push({ n: 2 });
    const taken = await Promise.all(taking);
    assert.equal(taken.filter((one) => typeof one === 'object').length, 2);
  });

  it('wakes its taker, and lets it go when nothing comes or all is called off', async () => {
    const queue = workQueue<{ n: number }>();
    const taking = queue.take({ waitMs: 10_000, signal });
    queue.push({ n: 1 });
    assert.deepEqual(await taking, { n: 1 });
    assert.equal(await queue.take({ waitMs: 1, signal }), 'nothing');
    const off = new AbortController();
    const waiting = queue.take({ waitMs: 10_000, signal: off.signal });
    off.abort();
    assert.equal(await waiting, 'aborted');
  });
});

describe('acknowledged ids', () => {
  it('are remembered up to their maximum, the oldest forgotten first', () => {
    const ids = acknowledgedIds(2);
    for (const id of ['a', 'b', 'a', 'c']) ids.add(id);
    assert.deepEqual(
      ['a', 'b', 'c'].map((id) => ids.has(id)),
      [true, false, true],
    );
  });
});
