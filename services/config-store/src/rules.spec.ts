import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { emptyConfiguration } from '@isthmus/domain';
import type { Configuration, Link, Station } from '@isthmus/domain';
import { linkOf, stationOf } from './entities.ts';
import type { LinkInput, StationInput } from './entities.ts';
import {
  isThirdParty,
  linkWarnings,
  refuseCluster,
  refuseLink,
  refuseStation,
  refuseStationRemoval,
} from './rules.ts';

const cluster = { id: 'north', name: 'North', aeTitle: 'NORTH', patientDomain: 'DEMO' };
const address = { host: '127.0.0.1', port: 104 };
const south = stationOf({ aeTitle: 'SOUTH', ...address, kind: 'cluster', cluster: 'south' });
const archive = stationOf({ aeTitle: 'ARCHIVE', ...address, kind: 'third-party', alsoSendsAs: ['ARCHIVE2'] });
const scanner = stationOf({ aeTitle: 'CT1', ...address, kind: 'modality' });

function given(stations: Station[], links: Link[] = []): Configuration {
  return {
    ...emptyConfiguration,
    cluster,
    stations: new Map(stations.map((station) => [station.aeTitle, station])),
    links: new Map(links.map((link) => [link.peer, link])),
  };
}
const station = (change: Partial<StationInput>): Station =>
  stationOf({ aeTitle: 'NEW', ...address, kind: 'workstation', ...change });
const codeOf = (refusal: { code: string; pointer: string } | undefined): string | undefined =>
  refusal && `${refusal.code} ${refusal.pointer}`;

describe('stations', () => {
  const now = given([south, archive], [linkOf({ peer: 'south' }, false)]);
  const refused = (change: Partial<StationInput>) => codeOf(refuseStation(now, 'north', station(change)));

  it('[L1] have unique AE titles, also those they send as, and never the cluster’s own', () => {
    assert.equal(refused({}), undefined);
    assert.equal(refused({ aeTitle: 'NORTH' }), 'AE_TITLE_IN_USE /aeTitle');
    assert.equal(refused({ aeTitle: 'ARCHIVE2' }), 'AE_TITLE_IN_USE /aeTitle');
    assert.equal(refused({ alsoSendsAs: ['X', 'SOUTH'] }), 'AE_TITLE_IN_USE /alsoSendsAs/1');
    assert.equal(refused({ alsoSendsAs: ['NEW'] }), 'AE_TITLE_IN_USE /alsoSendsAs/0');
    assert.equal(refuseStation(now, 'north', { ...archive, port: 105 }), undefined);
  });

  it('[L1] of kind cluster name one cluster, that no other station stands for and that is not this one', () => {
    assert.equal(refused({ kind: 'cluster' }), 'CLUSTER_MISSING /cluster');
    assert.equal(refused({ cluster: 'east' }), 'CLUSTER_NOT_FOR_KIND /cluster');
    assert.equal(refused({ kind: 'cluster', cluster: 'north' }), 'CLUSTER_IS_SELF /cluster');
    assert.equal(refused({ kind: 'cluster', cluster: 'south' }), 'CLUSTER_HAS_STATION /cluster');
    assert.equal(refused({ kind: 'cluster', cluster: 'east' }), undefined);
  });

  it('[Q13] have certificates only where they come by TLS alone', () => {
    assert.equal(refused({ certificates: ['CN=NEW'] }), 'CERTIFICATES_WITHOUT_TLS /certificates');
    assert.equal(refused({ certificates: ['CN=NEW'], tls: true }), undefined);
    assert.equal(refused({ certificates: [] }), undefined);
  });

  it('stay as they are while a link needs them', () => {
    const moved = stationOf({ aeTitle: 'SOUTH', ...address, kind: 'third-party' });
    assert.equal(codeOf(refuseStation(now, 'north', moved)), 'STATION_HAS_LINK /kind');
    assert.equal(codeOf(refuseStationRemoval(now, south)), 'STATION_HAS_LINK ');
    assert.equal(refuseStationRemoval(now, archive), undefined);
  });

  it('cannot take the AE title that the cluster wants, nor the cluster another id', () => {
    assert.equal(codeOf(refuseCluster(now, 'north', { ...cluster, id: 'east' })), 'CLUSTER_ID_FIXED /id');
    assert.equal(
      codeOf(refuseCluster(now, 'north', { ...cluster, aeTitle: 'SOUTH' })),
      'AE_TITLE_IN_USE /aeTitle',
    );
  });
});

describe('links', () => {
  const now = given([south, archive, scanner]);
  const link = (input: LinkInput): Link => linkOf(input, isThirdParty(now, input.peer));
  const refused = (input: LinkInput) => codeOf(refuseLink(now, 'north', link(input)));

  it('[L2] have every switch on in both directions unless something else is said', () => {
    const on = { in: true, out: true };
    const all = { enabled: true, internalQueries: on, externalQueries: on, updates: on, prefetching: on };
    assert.deepEqual(link({ peer: 'south' }), { peer: 'south', ...all });
    const half = link({ peer: 'south', updates: { out: false } });
    assert.deepEqual(half.updates, { in: true, out: false });
  });

  it('[L2] need the station of the cluster, or a third-party station', () => {
    assert.equal(refused({ peer: 'south' }), undefined);
    assert.equal(refused({ peer: 'ARCHIVE' }), undefined);
    assert.equal(refused({ peer: 'SOUTH' }), 'STATION_MISSING /peer');
    assert.equal(refused({ peer: 'CT1' }), 'STATION_MISSING /peer');
    assert.equal(refused({ peer: 'east' }), 'STATION_MISSING /peer');
    assert.equal(refused({ peer: 'north' }), 'PEER_IS_SELF /peer');
  });

  it('[L2] refuse Link Cluster Updates with a third party, and leave them off when nothing is said', () => {
    assert.deepEqual(link({ peer: 'ARCHIVE' }).updates, { in: false, out: false });
    assert.equal(refused({ peer: 'ARCHIVE', updates: { out: true } }), 'UPDATES_NOT_SPOKEN /updates/out');
    assert.equal(refused({ peer: 'ARCHIVE', updates: { in: true } }), 'UPDATES_NOT_SPOKEN /updates/in');
  });

  it('[L2] warn of prefetching without internal queries, by direction', () => {
    assert.deepEqual(linkWarnings(link({ peer: 'south' })), []);
    const warnings = linkWarnings(link({ peer: 'south', internalQueries: { in: false } }));
    assert.deepEqual(
      warnings.map(({ pointer }) => pointer),
      ['/prefetching/in'],
    );
    const quiet = link({ peer: 'south', internalQueries: { in: false }, prefetching: { in: false } });
    assert.deepEqual(linkWarnings(quiet), []);
  });
});
