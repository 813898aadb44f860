import { canonicalJson, compareText } from './canonical.ts';

/** What one cluster says of its own enabled links. */
export interface NeighbourList {
  /** Cluster ids of the peers. */
  readonly neighbours: readonly string[];
  /** Counts up with each change at that cluster. */
  readonly version: number;
}

/** The newest list of every cluster that was heard of, by cluster id. Flooded in Link State. */
export type LinkMap = { readonly [cluster: string]: NeighbourList };

/**
 * Merges two link maps: the higher version of each list wins. @returns `a` itself when `b` brings nothing
 * new.
 */
export function mergeLinkMaps(a: LinkMap, b: LinkMap): LinkMap {
  const newer = Object.entries(b).filter(([cluster, list]) => {
    const ours = Object.hasOwn(a, cluster) ? a[cluster] : undefined;
    if (!ours) return true;
    if (ours.version !== list.version) return ours.version < list.version;
    // As they were passed on they are nearly always the same to the letter; the canonical form costs ten times that.
    if (JSON.stringify(ours) === JSON.stringify(list)) return false;
    return compareText(canonicalJson(ours), canonicalJson(list)) < 0;
  });
  return newer.length === 0 ? a : { ...a, ...Object.fromEntries(newer) };
}

/**
 * Next hop towards every cluster that can be reached, by fewest links; among equals the peer whose name
 * comes first. A link counts when both ends list it, or one lists it and the other was never heard of. The
 * same map gives the same routes everywhere, and every hop comes one link nearer: no loops.
 *
 * @returns Peer by cluster id; this cluster itself is not in it.
 */
export function nextHops(self: string, links: LinkMap): { readonly [cluster: string]: string } {
  const hops = new Map<string, string>();
  const queue: string[] = [];
  const usable = (from: string): readonly string[] => {
    const list = Object.hasOwn(links, from) ? links[from] : undefined;
    const heard = (list?.neighbours ?? []).filter((to) => {
      const back = Object.hasOwn(links, to) ? links[to] : undefined;
      return back === undefined || back.neighbours.includes(from);
    });
    return [...new Set(heard)].sort(compareText);
  };
  for (const peer of usable(self)) {
    if (peer === self) continue;
    hops.set(peer, peer);
    queue.push(peer);
  }
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const hop = hops.get(next);
    if (hop === undefined) continue;
    for (const cluster of usable(next)) {
      if (cluster === self || hops.has(cluster)) continue;
      hops.set(cluster, hop);
      queue.push(cluster);
    }
  }
  return Object.fromEntries([...hops].sort(([a], [b]) => compareText(a, b)));
}

/** The peers that are next hop to at least one of these clusters, sorted, none of those on the path. */
export function peersTowards(
  nextHop: { readonly [cluster: string]: string },
  clusters: Iterable<string>,
  path: readonly string[],
): readonly string[] {
  const peers = new Set<string>();
  for (const cluster of clusters) {
    if (path.includes(cluster)) continue;
    const peer = Object.hasOwn(nextHop, cluster) ? nextHop[cluster] : undefined;
    if (peer !== undefined && !path.includes(peer)) peers.add(peer);
  }
  return [...peers].sort(compareText);
}
