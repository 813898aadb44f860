import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { orderSubject, patientKey, patientSubject, studySubject } from './subjects.ts';

const text = fc.string({ unit: fc.constantFrom('^', '\\', 'a', 'S', 'E', '.', '>', ' '), maxLength: 8 });

describe('names of aggregates', () => {
  it('[Q10] give two patients two keys, whatever characters their IDs and issuers have', () => {
    fc.assert(
      fc.property(text, text, text, text, (id, issuer, otherId, otherIssuer) => {
        const same = id === otherId && issuer === otherIssuer;
        assert.equal(patientKey(id, issuer) === patientKey(otherId, otherIssuer), same);
      }),
      { numRuns: 1000 },
    );
  });
  it('never put text off the wire into a subject', () => {
    fc.assert(
      fc.property(text, (name) => {
        assert.match(patientSubject(patientKey(name, 'X')), /^patient\.\d+\.[0-9a-f]+$/);
        assert.match(orderSubject('order', `1${name}`), /^order\.order\.[0-9a-f]+$/);
      }),
    );
  });
  it('refuse a study UID that is none', () => {
    assert.match(studySubject('1.2.3'), /^study\.\d+\.1-2-3$/);
    assert.match(studySubject('1.02.003'), /^study\.\d+\.1-02-003$/);
    for (const uid of ['', '.', '..', '1..2', '.1', '1.', '1.2.>', '1.2 3', '1.2\n', '1'.repeat(65)])
      assert.throws(() => studySubject(uid), RangeError);
  });
});
