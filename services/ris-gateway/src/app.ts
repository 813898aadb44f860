import type { EventLog } from '@isthmus/event-log';
import {
  addProjectionRoutes,
  createIdempotency,
  createMetrics,
  createRebuilds,
  migrate,
  postgresCheck,
  readiness,
  startHttp,
  startProjection,
  stopInOrder,
  watchConfiguration,
} from '@isthmus/service-kit';
import type { Database, Log } from '@isthmus/service-kit';
import type { RisGatewayConfig } from './config.ts';
import { foldRecords } from './fold-records.ts';
import { addRoutes } from './http.ts';
import { migrations } from './migrations.ts';
import type { RisGatewayTables } from './tables.ts';

export interface RisGatewayParts {
  readonly config: RisGatewayConfig;
  readonly log: Log;
  readonly eventLog: EventLog;
  /** Connected to a schema of its own (`ris_gateway`). */
  readonly db: Database<RisGatewayTables>;
}

/**
 * Takes orders and visits from the RIS: durable before the answer, listed after it. Closes neither log nor
 * database.
 */
export async function startRisGateway(
  parts: RisGatewayParts,
): Promise<{ address: string; stop(): Promise<void> }> {
  const { config, log, eventLog, db } = parts;
  const cluster = config.ISTHMUS_CLUSTER;
  const service = 'ris-gateway';
  await migrate(db, service, migrations);
  const metrics = createMetrics({ service, cluster });
  const configuration = watchConfiguration({ source: eventLog, log });
  const folded = { stream: 'STUDY', filter: 'order.>' } as const;
  const projection = startProjection({
    db,
    log,
    name: 'records',
    source: eventLog,
    ...folded,
    apply: foldRecords,
    tables: ['ris_record'],
    metrics,
  });
  const http = await startHttp({
    service,
    cluster,
    host: config.HTTP_HOST,
    port: config.HTTP_PORT,
    log,
    about: 'Orders and visits from RIS and HIS.',
    metrics,
    ready: readiness({
      postgres: postgresCheck(db),
      projection: () => projection.health(),
      configuration: () => configuration.isReady(),
    }),
    register: (app) => {
      const records = { name: 'records', stages: [{ ...folded, projection }] };
      addProjectionRoutes(app, { service, rebuilds: createRebuilds([records], eventLog) });
      addRoutes(app, {
        db,
        eventLog,
        cluster,
        attemptsMax: config.APPEND_ATTEMPTS_MAX,
        now: () => new Date(),
        projection,
        projectionWaitMs: config.PROJECTION_WAIT_MS,
        idempotency: createIdempotency({ db, service }),
        configuration: () => configuration.current(),
      });
    },
  });
  return {
    address: http.url,
    stop: () =>
      stopInOrder(log, [
        ['http', () => http.stop()],
        ['projection', () => projection.stop()],
        ['configuration', () => configuration.stop()],
      ]),
  };
}

export { risGatewayConfig } from './config.ts';
