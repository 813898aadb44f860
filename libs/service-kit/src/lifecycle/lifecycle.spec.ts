import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { recordedLog } from '../../test/database.ts';
import { backoff, sleep, stopInOrder } from '../index.ts';

describe('back-off', () => {
  it('doubles up to its ceiling, spread over the upper half, and starts again after a success', () => {
    const least = backoff({ baseMs: 100, maxMs: 1_000, random: () => 0 });
    assert.deepEqual(
      [1, 2, 3, 4, 5, 6].map(() => least.next()),
      [50, 100, 200, 400, 500, 500],
    );
    const most = backoff({ baseMs: 100, maxMs: 1_000, random: () => 0.999 });
    assert.deepEqual(
      [1, 2, 3, 4, 5].map(() => most.next()),
      [100, 200, 400, 800, 1_000],
    );
    least.reset();
    assert.equal(least.next(), 50);
    assert.equal(least.attempts, 1);
  });

  it('ends a pause early, without an error, when it is aborted', async () => {
    await sleep(60_000, AbortSignal.abort());
    const stopping = new AbortController();
    const pause = backoff({ baseMs: 60_000, maxMs: 60_000 }).wait(stopping.signal);
    stopping.abort();
    await pause;
  });
});

describe('shutdown', () => {
  it('stops parts in order and passes over one that fails or hangs, naming it', async () => {
    const { log, lines } = recordedLog();
    const order: string[] = [];
    await stopInOrder(
      log,
      [
        ['http', () => order.push('http')],
        ['relay', () => Promise.reject(new Error('no'))],
        ['edge', () => new Promise(() => undefined)],
        ['database', async () => void order.push('database')],
      ],
      20,
    );
    assert.deepEqual(order, ['http', 'database']);
    assert.deepEqual(
      lines.map((line) => line['part']),
      ['relay', 'edge'],
    );
  });
});
