/**
 * `npm run rebuild -w services/query-federator [-- instances|changes]`: empties the index and folds the log anew, also
 * while the service runs and serves (a running service does the folding, this program waits). Same environment as it.
 */
import { connectEventLog } from '@isthmus/event-log';
import { connectPostgres, createLog, readConfig } from '@isthmus/service-kit';
import { service, startProjections } from '../app.ts';
import { queryFederatorConfig } from '../config.ts';
import { createRebuilds } from '../rebuilds.ts';

const config = readConfig(queryFederatorConfig, process.env);
const cluster = config.ISTHMUS_CLUSTER;
const log = createLog({ service: `${service}-rebuild`, cluster, level: config.LOG_LEVEL });
const eventLog = await connectEventLog({ servers: config.NATS_URL, cluster, service, log });
const db = await connectPostgres({
  url: config.DATABASE_URL,
  schema: 'query_federator',
  poolMax: config.DATABASE_POOL_MAX,
  log,
});
const projections = startProjections({ db, log, eventLog });
const rebuilds = createRebuilds(projections, eventLog);
const [wanted = 'all'] = process.argv.slice(2);
for (const { name } of projections) {
  if (wanted !== 'all' && wanted !== name) continue;
  const rebuilt = await rebuilds.rebuild(name);
  const done = typeof rebuilt === 'object';
  process.stdout.write(`${name}: ${done ? `rebuilt up to event ${rebuilt.checkpoint}` : rebuilt}\n`);
  if (!done) process.exitCode = 1;
}
for (const { projection } of projections) await projection.stop();
await eventLog.close();
await db.destroy();
