import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { emptyConfiguration } from '@isthmus/domain';
import type { Configuration, Link, Station } from '@isthmus/domain';
import { clustersToAsk, destinationOf, mayPrefetch, sourcesOf } from './reach.ts';

const both = (on: boolean) => ({ in: on, out: on });
function link(peer: string, changes: Partial<Link> = {}): Link {
  const on = both(true);
  return {
    peer,
    enabled: true,
    internalQueries: on,
    externalQueries: on,
    updates: on,
    prefetching: on,
    ...changes,
  };
}
function station(cluster: string): Station {
  return {
    aeTitle: cluster.toUpperCase(),
    host: '127.0.0.1',
    port: 1,
    tls: false,
    kind: 'cluster',
    cluster,
    archive: true,
    alsoSendsAs: [],
    keepsStatus: true,
  };
}
function configured(...links: readonly Link[]): Configuration {
  return {
    ...emptyConfiguration,
    links: new Map(links.map((one) => [one.peer, one])),
    stations: new Map(links.map(({ peer }) => [peer.toUpperCase(), station(peer)])),
  };
}

describe('whom our prefetch may use', () => {
  it('[L2] is said by Link Prefetching in direction out, under the master switch', () => {
    const configuration = configured(
      link('south'),
      link('east', { prefetching: { in: true, out: false } }),
      link('west', { enabled: false }),
    );
    assert.deepEqual(
      ['south', 'east', 'west', 'none'].map((peer) => mayPrefetch(configuration, peer)),
      [true, false, false, false],
    );
  });
  it('[L2] asks only peers whose Internal Queries are on as well', () => {
    const configuration = configured(link('south'), link('east', { internalQueries: both(false) }));
    assert.deepEqual(clustersToAsk(configuration, 'north', {}), ['north', 'south']);
  });
  it('reaches clusters behind a hub through the hub', () => {
    const configuration = configured(link('hub'));
    const routes = { hub: 'hub', south: 'hub', odd: 'nobody' };
    assert.deepEqual(clustersToAsk(configuration, 'north', routes), ['north', 'hub', 'south']);
    assert.deepEqual(sourcesOf(configuration, routes, ['south', 'far']), [{ peer: 'hub', aeTitle: 'HUB' }]);
  });
  it('places priors only at a cluster with a direct link that allows it', () => {
    const configuration = configured(link('south'), link('east', { prefetching: both(false) }));
    assert.deepEqual(destinationOf(configuration, 'south'), { aeTitle: 'SOUTH' });
    assert.deepEqual(destinationOf(configuration, 'east'), {
      obstacle: 'Link Prefetching towards east is off',
    });
    assert.deepEqual(destinationOf(configuration, 'far'), { obstacle: 'there is no direct link to far' });
  });
});
