import { connectEventLog } from '@isthmus/event-log';
import { connectPostgres, createLog, readConfig, stopInOrder, untilSignal } from '@isthmus/service-kit';
import { startUpdateRelay } from './app.ts';
import { updateRelayConfig } from './config.ts';
import type { RelayTables } from './tables.ts';

const config = readConfig(updateRelayConfig, process.env);
const cluster = config.ISTHMUS_CLUSTER;
const log = createLog({ service: 'update-relay', cluster, level: config.LOG_LEVEL });
const eventLog = await connectEventLog({ servers: config.NATS_URL, cluster, service: 'update-relay', log });
const db = await connectPostgres<RelayTables>({
  url: config.DATABASE_URL,
  schema: 'update_relay',
  poolMax: config.DATABASE_POOL_MAX,
  log,
});
const service = await startUpdateRelay({ config, log, eventLog, db });
log.info({ address: service.address }, 'update-relay is up');

log.info({ signal: await untilSignal() }, 'stopping');
await stopInOrder(log, [
  ['service', () => service.stop()],
  ['event log', () => eventLog.close()],
  ['database', () => db.destroy()],
]);
