import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  decodeDataSet,
  element,
  privateBlock,
  privateCreator,
  studyElements,
  tags,
  uids,
} from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { answerRow, encodeRow, hopsBlock, keysOf, travelOf } from './find-rows.ts';

const creator = element('LO', privateCreator.study);
const status = element('CS', 'APPROVED');
/** Our private block, where a peer put it. */
const inBlock11: DataSetJson = { '00730011': element('LO', 'isthmus study 1.0'), '00731101': element('CS') };

describe('the keys that services pass on', () => {
  it('leave out what is no key, and hold our private ones in our own block', () => {
    const identifier = {
      [tags.QueryRetrieveLevel]: element('CS', 'STUDY'),
      [tags.InstanceAvailability]: element('CS', 'ONLINE'),
      [tags.PatientID]: element('LO', 'P1'),
      ...inBlock11,
      '00731121': element('LO', 'west'),
    };
    assert.deepEqual(keysOf(identifier), {
      [tags.PatientID]: element('LO', 'P1'),
      '00730010': creator,
      '00731001': element('CS'),
    });
  });
});

describe('an answered row', () => {
  const row: DataSetJson = {
    [tags.PatientID]: element('LO', 'P1'),
    [tags.PatientName]: element('PN', 'Doe^Jane'),
    [tags.RetrieveAETitle]: element('AE', 'NORTH'),
    [tags.InstanceAvailability]: element('CS', 'ONLINE'),
    ...privateBlock(privateCreator.study, { [studyElements.reportStatus]: status }),
  };
  const unasked = {
    [tags.QueryRetrieveLevel]: element('CS', 'STUDY'),
    [tags.RetrieveAETitle]: element('AE', 'NORTH'),
    [tags.InstanceAvailability]: element('CS', 'ONLINE'),
  };

  it('holds the keys asked for, empty where nothing is known, and no others', () => {
    const asked = { [tags.PatientID]: element('LO', 'P*'), [tags.StudyID]: element('SH') };
    assert.deepEqual(answerRow(asked, row, 'STUDY'), {
      ...unasked,
      [tags.PatientID]: element('LO', 'P1'),
      [tags.StudyID]: element('SH'),
    });
  });

  it('holds private values in the block that the asker named', () => {
    assert.deepEqual(answerRow(inBlock11, row, 'STUDY'), { ...unasked, ...inBlock11, '00731101': status });
  });

  it('holds the whole private block for a linked asker that names none of it', () => {
    const answer = answerRow({}, row, 'STUDY', true);
    assert.deepEqual(answer, { ...unasked, '00730010': creator, '00731001': status });
    assert.deepEqual(answerRow({}, row, 'STUDY'), unasked);
  });

  it('loses a value that its VR cannot carry, not the row', () => {
    const emptied: string[] = [];
    const bytes = encodeRow(
      { [tags.PatientID]: element('LO', 'P1'), [tags.SeriesNumber]: element('US', 'seven') },
      uids.ExplicitVrLittleEndian,
      (tag) => emptied.push(tag),
    );
    assert.deepEqual(decodeDataSet(bytes, uids.ExplicitVrLittleEndian)[tags.PatientID], element('LO', 'P1'));
    assert.deepEqual(emptied, [tags.SeriesNumber]);
  });
});

describe('the travel of a linked request', () => {
  it('is read from whatever block it lies in', () => {
    assert.deepEqual(travelOf(hopsBlock(['west', 'hub'])), { hops: ['west', 'hub'], remainingMs: undefined });
    const identifier = {
      '00730020': creator,
      '00732021': element('LO', 'west'),
      '00732022': element('UL', 1_500),
    };
    assert.deepEqual(travelOf(identifier), { hops: ['west'], remainingMs: 1_500 });
    assert.deepEqual(travelOf({}), { hops: [], remainingMs: undefined });
  });
});
