import { connectEventLog } from '@isthmus/event-log';
import { connectPostgres, createLog, readConfig, stopInOrder, untilSignal } from '@isthmus/service-kit';
import { configStoreConfig, startConfigStore } from './app.ts';

const signal = untilSignal();
const config = readConfig(configStoreConfig, process.env);
const cluster = config.ISTHMUS_CLUSTER;
const service = 'config-store';
const log = createLog({ service, cluster, level: config.LOG_LEVEL });

const eventLog = await connectEventLog({ servers: config.NATS_URL, cluster, service, log });
const db = await connectPostgres({
  url: config.DATABASE_URL,
  schema: 'config_store',
  poolMax: config.DATABASE_POOL_MAX,
  log,
});
const app = await startConfigStore({ config, log, eventLog, db });

log.info({ signal: await signal }, 'stopping');
await stopInOrder(log, [
  ['config-store', () => app.stop()],
  ['event log', () => eventLog.close()],
  ['database', () => db.destroy()],
]);
