import { connectEventLog } from '@isthmus/event-log';
import { connectPostgres, createLog, readConfig, stopInOrder, untilSignal } from '@isthmus/service-kit';
import { service as name, startQueryFederator } from './app.ts';
import { queryFederatorConfig } from './config.ts';
import type { Tables } from './tables.ts';

const config = readConfig(queryFederatorConfig, process.env);
const cluster = config.ISTHMUS_CLUSTER;
const log = createLog({ service: name, cluster, level: config.LOG_LEVEL });
const eventLog = await connectEventLog({ servers: config.NATS_URL, cluster, service: name, log });
const db = await connectPostgres<Tables>({
  url: config.DATABASE_URL,
  schema: 'query_federator',
  poolMax: config.DATABASE_POOL_MAX,
  log,
});
const service = await startQueryFederator({ config, log, eventLog, db });
log.info({ address: service.address }, 'query-federator is up');

log.info({ signal: await untilSignal() }, 'stopping');
await stopInOrder(log, [
  ['service', () => service.stop()],
  ['event log', () => eventLog.close()],
  ['database', () => db.destroy()],
]);
