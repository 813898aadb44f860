import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { element, tags } from '@isthmus/dicom';
import { thirdPartyIdentifier } from './third-party.ts';

describe('[Q6] an identifier to a third party', () => {
  it('holds known keys with their values, some others without, and nothing else', () => {
    const sent = thirdPartyIdentifier({
      [tags.QueryRetrieveLevel]: element('CS', 'STUDY'),
      [tags.PatientID]: element('LO', 'P1'),
      [tags.StudyDescription]: element('LO', 'CHEST*'),
      [tags.IssuerOfPatientID]: element('LO', 'DOM'),
      [tags.StudyStatusID]: element('CS'),
      [tags.InterpretationStatusID]: element('CS'),
      [tags.TimezoneOffsetFromUTC]: element('SH'),
      [tags.InstanceAvailability]: element('CS'),
      '00730010': element('LO', 'ISTHMUS STUDY 1.0'),
      '00731001': element('CS'),
    });
    assert.deepEqual(sent, {
      [tags.QueryRetrieveLevel]: element('CS', 'STUDY'),
      [tags.PatientID]: element('LO', 'P1'),
      [tags.StudyDescription]: element('LO'),
    });
  });
});
