import { createServer } from 'node:net';
import type { ClusterPlan } from './plan.ts';

export const serviceNames = [
  'config-store',
  'update-relay',
  'query-federator',
  'prefetcher',
  'ris-gateway',
  'dimse-edge',
  'console',
] as const;
export type ServiceName = (typeof serviceNames)[number];

/** HTTP port of each service of a cluster. Only the console's is for users. */
export type ServicePorts = Readonly<Record<ServiceName, number>>;

export interface ClusterPlaces {
  readonly natsUrl: string;
  readonly databaseUrl: string;
  readonly objectStore: string;
  readonly clusterFile: string;
}

/** Services behind the console listen from here on, where no client socket is given its port by the system. */
const firstInternalPort = 18_100;
const internalPortMax = 32_000;
/** Six clusters of six services behind their console, with some to spare. */
const portsPerSystem = 50;

/**
 * Finds free ports for the services that only the console talks to. They stay the same as long as the system runs, so
 * that a service that is started again is found where it was.
 */
export async function choosePorts(
  clusters: readonly ClusterPlan[],
  portOffset: number,
): Promise<ReadonlyMap<string, ServicePorts>> {
  // Two systems that start at the same time look at different ports.
  const apart = Math.floor(portOffset / 10) * portsPerSystem;
  let next = firstInternalPort + (apart % (internalPortMax - firstInternalPort));
  const free = async (): Promise<number> => {
    for (; next < internalPortMax; next++) if (await isFree(next)) return next++;
    throw new Error(`no free port on 127.0.0.1 between ${firstInternalPort} and ${internalPortMax}`);
  };
  const chosen = new Map<string, ServicePorts>();
  for (const cluster of clusters) {
    const ports: Partial<Record<ServiceName, number>> = { console: cluster.httpPort };
    for (const service of serviceNames) ports[service] ??= await free();
    chosen.set(cluster.id, ports as ServicePorts);
  }
  return chosen;
}

/** Whether a loopback port can be listened on now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port }, () => server.close(() => resolve(true)));
  });
}

/** Environment of one service, complete: nothing of ours is inherited from the person's shell. */
export function serviceEnvironment(
  service: ServiceName,
  cluster: ClusterPlan,
  ports: ServicePorts,
  places: ClusterPlaces,
): Record<string, string> {
  const common = {
    ISTHMUS_CLUSTER: cluster.id,
    NATS_URL: places.natsUrl,
    DATABASE_URL: places.databaseUrl,
    HTTP_HOST: '127.0.0.1',
    HTTP_PORT: String(ports[service]),
    LOG_LEVEL: 'info',
  };
  const url = (name: ServiceName): string => `http://127.0.0.1:${ports[name]}`;
  switch (service) {
    case 'dimse-edge':
      return {
        ...common,
        AE_TITLE: cluster.aeTitle,
        DICOM_HOST: '127.0.0.1',
        DICOM_PORT: String(cluster.dicomPort),
        OBJECT_STORE: places.objectStore,
        ADMISSION: 'open-loopback',
        // Ctrl-C ends everything in under two seconds, also in the middle of a long C-MOVE.
        STOP_GRACE_MS: '1000',
      };
    case 'config-store':
      return { ...common, CLUSTER_FILE: places.clusterFile };
    case 'console':
      return {
        ...common,
        DIMSE_EDGE_URL: url('dimse-edge'),
        UPDATE_RELAY_URL: url('update-relay'),
        QUERY_FEDERATOR_URL: url('query-federator'),
        PREFETCHER_URL: url('prefetcher'),
        CONFIG_STORE_URL: url('config-store'),
        RIS_GATEWAY_URL: url('ris-gateway'),
      };
    default:
      return common;
  }
}
