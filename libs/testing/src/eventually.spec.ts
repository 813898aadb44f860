import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from './eventually.ts';

describe('eventually', () => {
  it('gives back what the check found, after looks that found nothing or threw', async () => {
    const looks = [
      () => false as const,
      () => undefined,
      () => null,
      () => assert.fail('not yet'),
      async () => Promise.reject(new Error('not up')),
      async () => 'there',
    ];
    let count = 0;
    assert.equal(await eventually('the sixth look', () => looks[count++]?.()), 'there');
    assert.equal(count, 6);
  });

  it('takes zero and empty text for found', async () => {
    assert.equal(await eventually('a number', () => 0), 0);
    assert.equal(await eventually('a text', () => ''), '');
  });

  it('says what did not happen, and that it was not so', async () => {
    await assert.rejects(
      eventually('the end', () => false, { timeoutMs: 0 }),
      { message: 'not within 0 ms: the end. Last: it is not so' },
    );
  });

  it('says why the last look failed', async () => {
    const cause = new Error('connection refused');
    await assert.rejects(
      eventually('the end', () => Promise.reject(cause), { timeoutMs: 0 }),
      { message: 'not within 0 ms: the end. Last: connection refused', cause },
    );
  });
});
