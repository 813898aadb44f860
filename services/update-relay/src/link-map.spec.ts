import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { emptyConfiguration } from '@isthmus/domain';
import type { Link } from '@isthmus/domain';
import { decodeLinkState, encodeLinkState, ownLinks, updateHops } from './link-map.ts';
import type { LinkStateEntry, LinkStateMessage } from './link-map.ts';

const entry = (peers: readonly string[], more: Partial<LinkStateEntry> = {}): LinkStateEntry => ({
  version: 1,
  neighbours: peers,
  sendsTo: peers,
  takesFrom: peers,
  ...more,
});
const message: LinkStateMessage = {
  format: 1,
  updateFormat: 1,
  cluster: 'north',
  incarnation: 'abc',
  clock: 1_780_000_000_000,
  capabilities: ['x'],
  links: { north: entry(['south']), south: entry(['north']) },
  position: { sent: 3, folded: 4 },
};

describe('routes for updates', () => {
  it('[L3] lead over the fewest links in a chain and through a hub', () => {
    const chain = { a: entry(['b']), b: entry(['a', 'c']), c: entry(['b', 'd']), d: entry(['c']) };
    assert.deepEqual(updateHops('a', chain), { b: 'b', c: 'b', d: 'b' });
    assert.deepEqual(updateHops('c', chain), { a: 'b', b: 'b', d: 'd' });
  });

  it('[L2] need the one end to send and the other to take', () => {
    const oneWay = { a: entry(['b'], { takesFrom: [] }), b: entry(['a'], { sendsTo: [] }) };
    assert.deepEqual(updateHops('a', oneWay), { b: 'b' });
    assert.deepEqual(updateHops('b', oneWay), {});
    const refused = { a: entry(['b']), b: entry(['a'], { takesFrom: [] }) };
    assert.deepEqual(updateHops('a', refused), {});
  });

  it('believe a link to a cluster that was never heard of', () => {
    assert.deepEqual(updateHops('a', { a: entry(['b']) }), { b: 'b' });
  });

  it('go round a link that is off', () => {
    const ring = { a: entry(['c']), b: entry(['c']), c: entry(['a', 'b']) };
    assert.deepEqual(updateHops('a', ring), { b: 'c', c: 'c' });
  });
});

describe('a Link State message', () => {
  it('comes back as it was, with fields that it does not know inside the map', () => {
    const links = { ...message.links, south: { ...entry(['north']), novelty: 7 } };
    const read = decodeLinkState(encodeLinkState({ ...message, links }));
    assert.deepEqual(read, { ...message, links });
  });

  it('is refused with a reason when it is not one', () => {
    assert.equal(decodeLinkState({}), 'unknown format');
    const malformed = { ...message, links: { north: { version: -1 } } } as unknown as LinkStateMessage;
    assert.equal(decodeLinkState(encodeLinkState(malformed)), 'an entry of the link map is malformed');
    assert.equal(decodeLinkState(encodeLinkState({ ...message, cluster: 'NORTH!' })), 'no cluster');
  });
});

describe('our own entry of the link map', () => {
  it('[L2] follows the master switch and Link Cluster Updates in each direction', () => {
    const both = { in: true, out: true };
    const link = (peer: string, enabled: boolean, updates: Link['updates']): Link => ({
      peer,
      enabled,
      updates,
      internalQueries: both,
      externalQueries: both,
      prefetching: both,
    });
    const links = [
      link('south', true, { in: true, out: false }),
      link('east', false, both),
      link('ARCHIVE', true, both),
    ];
    const configuration = { ...emptyConfiguration, links: new Map(links.map((one) => [one.peer, one])) };
    assert.deepEqual(ownLinks(configuration), { neighbours: ['south'], sendsTo: [], takesFrom: ['south'] });
  });
});
