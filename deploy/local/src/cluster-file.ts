import { stringify } from 'yaml';
import type { ClusterPlan } from './plan.ts';

/** Clusters of the demonstration share one master patient index: the same ID is the same person everywhere. */
const patientDomain = 'ISTHMUS-DEMO';

/** The `cluster.yaml` that seeds a cluster's configuration: itself, a station and a link for each peer. */
export function clusterFile(cluster: ClusterPlan, all: readonly ClusterPlan[]): string {
  const peers = all.filter((other) => cluster.peers.includes(other.id));
  return stringify({
    cluster: { id: cluster.id, name: cluster.name, aeTitle: cluster.aeTitle, patientDomain },
    stations: peers.map((peer) => ({
      aeTitle: peer.aeTitle,
      host: '127.0.0.1',
      port: peer.dicomPort,
      kind: 'cluster',
      cluster: peer.id,
      stationName: peer.name,
      institution: `${peer.name} Hospital`,
      department: 'Radiology',
      patientDomain,
    })),
    links: peers.map((peer) => ({ peer: peer.id })),
  });
}
