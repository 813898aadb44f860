import { access, constants, mkdir } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { implementationVersionName, uids } from '@isthmus/dicom';
import { acceptAssociations, associationPool } from '@isthmus/dimse';
import { stationOfAeTitle } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import { readiness, sleep, startHttp, stopInOrder, watchConfiguration } from '@isthmus/service-kit';
import type { Log } from '@isthmus/service-kit';
import { acknowledgedIds } from './acknowledged.ts';
import { admit } from './admission.ts';
import { associationEvents, associationHandlers } from './associations.ts';
import type { DimseEdgeConfig } from './config.ts';
import { durability } from './durability.ts';
import { wantedTags } from './header.ts';
import { createHostAddresses } from './host-addresses.ts';
import { registerRoutes } from './http.ts';
import { createEdgeMetrics } from './metrics.ts';
import { openObjectStore } from './object-store.ts';
import { createOutgoing } from './outgoing.ts';
import { createPulls } from './pulls.ts';
import { answerRequests } from './requests.ts';
import { createRetrieveJobs } from './retrieve-jobs.ts';
import { createRetrieves } from './retrieve.ts';
import { createSpool } from './spool.ts';
import { turns } from './turns.ts';

export { dimseEdgeConfig } from './config.ts';
export type { DimseEdgeConfig } from './config.ts';

export interface DimseEdge {
  /** `http://host:port` */
  readonly address: string;
  readonly dicomPort: number;
  stop(): Promise<void>;
}

export interface DimseEdgeParts {
  readonly config: DimseEdgeConfig;
  readonly log: Log;
  readonly eventLog: EventLog;
  /** How temporary files are opened; tests put a failing disk here. */
  readonly openFile?: (path: string) => Promise<FileHandle>;
}

/** The edge waits so long for the configuration before it opens its port with what there is. */
const configurationWaitMs = 10_000;
/** Deliveries that wait for an association to a destination. */
const deliveriesWaitingMax = 1_000;

/**
 * Starts the edge: object store, configuration, requests of other services, DICOM port, HTTP. It needs no database.
 *
 * @throws {ObjectStoreFailedError} The object store cannot be written.
 * @throws When a port is taken; what was opened before is closed again.
 */
export async function startDimseEdge({
  config,
  log,
  eventLog,
  openFile,
}: DimseEdgeParts): Promise<DimseEdge> {
  const cluster = config.ISTHMUS_CLUSTER;
  const ourAeTitle = (): string => config.AE_TITLE;
  const now = (): Date => new Date();
  const metrics = createEdgeMetrics(cluster);

  await mkdir(config.OBJECT_STORE, { recursive: true });
  const store = await openObjectStore(config.OBJECT_STORE, durability(config.FSYNC));
  const spool = createSpool({
    directory: store.incoming,
    wanted: wantedTags,
    freeMinBytes: config.OBJECT_STORE_FREE_MIN_MIB * 1024 * 1024,
    ...(openFile ? { openFile } : {}),
  });

  const configurationWatch = watchConfiguration({ source: eventLog, log });
  const configuration = configurationWatch.current;
  await Promise.race([configurationWatch.ready, sleep(configurationWaitMs)]);

  const pulls = createPulls(ourAeTitle);
  const pool = associationPool();
  const outgoing = createOutgoing({ configuration, ourAeTitle, pool });
  const retrieveTurns = turns({
    runningMax: config.RETRIEVES_MAX,
    waitingMax: config.RETRIEVES_WAITING_MAX,
    what: 'retrieves (RETRIEVES_WAITING_MAX)',
  });
  const sending = turns({
    runningMax: config.SENDING_MAX,
    waitingMax: deliveriesWaitingMax,
    what: 'deliveries',
  });
  const common = { cluster, ourAeTitle, configuration, eventLog, store, pulls, metrics, log, now };
  const retrieves = createRetrieves({ ...common, turns: retrieveTurns });
  const delivering = { ...common, retrieves, sending, timeoutMs: config.MOVE_TIMEOUT_MS };
  const jobs = createRetrieveJobs({ ...delivering, jobsMax: config.RETRIEVE_JOBS_MAX });
  const stopRequests = answerRequests({ ...delivering, outgoing });

  const hosts = createHostAddresses();
  const acceptor = await acceptAssociations({
    host: config.DICOM_HOST,
    port: config.DICOM_PORT,
    aeTitles: [config.AE_TITLE],
    implementationClassUid: uids.IsthmusImplementationClass,
    implementationVersionName,
    limits: { associationsMax: config.ASSOCIATIONS_MAX, associationsPerAddressMax: config.ASSOCIATIONS_MAX },
    admit: async (request) => {
      const host = stationOfAeTitle(configuration(), request.callingAeTitle)?.host;
      const addresses = host === undefined ? [] : await hosts.addressesOf(host);
      const known = { mode: config.ADMISSION, configuration: configuration(), addressesOf: () => addresses };
      return admit(request, known);
    },
    handlers: associationHandlers({
      store: { ...common, spool, acknowledged: acknowledgedIds() },
      find: { ...common, timeoutMs: config.QUERY_TIMEOUT_MS },
      move: delivering,
    }),
    onEvent: associationEvents(log, metrics.associations),
  });

  const http = await startHttp({
    service: 'dimse-edge',
    cluster,
    host: config.HTTP_HOST,
    port: config.HTTP_PORT,
    log,
    about: 'DICOM associations in and out, and the objects on disk',
    metrics: metrics.registry,
    register: (app) => registerRoutes(app, { jobs, store }),
    ready: readiness({
      log: async () => void (await eventLog.lastSequence('INSTANCES')),
      objectStore: () => access(store.incoming, constants.W_OK),
      configuration: () => configurationWatch.isReady(),
    }),
  });

  log.info(
    { aeTitle: config.AE_TITLE, dicomPort: acceptor.address.port, http: http.url },
    'dimse-edge is up',
  );
  return {
    address: http.url,
    dicomPort: acceptor.address.port,
    stop: () =>
      stopInOrder(log, [
        ['associations', () => acceptor.stop({ graceMs: config.STOP_GRACE_MS })],
        ['retrieve jobs', () => jobs.stop()],
        ['requests', () => stopRequests()],
        ['association pool', () => pool.stop()],
        ['http', () => http.stop()],
        ['configuration', () => configurationWatch.stop()],
      ]),
  };
}
