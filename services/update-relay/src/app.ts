import { requestSubjects } from '@isthmus/domain';
import type {
  LinkedUpdateAnswer,
  LinkedUpdateReceived,
  LinkStateAnswer,
  LinkStateRequest,
  RoutesAnswer,
} from '@isthmus/domain';
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
import type {
  ConfigurationWatch,
  HttpServer,
  Log,
  Metrics,
  Projection,
  Rebuilds,
} from '@isthmus/service-kit';
import { createCommands } from './commands.ts';
import type { Commands } from './commands.ts';
import type { UpdateRelayConfig } from './config.ts';
import { startDelivery } from './delivery.ts';
import type { Delivery } from './delivery.ts';
import { addLinkRoutes } from './http-links.ts';
import { addStudyRoutes } from './http-studies.ts';
import { startLinkState } from './link-state.ts';
import type { LinkState } from './link-state.ts';
import { publishLinkMetrics } from './metrics.ts';
import { migrations } from './migrations.ts';
import { startObjects } from './objects.ts';
import type { Objects } from './objects.ts';
import { applyInstanceEvents, applyStudyEvents, studyProjectionTables } from './projection.ts';
import { startPulls } from './pulls.ts';
import type { Pulls } from './pulls.ts';
import { receiveLinkedUpdate } from './receive.ts';
import { openRoutes } from './routes.ts';
import type { Routes } from './routes.ts';
import { postgresRows, postgresStore } from './store/postgres-store.ts';
import type { RelayStore } from './store/rows.ts';
import type { RelayDatabase } from './tables.ts';

export interface UpdateRelayParts {
  readonly config: UpdateRelayConfig;
  readonly log: Log;
  readonly eventLog: EventLog;
  /** Connected to a schema of its own (`update_relay`). */
  readonly db: RelayDatabase;
}

export interface UpdateRelay {
  /** Of the HTTP server. */
  readonly address: string;
  /**
   * Stops taking requests, lets what is at work end, then stops in order. Closes neither log nor database.
   */
  stop(): Promise<void>;
}

const service = 'update-relay';
/** How long a write waits for its own projection before it answers 202. */
const projectionWaitMs = 1_000;
/** Linked updates taken in at one time: each folds studies and waits for the log. */
const receivesMax = 8;

/**
 * Decides commands on studies, merges what peers send, and delivers what they are owed.
 *
 * @throws When the database cannot be migrated or the port is taken; nothing is left running.
 */
export async function startUpdateRelay(parts: UpdateRelayParts): Promise<UpdateRelay> {
  const core = await openCore(parts);
  const work = startWork(core);
  const stopAnswering = answerRequests(core, work);
  let http: HttpServer | undefined;
  const stop = (): Promise<void> =>
    stopInOrder(core.log, [
      ['http', () => http?.stop()],
      ['requests', stopAnswering],
      ['pulls', () => work.pulls.stop()],
      ['objects', () => work.objects.stop()],
      ['link state', () => work.linkState.stop()],
      ['delivery', () => work.delivery.stop()],
      ['studies', () => core.studies.stop()],
      ['instances', () => core.instances.stop()],
      ['configuration', () => core.configuration.stop()],
    ]);
  try {
    http = await listen(core, work);
  } catch (error) {
    await stop();
    throw error;
  }
  return { address: http.url, stop };
}

/** What everything else stands on: state, routes and the projections that fold it. */
interface Core {
  readonly cluster: string;
  readonly config: UpdateRelayConfig;
  readonly log: Log;
  readonly eventLog: EventLog;
  readonly db: RelayDatabase;
  readonly store: RelayStore;
  readonly metrics: Metrics;
  readonly configuration: ConfigurationWatch;
  readonly routes: Routes;
  readonly positions: ReadonlyMap<string, number>;
  readonly studies: Projection;
  readonly instances: Projection;
  readonly commands: Commands;
}

async function openCore({ config, log, eventLog, db }: UpdateRelayParts): Promise<Core> {
  const cluster = config.ISTHMUS_CLUSTER;
  await migrate(db, service, migrations);
  const store = postgresStore(db);
  const routes = await openRoutes({ store, self: cluster });
  const positions = await store.positions();
  const metrics = createMetrics({ service, cluster });
  const configuration = watchConfiguration({ source: eventLog, log });
  const common = { db, log, source: eventLog, metrics };
  const studies = startProjection({
    ...common,
    name: 'studies',
    stream: 'STUDY',
    apply: (tx, events) => applyStudyEvents(postgresRows(tx), events, cluster),
    tables: studyProjectionTables,
  });
  const instances = startProjection({
    ...common,
    name: 'instances',
    stream: 'INSTANCES',
    apply: (tx, events) => applyInstanceEvents(postgresRows(tx), events),
    // Its rows are also what peers told: kept, and merged with what the log says anew.
    tables: [],
  });
  const commands = createCommands({
    cluster,
    store,
    eventLog,
    log,
    attemptsMax: config.COMMAND_ATTEMPTS_MAX,
  });
  const opened = {
    cluster,
    config,
    log,
    eventLog,
    db,
    store,
    metrics,
    configuration,
    routes,
    positions,
  };
  return { ...opened, studies, instances, commands };
}

/** What goes on by itself. */
interface Work {
  readonly objects: Objects;
  readonly pulls: Pulls;
  readonly linkState: LinkState;
  readonly delivery: Delivery;
}

