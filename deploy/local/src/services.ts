/**
 * One process with several services of a cluster. The argument is a file with the environment of each, as written by
 * `cluster.ts`: `{"update-relay": {"NATS_URL": …}, …}`. Each service keeps its own connections, as it would alone.
 */
import { readFileSync } from 'node:fs';
import { consoleConfig, startConsole } from '@isthmus/console';
import { configStoreConfig, startConfigStore } from '@isthmus/config-store';
import { connectEventLog } from '@isthmus/event-log';
import { prefetcherConfig, startPrefetcher } from '@isthmus/prefetcher';
import { queryFederatorConfig, startQueryFederator } from '@isthmus/query-federator';
import { risGatewayConfig, startRisGateway } from '@isthmus/ris-gateway';
import { connectPostgres, createLog, readConfig, untilSignal } from '@isthmus/service-kit';
import { startUpdateRelay, updateRelayConfig } from '@isthmus/update-relay';

type Environment = Readonly<Record<string, string>>;
interface Running {
  stop(): Promise<void>;
}

/** config-store first: it seeds the configuration that the others watch. The console last: it looks for the others. */
const services: Readonly<
  Record<string, { schema: object; start: (parts: never) => Promise<Running>; postgres: string | undefined }>
> = {
  'config-store': { schema: configStoreConfig, start: startConfigStore, postgres: 'config_store' },
  'update-relay': { schema: updateRelayConfig, start: startUpdateRelay, postgres: 'update_relay' },
  'query-federator': {
    schema: queryFederatorConfig,
    start: startQueryFederator,
    postgres: 'query_federator',
  },
  'ris-gateway': { schema: risGatewayConfig, start: startRisGateway, postgres: 'ris_gateway' },
  prefetcher: { schema: prefetcherConfig, start: startPrefetcher, postgres: 'prefetcher' },
  console: { schema: consoleConfig, start: startConsole, postgres: undefined },
};

async function startService(name: string, env: Environment): Promise<Running> {
  const { schema, start, postgres } = services[name]!;
  const config = readConfig(schema as never, env) as Record<string, string>;
  const cluster = config['ISTHMUS_CLUSTER']!;
  const log = createLog({ service: name, cluster, level: config['LOG_LEVEL'] as never });
  const eventLog = await connectEventLog({ servers: config['NATS_URL']!, cluster, service: name, log });
  const db = postgres
    ? await connectPostgres({ url: config['DATABASE_URL']!, schema: postgres, poolMax: 6, log })
    : undefined;
  const app = await start({ config, log, eventLog, db } as never);
  log.info('started');
  return {
    async stop() {
      await app.stop();
      await eventLog.close();
      await db?.destroy();
    },
  };
}

const environments = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as Readonly<
  Record<string, Environment>
>;
const signal = untilSignal();
const running: Running[] = [];
for (const name of Object.keys(services)) {
  const env = environments[name];
  if (env) running.push(await startService(name, env));
}
await signal;
await Promise.allSettled(running.reverse().map((service) => service.stop()));
process.exit(0);
