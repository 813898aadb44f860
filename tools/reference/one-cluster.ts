import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configStoreConfig, startConfigStore } from '@isthmus/config-store';
import { consoleConfig, startConsole } from '@isthmus/console';
import { dimseEdgeConfig, startDimseEdge } from '@isthmus/dimse-edge';
import { connectEventLog } from '@isthmus/event-log';
import { prefetcherConfig, startPrefetcher } from '@isthmus/prefetcher';
import { queryFederatorConfig, startQueryFederator } from '@isthmus/query-federator';
import { risGatewayConfig, startRisGateway } from '@isthmus/ris-gateway';
import { connectPostgres, createLog, readConfig } from '@isthmus/service-kit';
import type { ConfigSchema } from '@isthmus/service-kit';
import { testServers } from '@isthmus/testing';
import { startUpdateRelay, updateRelayConfig } from '@isthmus/update-relay';

interface Running {
  readonly address: string;
  readonly dicomPort?: number;
  stop(): Promise<void>;
}
type Start = (parts: never) => Promise<Running>;

const behindConsole: readonly (readonly [
  name: string,
  schema: ConfigSchema,
  start: Start,
  schemaName?: string,
])[] = [
  ['config-store', configStoreConfig, startConfigStore, 'config_store'],
  ['update-relay', updateRelayConfig, startUpdateRelay, 'update_relay'],
  ['query-federator', queryFederatorConfig, startQueryFederator, 'query_federator'],
  ['ris-gateway', risGatewayConfig, startRisGateway, 'ris_gateway'],
  ['prefetcher', prefetcherConfig, startPrefetcher, 'prefetcher'],
  ['dimse-edge', dimseEdgeConfig, startDimseEdge],
];

export const servicesBehindConsole: readonly string[] = behindConsole.map(([name]) => name);

export interface OneCluster {
  readonly consoleUrl: string;
  readonly dicomPort: number;
  stop(): Promise<void>;
}

/**
 * Starts one whole cluster in this process, with servers and folders of its own, on free ports. Its AE title is its id
 * in capitals; nothing is configured yet.
 */
export async function startOneCluster(cluster: string): Promise<OneCluster> {
  const servers = await testServers();
  const objectStore = mkdtempSync(join(tmpdir(), 'isthmus-one-'));
  const stops: (() => Promise<unknown>)[] = [
    () => servers.stop(),
    async () => rmSync(objectStore, { recursive: true, force: true }),
  ];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0)) await end().catch(() => undefined);
  };
  const environment: Record<string, string> = {
    ISTHMUS_CLUSTER: cluster,
    NATS_URL: servers.natsUrl,
    DATABASE_URL: servers.databaseUrl,
    LOG_LEVEL: 'silent',
    AE_TITLE: cluster.toUpperCase(),
    DICOM_PORT: '0',
    OBJECT_STORE: objectStore,
    STOP_GRACE_MS: '1000',
    LINK_STATE_EVERY_MS: '500',
  };
  let dicomPort = 0;
  try {
    for (const [name, schema, start, schemaName] of behindConsole) {
      const config = readConfig(schema, environment);
      const log = createLog({ service: name, cluster, level: 'silent' });
      const eventLog = await connectEventLog({ servers: servers.natsUrl, cluster, service: name, log });
      stops.unshift(() => eventLog.close());
      const url = servers.databaseUrl;
      const db = schemaName ? await connectPostgres({ url, schema: schemaName, poolMax: 4, log }) : undefined;
      if (db) stops.unshift(() => db.destroy());
      const running = await start({ config, log, eventLog, db } as never);
      stops.unshift(() => running.stop());
      dicomPort = running.dicomPort ?? dicomPort;
      environment[`${name.toUpperCase().replace('-', '_')}_URL`] = running.address;
    }
    const log = createLog({ service: 'console', cluster, level: 'silent' });
    const front = await startConsole({ config: readConfig(consoleConfig, environment), log });
    stops.unshift(() => front.stop());
    return { consoleUrl: front.address, dicomPort, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
