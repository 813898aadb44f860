import { connectEventLog } from '@isthmus/event-log';
import { connectPostgres, createLog, readConfig, stopInOrder, untilSignal } from '@isthmus/service-kit';
import { startRisGateway } from './app.ts';
import { risGatewayConfig } from './config.ts';
import type { RisGatewayTables } from './tables.ts';

const config = readConfig(risGatewayConfig, process.env);
const cluster = config.ISTHMUS_CLUSTER;
const log = createLog({ service: 'ris-gateway', cluster, level: config.LOG_LEVEL });
const eventLog = await connectEventLog({ servers: config.NATS_URL, cluster, service: 'ris-gateway', log });
const db = await connectPostgres<RisGatewayTables>({
  url: config.DATABASE_URL,
  schema: 'ris_gateway',
  poolMax: config.DATABASE_POOL_MAX,
  log,
});
const service = await startRisGateway({ config, log, eventLog, db });
log.info({ address: service.address }, 'ris-gateway is up');

log.info({ signal: await untilSignal() }, 'stopping');
await stopInOrder(log, [
  ['service', () => service.stop()],
  ['event log', () => eventLog.close()],
  ['database', () => db.destroy()],
]);