/** Starts the loops and ties them together: each wakes those whose work it made. */
function startWork(core: Core): Work {
  const { cluster, config, log, eventLog, store, configuration, routes, studies, instances } = core;
  const objects = startObjects({
    cluster,
    store,
    commands: core.commands,
    log,
    limits: { quietMs: config.OBJECTS_QUIET_MS, atMostMs: config.OBJECTS_ANNOUNCE_MAX_MS },
    nextHop: () => routes.forUpdates(),
    projected: (sequence) => studies.waitFor(sequence, projectionWaitMs),
    onFlushed: () => {
      delivery.wake();
      pulls.wake();
    },
  });
  const pulls = startPulls({
    ...{ cluster, store, eventLog, log },
    configuration: () => configuration.current(),
    nextHop: () => routes.forRetrieval(),
    isQuiet: (study) => objects.isQuiet(study),
    instancesProjected: async () => instances.waitFor(await eventLog.lastSequence('INSTANCES'), 5_000),
    deadlineMs: config.PULL_DEADLINE_MS,
    concurrencyMax: config.PULLS_MAX,
    pauseMs: Math.min(1_000, config.OBJECTS_QUIET_MS),
    backoffMaxMs: config.DELIVERY_BACKOFF_MAX_MS,
  });
  const linkState = startLinkState({
    ...{ cluster, configuration, eventLog, routes, log },
    everyMs: config.LINK_STATE_EVERY_MS,
    timeoutMs: config.LINK_REQUEST_TIMEOUT_MS,
    backoffMaxMs: config.DELIVERY_BACKOFF_MAX_MS,
    position: (peer) => ({ sent: delivery.status(peer).position, folded: studies.checkpoint() }),
    onNews: (peer) => {
      if (peer !== undefined) delivery.recovered(peer);
      delivery.wake(peer);
      pulls.wake();
    },
  });
  const delivery = startDelivery({
    ...{ cluster, store, eventLog, configuration, log },
    positions: core.positions,
    checkpoint: () => studies.checkpoint(),
    health: (peer) => linkState.health(peer),
    askLinkState: (peer) => linkState.askNow(peer),
    itemsMax: config.BATCH_ITEMS_MAX,
    timeoutMs: config.LINK_REQUEST_TIMEOUT_MS,
    backoffMaxMs: config.DELIVERY_BACKOFF_MAX_MS,
    refusalsMax: config.REFUSALS_MAX,
  });
  studies.onAdvance(() => {
    delivery.wake();
    objects.wake();
  });
  instances.onAdvance(() => {
    objects.wake();
    pulls.wake();
  });
  return { objects, pulls, linkState, delivery };
}

/** Answers the edge and the other services of this cluster. */
function answerRequests(core: Core, work: Work): () => Promise<void> {
  const { requests } = core.eventLog;
  const receiving = {
    ...{ cluster: core.cluster, store: core.store, eventLog: core.eventLog, log: core.log },
    configuration: () => core.configuration.current(),
    onObjects: () => {
      work.objects.wake();
      work.pulls.wake();
    },
  };
  const stops = [
    requests.answer<LinkedUpdateReceived, LinkedUpdateAnswer>(
      requestSubjects.linkedUpdate,
      ({ payload, attachment }) =>
        receiveLinkedUpdate(receiving, { ...payload, dataSet: attachment ?? new Uint8Array() }),
      { concurrencyMax: receivesMax },
    ),
    requests.answer<LinkStateRequest, LinkStateAnswer>(requestSubjects.linkState, ({ payload }) =>
      work.linkState.answer(payload),
    ),
    requests.answer<unknown, RoutesAnswer>(requestSubjects.routes, async () => ({
      nextHop: core.routes.forRetrieval(),
    })),
  ];
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
  };
}

async function listen(core: Core, work: Work): Promise<HttpServer> {
  const { cluster, config, log, db, store, metrics, studies, instances, commands } = core;
  const checkpoint = (): number => studies.checkpoint();
  const { linkState, delivery } = work;
  publishLinkMetrics({ metrics, configuration: core.configuration, delivery, linkState, checkpoint });
  return startHttp({
    service,
    cluster,
    host: config.HTTP_HOST,
    port: config.HTTP_PORT,
    log,
    about: 'Study and patient state: commands, timeline, delivery to linked clusters.',
    metrics,
    ready: readiness({
      postgres: postgresCheck(db),
      studies: () => studies.health(),
      instances: () => instances.health(),
      configuration: () => core.configuration.isReady(),
    }),
    register: (app) => {
      const idempotency = createIdempotency({ db, service });
      addStudyRoutes(app, {
        cluster,
        db,
        store,
        commands,
        idempotency,
        projection: studies,
        projectionWaitMs,
      });
      const configuration = (): ReturnType<ConfigurationWatch['current']> => core.configuration.current();
      addLinkRoutes(app, { cluster, db, store, configuration, linkState, delivery, checkpoint });
      addProjectionRoutes(app, { service, rebuilds: rebuildsOf(core) });
    },
  });
}

/** States and timeline, from both logs. Positions, parked updates and known objects stay: they are in no log. */
function rebuildsOf({ studies, instances, eventLog }: Core): Rebuilds {
  // Headers are merged into the rows that the first stage makes anew: neither is right to rebuild alone.
  const stages = [
    { stream: 'STUDY', projection: studies },
    { stream: 'INSTANCES', projection: instances },
  ] as const;
  return createRebuilds([{ name: 'states', stages }], eventLog);
}

export { updateRelayConfig } from './config.ts';
