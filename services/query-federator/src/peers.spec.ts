import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { emptyConfiguration } from '@isthmus/domain';
import type { Configuration, FindRequest, Link } from '@isthmus/domain';
import { allOff, link, station } from '../test/facts.ts';
import { choosePeers, mayAsk } from './peers.ts';

const configuration = (...links: readonly Link[]): Configuration => ({
  ...emptyConfiguration,
  stations: new Map(
    ['south', 'east', 'west'].map((name) => [
      name.toUpperCase(),
      station(name.toUpperCase(), { cluster: name, alsoSendsAs: [`${name.toUpperCase()}2`] }),
    ]),
  ),
  links: new Map(links.map((one) => [one.peer, one])),
});
const asks = (asker: FindRequest['asker'], rest: Partial<FindRequest> = {}) => ({
  asker,
  linked: asker.kind !== 'station',
  hops: [],
  ...rest,
});
const chosen = (links: readonly Link[], request: ReturnType<typeof asks>, options = {}) => {
  const { peers, skipped } = choosePeers(configuration(...links), request, {
    self: 'north',
    peersMax: 10,
    ...options,
  });
  return [peers.map(({ name }) => name), skipped.map(({ cluster }) => cluster)];
};

describe('choosing the peers of a query', () => {
  it('[L2] [Q2] external queries of stations and internal ones of our users have a switch each', () => {
    const links = [link('south', { internalQueries: allOff }), link('east', { externalQueries: allOff })];
    assert.deepEqual(chosen(links, asks({ kind: 'station', aeTitle: 'WS' })), [['south'], []]);
    assert.deepEqual(chosen(links, asks({ kind: 'client' })), [['east'], []]);
    assert.deepEqual(chosen([link('south', { enabled: false })], asks({ kind: 'client' })), [[], []]);
  });

  it('never asks the asker, by whatever name it calls, nor whom the query has passed', () => {
    const links = [link('south'), link('east'), link('west')];
    assert.deepEqual(chosen(links, asks({ kind: 'cluster', cluster: 'south' }, { hops: ['east'] })), [
      ['west'],
      [],
    ]);
    assert.deepEqual(chosen(links, asks({ kind: 'station', aeTitle: 'EAST2' })), [['south', 'west'], []]);
    assert.deepEqual(chosen(links, asks({ kind: 'client' }, { localOnly: true })), [[], []]);
  });

  it('[Q12] asks named clusters only, far ones through their next hop, and says which it cannot reach', () => {
    const links = [link('south'), link('east', { internalQueries: allOff })];
    const nextHop = { coast: 'south' };
    const request = asks({ kind: 'client' }, { clusters: ['north', 'coast', 'east', 'moon'] });
    assert.deepEqual(chosen(links, request, { nextHop }), [['south'], ['moon', 'east']]);
  });

  it('[Q8] names the peers beyond the limit', () => {
    const links = [link('south'), link('east'), link('west')];
    assert.deepEqual(chosen(links, asks({ kind: 'client' }), { peersMax: 2 }), [['east', 'south'], ['west']]);
  });

  it('lets a linked cluster in by the switch of its class, others by admission', () => {
    const some = configuration(link('south', { internalQueries: allOff }));
    assert.equal(mayAsk(some, asks({ kind: 'cluster', cluster: 'south' })), false);
    assert.equal(mayAsk(some, asks({ kind: 'cluster', cluster: 'south' }, { linked: false })), true);
    assert.equal(mayAsk(some, asks({ kind: 'cluster', cluster: 'unknown' })), false);
    assert.equal(mayAsk(some, asks({ kind: 'station' })), true);
  });
});
