import type { EventLog } from '@isthmus/event-log';
import {
  createMetrics,
  migrate,
  postgresCheck,
  readiness,
  startHttp,
  startProjection,
  stopInOrder,
  watchConfiguration,
} from '@isthmus/service-kit';
import type { ConfigurationWatch, Database, Log } from '@isthmus/service-kit';
import type { PrefetcherConfig } from './config.ts';
import type { FindCandidatesParts } from './find-candidates.ts';
import { foldOrders } from './fold-orders.ts';
import { addRoutes } from './http.ts';
import { hastenJobs } from './jobs.ts';
import { migrations } from './migrations.ts';
import type { PrefetcherTables } from './tables.ts';
import { startWorker } from './worker.ts';
import type { Worker } from './worker.ts';

export interface PrefetcherParts {
  readonly config: PrefetcherConfig;
  readonly log: Log;
  readonly eventLog: EventLog;
  /** Connected to a schema of its own (`prefetcher`). */
  readonly db: Database<PrefetcherTables>;
}

/** Brings priors to where orders will be read. Closes neither log nor database. */
export async function startPrefetcher(
  parts: PrefetcherParts,
): Promise<{ address: string; stop(): Promise<void> }> {
  const { config, log, eventLog, db } = parts;
  const cluster = config.ISTHMUS_CLUSTER;
  await migrate(db, service, migrations);
  const metrics = createMetrics({ service, cluster });
  const configuration = watchConfiguration({ source: eventLog, log });
  const projection = startProjection({
    db,
    log,
    name: 'jobs',
    source: eventLog,
    stream: 'STUDY',
    filter: 'order.>',
    apply: foldOrders(cluster),
    // What became of a job cannot be derived from the log: a rebuild folds over the rows that are there.
    tables: [],
    metrics,
  });
  const worker = startWorkerOnceConfigured(parts, configuration);
  const unsubscribe = [
    projection.onAdvance(() => worker.wake()),
    configuration.onChange(() => {
      hastenJobs(db).then(
        () => worker.wake(),
        (error: unknown) => log.warn({ err: error }, 'prefetch: waiting jobs keep their time'),
      );
    }),
  ];
  const http = await startHttp({
    service,
    cluster,
    host: config.HTTP_HOST,
    port: config.HTTP_PORT,
    log,
    about: 'Brings priors to the cluster where an order will be read.',
    metrics,
    ready: readiness({
      postgres: postgresCheck(db),
      projection: () => projection.health(),
      configuration: () => configuration.isReady(),
    }),
    register: (app) => addRoutes(app, { ...candidatesParts(parts, configuration), db }),
  });
  return {
    address: http.url,
    stop: () =>
      stopInOrder(log, [
        ['http', () => http.stop()],
        ['wake-up', () => unsubscribe.forEach((end) => end())],
        ['worker', () => worker.stop()],
        ['projection', () => projection.stop()],
        ['configuration', () => configuration.stop()],
      ]),
  };
}

const service = 'prefetcher';

function candidatesParts(parts: PrefetcherParts, configuration: ConfigurationWatch): FindCandidatesParts {
  const { config, log, eventLog } = parts;
  return {
    cluster: config.ISTHMUS_CLUSTER,
    requests: eventLog.requests,
    configuration: () => configuration.current(),
    log,
    priorsMax: config.PRIORS_MAX,
    candidatesMax: config.CANDIDATES_MAX,
    queryTimeoutMs: config.QUERY_TIMEOUT_MS,
  };
}

/** A worker that does not know the links yet would take every peer for switched off. */
function startWorkerOnceConfigured(parts: PrefetcherParts, configuration: ConfigurationWatch): Worker {
  const { config, db } = parts;
  let worker: Worker | undefined;
  let stopped = false;
  void configuration.ready.then(() => {
    if (stopped) return;
    worker = startWorker({
      ...candidatesParts(parts, configuration),
      db,
      atOnceMax: config.JOBS_AT_ONCE_MAX,
      pollMs: config.JOBS_POLL_MS,
      leaseMs: config.JOB_LEASE_MS,
      attemptsMax: config.JOB_ATTEMPTS_MAX,
      retryBaseMs: config.RETRY_BASE_MS,
      retryMaxMs: config.RETRY_MAX_MS,
      transferDeadlineMs: config.TRANSFER_DEADLINE_MS,
      transferSilenceMs: config.TRANSFER_SILENCE_MS,
      random: Math.random,
    });
  });
  return {
    wake: () => worker?.wake(),
    stop: async () => {
      stopped = true;
      await worker?.stop();
    },
  };
}

export { prefetcherConfig } from './config.ts';
