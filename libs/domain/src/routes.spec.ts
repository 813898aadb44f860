import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { canonicalJson } from './canonical.ts';
import { mergeLinkMaps, nextHops, peersTowards } from './routes.ts';
import type { LinkMap } from './routes.ts';

const hub: LinkMap = {
  north: { version: 1, neighbours: ['hub'] },
  south: { version: 1, neighbours: ['hub'] },
  hub: { version: 1, neighbours: ['south', 'north'] },
};

describe('routes between clusters', () => {
  it('[U7] lead through the hub to a cluster that is linked to the hub alone', () => {
    assert.deepEqual(nextHops('north', hub), { hub: 'hub', south: 'hub' });
    assert.deepEqual(nextHops('hub', hub), { north: 'north', south: 'south' });
  });
  it('use no link that one end has switched off', () => {
    const links = { ...hub, hub: { version: 2, neighbours: ['north'] } };
    assert.deepEqual(nextHops('north', links), { hub: 'hub' });
    assert.deepEqual(nextHops('south', links), {});
  });
  it('believe a neighbour that was never heard of', () => {
    assert.deepEqual(nextHops('north', { north: { version: 1, neighbours: ['south', 'north'] } }), {
      south: 'south',
    });
  });
  it('take the fewest links, then the peer whose name comes first', () => {
    const square: LinkMap = {
      a: { version: 1, neighbours: ['c', 'b'] },
      b: { version: 1, neighbours: ['a', 'd'] },
      c: { version: 1, neighbours: ['a', 'd'] },
      d: { version: 1, neighbours: ['b', 'c'] },
    };
    assert.deepEqual(nextHops('a', square), { b: 'b', c: 'c', d: 'b' });
  });
  it('come nearer with every hop: no loop on any map', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const maps = fc
      .array(fc.tuple(fc.constantFrom(...names), fc.constantFrom(...names)), { maxLength: 12 })
      .map((pairs): LinkMap =>
        Object.fromEntries(
          names.map((name) => [
            name,
            { version: 1, neighbours: pairs.flatMap(([a, b]) => (a === name ? [b] : b === name ? [a] : [])) },
          ]),
        ),
      );
    fc.assert(
      fc.property(maps, (links) => {
        for (const from of names)
          for (const to of Object.keys(nextHops(from, links))) {
            let at = from;
            for (let steps = 0; at !== to; steps++) {
              assert.ok(steps < names.length, 'a loop');
              at = nextHops(at, links)[to] ?? assert.fail('a dead end');
            }
          }
      }),
      { numRuns: 100 },
    );
  });
  it('merge by version, the same in either order', () => {
    const newer = { hub: { version: 2, neighbours: [] } };
    assert.equal(canonicalJson(mergeLinkMaps(hub, newer)), canonicalJson(mergeLinkMaps(newer, hub)));
    assert.equal(mergeLinkMaps(hub, { hub: { version: 1, neighbours: ['south', 'north'] } }), hub);
  });
  it('[U7] send towards other holders, never to a cluster on the path', () => {
    const hops = { south: 'hub', east: 'east', hub: 'hub' };
    assert.deepEqual(peersTowards(hops, ['south', 'east', 'west'], ['north']), ['east', 'hub']);
    assert.deepEqual(peersTowards(hops, ['south', 'east'], ['north', 'hub']), ['east']);
    assert.deepEqual(peersTowards(hops, ['south'], ['south']), []);
  });
});
