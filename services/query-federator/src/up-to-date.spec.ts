import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { instanceSubject } from '@isthmus/domain';
import type { LocateRequest } from '@isthmus/domain';
import type { StoredEvent } from '@isthmus/domain';
import { IndexBehindError, upToDate } from './up-to-date.ts';

/** A log whose last sequence is 99, with the newest object of `1.1` at 7 and of `1.2` at 12. */
function parts(checkpoint: number) {
  const newest = new Map([
    [instanceSubject('1.1'), 7],
    [instanceSubject('1.2'), 12],
  ]);
  const waited: number[] = [];
  return {
    waited,
    timeoutMs: 100,
    eventLog: {
      lastOf: async (_stream: string, subject: string) => {
        const sequence = newest.get(subject);
        return sequence === undefined ? undefined : ({ sequence } as StoredEvent);
      },
      lastSequence: async () => 99,
    },
    instances: {
      checkpoint: () => checkpoint,
      waitFor: async (sequence: number) => {
        waited.push(sequence);
        return sequence <= checkpoint;
      },
    },
  };
}
const request = (...studyInstanceUids: string[]): LocateRequest => ({ level: 'STUDY', studyInstanceUids });

describe('the index before a retrieve', () => {
  it('has what the log has of the studies that are asked for, and need not have more', async () => {
    const behind = parts(12);
    await upToDate(request('1.1', '1.2'), behind);
    await upToDate(request('1.9'), behind);
    assert.deepEqual(behind.waited, [12, 0]);
  });

  it('has the whole log for a patient, and for many studies', async () => {
    const caughtUp = parts(99);
    await upToDate({ level: 'PATIENT', patientId: 'P1', studyInstanceUids: [] }, caughtUp);
    await upToDate(request(...Array.from({ length: 51 }, (_, number) => `1.3.${number}`)), caughtUp);
    assert.deepEqual(caughtUp.waited, [99, 99]);
  });

  it('is said to be behind when it does not catch up', async () => {
    await assert.rejects(upToDate(request('1.2'), parts(11)), IndexBehindError);
  });
});
