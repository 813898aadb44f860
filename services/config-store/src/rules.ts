import { stationOfAeTitle, stationOfPeer } from '@isthmus/domain';
import type { ClusterConfiguration, Configuration, Link, Station } from '@isthmus/domain';

/**
 * Why a value cannot be taken as things are: 409 when another entity stands against it, 422 when it is wrong
 * in itself.
 */
export interface Refusal {
  readonly status: 409 | 422;
  readonly code: string;
  readonly pointer: string;
  readonly detail: string;
}

export interface Warning {
  readonly code: string;
  readonly pointer: string;
  readonly detail: string;
}

/** @param id - Id of the cluster that this service belongs to: it cannot be another's. */
export function refuseCluster(
  configuration: Configuration,
  id: string,
  value: ClusterConfiguration,
): Refusal | undefined {
  if (value.id !== id)
    return wrong('/id', 'CLUSTER_ID_FIXED', `This is cluster ${id}; its id does not change.`);
  if (stationOfAeTitle(configuration, value.aeTitle)) {
    return against('/aeTitle', 'AE_TITLE_IN_USE', 'A station has this AE title; they are unique.');
  }
  return undefined;
}

export function refuseStation(configuration: Configuration, id: string, value: Station): Refusal | undefined {
  return (
    refuseAeTitles(configuration, value) ??
    refuseKind(id, value) ??
    refuseCertificates(value) ??
    refuseNeighbours(configuration, value)
  );
}

/** A station that may come in the clear is bound to nothing. */
function refuseCertificates({ certificates, tls }: Station): Refusal | undefined {
  if (tls || certificates === undefined) return undefined;
  return wrong(
    '/certificates',
    'CERTIFICATES_WITHOUT_TLS',
    'Certificates bind a station that comes by TLS alone: set tls to true.',
  );
}

/** AE titles are unique: also against the ones that stations send as, and against our own. */
function refuseAeTitles(configuration: Configuration, value: Station): Refusal | undefined {
  const taken = (aeTitle: string): boolean => {
    const holder = stationOfAeTitle(configuration, aeTitle);
    return (
      (holder !== undefined && holder.aeTitle !== value.aeTitle) || configuration.cluster?.aeTitle === aeTitle
    );
  };
  if (taken(value.aeTitle)) {
    return against('/aeTitle', 'AE_TITLE_IN_USE', 'This AE title is in use; they are unique.');
  }
  const at = value.alsoSendsAs.findIndex((aeTitle) => aeTitle === value.aeTitle || taken(aeTitle));
  if (at < 0) return undefined;
  return against(`/alsoSendsAs/${at}`, 'AE_TITLE_IN_USE', 'This AE title is in use; they are unique.');
}

function refuseKind(id: string, value: Station): Refusal | undefined {
  if (value.kind === 'cluster' && value.cluster === undefined) {
    return wrong(
      '/cluster',
      'CLUSTER_MISSING',
      'A station of kind cluster names the cluster that it stands for.',
    );
  }
  if (value.kind !== 'cluster' && value.cluster !== undefined) {
    return wrong('/cluster', 'CLUSTER_NOT_FOR_KIND', 'Only a station of kind cluster names a cluster.');
  }
  if (value.cluster === id) {
    return wrong(
      '/cluster',
      'CLUSTER_IS_SELF',
      'This is the cluster itself; it is configured at /api/v1/cluster.',
    );
  }
  return undefined;
}

function refuseNeighbours(configuration: Configuration, value: Station): Refusal | undefined {
  for (const other of configuration.stations.values()) {
    if (other.aeTitle === value.aeTitle || value.cluster === undefined) continue;
    if (other.kind === 'cluster' && other.cluster === value.cluster) {
      const detail = `Station ${other.aeTitle} stands for this cluster already.`;
      return against('/cluster', 'CLUSTER_HAS_STATION', detail);
    }
  }
  const before = configuration.stations.get(value.aeTitle);
  if (before && peerNameOf(before) !== peerNameOf(value) && isPeerOfLink(configuration, before)) {
    const detail = `Link ${peerNameOf(before)} needs this station as it is; remove the link first.`;
    return against('/kind', 'STATION_HAS_LINK', detail);
  }
  return undefined;
}

/** A station that a link needs stays. */
export function refuseStationRemoval(configuration: Configuration, station: Station): Refusal | undefined {
  if (!isPeerOfLink(configuration, station)) return undefined;
  const detail = `Link ${peerNameOf(station)} needs this station; remove the link first.`;
  return against('', 'STATION_HAS_LINK', detail);
}

export function refuseLink(configuration: Configuration, id: string, value: Link): Refusal | undefined {
  if (value.peer === id) return wrong('/peer', 'PEER_IS_SELF', 'A cluster is not linked to itself.');
  const station = peerStation(configuration, value.peer);
  if (!station) {
    const detail =
      'No station of kind cluster stands for this peer, and no third-party station has this AE title. Add the station first.';
    return wrong('/peer', 'STATION_MISSING', detail);
  }
  if (station.kind === 'third-party' && (value.updates.in || value.updates.out)) {
    const detail =
      'Link Cluster Updates need a peer that speaks the Isthmus update protocol; a third-party station does not. Switch updates off.';
    return wrong(value.updates.out ? '/updates/out' : '/updates/in', 'UPDATES_NOT_SPOKEN', detail);
  }
  return undefined;
}

/** What works, but not as somebody might expect. */
export function linkWarnings(link: Link): Warning[] {
  const warnings: Warning[] = [];
  for (const direction of ['in', 'out'] as const) {
    if (!link.prefetching[direction] || link.internalQueries[direction]) continue;
    warnings.push({
      code: 'PREFETCHING_WITHOUT_QUERIES',
      pointer: `/prefetching/${direction}`,
      detail:
        'Prefetching without Internal Queries: priors are found by the patient ID of one domain only, no global patient ID can be used.',
    });
  }
  return warnings;
}

/** The station behind a link: a cluster's edge, or a third-party station. No other kind can be linked. */
export function peerStation(configuration: Configuration, peer: string): Station | undefined {
  const station = stationOfPeer(configuration, peer);
  return station && peerNameOf(station) === peer ? station : undefined;
}

/** Whether a link to this peer is one to a third party. */
export function isThirdParty(configuration: Configuration, peer: string): boolean {
  return peerStation(configuration, peer)?.kind === 'third-party';
}

function peerNameOf(station: Station): string | undefined {
  if (station.kind === 'cluster') return station.cluster;
  return station.kind === 'third-party' ? station.aeTitle : undefined;
}

function isPeerOfLink(configuration: Configuration, station: Station): boolean {
  const name = peerNameOf(station);
  return name !== undefined && configuration.links.has(name);
}

function wrong(pointer: string, code: string, detail: string): Refusal {
  return { status: 422, code, pointer, detail };
}

function against(pointer: string, code: string, detail: string): Refusal {
  return { status: 409, code, pointer, detail };
}
