import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createIsolation, judge } from './delivery-attempt.ts';

describe('judging the answer to a linked update', () => {
  it('[U1] believes 0000 alone', () => {
    assert.equal(judge(0x0000), 'delivered');
    assert.notEqual(judge(0xb000), 'delivered');
    assert.notEqual(judge(0xff00), 'delivered');
  });

  it('waits when the peer is full, off, not willing or of another format', () => {
    for (const status of [0xa700, 0xa702, 0x0110, 0x0122, 0x0124, 0xc102, 0xc103, 0xc104]) {
      assert.equal(judge(status), 'later', status.toString(16));
    }
  });

  it('[U14] blames the content for everything else', () => {
    for (const status of [0xa900, 0xc000, 0x0106, 0xb000]) assert.equal(judge(status), 'refused');
  });
});

describe('finding a poison item', () => {
  it('[U14] sends a refused batch again item by item, and parks the one that stays refused', () => {
    const isolation = createIsolation(3);
    assert.equal(isolation.unitsMax(256), 256);
    assert.equal(isolation.refused(3, 'a'), 'again');
    assert.equal(isolation.unitsMax(256), 1);
    isolation.delivered(1);
    assert.equal(isolation.refused(1, 'b'), 'again');
    assert.equal(isolation.refused(1, 'b'), 'again');
    assert.equal(isolation.refused(1, 'b'), 'park');
    assert.equal(isolation.unitsMax(256), 1);
    isolation.delivered(1);
    assert.equal(isolation.unitsMax(256), 256);
  });

  it('[U14] counts the refusals of one item in a row only', () => {
    const isolation = createIsolation(2);
    assert.equal(isolation.refused(1, 'a'), 'again');
    assert.equal(isolation.refused(1, 'b'), 'again');
    assert.equal(isolation.refused(1, 'a'), 'again');
    assert.equal(isolation.refused(1, 'a'), 'park');
  });
});
