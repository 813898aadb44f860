import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConfigurationChange, Link, Station } from './configuration.ts';
import {
  certificateMismatch,
  emptyConfiguration,
  evolveConfiguration,
  isCertificateOf,
  linkAllows,
  linkOfStation,
  stationOfAeTitle,
  stationOfPeer,
} from './configuration.ts';

const on = { in: true, out: true };
const off = { in: false, out: false };
const south: Station = {
  aeTitle: 'SOUTH',
  host: '127.0.0.1',
  port: 11113,
  tls: false,
  kind: 'cluster',
  cluster: 'south',
  archive: true,
  alsoSendsAs: ['SOUTH2'],
  keepsStatus: true,
};
const link: Link = {
  peer: 'south',
  enabled: true,
  internalQueries: on,
  externalQueries: on,
  updates: { in: true, out: false },
  prefetching: off,
};

function change(
  kind: 'station' | 'link',
  name: string,
  value: unknown,
  version: number,
): ConfigurationChange {
  return { kind, name, value, version, author: 'test', reason: 'test' };
}

const configured = [change('station', 'SOUTH', south, 1), change('link', 'south', link, 1)].reduce(
  evolveConfiguration,
  emptyConfiguration,
);

describe('configuration', () => {
  it('[L2] lets the master switch rule over the four options, each with a direction', () => {
    assert.deepEqual(
      [
        linkAllows(link, 'updates', 'in'),
        linkAllows(link, 'updates', 'out'),
        linkAllows(link, 'prefetching', 'in'),
      ],
      [true, false, false],
    );
    assert.equal(linkAllows({ ...link, enabled: false }, 'updates', 'in'), false);
    assert.equal(linkAllows(undefined, 'updates', 'in'), false);
  });
  it('[L1] finds a station by the names it sends as, and the link that governs it', () => {
    assert.equal(stationOfAeTitle(configured, 'SOUTH2')?.aeTitle, 'SOUTH');
    assert.equal(stationOfPeer(configured, 'south')?.aeTitle, 'SOUTH');
    assert.equal(linkOfStation(configured, south)?.peer, 'south');
    assert.equal(linkOfStation(configured, undefined), undefined);
  });
  it('takes no change that is older than what it holds, and removes by null', () => {
    assert.equal(evolveConfiguration(configured, change('link', 'south', null, 1)), configured);
    assert.equal(evolveConfiguration(configured, change('link', 'south', null, 2)).links.size, 0);
  });
});

describe('certificates of a station', () => {
  const fingerprintSha256 = Array.from({ length: 32 }, () => 'AB').join(':');
  const shown = { subject: 'CN=CT1,OU=Radiology,O=Acme\\, Inc.', fingerprintSha256 };
  const bound = (...certificates: string[]): Station => ({ ...south, tls: true, certificates });

  it('[Q13] are known by fingerprint, or by attributes of the subject', () => {
    assert.equal(isCertificateOf(bound(fingerprintSha256), shown), true);
    assert.equal(isCertificateOf(bound(fingerprintSha256.toLowerCase()), shown), true);
    assert.equal(isCertificateOf(bound('CN=CT1'), shown), true);
    assert.equal(isCertificateOf(bound('O=Acme\\, Inc.,CN=CT1'), shown), true);
    assert.equal(isCertificateOf(bound('CN=CT2', 'CN=CT1,O=Other', 'AB:CD'), shown), false);
    assert.equal(isCertificateOf(south, shown), false);
  });

  it('[Q13] a value with a comma is no second attribute', () => {
    const forged = { ...shown, subject: 'CN=X\\,CN=CT1' };
    assert.equal(isCertificateOf(bound('CN=CT1'), forged), false);
  });

  it('[Q13] are asked for where there are some; elsewhere only those of others are refused', () => {
    const ct1: Station = { ...south, aeTitle: 'CT1', certificates: ['CN=CT1'] };
    const configuration = { ...emptyConfiguration, stations: new Map([['CT1', ct1]]) };
    assert.equal(certificateMismatch(configuration, ct1, shown), undefined);
    assert.match(
      certificateMismatch(configuration, bound('CN=CT2'), shown) ?? '',
      /is none of station SOUTH/,
    );
    assert.match(certificateMismatch(configuration, south, shown) ?? '', /that of station CT1, not of SOUTH/);
    assert.equal(certificateMismatch(configuration, south, { ...shown, subject: 'CN=OTHER' }), undefined);
  });
});
