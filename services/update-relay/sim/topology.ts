import type { ClusterConfiguration, Configuration, Link, Station } from '@isthmus/domain';

export const topologies = ['mesh', 'ring', 'chain', 'hub'] as const;
export type Topology = (typeof topologies)[number];

const names = ['north', 'south', 'east', 'west', 'centre', 'coast', 'border'] as const;
export const clustersMax = names.length;

export interface Plan {
  readonly clusters: readonly string[];
  /** Pairs of linked clusters. In `hub` the last cluster is the hub. */
  readonly links: readonly (readonly [string, string])[];
}

export function planOf(topology: Topology, count: number): Plan {
  const clusters = names.slice(0, count);
  const pairs = clusters.flatMap((a, at) => clusters.slice(at + 1).map((b) => [a, b] as const));
  const place = (name: string): number => clusters.findIndex((cluster) => cluster === name);
  const linked = ([a, b]: readonly [string, string]): boolean => {
    const [i, j] = [place(a), place(b)];
    switch (topology) {
      case 'mesh':
        return true;
      case 'chain':
        return j === i + 1;
      case 'ring':
        return j === i + 1 || (i === 0 && j === count - 1);
      case 'hub':
        return j === count - 1;
    }
  };
  return { clusters, links: pairs.filter(linked) };
}

/** What a cluster of the plan knows: itself, a station for each neighbour, and the links. */
export function configurationOf(plan: Plan, id: string): Configuration {
  const cluster: ClusterConfiguration = { id, name: id, aeTitle: aeTitleOf(id), patientDomain: 'DOMAIN' };
  const peers = plan.links.flatMap(([a, b]) => (a === id ? [b] : b === id ? [a] : []));
  const stations = peers.map((peer): [string, Station] => [
    aeTitleOf(peer),
    {
      aeTitle: aeTitleOf(peer),
      host: '127.0.0.1',
      port: 104,
      tls: false,
      kind: 'cluster',
      cluster: peer,
      archive: false,
      alsoSendsAs: [],
      keepsStatus: true,
    },
  ]);
  const links = peers.map((peer): [string, Link] => [peer, linkTo(peer, true)]);
  return { cluster, stations: new Map(stations), links: new Map(links), versions: new Map() };
}

export function aeTitleOf(id: string): string {
  return id.toUpperCase();
}

export function clusterOf(aeTitle: string): string {
  return aeTitle.toLowerCase();
}

export function linkTo(peer: string, enabled: boolean): Link {
  const on = { in: true, out: true };
  return { peer, enabled, internalQueries: on, externalQueries: on, updates: on, prefetching: on };
}
