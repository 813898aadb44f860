import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createFlushTimes } from './flush-time.ts';

const limits = { quietMs: 2_000, atMostMs: 10_000 };

describe('when a study tells of its objects', () => {
  it('[U4] at once for a lone object on a quiet study', () => {
    const times = createFlushTimes(limits);
    times.changed('1.2', 1, 100);
    assert.equal(times.dueAt('1.2'), 100);
    times.flushed('1.2', 110);
    assert.equal(times.dueAt('1.2'), Number.POSITIVE_INFINITY);
    times.changed('1.2', 2, 60_000);
    assert.equal(times.dueAt('1.2'), 60_000);
  });

  it('[U4] after 2 s of quiet while objects keep coming, and after 10 s at the latest', () => {
    const times = createFlushTimes(limits);
    times.changed('1.2', 1, 0);
    times.flushed('1.2', 10);
    times.changed('1.2', 2, 500);
    assert.equal(times.dueAt('1.2'), 2_500);
    times.changed('1.2', 3, 2_000);
    assert.equal(times.dueAt('1.2'), 4_000);
    for (let now = 3_000, version = 4; now < 10_000; now += 1_000) times.changed('1.2', version++, now);
    assert.equal(times.dueAt('1.2'), 10_500);
  });

  it('takes the same change seen twice for one', () => {
    const times = createFlushTimes(limits);
    times.changed('1.2', 1, 0);
    times.flushed('1.2', 10);
    times.changed('1.2', 2, 500);
    times.changed('1.2', 2, 1_900);
    assert.equal(times.dueAt('1.2'), 2_500);
  });

  it('calls a study quiet once nothing has changed for the quiet time, and forgets it later', () => {
    const times = createFlushTimes(limits);
    assert.equal(times.isQuiet('1.2', 0), true);
    times.changed('1.2', 1, 0);
    times.flushed('1.2', 10);
    assert.equal(times.isQuiet('1.2', 1_999), false);
    assert.equal(times.isQuiet('1.2', 2_000), true);
    times.forget(60_000);
    times.changed('1.2', 1, 60_000);
    assert.equal(times.dueAt('1.2'), 60_000);
  });
});
