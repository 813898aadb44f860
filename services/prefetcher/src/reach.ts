import { linkAllows, stationOfPeer } from '@isthmus/domain';
import type { Configuration, Link, RoutesAnswer } from '@isthmus/domain';

export type Routes = RoutesAnswer['nextHop'];

/**
 * Whether our prefetch may use a peer: Link Prefetching out is on. It is our prefetch that goes out to the
 * peer: to ask it, to pull from it, and to place priors there. (`in` is the same for the peer's prefetch
 * here.)
 */
export function mayPrefetch(configuration: Configuration, peer: string): boolean {
  return linkAllows(configuration.links.get(peer), 'prefetching', 'out');
}

/** Whether our prefetch may also ask the peer: prefetch queries are internal queries. */
function mayAsk(link: Link): boolean {
  return linkAllows(link, 'prefetching', 'out') && linkAllows(link, 'internalQueries', 'out');
}

/**
 * The clusters (and third-party peers) whose priors count: this one, peers that our prefetch may ask, and
 * the clusters that are reached through those.
 */
export function clustersToAsk(configuration: Configuration, self: string, routes: Routes): readonly string[] {
  const peers = [...configuration.links.values()].filter(mayAsk).map(({ peer }) => peer);
  const behind = Object.keys(routes).filter((cluster) => peers.includes(routes[cluster] ?? ''));
  return [self, ...new Set([...peers, ...behind].filter((cluster) => cluster !== self).sort())];
}

/**
 * Peers that lead to these holders, those with Link Prefetching first asked, by name; and those that may
 * not be used.
 */
export function sourcesOf(
  configuration: Configuration,
  routes: Routes,
  holders: readonly string[],
): { readonly peer: string; readonly aeTitle: string }[] {
  const sources = new Map<string, string>();
  for (const holder of [...holders].sort()) {
    const peer = configuration.links.has(holder) ? holder : routes[holder];
    const station = peer === undefined ? undefined : stationOfPeer(configuration, peer);
    if (peer !== undefined && station) sources.set(peer, station.aeTitle);
  }
  return [...sources].map(([peer, aeTitle]) => ({ peer, aeTitle }));
}

/** AE title of the edge that takes priors for a cluster, or why there is none. */
export function destinationOf(
  configuration: Configuration,
  cluster: string,
): { readonly aeTitle: string } | { readonly obstacle: string } {
  const link = configuration.links.get(cluster);
  if (!link) return { obstacle: `there is no direct link to ${cluster}` };
  if (!mayPrefetch(configuration, cluster)) return { obstacle: `Link Prefetching towards ${cluster} is off` };
  const station = stationOfPeer(configuration, cluster);
  return station ? { aeTitle: station.aeTitle } : { obstacle: `no station answers for ${cluster}` };
}
