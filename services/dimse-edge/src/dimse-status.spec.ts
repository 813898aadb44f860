import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LogFullError, LogUnavailableError, NoResponderError, RequestFailedError } from '@isthmus/event-log';
import { outcomeOf, statusOfError, statusOfService } from './dimse-status.ts';
import { objectStoreError } from './errors.ts';

describe('the status that another service gave', () => {
  it('is passed on with its comment', () => {
    assert.deepEqual(statusOfService({ status: 0xa700 }, 'it'), { status: 0xa700 });
    const answer = { status: 0, errorComment: 'Taken', more: 1 };
    assert.deepEqual(statusOfService(answer, 'it'), { status: 0, errorComment: 'Taken' });
    assert.deepEqual(statusOfService({ status: 0, errorComment: 7 }, 'it'), { status: 0 });
  });

  it('is an error when there is none, so that no peer gets a response without', () => {
    for (const answer of [
      null,
      undefined,
      'good',
      {},
      { status: '0' },
      { status: -1 },
      { status: 0x10000 },
    ]) {
      assert.throws(() => statusOfService(answer, 'it'), { code: 'SERVICE_ANSWER_UNREADABLE' });
    }
    assert.throws(() => statusOfService({ status: Number.NaN }, 'it'));
  });
});

describe('the status of an error', () => {
  it('is A700 whenever trying again can help', () => {
    const errors = [
      objectStoreError(Object.assign(new Error(), { code: 'ENOSPC' })),
      objectStoreError(Object.assign(new Error(), { code: 'EIO' })),
      new LogFullError('INSTANCES'),
      new LogUnavailableError('no acknowledgement'),
      new NoResponderError('query.find'),
      new RequestFailedError('query.locate', 'INDEX_BEHIND', 'the index is at 1 of the log'),
    ];
    for (const error of errors) assert.equal(statusOfError(error).status, 0xa700, error.name);
  });

  it('is C000 for a defect, and says nothing of its inside', () => {
    const answer = statusOfError(new TypeError('Doe^Jane is not a function'));
    assert.deepEqual(answer, { status: 0xc000, errorComment: 'Internal error' });
  });

  it('counts as one of four outcomes', () => {
    assert.deepEqual([0x0000, 0xb000, 0xfe00, 0xa801].map(outcomeOf), [
      'success',
      'warning',
      'cancel',
      'failure',
    ]);
  });
});
