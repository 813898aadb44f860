import { linkAllows, stationOfPeer } from '@isthmus/domain';
import type { ClusterOutcome, Configuration, FindRequest, LinkOption, Station } from '@isthmus/domain';

/** A peer to ask, with the station that answers for it. */
export interface Peer {
  /** Cluster id, or AE title of a third party. */
  readonly name: string;
  readonly station: Station;
  /** Speaks our private classes. */
  readonly linked: boolean;
  /** Issuer of Patient IDs in rows that name none. */
  readonly patientDomain: string;
}

export interface PeerChoice {
  readonly peers: readonly Peer[];
  /** Peers that would be asked but cannot be. */
  readonly skipped: readonly ClusterOutcome[];
}

type Asker = Pick<FindRequest, 'asker' | 'linked'>;

/** The switch that governs a query: Link Internal Queries for our own users and linked queries, else External. */
export function switchOf(request: Asker): LinkOption {
  if (request.asker.kind === 'client') return 'internalQueries';
  if (request.asker.kind === 'station') return 'externalQueries';
  return request.linked ? 'internalQueries' : 'externalQueries';
}

/**
 * Whether a linked cluster may ask us (the switch in direction `in`). Stations and our own users are let in by
 * admission and authentication, not here.
 */
export function mayAsk(configuration: Configuration, request: Asker): boolean {
  if (request.asker.kind !== 'cluster') return true;
  const link = configuration.links.get(request.asker.cluster ?? '');
  return linkAllows(link, switchOf(request), 'in');
}

/**
 * Chooses whom to ask: peers whose switch is on in direction `out`, except those the query has passed, the asker
 * itself, and (when clusters are named) the others.
 *
 * @param nextHop - Peer towards each cluster, for clusters that are named and are no peers of ours.
 * @param peersMax - Peers beyond it are skipped by name.
 */
export function choosePeers(
  configuration: Configuration,
  request: Pick<FindRequest, 'asker' | 'linked' | 'hops' | 'clusters' | 'localOnly'>,
  options: {
    readonly self: string;
    readonly nextHop?: { readonly [cluster: string]: string };
    readonly peersMax: number;
  },
): PeerChoice {
  if (request.localOnly === true) return { peers: [], skipped: [] };
  const peers: Peer[] = [];
  const skipped: ClusterOutcome[] = [];
  const skip = (cluster: string, detail: string): void => {
    skipped.push({ cluster, status: 'skipped', detail, rows: 0, keysNotApplied: [] });
  };
  const wanted = wantedPeers(configuration, request.clusters, options, skip);
  for (const name of [...configuration.links.keys()].sort()) {
    const link = configuration.links.get(name);
    if (name === options.self || request.hops.includes(name)) continue;
    if (wanted && !wanted.has(name)) continue;
    if (!linkAllows(link, switchOf(request), 'out')) {
      if (wanted) skip(name, 'the link switch for these queries is off');
      continue;
    }
    const station = stationOfPeer(configuration, name);
    if (isAsker(request, name, station)) continue;
    if (!station) skip(name, 'no station answers for this peer');
    else if (peers.length >= options.peersMax) skip(name, `more than ${options.peersMax} peers`);
    else peers.push(peerOf(configuration, name, station));
  }
  return { peers, skipped };
}

/** Names of the peers to ask when only some clusters are wanted; undefined: all. */
function wantedPeers(
  configuration: Configuration,
  clusters: readonly string[] | undefined,
  options: { readonly self: string; readonly nextHop?: { readonly [cluster: string]: string } },
  skip: (cluster: string, detail: string) => void,
): ReadonlySet<string> | undefined {
  if (!clusters) return undefined;
  const wanted = new Set<string>();
  for (const cluster of clusters) {
    if (cluster === options.self) continue;
    const hop =
      options.nextHop && Object.hasOwn(options.nextHop, cluster) ? options.nextHop[cluster] : undefined;
    const peer = configuration.links.has(cluster) ? cluster : hop;
    if (peer === undefined) skip(cluster, 'not linked, neither directly nor through another cluster');
    else wanted.add(peer);
  }
  return wanted;
}

function isAsker(request: Asker, name: string, station: Station | undefined): boolean {
  const { cluster, aeTitle } = request.asker;
  if (cluster === name) return true;
  if (aeTitle === undefined || !station || request.asker.kind === 'client') return false;
  return station.aeTitle === aeTitle || station.alsoSendsAs.includes(aeTitle);
}

function peerOf(configuration: Configuration, name: string, station: Station): Peer {
  const own = configuration.cluster;
  return {
    name,
    station,
    linked: station.kind === 'cluster',
    patientDomain: station.patientDomain ?? own?.patientDomain ?? own?.id ?? '',
  };
}
