import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { element, numberOf, stringOf, stringsOf, tags } from '@isthmus/dicom';
import fc from 'fast-check';
import { linkedElements, readLinkedFacts } from './linked-row.ts';
import type { LinkedFacts } from './linked-row.ts';
import { mergeRows } from './merge-rows.ts';
import type { SourceRow } from './merge-rows.ts';

const nothing: LinkedFacts = {
  reportStatus: 'NEW',
  subStatus: '',
  imageCount: undefined,
  globalPatientId: '',
  homeCluster: '',
  holders: [],
  reports: [],
  comments: [],
  stateAsOf: '',
};

interface RowFacts extends Partial<LinkedFacts> {
  readonly study?: string;
  readonly patient?: string;
  readonly issuer?: string;
  readonly name?: string;
  readonly availability?: string;
  readonly count?: number;
  readonly modalities?: readonly string[];
  readonly local?: boolean;
  /** A third party's row: no private block. */
  readonly plain?: boolean;
}

function row(source: string, facts: RowFacts = {}): SourceRow {
  const { study = '1.1', patient = 'P1', issuer = 'NORTH', availability = 'ONLINE', ...rest } = facts;
  const holders = rest.holders ?? [
    { cluster: source, complete: true, availability, instanceCount: rest.count ?? 1 },
  ];
  return {
    source,
    local: facts.local ?? false,
    row: {
      [tags.StudyInstanceUID]: element('UI', study),
      [tags.PatientID]: element('LO', patient),
      [tags.IssuerOfPatientID]: element('LO', issuer),
      [tags.PatientName]: element('PN', facts.name ?? ''),
      [tags.InstanceAvailability]: element('CS', availability),
      [tags.NumberOfStudyRelatedInstances]: element('IS', facts.count ?? 1),
      [tags.ModalitiesInStudy]: element('CS', ...(facts.modalities ?? ['CT'])),
      ...(facts.plain ? {} : linkedElements({ ...nothing, ...rest, holders })),
    },
  };
}

