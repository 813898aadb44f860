import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LogFullError, LogUnavailableError, NoResponderError } from '@isthmus/event-log';
import { outcomeOf, statusOfError } from './dimse-status.ts';
import { objectStoreError } from './errors.ts';

describe('the status of an error', () => {
  it('is A700 whenever trying again can help', () => {
    const errors = [
      objectStoreError(Object.assign(new Error(), { code: 'ENOSPC' })),
      objectStoreError(Object.assign(new Error(), { code: 'EIO' })),
      new LogFullError('INSTANCES'),
      new LogUnavailableError('no acknowledgement'),
      new NoResponderError('query.find'),
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
