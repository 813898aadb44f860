import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planClusters } from './plan.ts';

const linksOf = (...[count, topology]: Parameters<typeof planClusters>): Record<string, readonly string[]> =>
  Object.fromEntries(planClusters(count, topology).map((cluster) => [cluster.id, cluster.peers]));

describe('planning clusters', () => {
  it('[L3] links every cluster to every other in a mesh', () => {
    assert.deepEqual(linksOf(3, 'mesh'), {
      north: ['south', 'east'],
      south: ['north', 'east'],
      east: ['north', 'south'],
    });
  });

  it('[L3] links spokes to the hub alone; the hub is the last cluster', () => {
    assert.deepEqual(linksOf(4, 'hub'), {
      north: ['hub'],
      south: ['hub'],
      east: ['hub'],
      hub: ['north', 'south', 'east'],
    });
  });

  it('[L3] links neighbours in a chain, and the ends too in a ring', () => {
    assert.deepEqual(linksOf(3, 'chain'), { north: ['south'], south: ['north', 'east'], east: ['south'] });
    assert.deepEqual(linksOf(4, 'ring')['west'], ['north', 'east']);
    assert.deepEqual(linksOf(2, 'ring'), { north: ['south'], south: ['north'] });
  });

  it('gives every cluster the ports that the documentation names', () => {
    const [north, south] = planClusters(2, 'mesh');
    assert.deepEqual(
      [north!.aeTitle, north!.dicomPort, north!.httpPort, north!.hl7Port],
      ['NORTH', 11112, 8080, 2575],
    );
    assert.deepEqual(
      [south!.aeTitle, south!.dicomPort, south!.httpPort, south!.hl7Port],
      ['SOUTH', 11113, 8081, 2576],
    );
  });

  it('refuses numbers of clusters that it cannot start', () => {
    for (const count of [0, 1, 7, 2.5, Number.NaN])
      assert.throws(() => planClusters(count, 'mesh'), RangeError);
  });
});
