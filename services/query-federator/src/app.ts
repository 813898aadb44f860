import { requestSubjects } from '@isthmus/domain';
import type { FindAnswer, FindRequest, LocateAnswer, LocateRequest } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import {
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
import type { Database, Log, Metrics, Projection, RebuildStage } from '@isthmus/service-kit';
import { circuitBreaker } from './circuit-breaker.ts';
import type { QueryFederatorConfig } from './config.ts';
import { createFederation, hereOf } from './federate.ts';
import { changeTables, foldChanges } from './fold-changes.ts';
import { addRoutes } from './http.ts';
import { indexInstances, instanceTables } from './index-instances.ts';
import { createLocator } from './locate.ts';
import { migrations } from './migrations.ts';
import { createSearch } from './search.ts';
import type { Tables } from './tables.ts';
import { upToDate } from './up-to-date.ts';

export interface QueryFederatorParts {
  readonly config: QueryFederatorConfig;
  readonly log: Log;
  readonly eventLog: EventLog;
  /** Connected to a schema of its own (`query_federator`). */
  readonly db: Database<Tables>;
}

/** How long a retrieve waits for the index, in ms; dimse-edge waits for the answer 15 s. */
const indexWaitMs = 5_000;

/** Name of the service, its lock and its health. */
export const service = 'query-federator';

/** Keeps the index of everything local and answers queries over all clusters. Closes neither log nor database. */
export async function startQueryFederator(
  parts: QueryFederatorParts,
): Promise<{ address: string; stop(): Promise<void> }> {
  const { config, log, eventLog, db } = parts;
  const cluster = config.ISTHMUS_CLUSTER;
  await migrate(db, service, migrations);
  const metrics = createMetrics({ service, cluster });
  const configuration = watchConfiguration({ source: eventLog, log });
  const projections = startProjections(parts, metrics);
  const [instances] = projections;
  const breaker = circuitBreaker({
    failuresMax: config.BREAKER_FAILURES,
    pauseMs: config.BREAKER_PAUSE_MS,
    now: () => performance.now(),
  });
  const known = {
    cluster,
    db,
    log,
    requests: eventLog.requests,
    configuration: () => configuration.current(),
  };
  const federation = createFederation({ ...known, breaker, limits: limitsOf(config) });
  const timing = { peerTimeoutMs: config.PEER_TIMEOUT_MS, now: () => performance.now() };
  const locate = createLocator({
    ...known,
    ...timing,
    federation,
    upToDate: (request) =>
      upToDate(request, { eventLog, instances: instances.projection, timeoutMs: indexWaitMs }),
  });
  const concurrency = { concurrencyMax: config.QUERIES_MAX };
  const stopFind = eventLog.requests.answerStream<FindRequest, FindAnswer>(
    requestSubjects.find,
    ({ payload, signal }) => federation.find(payload, signal),
    concurrency,
  );
  const stopLocate = eventLog.requests.answerStream<LocateRequest, LocateAnswer>(
    requestSubjects.locate,
    ({ payload, signal }) => locate(payload, signal),
    concurrency,
  );
  const here = () => hereOf(known);
  const queryTimeoutMs = config.PEER_TIMEOUT_MS + config.FORWARD_MARGIN_MS;
  const search = createSearch({
    federation,
    here,
    rowsMax: config.SEARCH_ROWS_MAX,
    timeoutMs: queryTimeoutMs,
    keptMax: config.SEARCHES_KEPT,
    keptRowsMax: config.SEARCHES_KEPT_ROWS_MAX,
    keptMs: config.SEARCH_KEPT_MS,
    now: () => performance.now(),
  });
  const http = await startHttp({
    service,
    cluster,
    host: config.HTTP_HOST,
    port: config.HTTP_PORT,
    log,
    about: 'The index of everything local, and queries over all linked clusters.',
    metrics,
    ready: readiness({
      postgres: postgresCheck(db),
      configuration: () => configuration.isReady(),
      ...Object.fromEntries(projections.map(({ name, projection }) => [name, () => projection.health()])),
    }),
    register: (app) =>
      addRoutes(app, {
        db,
        here,
        breaker,
        search,
        federation,
        rebuilds: createRebuilds(
          projections.map(({ name, ...stage }) => ({ name, stages: [stage] })),
          eventLog,
        ),
        queryTimeoutMs,
        rowsMax: config.SEARCH_ROWS_MAX,
      }),
  });
  return {
    address: http.url,
    stop: () =>
      stopInOrder(log, [
        ['http', () => http.stop()],
        ['query.find', stopFind],
        ['query.locate', stopLocate],
        ...projections.map(({ name, projection }) => [name, () => projection.stop()] as const),
        ['configuration', () => configuration.stop()],
      ]),
  };
}

interface NamedProjection extends RebuildStage {
  readonly name: string;
  readonly projection: Projection;
}

/** The two folds behind the index. They write the same state rows, see DESIGN.md. */
function startProjections(
  { db, log, eventLog }: Pick<QueryFederatorParts, 'db' | 'log' | 'eventLog'>,
  metrics: Metrics,
): readonly [instances: NamedProjection, changes: NamedProjection] {
  const common = { db, log, source: eventLog, metrics };
  return [
    {
      name: 'instances',
      stream: 'INSTANCES',
      projection: startProjection({
        ...common,
        name: 'instances',
        stream: 'INSTANCES',
        apply: indexInstances,
        tables: instanceTables,
      }),
    },
    {
      name: 'changes',
      stream: 'STUDY',
      projection: startProjection({
        ...common,
        name: 'changes',
        stream: 'STUDY',
        apply: foldChanges,
        tables: changeTables,
      }),
    },
  ];
}

function limitsOf(config: QueryFederatorConfig): Parameters<typeof createFederation>[0]['limits'] {
  return {
    peerTimeoutMs: config.PEER_TIMEOUT_MS,
    forwardMarginMs: config.FORWARD_MARGIN_MS,
    peersMax: config.PEERS_MAX,
    peerRowsMax: config.PEER_ROWS_MAX,
    localRowsMax: config.LOCAL_ROWS_MAX,
  };
}

export { queryFederatorConfig } from './config.ts';
