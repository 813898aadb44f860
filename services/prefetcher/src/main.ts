import { connectEventLog } from '@isthmus/event-log';
import { connectPostgres, createLog, readConfig, stopInOrder, untilSignal } from '@isthmus/service-kit';
import { startPrefetcher } from './app.ts';
import { prefetcherConfig } from './config.ts';
import type { PrefetcherTables } from './tables.ts';

const config = readConfig(prefetcherConfig, process.env);
const cluster = config.ISTHMUS_CLUSTER;
const log = createLog({ service: 'prefetcher', cluster, level: config.LOG_LEVEL });
const eventLog = await connectEventLog({ servers: config.NATS_URL, cluster, service: 'prefetcher', log });
const db = await connectPostgres<PrefetcherTables>({
  url: config.DATABASE_URL,
  schema: 'prefetcher',
  poolMax: config.DATABASE_POOL_MAX,
  log,
});
const service = await startPrefetcher({ config, log, eventLog, db });
log.info({ address: service.address }, 'prefetcher is up');

log.info({ signal: await untilSignal() }, 'stopping');
await stopInOrder(log, [
  ['service', () => service.stop()],
  ['event log', () => eventLog.close()],
  ['database', () => db.destroy()],
]);
