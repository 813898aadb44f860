import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  bucketDigests,
  bucketOf,
  changedBuckets,
  differences,
  lastingDifferences,
} from './bucket-digests.ts';

const uids = fc.integer({ min: 1, max: 60 }).map((n) => `1.2.${n}`);
const holdings = fc.dictionary(uids, fc.constantFrom('aa', 'bb', 'cc'), { maxKeys: 20 });
const digits = fc.integer({ min: 0, max: 2 });

describe('digests of buckets of studies', () => {
  it('[U12] differ exactly in the buckets where the studies do, whatever the order', () => {
    fc.assert(
      fc.property(holdings, holdings, digits, (ours, theirs, length) => {
        const differing = differences(
          bucketDigests(Object.entries(ours).reverse(), length),
          bucketDigests(Object.entries(theirs), length),
        );
        const expected = new Set(differences(ours, theirs).map((study) => bucketOf(study, length)));
        assert.deepEqual(differing, [...expected].sort());
      }),
    );
  });
  it('[U12] follow one change without reading the other studies', () => {
    const changes = fc.array(
      fc.tuple(uids, fc.option(fc.constantFrom('aa', 'bb', 'cc'), { nil: undefined })),
      {
        maxLength: 30,
      },
    );
    fc.assert(
      fc.property(changes, digits, (steps, length) => {
        const studies = new Map<string, string>();
        let buckets = bucketDigests([], length);
        for (const [study, after] of steps) {
          buckets = changedBuckets(buckets, length, study, studies.get(study), after);
          if (after === undefined) studies.delete(study);
          else studies.set(study, after);
        }
        assert.deepEqual(buckets, bucketDigests(studies, length));
      }),
    );
  });
  it('[U12] are narrowed by one digit more, inside one bucket', () => {
    fc.assert(
      fc.property(holdings, (studies) => {
        const parts = bucketDigests(Object.entries(studies), 2);
        for (const bucket of Object.keys(bucketDigests(Object.entries(studies), 1))) {
          const inside = Object.fromEntries(
            Object.entries(parts).filter(([name]) => name.startsWith(bucket)),
          );
          assert.deepEqual(bucketDigests(Object.entries(studies), 2, bucket), inside);
        }
      }),
    );
  });
  it('[U12] count as different only when neither side moved between two exchanges', () => {
    const before = { ours: { a: '1', b: '1', c: '1', d: '1' }, theirs: { a: '2', b: '2', c: '2', d: '1' } };
    const now = { ours: { a: '1', b: '3', c: '1', d: '1' }, theirs: { a: '2', b: '2', c: '4', d: '1' } };
    assert.deepEqual(lastingDifferences(before, now), ['a']);
    assert.deepEqual(lastingDifferences({ ours: {}, theirs: {} }, now), []);
  });
  it('refuse a bucket name of another length', () => {
    assert.throws(() => bucketOf('1.2', 5), RangeError);
    assert.throws(() => bucketOf('1.2', 0.5), RangeError);
    assert.equal(bucketOf('1.2', 0), '');
  });
});
