import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { instanceStored } from '../test/given-study.ts';
import { digest } from './digest.ts';
import { headerRegisters } from './headers.ts';
import { registerText } from './holders.ts';
import { mergeRegisters } from './merge.ts';
import { personNameJson, personNameText } from './person-name.ts';

describe('registers from headers', () => {
  it('give the same state whatever order the objects arrive in', () => {
    const facts = ['1.1', '1.2', '1.3'].map((sopInstanceUid, place) =>
      instanceStored({
        sopInstanceUid,
        header: {
          '00100020': { vr: 'LO', Value: ['P1'] },
          '00081030': { vr: 'LO', Value: [`description ${place}`] },
        },
      }),
    );
    fc.assert(
      fc.property(fc.shuffledSubarray(facts, { minLength: 3 }), (order) => {
        const merged = order.map((fact) => headerRegisters(fact).study).reduce(mergeRegisters);
        assert.equal(registerText(merged, 'studyDescription'), 'description 2');
        assert.equal(
          digest(merged),
          digest(facts.map((fact) => headerRegisters(fact).study).reduce(mergeRegisters)),
        );
      }),
    );
  });
  it('say nothing of the patient when the copy is provisional', () => {
    const { study, patient } = headerRegisters(instanceStored({ provisional: true }));
    assert.deepEqual(patient, {});
    assert.equal('patient' in study, false);
    assert.equal(registerText(study, 'accessionNumber'), 'A1');
  });
  it('take the issuer from the header before that of the station', () => {
    const header = {
      '00100020': { vr: 'LO', Value: ['P1 '] },
      '00100021': { vr: 'LO', Value: ['HOSPITAL'] },
    };
    assert.equal(headerRegisters(instanceStored({ header })).patientKey, 'P1^^^HOSPITAL');
    assert.equal(headerRegisters(instanceStored()).patientKey, 'P1^^^NORTH');
  });
  it('keep strangers without a Patient ID apart, a patient for each study', () => {
    const keyOf = (studyInstanceUid: string): string =>
      headerRegisters(instanceStored({ studyInstanceUid, header: {} })).patientKey;
    assert.notEqual(keyOf('1.1'), keyOf('1.2'));
  });
  it('let an empty element say nothing', () => {
    const header = {
      '00100020': { vr: 'LO', Value: ['P1'] },
      '00080050': { vr: 'SH', Value: [] },
      '00081030': { vr: 'LO' },
    };
    assert.deepEqual(Object.keys(headerRegisters(instanceStored({ header })).study), ['patient']);
  });
  it('read the Global Patient ID by its creator, in whatever block and case', () => {
    const header = {
      '00100020': { vr: 'LO', Value: ['P1'] },
      '00310010': { vr: 'LO', Value: ['AGFA PACS Archive Mirroring 1.0'] },
      '00310011': { vr: 'LO', Value: ['Mitra Linked Attributes 1.0'] },
      '00311020': { vr: 'LO', Value: ['not it'] },
      '00311120': { vr: 'LO', Value: ['GPI7'] },
    };
    assert.equal(registerText(headerRegisters(instanceStored({ header })).patient, 'globalId'), 'GPI7');
  });
  it('survive a header that is not as it should be', () => {
    const header = { '00100020': { vr: 'LO', Value: [{ odd: 1 }] }, '00100010': { vr: 'PN', Value: [3] } };
    assert.equal(headerRegisters(instanceStored({ header })).patientKey.startsWith('^^^'), true);
  });
});

describe('person names', () => {
  it('keep their component groups between text and JSON', () => {
    const name = { Alphabetic: 'Yamada^Tarou', Ideographic: '山田^太郎', Phonetic: 'やまだ^たろう' };
    assert.equal(personNameText(name), 'Yamada^Tarou=山田^太郎=やまだ^たろう');
    assert.deepEqual(personNameJson(personNameText(name)), name);
    assert.equal(personNameText({ Alphabetic: 'DOE^JANE' }), 'DOE^JANE');
    assert.deepEqual(personNameJson('=山田'), { Ideographic: '山田' });
  });
});
