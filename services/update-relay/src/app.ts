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
  createIdempotency,
  createMetrics,
  migrate,
  postgresCheck,
  readiness,
  startHttp,
  startProjection,
  stopInOrder,
  watchConfiguration,
} from '@isthmus/service-kit';
import type { Database, Log, Projection } from '@isthmus/service-kit';
import { createCommands } from './commands.ts';
import type { UpdateRelayConfig } from './config.ts';
import { startDelivery } from './delivery.ts';
import { addLinkRoutes } from './http-links.ts';
import { addStudyRoutes } from './http-studies.ts';
import { startLinkState } from './link-state.ts';
import { publishLinkMetrics } from './metrics.ts';
import { migrations } from './migrations/index.ts';
import { startObjects } from './objects.ts';
import { applyInstanceEvents, applyStudyEvents, studyProjectionTables } from './projection.ts';
import { readPositions } from './positions.ts';
import { startPulls } from './pulls.ts';
import { receiveLinkedUpdate } from './receive.ts';
import { openRoutes } from './routes.ts';
import type { RelayDatabase } from './tables.ts';

export interface UpdateRelayParts {
  readonly config: UpdateRelayConfig;
  readonly log: Log;
  readonly eventLog: EventLog;
  /** Connected to a schema of its own (`update_relay`). */
  readonly db: Database;
}

export interface UpdateRelay {
  /** Of the HTTP server. */
  readonly address: string;
  /** Folds both logs anew while serving: states and timeline. Positions, parked updates and known objects stay. */
  rebuild(): Promise<void>;
  /** Stops taking requests, lets what is at work end, then stops in order. Closes neither log nor database. */
  stop(): Promise<void>;
}

/** How long a write waits for its own projection before it answers 202. */
const projectionWaitMs = 1_000;
/** Linked updates taken in at one time: each folds studies and waits for the log. */
const receivesMax = 8;

/** Decides commands on studies, merges what peers send, and delivers what they are owed. */
export async function startUpdateRelay(parts: UpdateRelayParts): Promise<UpdateRelay> {
  const { config, log, eventLog } = parts;
  const cluster = config.ISTHMUS_CLUSTER;
  const service = 'update-relay';
  await migrate(parts.db, service, migrations);
  const db = parts.db as unknown as RelayDatabase;
  const metrics = createMetrics({ service, cluster });
  const configuration = watchConfiguration({ source: eventLog, log });
  const routes = await openRoutes({ db, self: cluster });
  const positions = await readPositions(db);

  const studies = startProjection({
    db: parts.db,
    log,
    name: 'studies',
    source: eventLog,
    stream: 'STUDY',
    apply: (tx, events) => applyStudyEvents(tx, events, cluster),
    tables: studyProjectionTables,
    metrics,
  });
  const instances = startProjection({
    db: parts.db,
    log,
    name: 'instances',
    source: eventLog,
    stream: 'INSTANCES',
    apply: applyInstanceEvents,
    // Its rows are also what peers told: kept, and merged with what the log says anew.
    tables: [],
    metrics,
  });

  const commands = createCommands({ cluster, db, eventLog, log, attemptsMax: config.COMMAND_ATTEMPTS_MAX });
  const objects = startObjects({
    cluster,
    db,
    commands,
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
    cluster,
    db,
    eventLog,
    log,
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
    cluster,
    configuration,
    eventLog,
    routes,
    log,
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
    cluster,
    db,
    positions,
    eventLog,
    configuration,
    log,
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

  const stopAnswering = answerRequests(parts, {
    receive: (incoming) =>
      receiveLinkedUpdate(
        {
          cluster,
          db,
          eventLog,
          configuration: () => configuration.current(),
          log,
          onObjects: () => {
            objects.wake();
            pulls.wake();
          },
        },
        incoming,
      ),
    linkState: (request) => linkState.answer(request),
    routes: () => ({ nextHop: routes.forRetrieval() }),
  });
  publishLinkMetrics({ metrics, configuration, delivery, linkState, checkpoint: () => studies.checkpoint() });

  const http = await startHttp({
    service,
    cluster,
    host: config.HTTP_HOST,
    port: config.HTTP_PORT,
    log,
    about: 'Study and patient state: commands, timeline, delivery to linked clusters.',
    metrics,
    ready: readiness({
      postgres: postgresCheck(parts.db),
      studies: () => studies.health(),
      instances: () => instances.health(),
      configuration: () => configuration.isReady(),
    }),
    register: (app) => {
      const idempotency = createIdempotency({ db: parts.db, service });
      addStudyRoutes(app, { db, commands, idempotency, projection: studies, projectionWaitMs });
      addLinkRoutes(app, {
        cluster,
        db,
        configuration: () => configuration.current(),
        linkState,
        delivery,
        checkpoint: () => studies.checkpoint(),
      });
    },
  });

  return {
    address: http.url,
    rebuild: () => rebuild(studies, instances),
    stop: () =>
      stopInOrder(log, [
        ['http', () => http.stop()],
        ['requests', stopAnswering],
        ['pulls', () => pulls.stop()],
        ['objects', () => objects.stop()],
        ['link state', () => linkState.stop()],
        ['delivery', () => delivery.stop()],
        ['studies', () => studies.stop()],
        ['instances', () => instances.stop()],
        ['configuration', () => configuration.stop()],
      ]),
  };
}

/** Headers are merged into the rows that the first rebuild makes anew. */
async function rebuild(studies: Projection, instances: Projection): Promise<void> {
  await studies.rebuild();
  await instances.rebuild();
}

interface RelayAnswers {
  receive(incoming: LinkedUpdateReceived & { readonly dataSet: Uint8Array }): Promise<LinkedUpdateAnswer>;
  linkState(request: LinkStateRequest): Promise<LinkStateAnswer>;
  routes(): RoutesAnswer;
}

function answerRequests({ eventLog }: UpdateRelayParts, answers: RelayAnswers): () => Promise<void> {
  const stops = [
    eventLog.requests.answer<LinkedUpdateReceived, LinkedUpdateAnswer>(
      requestSubjects.linkedUpdate,
      ({ payload, attachment }) => answers.receive({ ...payload, dataSet: attachment ?? new Uint8Array() }),
      { concurrencyMax: receivesMax },
    ),
    eventLog.requests.answer<LinkStateRequest, LinkStateAnswer>(requestSubjects.linkState, ({ payload }) =>
      answers.linkState(payload),
    ),
    eventLog.requests.answer<unknown, RoutesAnswer>(requestSubjects.routes, async () => answers.routes()),
  ];
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
  };
}

export { updateRelayConfig } from './config.ts';
