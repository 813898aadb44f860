import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { element, tags } from '@isthmus/dicom';
import { choosePriors, readPrior } from './prior.ts';
import type { Prior } from './prior.ts';

const patient = { id: 'P1', issuer: 'NORTH' };

function prior(studyInstanceUid: string, studyDate: string, changes: Partial<Prior> = {}): Prior {
  return {
    studyInstanceUid,
    studyDate,
    studyTime: '',
    studyDescription: '',
    modalities: [],
    instanceCount: undefined,
    patientId: patient.id,
    patientIssuer: patient.issuer,
    holders: [],
    ...changes,
  };
}
function chosen(rows: readonly Prior[], priorsMax = 3): readonly string[] {
  const choices = choosePriors(rows, { patient, priorsMax });
  return choices.filter((choice) => choice.chosen).map((choice) => choice.prior.studyInstanceUid);
}

describe('choosing priors', () => {
  it('[P1] takes the newest, by date, then time, then UID, whatever order the rows came in', () => {
    const rows = [
      prior('1.4', '20230101'),
      prior('1.1', '20240101', { studyTime: '0800' }),
      prior('1.3', '20240101', { studyTime: '0900' }),
      prior('1.2', '20240101', { studyTime: '0800' }),
    ];
    assert.deepEqual(chosen(rows), ['1.3', '1.1', '1.2']);
    assert.deepEqual(chosen([...rows].reverse()), ['1.3', '1.1', '1.2']);
  });
  it('takes a study without a date last', () => {
    assert.deepEqual(chosen([prior('1.1', ''), prior('1.2', '19500101')], 1), ['1.2']);
  });
  it('[Q10] never takes the same bare ID of another issuer, nor one of no issuer', () => {
    const rows = [
      prior('1.1', '20240101', { patientIssuer: 'SOUTH' }),
      prior('1.2', '20240101', { patientIssuer: '' }),
      prior('1.3', '20240101', { patientId: 'P10' }),
    ];
    assert.deepEqual(chosen(rows), []);
    assert.ok(choosePriors(rows, { patient, priorsMax: 3 }).every(({ why }) => why.length > 0));
  });
  it('passes over a row that names no study', () => {
    assert.equal(readPrior({ [tags.PatientID]: element('LO', 'P1') }), undefined);
  });
});
