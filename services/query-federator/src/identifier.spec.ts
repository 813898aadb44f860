import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { element, matchesIdentifier, tags } from '@isthmus/dicom';
import { answerRow, readIdentifier } from './identifier.ts';
import { linkedElements, linkedRequest, readLinkedFacts, readOutcomeRow } from './linked-row.ts';
import type { LinkedFacts } from './linked-row.ts';

const facts: LinkedFacts = {
  reportStatus: 'APPROVED',
  subStatus: 'preliminary',
  imageCount: 12,
  globalPatientId: 'GPI1',
  homeCluster: 'south',
  holders: [{ cluster: 'south', complete: true, availability: 'ONLINE', instanceCount: 13 }],
  reports: [
    {
      accessionNumber: 'A1',
      status: 'APPROVED',
      subStatus: '',
      by: 'Dr Reader',
      at: '2024-02-01T10:00:00.000Z',
      reportId: 'R1',
    },
  ],
  comments: [{ text: 'see prior', author: 'Rita', at: '2024-02-01T10:00:00.000Z' }],
  stateAsOf: '2024-02-01T10:00:00.123Z',
};
/** The block of a peer whose toolkit took block 11. */
const foreignBlock = {
  '00730011': element('LO', 'isthmus study 1.0'),
  '00731101': element('CS', 'APPROVED'),
  '00731108': element('LO'),
};

describe('reading an identifier', () => {
  it('sorts keys to match, keys to answer and keys that cannot be applied', () => {
    const query = readIdentifier(
      {
        [tags.SpecificCharacterSet]: element('CS', 'ISO_IR 192'),
        [tags.QueryRetrieveLevel]: element('CS', 'STUDY'),
        [tags.PatientID]: element('LO', 'P1'),
        [tags.PatientName]: element('PN'),
        [tags.InstanceAvailability]: element('CS', 'ONLINE'),
        [tags.SeriesInstanceUID]: element('UI', '1.2'),
        '00090010': element('LO', 'SOMEBODY ELSE'),
        '00091001': element('LO', 'x'),
      },
      'STUDY',
      false,
    );
    assert.deepEqual(query.matching, { [tags.PatientID]: element('LO', 'P1') });
    assert.deepEqual(query.asked, [tags.PatientID, tags.PatientName]);
    assert.deepEqual([...query.notApplied].sort(), ['00091001', tags.SeriesInstanceUID].sort());
  });

  it('finds linked keys in whatever block, and only for askers that may have them', () => {
    const row = { [tags.PatientID]: element('LO', 'P1'), ...linkedElements(facts) };
    const query = readIdentifier(foreignBlock, 'STUDY', true);
    assert.deepEqual(query.asked, ['00731001', '00731008']);
    assert.equal(matchesIdentifier(query.matching, row), true);
    const other = readIdentifier({ ...foreignBlock, '00731101': element('CS', 'NEW') }, 'STUDY', true);
    assert.equal(matchesIdentifier(other.matching, row), false);
    const stranger = readIdentifier(foreignBlock, 'STUDY', false);
    assert.deepEqual([stranger.asked, stranger.matching, stranger.notApplied], [[], {}, ['00731101']]);
  });

  it('reads hops and remaining time, which are no keys', () => {
    const query = readIdentifier(linkedRequest(['north', 'hub'], 1500.7), 'STUDY', true);
    assert.deepEqual(query.carried, { hops: ['north', 'hub'], remainingMs: 1500 });
    assert.deepEqual([query.asked, query.notApplied], [[], []]);
  });
});

describe('answering a row', () => {
  const row = {
    [tags.StudyInstanceUID]: element('UI', '1.1'),
    [tags.PatientName]: element('PN', 'Doe^Jane'),
    [tags.RetrieveAETitle]: element('AE', 'NORTH'),
    [tags.InstanceAvailability]: element('CS', 'ONLINE'),
    ...linkedElements(facts),
  };

  it('gives what was asked, empty where nothing is known, and three elements unasked', () => {
    const identifier = { [tags.StudyInstanceUID]: element('UI'), [tags.StudyDescription]: element('LO') };
    assert.deepEqual(answerRow(row, readIdentifier(identifier, 'STUDY', false), false), {
      [tags.QueryRetrieveLevel]: element('CS', 'STUDY'),
      [tags.RetrieveAETitle]: element('AE', 'NORTH'),
      [tags.InstanceAvailability]: element('CS', 'ONLINE'),
      [tags.StudyInstanceUID]: element('UI', '1.1'),
      [tags.StudyDescription]: { vr: 'LO' },
    });
  });

  it('gives linked askers the private keys, and the facts come back as they were', () => {
    const answer = answerRow(
      row,
      readIdentifier({ [tags.StudyInstanceUID]: element('UI') }, 'STUDY', true),
      true,
    );
    assert.deepEqual(readLinkedFacts(answer), facts);
    const named = answerRow(row, readIdentifier(foreignBlock, 'STUDY', true), true);
    assert.deepEqual(
      Object.keys(named)
        .filter((tag) => tag.startsWith('0073'))
        .sort(),
      ['00730010', '00731001', '00731008'],
    );
  });

  it('a match that names outcomes without values is no outcome row', () => {
    assert.equal(readOutcomeRow({ ...row, '00731030': element('SQ') }), undefined);
  });
});
