import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { element, tags } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { isRefusal, levelOf, scopeOfMove } from './identifier.ts';

const at = (level: string, keys: DataSetJson = {}): DataSetJson => ({
  [tags.QueryRetrieveLevel]: element('CS', level),
  ...keys,
});
const uidsAt = (tag: string, ...values: string[]): DataSetJson => ({ [tag]: element('UI', ...values) });

describe('the level of an identifier', () => {
  it('is required and one of the model', () => {
    assert.equal(levelOf(at('SERIES'), 'STUDY_ROOT'), 'SERIES');
    assert.equal(levelOf(at('PATIENT'), 'PATIENT_ROOT'), 'PATIENT');
    for (const bad of [
      levelOf({}, 'STUDY_ROOT'),
      levelOf(at('PATIENT'), 'STUDY_ROOT'),
      levelOf(at('X'), 'STUDY_ROOT'),
    ]) {
      assert.ok(isRefusal(bad));
      assert.equal(bad.status, 0xa900);
      assert.ok(bad.errorComment.length <= 64);
    }
  });
});

describe('the scope of a C-MOVE', () => {
  it('takes lists at its own level, once each, and a single study above', () => {
    const studies = uidsAt(tags.StudyInstanceUID, '1.2', '1.3', '1.2');
    assert.deepEqual(scopeOfMove(at('STUDY', studies), 'STUDY_ROOT'), {
      level: 'STUDY',
      studyInstanceUids: ['1.2', '1.3'],
    });
    const series = {
      ...uidsAt(tags.StudyInstanceUID, '1.2'),
      ...uidsAt(tags.SeriesInstanceUID, '1.4', '1.5'),
    };
    assert.deepEqual(scopeOfMove(at('SERIES', series), 'STUDY_ROOT'), {
      level: 'SERIES',
      studyInstanceUids: ['1.2'],
      seriesInstanceUids: ['1.4', '1.5'],
    });
    const images = { ...series, ...uidsAt(tags.SOPInstanceUID, '1.6') };
    assert.deepEqual(scopeOfMove(at('IMAGE', images), 'STUDY_ROOT'), {
      level: 'IMAGE',
      studyInstanceUids: ['1.2'],
      seriesInstanceUids: ['1.4', '1.5'],
      sopInstanceUids: ['1.6'],
    });
    const patient = { [tags.PatientID]: element('LO', 'P1') };
    assert.deepEqual(scopeOfMove(at('PATIENT', patient), 'PATIENT_ROOT'), {
      level: 'PATIENT',
      patientId: 'P1',
      studyInstanceUids: [],
    });
  });

  it('refuses missing unique keys, wildcards, and lists above its level', () => {
    const one = uidsAt(tags.StudyInstanceUID, '1.2');
    const refused = [
      at('PATIENT'),
      at('STUDY'),
      at('STUDY', uidsAt(tags.StudyInstanceUID, '1.2.*')),
      at('SERIES', one),
      at('IMAGE', one),
      at('SERIES', {
        ...uidsAt(tags.StudyInstanceUID, '1.2', '1.3'),
        ...uidsAt(tags.SeriesInstanceUID, '1.4'),
      }),
    ];
    for (const identifier of refused) assert.ok(isRefusal(scopeOfMove(identifier, 'PATIENT_ROOT')));
  });
});
