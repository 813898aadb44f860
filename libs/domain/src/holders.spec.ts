import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { given, holding } from '../test/given-study.ts';
import { canonicalJson } from './canonical.ts';
import { holders, patientHeldAt, patientsHeld } from './holders.ts';
import type { JsonValue, LwwRegister, RegisterMap } from './registers.ts';
import { studyView } from './study-view.ts';

type JsonObject = { readonly [name: string]: JsonValue };

/** The entry that a version before this one wrote for its cluster. */
function olderHolder(cluster: string, availability: string, more: JsonObject = {}): RegisterMap {
  const value = { holds: true, complete: true, instanceCount: 1, scope: 'full', availability, ...more };
  const register: LwwRegister = { t: 'lww', value, rank: 1, hlc: '0000018bcfe56800', origin: cluster };
  return { holders: { t: 'map', entries: { [cluster]: register } } };
}

describe('how available a copy is', () => {
  it('is not replicated: it is in no register that is written', () => {
    const north = given();
    const events = north.does(holding());
    assert.doesNotMatch(canonicalJson(events), /availability/);
  });
  it('[Q4] is what the caller knows, else UNKNOWN', () => {
    const north = given();
    north.does(holding());
    north.takes(...given('south').does(holding()));
    const view = studyView(north.study, north.patients, { north: 'ONLINE', east: 'OFFLINE' });
    assert.deepEqual(
      view.holders.map(({ cluster, availability }) => [cluster, availability]),
      [
        ['north', 'ONLINE'],
        ['south', 'UNKNOWN'],
      ],
    );
  });
  it('[U16] is read from the register of an older version when nobody knows better', () => {
    const study = olderHolder('south', 'NEARLINE');
    assert.equal(holders(study)[0]?.availability, 'NEARLINE');
    assert.equal(holders(study, { south: 'OFFLINE' })[0]?.availability, 'OFFLINE');
    assert.equal(holders(olderHolder('south', 'SOMEWHERE'))[0]?.availability, 'UNKNOWN');
  });
  it('[U16] makes no event when an older version said the same of this cluster, with availability', () => {
    const north = given();
    const patient = patientHeldAt(given().takes(...given().does(holding())).study, 'north') ?? '';
    north.study = { ...north.study, ...olderHolder('north', 'ONLINE', { patient }) };
    assert.deepEqual(north.does(holding({ mayBecomeHome: false })), []);
  });
});

describe('whose study a holder has', () => {
  it('[U2] is said with the copy, so that others know where a change to the patient must go', () => {
    const north = given();
    const elsewhere = given('south', { header: {} }).takes(...north.does(holding()));
    assert.deepEqual(patientsHeld(elsewhere.study), patientsHeld(north.study));
    assert.equal(patientsHeld(north.study).length, 1);
  });
  it('[U2] is said again when the study is moved to another patient, and only then', () => {
    const north = given();
    north.does(holding());
    const before = patientHeldAt(north.study, 'north');
    assert.deepEqual(north.does(holding()), []);
    north.does({ type: 'ChangeStudy', studyInstanceUid: '1.2.3', patient: { id: 'P-2' } });
    assert.equal(north.does(holding()).length, 1);
    assert.notEqual(patientHeldAt(north.study, 'north'), before);
  });
});
