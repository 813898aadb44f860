import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { element, tags } from '@isthmus/dicom';
import { emptyConfiguration } from '@isthmus/domain';
import type { Configuration, Link, Station } from '@isthmus/domain';
import { instanceEventId, instanceStoredEvent, originOf } from './instance-stored.ts';

const station = (more: Partial<Station> & { aeTitle: string }): Station => ({
  host: '10.0.0.5',
  port: 104,
  tls: false,
  kind: 'modality',
  archive: false,
  alsoSendsAs: [],
  keepsStatus: true,
  ...more,
});
const both = { in: true, out: true };
const link = (peer: string, updates = both): Link => ({
  peer,
  enabled: true,
  internalQueries: both,
  externalQueries: both,
  updates,
  prefetching: both,
});
const configuration: Configuration = {
  ...emptyConfiguration,
  cluster: { id: 'north', name: 'North', aeTitle: 'NORTH', patientDomain: 'NORTHDOM' },
  stations: new Map(
    [
      station({ aeTitle: 'CT1', patientDomain: 'CTDOM' }),
      station({ aeTitle: 'SOUTH', kind: 'cluster', cluster: 'south' }),
      station({ aeTitle: 'EAST', kind: 'cluster', cluster: 'east' }),
      station({ aeTitle: 'PACS', kind: 'third-party' }),
    ].map((one) => [one.aeTitle, one]),
  ),
  links: new Map([
    ['south', link('south')],
    ['east', link('east', { in: false, out: true })],
    ['PACS', link('PACS')],
  ]),
};
const origin = (callingAeTitle: string, pulledFrom?: string) => {
  const { pulledFrom: from, provisional } = originOf(configuration, { callingAeTitle, pulledFrom });
  return [from, provisional];
};

describe('where an object came from', () => {
  it('[R4] tells a new acquisition from a copy', () => {
    assert.deepEqual(origin('CT1'), [undefined, false]);
    assert.deepEqual(origin('STRANGER'), [undefined, false]);
    assert.deepEqual(origin('SOUTH'), ['south', true]);
    assert.deepEqual(origin('SOUTH', 'south'), ['south', true]);
  });

  it('[R4] believes the header of a copy when no state will follow it', () => {
    assert.deepEqual(origin('EAST', 'east'), ['east', false]);
    assert.deepEqual(origin('PACS', 'PACS'), ['PACS', false]);
  });
});

describe('the fact of a stored object', () => {
  const facts = {
    studyInstanceUid: '1.2',
    seriesInstanceUid: '1.2.1',
    sopInstanceUid: '1.2.1.1',
    sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
    transferSyntaxUid: '1.2.840.10008.1.2.1',
    file: 'objects/00/x.dcm',
    fileBytes: 1,
    dataSetChecksum: 'ab',
    callingAeTitle: 'CT1',
  };
  const event = (header: object, callingAeTitle: string) =>
    instanceStoredEvent(facts, {
      cluster: 'north',
      configuration,
      header: header as never,
      origin: originOf(configuration, { callingAeTitle, pulledFrom: undefined }),
      now: new Date(0),
    });

  it('[Q10] takes the issuer from the header, else from the station, else from the cluster', () => {
    const named = { [tags.IssuerOfPatientID]: element('LO', 'OTHERDOM') };
    assert.equal(event(named, 'CT1').data.issuer, 'OTHERDOM');
    assert.equal(event({}, 'CT1').data.issuer, 'CTDOM');
    assert.equal(event({}, 'STRANGER').data.issuer, 'NORTHDOM');
  });

  it('[U11] is the same event for the same bytes, and another for others', () => {
    assert.equal(event({}, 'CT1').id, event({}, 'STRANGER').id);
    assert.notEqual(instanceEventId('1.2', 'ab'), instanceEventId('1.2', 'ac'));
    assert.match(
      event({}, 'CT1').id,
      /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
  });
});
