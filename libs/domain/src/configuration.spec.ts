import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConfigurationChange, Link, Station } from './configuration.ts';
import {
  emptyConfiguration,
  evolveConfiguration,
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
