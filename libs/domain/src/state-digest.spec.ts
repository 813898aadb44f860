import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { given, holding, reportStatus, studyInstanceUid } from '../test/given-study.ts';
import type { StudyAt } from '../test/given-study.ts';
import { states } from '../test/registers.ts';
import { canonicalJson } from './canonical.ts';
import { mergeRegisters } from './merge.ts';
import type { RegisterMap } from './registers.ts';
import { classDigests, holdingDigest, stateDigest } from './state-digest.ts';
import type { DigestedState } from './state-digest.ts';

const objects = { count: 3, digest: 'ab'.repeat(32) };
const stateOf = ({ study, patients }: StudyAt): DigestedState => ({ study, patients, objects });

describe('the digest of a study', () => {
  it('[U12] is the same after any order of the same changes, and differs when registers do', () => {
    fc.assert(
      fc.property(fc.array(states, { maxLength: 4 }), fc.array(states, { maxLength: 4 }), (parts, others) => {
        const merged = (list: readonly RegisterMap[]): DigestedState => ({
          study: list.reduce(mergeRegisters, {}),
          patients: {},
        });
        const forth = merged(parts);
        const back = merged([...parts].reverse());
        assert.equal(stateDigest(forth), stateDigest(back));
        assert.deepEqual(classDigests(forth), classDigests(back));
        const other = merged(others);
        const same = canonicalJson(forth.study) === canonicalJson(other.study);
        assert.equal(stateDigest(forth) === stateDigest(other), same);
      }),
      { numRuns: 500 },
    );
  });
  it('[U12] covers what only a later version knows, a stamp alone, a patient, and the object set', () => {
    const site = given();
    site.does(reportStatus('DICTATED'));
    const base = stateOf(site);
    const lww = { t: 'lww', value: 'x', rank: 1, hlc: '0000000000000001', origin: 'north' } as const;
    const later: DigestedState[] = [
      { ...base, study: { ...base.study, hologram: { t: 'swirl', turns: 3 } as never } },
      { ...base, study: { ...base.study, comments: { t: 'map', entries: {} } } },
      { ...base, study: { ...base.study, patientLocation: lww } },
      { ...base, study: { ...base.study, patientLocation: { ...lww, hlc: '0000000000000002' } } },
      { ...base, patients: { ...base.patients, 'P9^^^NORTH': { name: lww } } },
      { ...base, objects: { ...objects, count: 4 } },
      { ...base, objects: { ...objects, digest: 'cd'.repeat(32) } },
    ];
    assert.equal(new Set([base, ...later].map(stateDigest)).size, later.length + 1);
  });
  it('leaves out renewals of leases, specialty and body part', () => {
    const base = stateOf(given());
    const lww = { t: 'lww', value: 'x', rank: 1, hlc: '0000000000000001', origin: 'north' } as const;
    for (const name of ['claimRenewals', 'specialty', 'bodyPart']) {
      const more = { ...base, study: { ...base.study, [name]: lww } };
      assert.equal(stateDigest(more), stateDigest(base), name);
      assert.deepEqual(classDigests(more), classDigests(base), name);
    }
  });
  it('[U5] tells class by class where two states differ', () => {
    const site = given();
    const before = classDigests(stateOf(site));
    site.does(reportStatus('APPROVED'));
    site.does({ type: 'ChangeStudy', studyInstanceUid, patient: { name: 'ROE^JANE' } });
    const after = classDigests(stateOf(site));
    const differing = Object.keys({ ...before, ...after }).filter(
      (name) => before[name as 'other'] !== after[name as 'other'],
    );
    assert.deepEqual(differing.sort(), ['identity', 'report-status']);
    assert.deepEqual(
      Object.keys(classDigests({ ...stateOf(site), objects: { ...objects, count: 9 } })),
      Object.keys(after),
    );
  });
  it('[U12] of a copy is the same where it lies and where it is believed to be', () => {
    const north = given('north');
    const south = given('south');
    const first = north.does(holding({ instanceCount: 1 }));
    south.takes(...first);
    assert.equal(holdingDigest(south.study, 'north'), holdingDigest(north.study, 'north'));
    north.does(holding({ instanceCount: 2 }));
    assert.notEqual(holdingDigest(south.study, 'north'), holdingDigest(north.study, 'north'));
    assert.equal(holdingDigest(north.study, 'south'), '');
  });
});
