import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { given, holding, StudyAt, studyInstanceUid } from '../test/given-study.ts';
import type { RecordVerification } from './commands.ts';
import type { RegisterMap } from './registers.ts';
import { fixupOf, verificationOf } from './verification.ts';

const verified = (more: Partial<RecordVerification> = {}): RecordVerification => ({
  type: 'RecordVerification',
  studyInstanceUid,
  state: 'VERIFIED',
  by: 'RIS1',
  ...more,
});

describe('verification', () => {
  it('is not required of a study of which nothing was said', () => {
    assert.deepEqual(given().shows().verification, { state: 'NOT_REQUIRED', by: null, at: null });
    const odd = { verification: { t: 'lww', value: { state: 'SURE' }, rank: 1, hlc: '', origin: '' } };
    assert.equal(verificationOf(odd as RegisterMap).state, 'NOT_REQUIRED');
  });
  it('[H2] says what was found, by whom and when, once', () => {
    const north = given();
    north.does(holding());
    const at = '2024-02-01T10:00:00Z';
    assert.equal(north.does(verified({ state: 'FAILED', at })).length, 1);
    assert.deepEqual(north.shows().verification, { state: 'FAILED', by: 'RIS1', at });
    assert.deepEqual(north.does(verified({ state: 'FAILED' })), []);
    north.does(verified());
    assert.equal(north.shows().verification.state, 'VERIFIED');
  });
  it('[H2] is decided by the home alone', () => {
    const south = given('south').takes(...given('north').does(holding()));
    south.refuses(verified(), 'NOT_HOME');
    new StudyAt('north').refuses(verified(), 'STUDY_UNKNOWN');
  });
  it('is refused when it is none, or nobody says it', () => {
    given().refuses(verified({ state: 'SURE' as 'VERIFIED' }), 'VALUE_INVALID', '/state');
    given().refuses(verified({ by: '' }), 'VALUE_INVALID', '/by');
  });
});

describe('a fixup', () => {
  const fixup = {
    type: 'ChangeStudy',
    studyInstanceUid,
    accessionNumber: 'A7',
    patient: { name: 'ROE^JANE' },
    fixup: { reason: 'wrong worklist entry' },
    by: 'admin',
  } as const;

  it('[U6] ranks as the RIS does, and is remembered with what it corrected', () => {
    const north = given();
    const events = north.does(fixup);
    assert.deepEqual(
      events.map(({ type }) => type),
      ['StudyDemographicsChanged', 'StudyFixedUp', 'PatientDemographicsChanged'],
    );
    const { at, ...rest } = fixupOf(north.study) ?? { at: '' };
    assert.match(at, /^1970-/);
    assert.deepEqual(rest, {
      by: 'admin',
      reason: 'wrong worklist entry',
      fields: ['accessionNumber', 'name'],
    });
    const other = given('south');
    other.nowMs += 60_000;
    north.takes(...other.does({ type: 'ChangeStudy', studyInstanceUid, accessionNumber: 'A8' }));
    assert.equal(north.shows().accessionNumber, 'A7');
  });
  it('that changes nothing is none', () => {
    const north = given();
    north.does(fixup);
    assert.deepEqual(north.does(fixup), []);
    assert.equal(fixupOf(given().study), undefined);
    given().refuses({ ...fixup, fixup: { reason: 'x'.repeat(257) } }, 'VALUE_INVALID', '/fixup/reason');
  });
});
