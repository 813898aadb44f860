import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DeadlineClock } from './deadline-clock.ts';

describe('deadline clock', () => {
  it('calls each deadline once, the earliest first, and never one that was cleared or moved on', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let now = 0;
    t.mock.method(performance, 'now', () => now);
    const pass = (ms: number): void => {
      // The mocked timers ring at their time; the clock must read that time.
      for (let step = 0; step < ms; step += 1) {
        now += 1;
        t.mock.timers.tick(1);
      }
    };
    const said: string[] = [];
    const clock = new DeadlineClock();
    const late = clock.deadline(() => said.push(`late at ${now}`));
    const early = clock.deadline(() => said.push(`early at ${now}`));
    const cleared = clock.deadline(() => said.push('cleared'));
    late.set(100);
    early.set(40);
    cleared.set(50);
    cleared.clear();
    pass(30);
    early.set(40);
    pass(200);
    assert.deepEqual(said, ['early at 70', 'late at 100']);
    assert.deepEqual([late.isSet, early.isSet], [false, false]);
    late.set(10);
    clock.stop();
    pass(100);
    assert.equal(said.length, 2);
  });
});
