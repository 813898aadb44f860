import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { finalAnswer } from './c-move.ts';
import type { DeliveryResult } from './deliver.ts';

const result = (more: Partial<DeliveryResult>): DeliveryResult => ({
  completed: 0,
  failed: 0,
  warning: 0,
  remaining: 0,
  failedSopInstanceUids: [],
  unknown: false,
  cancelled: false,
  ...more,
});

describe('[R3] the final answer to a C-MOVE', () => {
  it('is success only when every object was taken', () => {
    assert.equal(finalAnswer(result({ completed: 3 })).status, 0x0000);
    assert.equal(finalAnswer(result({ completed: 2, warning: 1 })).status, 0xb000);
    assert.equal(finalAnswer(result({ completed: 2, failed: 1 })).status, 0xb000);
  });

  it('names what failed, and why, when something could not be sent', () => {
    const answer = finalAnswer(
      result({ completed: 1, failed: 1, failedSopInstanceUids: ['1.2'], detail: 'refused' }),
    );
    assert.deepEqual(answer.failedSopInstanceUids, ['1.2']);
    assert.equal(answer.errorComment, 'refused');
  });

  it('is a failure when nothing could be sent, or nothing is known', () => {
    assert.equal(finalAnswer(result({ failed: 2, failedSopInstanceUids: ['1.2', '1.3'] })).status, 0xa702);
    assert.equal(finalAnswer(result({ unknown: true })).status, 0xc000);
  });

  it('is cancel with what remains, whatever was sent before', () => {
    const answer = finalAnswer(result({ cancelled: true, completed: 1, remaining: 4, failed: 1 }));
    assert.deepEqual([answer.status, answer.counts.remaining], [0xfe00, 4]);
  });
});
