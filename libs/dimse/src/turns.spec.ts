import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Turns } from './turns.ts';

describe('turns', () => {
  it('are taken at once while places are free, then in the order of asking', async () => {
    const turns = new Turns(2, 10);
    const said: string[] = [];
    assert.equal(turns.take(1), undefined);
    assert.equal(turns.take(1), undefined);
    const all = turns.take(2)?.then(() => said.push('all'));
    const one = turns.take(1)?.then(() => said.push('one'));
    turns.give(1);
    await Promise.resolve();
    assert.deepEqual(said, [], 'a place is free, but who wants both was first');
    turns.give(1);
    await all;
    assert.deepEqual(said, ['all']);
    turns.give(2);
    await one;
    turns.give(1);
    assert.deepEqual([said, turns.isIdle], [['all', 'one'], true]);
  });

  it('has a bound on those who wait', () => {
    const turns = new Turns(1, 1);
    assert.equal(turns.take(1), undefined);
    void turns.take(1);
    assert.throws(() => turns.take(1), /more than 1 calls wait/);
  });
});
