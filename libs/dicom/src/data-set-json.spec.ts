import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  binaryElement,
  binaryOf,
  element,
  itemsOf,
  numberOf,
  personNameText,
  stringOf,
  stringsOf,
  tags,
  withElement,
  withoutElements,
} from './index.ts';
import type { DataSetJson } from './index.ts';

const row: DataSetJson = {
  [tags.PatientName]: element('PN', 'Yamada^Tarou=山田^太郎'),
  [tags.PatientID]: element('LO', '4711'),
  [tags.ModalitiesInStudy]: element('CS', 'CT', 'PR'),
  [tags.NumberOfStudyRelatedInstances]: element('IS', 12),
  [tags.StudyID]: element('SH', ''),
  [tags.ReferencedSeriesSequence]: element('SQ', { [tags.Modality]: element('CS', 'CT') }),
  [tags.EncapsulatedDocument]: binaryElement('OB', Buffer.from('pdf!')),
};

test('an element made of nothing has no value, so that it asks for everything in a query', () => {
  assert.deepEqual(element('LO'), { vr: 'LO' });
  assert.deepEqual(element('LO', '', undefined, null), { vr: 'LO' });
  assert.deepEqual(element('LO', 'a', '', 'b', ''), { vr: 'LO', Value: ['a', null, 'b'] });
});

test('names are groups in the model and text with equals signs to readers', () => {
  assert.deepEqual(row[tags.PatientName]!.Value, [{ Alphabetic: 'Yamada^Tarou', Ideographic: '山田^太郎' }]);
  assert.equal(stringOf(row, tags.PatientName), 'Yamada^Tarou=山田^太郎');
  assert.equal(personNameText({ Phonetic: 'x' }), '==x');
  assert.deepEqual(element('PN', '^^^^'), { vr: 'PN' });
});

test('readers give text, numbers, items and bytes, and nothing for what is absent or empty', () => {
  assert.deepEqual(stringsOf(row, tags.ModalitiesInStudy), ['CT', 'PR']);
  assert.equal(stringOf(row, tags.NumberOfStudyRelatedInstances), '12');
  assert.equal(numberOf(row, tags.NumberOfStudyRelatedInstances), 12);
  assert.equal(numberOf(row, tags.PatientID), 4711);
  assert.equal(numberOf(row, tags.PatientName), undefined);
  assert.equal(stringOf(itemsOf(row, tags.ReferencedSeriesSequence)[0]!, tags.Modality), 'CT');
  assert.equal(binaryOf(row, tags.EncapsulatedDocument)?.toString(), 'pdf!');
  for (const tag of [tags.StudyID, tags.AccessionNumber]) {
    assert.equal(stringOf(row, tag), undefined);
    assert.deepEqual(stringsOf(row, tag), []);
    assert.equal(numberOf(row, tag), undefined);
    assert.deepEqual(itemsOf(row, tag), []);
  }
});

test('setting and removing elements leaves the data set as it was', () => {
  const before = structuredClone(row);
  assert.equal(stringOf(withElement(row, tags.PatientID, element('LO', 'x')), tags.PatientID), 'x');
  assert.equal(stringOf(withoutElements(row, tags.PatientID), tags.PatientID), undefined);
  assert.deepEqual(row, before);
});