describe('merging the rows of several clusters', () => {
  it('[Q9] gives the same rows whatever the order of arrival, and for rows that come twice', () => {
    const source = fc.constantFrom('north', 'south', 'east', 'ORTHANC');
    const facts = fc.record({
      study: fc.constantFrom('1.1', '1.2'),
      patient: fc.constantFrom('P1', 'P2', ''),
      issuer: fc.constantFrom('NORTH', 'SOUTH'),
      name: fc.constantFrom('', 'Doe^Jane', 'Roe^Jane'),
      availability: fc.constantFrom('ONLINE', 'NEARLINE', 'OFFLINE', ''),
      count: fc.integer({ min: 0, max: 3 }),
      modalities: fc.subarray(['CT', 'MR', 'PR']),
      homeCluster: fc.constantFrom('', 'north', 'south'),
      stateAsOf: fc.constantFrom('', '2024-01-01T00:00:00.000Z', '2024-02-01T00:00:00.000Z'),
      plain: fc.boolean(),
    });
    const rows = fc.array(
      fc.tuple(source, facts).map(([name, one]) => row(name, { ...one, local: name === 'north' })),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(
        rows.chain((some) =>
          fc.tuple(
            fc.constant(some),
            fc.shuffledSubarray(some, { minLength: some.length }),
            fc.subarray(some),
          ),
        ),
        fc.constantFrom('PATIENT' as const, 'STUDY' as const),
        ([some, shuffled, again], level) => {
          const merged = mergeRows(level, some);
          assert.deepEqual(mergeRows(level, shuffled), merged);
          assert.deepEqual(mergeRows(level, [...shuffled, ...again]), merged);
          const keys = merged.rows.map(({ row: one }) =>
            level === 'STUDY'
              ? stringOf(one, tags.StudyInstanceUID)
              : `${stringOf(one, tags.PatientID)}/${stringOf(one, tags.IssuerOfPatientID)}`,
          );
          assert.equal(new Set(keys).size, keys.length, 'no duplicates');
        },
      ),
      { numRuns: 500 },
    );
  });

  it('[Q9] the local row wins, then the home, then a complete copy, then the most available', () => {
    const name = (...rows: SourceRow[]): string =>
      stringOf(mergeRows('STUDY', rows).rows[0]!.row, tags.PatientName)!;
    const local = row('north', { name: 'Local', local: true });
    const home = row('west', { name: 'Home', homeCluster: 'west', availability: 'OFFLINE' });
    const partial = { cluster: 'east', complete: false, availability: 'ONLINE', instanceCount: 1 };
    const incomplete = row('east', { name: 'Incomplete', holders: [partial] });
    const near = row('south', { name: 'Near', availability: 'NEARLINE' });
    const online = row('zoo', { name: 'Online' });
    assert.equal(name(incomplete, near, online, home, local), 'Local');
    assert.equal(name(incomplete, near, online, home), 'Home');
    assert.equal(name(incomplete, near, online), 'Online');
    assert.equal(name(incomplete, near), 'Near');
  });

  it('unites holders, each as it says of itself, modalities, and takes the greatest counts', () => {
    const said = (cluster: string, instanceCount: number) => ({
      cluster,
      complete: true,
      availability: 'ONLINE',
      instanceCount,
    });
    const merged = mergeRows('STUDY', [
      row('north', { holders: [said('north', 3), said('south', 1)], count: 3, modalities: ['CT'] }),
      row('south', { holders: [said('south', 2)], count: 2, modalities: ['PR', 'CT'] }),
      row('ORTHANC', { plain: true, count: 1 }),
    ]).rows[0]!;
    assert.deepEqual(
      readLinkedFacts(merged.row).holders.map(({ cluster, instanceCount }) => [cluster, instanceCount]),
      [
        ['ORTHANC', 1],
        ['north', 3],
        ['south', 2],
      ],
    );
    assert.deepEqual(stringsOf(merged.row, tags.ModalitiesInStudy), ['CT', 'PR']);
    assert.equal(numberOf(merged.row, tags.NumberOfStudyRelatedInstances), 3);
  });

  it('a cluster that answers and does not name itself holds nothing, whatever others believe', () => {
    const south = { cluster: 'south', complete: true, availability: 'ONLINE', instanceCount: 1 };
    const north = { ...south, cluster: 'north' };
    const merged = mergeRows('STUDY', [
      row('north', { holders: [north, south] }),
      row('south', { holders: [north] }),
    ]);
    assert.deepEqual(
      readLinkedFacts(merged.rows[0]!.row).holders.map(({ cluster }) => cluster),
      ['north'],
    );
  });

  it('[Q9] the same UID of two patients is never one row: the home is answered, the other is a conflict', () => {
    const merged = mergeRows('STUDY', [
      row('east', { patient: 'P9', name: 'Other^Person' }),
      row('south', { homeCluster: 'south', name: 'Doe^Jane' }),
    ]);
    assert.equal(merged.rows.length, 1);
    assert.equal(stringOf(merged.rows[0]!.row, tags.PatientName), 'Doe^Jane');
    assert.deepEqual(merged.rows[0]!.sources, ['south']);
    assert.deepEqual(merged.conflicts, [{ studyInstanceUid: '1.1', shown: 'south', hidden: ['east'] }]);
  });

  it('[Q10] the same bare ID of two issuers stays two patients', () => {
    const { rows } = mergeRows('PATIENT', [row('north'), row('south', { issuer: 'SOUTH' }), row('east')]);
    assert.deepEqual(
      rows.map((one) => [stringOf(one.row, tags.IssuerOfPatientID), one.sources]),
      [
        ['NORTH', ['east', 'north']],
        ['SOUTH', ['south']],
      ],
    );
  });
});
