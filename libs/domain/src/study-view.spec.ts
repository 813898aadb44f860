import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { given, reportStatus } from '../test/given-study.ts';
import { greatestStamp } from './greatest-stamp.ts';
import { studyStamp } from './study-view.ts';

describe('what an ETag of a study says', () => {
  it('is 0 before any edit, then the newest stamp, of the patient too', () => {
    const site = given('north');
    assert.match(studyStamp(site.study, {}), /^0-[0-9a-f]{16}$/);
    site.does(reportStatus('DICTATED'));
    const newest = greatestStamp(site.study);
    assert.equal(studyStamp(site.study, {}).split('-')[0], newest);
    assert.equal(studyStamp({}, site.study).split('-')[0], newest);
  });

  it('stays while a claim is renewed', () => {
    const { study } = given('north');
    const renewed = { ...study, claimRenewals: { t: 'max', value: '7' } as const };
    assert.equal(studyStamp(renewed, {}), studyStamp(study, {}));
  });

  it('differs when only headers differ, that carry no stamp', () => {
    const one = given('north');
    const other = given('north', { header: {} });
    assert.notEqual(studyStamp(one.study, {}), studyStamp(other.study, {}));
  });
});
