import type { EventLog } from '@isthmus/event-log';
import {
  addProjectionRoutes,
  createIdempotency,
  createMetrics,
  createRebuilds,
  idempotencyMigration,
  migrate,
  postgresCheck,
  readiness,
  startHttp,
  stopInOrder,
  watchConfiguration,
} from '@isthmus/service-kit';
import type { Database, Log } from '@isthmus/service-kit';
import type { ConfigStoreConfig } from './config.ts';
import { historyLog, startHistory } from './history.ts';
import { registerRoutes } from './http.ts';
import { history as historyMigration } from './migrations/0001-history.ts';
import { seedFromFile } from './seed.ts';
import { createConfigurationStore } from './store.ts';

export { configStoreConfig } from './config.ts';
export type { ConfigStoreConfig } from './config.ts';

export interface ConfigStoreParts {
  readonly config: ConfigStoreConfig;
  readonly log: Log;
  readonly eventLog: EventLog;
  readonly db: Database;
}

/**
 * Starts the config-store: reads the configuration from the event log, adds what the cluster file names anew,
 * then serves.
 *
 * @throws {ClusterFileError} The cluster file is wrong. Nothing stays open.
 */
export async function startConfigStore(
  parts: ConfigStoreParts,
): Promise<{ address: string; stop(): Promise<void> }> {
  const { config, log, eventLog, db } = parts;
  const cluster = config.ISTHMUS_CLUSTER;
  await migrate(db, 'config-store', [historyMigration, idempotencyMigration]);
  const metrics = createMetrics({ service: 'config-store', cluster });
  const watch = watchConfiguration({ source: eventLog, log });
  const history = startHistory({ db, log, source: eventLog, metrics });
  const stopReading = (): Promise<void> =>
    stopInOrder(log, [
      ['history', () => history.stop()],
      ['watch', () => watch.stop()],
    ]);
  try {
    await watch.ready;
    const ownViewWaitMs = config.OWN_VIEW_WAIT_MS;
    const store = createConfigurationStore({
      eventLog,
      watch,
      cluster,
      now: () => new Date(),
      ownViewWaitMs,
    });
    if (config.CLUSTER_FILE !== undefined) await seedFromFile(config.CLUSTER_FILE, cluster, store, log);
    const idempotency = createIdempotency({ db, service: 'config-store' });
    const http = await startHttp({
      service: 'config-store',
      cluster,
      host: config.HTTP_HOST,
      port: config.HTTP_PORT,
      log,
      metrics,
      about: 'Stations, links and the cluster itself.',
      register: (app) => {
        registerRoutes(app, { store, idempotency, history, db, cluster, ownViewWaitMs });
        const rebuildable = { name: 'history', stages: [{ ...historyLog, projection: history }] };
        addProjectionRoutes(app, {
          service: 'config-store',
          rebuilds: createRebuilds([rebuildable], eventLog),
        });
      },
      ready: readiness({
        postgres: postgresCheck(db),
        eventLog: async () => void (await eventLog.lastSequence('STUDY')),
        history: () => history.health(),
      }),
    });
    return {
      address: http.url,
      stop: async () => {
        await stopInOrder(log, [['http', () => http.stop()]]);
        await stopReading();
      },
    };
  } catch (error) {
    await stopReading();
    throw error;
  }
}
