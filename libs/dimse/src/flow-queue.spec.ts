import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FlowQueue } from './flow-queue.ts';

function queue(bytesMax = 1_000, bytesResume = 400) {
  const said: string[] = [];
  const it = new FlowQueue({
    bytesMax,
    bytesResume,
    pause: () => said.push('pause'),
    resume: () => said.push('resume'),
  });
  return { queue: it, said };
}

describe('flow queue', () => {
  it('gives what was pushed, in order, before and after it is read', async () => {
    const { queue: it } = queue();
    it.push(Buffer.from('a'));
    const read: string[] = [];
    const reading = (async () => {
      for await (const buffer of it) read.push(buffer.toString());
    })();
    await Promise.resolve();
    it.push(Buffer.from('b'));
    it.push(Buffer.from('c'));
    it.finish();
    await reading;
    assert.deepEqual(read, ['a', 'b', 'c']);
  });

  it('says pause once above the maximum and resume once the reader has caught up', async () => {
    const { queue: it, said } = queue();
    for (let count = 0; count < 4; count += 1) it.push(Buffer.alloc(300));
    assert.deepEqual(said, ['pause']);
    const reader = it[Symbol.asyncIterator]();
    for (let count = 0; count < 3; count += 1) await reader.next();
    assert.deepEqual(said, ['pause'], 'what the reader has in hand still counts');
    await reader.next();
    const waiting = reader.next();
    assert.deepEqual(said, ['pause', 'resume']);
    it.finish();
    await waiting;
  });

  it('counts tiny fragments as more than their bytes', () => {
    const { queue: it, said } = queue();
    for (let count = 0; count < 8; count += 1) it.push(Buffer.alloc(1));
    assert.deepEqual(said, ['pause']);
  });

  it('gives all that waits as one batch', async () => {
    const { queue: it } = queue();
    it.push(Buffer.from('a'));
    it.push(Buffer.from('b'));
    it.finish();
    const batches: number[] = [];
    for await (const batch of it.batches()) batches.push(batch.length);
    assert.deepEqual(batches, [2]);
  });

  it('takes the memory of a borrowed batch back when the next is asked for, not before, and once', async () => {
    const recycled: ArrayBufferLike[] = [];
    const it = new FlowQueue({
      bytesMax: 1_000,
      bytesResume: 400,
      pause: () => undefined,
      resume: () => undefined,
      recycle: (memory) => recycled.push(memory),
    });
    const [one, two] = [new ArrayBuffer(20), new ArrayBuffer(20)];
    it.push(Buffer.from(one, 0, 8));
    it.push(Buffer.from(one, 10, 8));
    const reader = it.borrowed();
    assert.equal((await reader.next()).value?.length, 2);
    assert.deepEqual(recycled, []);
    it.push(Buffer.from(two));
    await reader.next();
    assert.deepEqual(recycled, [one]);
    it.finish();
    assert.equal((await reader.next()).done, true);
    assert.deepEqual(recycled, [one, two]);
    it.giveBack([Buffer.from(one)]);
    assert.deepEqual(recycled, [one, two, one], 'as often as it is told');
  });

  it('takes nothing back when its time is over', async () => {
    const recycled: ArrayBufferLike[] = [];
    const it = new FlowQueue({
      bytesMax: 1_000,
      bytesResume: 400,
      pause: () => undefined,
      resume: () => undefined,
      recycle: (memory) => recycled.push(memory),
    });
    it.push(Buffer.alloc(8));
    const borrower = it.borrowed();
    const { value = [] } = await borrower.next();
    it.close();
    assert.equal((await borrower.next()).done, true);
    it.giveBack(value);
    assert.deepEqual(recycled, []);
  });

  it('throws to its reader what it failed with', async () => {
    const { queue: it } = queue();
    it.push(Buffer.from('a'));
    it.fail(new Error('lost'));
    await assert.rejects(it[Symbol.asyncIterator]().next(), /lost/);
  });

  it('lets a reader finish what was complete before it failed', async () => {
    const { queue: it } = queue();
    it.push(Buffer.from('a'));
    it.finish();
    it.fail(new Error('lost'));
    const read: string[] = [];
    for await (const buffer of it) read.push(buffer.toString());
    assert.deepEqual(read, ['a']);
  });

  it('drains when its reader stops early', async () => {
    const { queue: it, said } = queue();
    for (let count = 0; count < 4; count += 1) it.push(Buffer.alloc(300));
    for await (const _ of it) break;
    for (let count = 0; count < 40; count += 1) it.push(Buffer.alloc(300));
    assert.deepEqual(said, ['pause', 'resume']);
  });
});
