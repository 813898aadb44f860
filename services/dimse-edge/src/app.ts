import { access, constants, mkdir } from 'node:fs/promises';
import { implementationVersionName, uids } from '@isthmus/dicom';
import { acceptAssociations, associationPool, dimseLimits, Occupancy } from '@isthmus/dimse';
import type { Acceptor, AdmitRequest, AssociationHandlers } from '@isthmus/dimse';
import { stationOfAeTitle } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import { readiness, sleep, startHttp, stopInOrder, watchConfiguration } from '@isthmus/service-kit';
import type { ConfigurationWatch, Log } from '@isthmus/service-kit';
import { acknowledgedIds } from './acknowledged.ts';
import { admit } from './admission.ts';
import { openAnnouncedPulls } from './announced-pulls.ts';
import type { AnnouncedPulls } from './announced-pulls.ts';
import { associationLimits, warnOfGreed } from './association-limits.ts';
import { answerCStore, associationEvents, associationHandlers } from './associations.ts';
import { openCommitmentReports } from './commitment-reports.ts';
import type { CommitmentReports } from './commitment-reports.ts';
import { createCommitmentRequests } from './commitment-requests.ts';
import { registerCommitmentRoutes } from './commitment-routes.ts';
import type { DimseEdgeConfig } from './config.ts';
import { createDestinations } from './destination.ts';
import type { Destinations } from './destination.ts';
import { diskOf } from './disk.ts';
import type { Disk, DiskCalls } from './disk.ts';
import { durability } from './durability.ts';
import { joinEdgeProcesses } from './edge-processes.ts';
import { wantedTags } from './header.ts';
import { createHostAddresses } from './host-addresses.ts';
import { registerRoutes } from './http.ts';
import { createEdgeMetrics } from './metrics.ts';
import type { EdgeMetrics } from './metrics.ts';
import { openObjectStore } from './object-store.ts';
import type { ObjectStore } from './object-store.ts';
import { createOutgoing } from './outgoing.ts';
import type { Outgoing } from './outgoing.ts';
import { createPulls } from './pulls.ts';
import type { Pulls } from './pulls.ts';
import { answerRequests } from './requests.ts';
import type { RequestParts } from './requests.ts';
import { createRetrieveJobs } from './retrieve-jobs.ts';
import type { RetrieveJobs } from './retrieve-jobs.ts';
import { createRetrieves } from './retrieve.ts';
import { createComparisons } from './same-content.ts';
import type { Comparisons } from './same-content.ts';
import { createSpool } from './spool.ts';
import { openTls } from './tls.ts';
import type { EdgeTls } from './tls.ts';
import { createTranscoder } from './transcoder.ts';
import type { Transcoder } from './transcoder.ts';
import { turns } from './turns.ts';

export { limitSettings } from './association-limits.ts';
export { dimseEdgeConfig } from './config.ts';
export type { DimseEdgeConfig } from './config.ts';

export interface DimseEdge {
  /** `http://host:port` */
  readonly address: string;
  readonly dicomPort: number;
  /** Undefined when no certificate is set. */
  readonly dicomTlsPort: number | undefined;
  stop(): Promise<void>;
}

export interface DimseEdgeParts {
  readonly config: DimseEdgeConfig;
  readonly log: Log;
  readonly eventLog: EventLog;
  /** What objects are written with; tests put a failing disk here. */
  readonly diskCalls?: DiskCalls;
}

/** The edge waits so long for the configuration before it opens its port with what there is. */
const configurationWaitMs = 10_000;
/** Destinations that wait for an association. */
const deliveriesWaitingMax = 1_000;

/**
 * Starts the edge: object store, configuration, requests of other services, DICOM port, HTTP. It needs no database.
 *
 * @throws {ObjectStoreFailedError} The object store cannot be written.
 * @throws When a port is taken; what was opened before is closed again.
 */
export async function startDimseEdge(parts: DimseEdgeParts): Promise<DimseEdge> {
  const { config, log, eventLog } = parts;
  const metrics = createEdgeMetrics(config.ISTHMUS_CLUSTER);
  const watch = watchConfiguration({ source: eventLog, log });
  const started: [name: string, stop: () => unknown][] = [['configuration', () => watch.stop()]];
  // What was started last is the first to end: peers, then requests and jobs, then what they use.
  const stop = (): Promise<void> => stopInOrder(log, started.reverse());
  try {
    await untilReady(watch, configurationWaitMs);
    watch.onChange(() => warnOfOtherAeTitle(watch, config, log));
    warnOfGreed(config, log);
    const tls = await openTls(config, {
      configuration: watch.current,
      log,
      onExpiry: metrics.certificateExpires,
      now: () => new Date(),
    });
    started.push(['TLS files', () => tls?.stop()]);
    const durable = durability(config.FSYNC);
    started.push(['object store', () => durable.close()]);
    const disk = diskOf(parts.diskCalls === undefined ? {} : { calls: parts.diskCalls, threads: false });
    const pulls = createPulls(() => config.AE_TITLE);
    // First its name, then what it puts on the disk: others must not take that for the left-overs of a dead one.
    const processes = joinEdgeProcesses({ eventLog, log, onArrival: pulls.arrived });
    started.push(['process name', () => processes.stop()]);
    await processes.isAlive(processes.id);
    await mkdir(config.OBJECT_STORE, { recursive: true });
    const store = await openObjectStore(config.OBJECT_STORE, { durable, disk, processes });
    started.push(['temporary files', () => store.close()], ['files made ahead', () => disk.close()]);
    const announcedPulls = await openAnnouncedPulls(config.OBJECT_STORE, processes);
    const pool = associationPool();
    started.push(['association pool', () => pool.stop()]);
    const comparisons = createComparisons({
      store,
      durable,
      runningMax: config.COMPARISONS_MAX,
      waitingMax: config.COMPARISONS_WAITING_MAX,
      timeoutMs: config.COMPARISON_TIMEOUT_MS,
    });
    const outgoing = createOutgoing({
      configuration: watch.current,
      ourAeTitle: () => config.AE_TITLE,
      pool,
      tls,
    });
    const reports = await openCommitmentReports(config.OBJECT_STORE, durable, processes, {
      ...commitmentSettings(config),
      ...{ store, eventLog, outgoing, metrics, log, configuration: watch.current },
      ourAeTitle: () => config.AE_TITLE,
      now: () => new Date(),
    });
    started.push(['storage commitment', () => reports.stop()]);
    const transcoder = createTranscoder({
      directory: store.incoming,
      bytesMax: config.TRANSCODE_MIB_MAX * 1024 * 1024,
      timeoutMs: config.TRANSCODE_TIMEOUT_MS,
    });
    started.push(['transcoder', () => transcoder.stop()]);
    const { handlers, jobs, requestParts, destinations } = wire(parts, {
      transcoder,
      disk,
      store,
      comparisons,
      outgoing,
      reports,
      metrics,
      watch,
      pulls,
      announcedPulls,
      tls,
    });
    started.push(['associations to destinations', () => destinations.stop()]);
    started.push(['retrieve jobs', () => jobs.stop()]);

    const http = await startHttp({
      service: 'dimse-edge',
      cluster: config.ISTHMUS_CLUSTER,
      host: config.HTTP_HOST,
      port: config.HTTP_PORT,
      log,
      about: 'DICOM associations in and out, and the objects on disk',
      metrics: metrics.registry,
      register: (app) => {
        registerRoutes(app, { jobs, store });
        registerCommitmentRoutes(app, reports);
      },
      ready: readiness({
        log: async () => void (await eventLog.lastSequence('INSTANCES')),
        objectStore: () => access(store.absolute('objects'), constants.W_OK),
        configuration: () => watch.isReady(),
      }),
    });
    started.push(['http', () => http.stop()]);
    started.push(['requests', answerRequests(requestParts)]);
    const acceptors = await acceptPeers(config, watch, handlers, log, metrics, tls);
    started.push(['associations', () => stopAll(acceptors, config.STOP_GRACE_MS)]);

    const [dicomPort, dicomTlsPort] = acceptors.map(({ address }) => address.port) as [number, number?];
    log.info({ aeTitle: config.AE_TITLE, dicomPort, dicomTlsPort, http: http.url }, 'dimse-edge is up');
    return { address: http.url, dicomPort, dicomTlsPort, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Waits for the configuration, but not for ever; keeps no timer when it has come. */
async function untilReady(watch: ConfigurationWatch, waitMs: number): Promise<void> {
  const isReady = new AbortController();
  watch.ready.then(() => isReady.abort()).catch(() => undefined);
  await sleep(waitMs, isReady.signal);
}

function commitmentSettings(config: DimseEdgeConfig) {
  return {
    sameAssociationAfterMs: config.COMMITMENT_SAME_ASSOCIATION_MS,
    triesMax: config.COMMITMENT_TRIES_MAX,
    pauseMaxMs: config.COMMITMENT_PAUSE_MAX_MS,
    pendingMax: config.COMMITMENTS_PENDING_MAX,
  };
}

/** Puts the parts together. Nothing runs yet but what a call starts. */
function wire(
  { config, log, eventLog }: DimseEdgeParts,
  {
    disk,
    store,
    transcoder,
    comparisons,
    outgoing,
    reports,
    metrics,
    watch,
    pulls,
    announcedPulls,
    tls,
  }: {
    readonly disk: Disk;
    readonly store: ObjectStore;
    readonly transcoder: Transcoder;
    readonly comparisons: Comparisons;
    readonly outgoing: Outgoing;
    readonly reports: CommitmentReports;
    readonly metrics: EdgeMetrics;
    readonly watch: ConfigurationWatch;
    readonly pulls: Pulls;
    readonly announcedPulls: AnnouncedPulls;
    readonly tls: EdgeTls | undefined;
  },
): {
  handlers: AssociationHandlers;
  jobs: RetrieveJobs;
  requestParts: RequestParts;
  destinations: Destinations;
} {
  const cluster = config.ISTHMUS_CLUSTER;
  const configuration = watch.current;
  const ourAeTitle = (): string => config.AE_TITLE;
  const now = (): Date => new Date();
  const common = {
    cluster,
    ourAeTitle,
    configuration,
    eventLog,
    store,
    transcoder,
    pulls,
    announcedPulls,
    metrics,
    log,
    now,
    tls,
  };
  const spool = createSpool({
    directory: store.incoming,
    wanted: wantedTags,
    freeMinBytes: config.OBJECT_STORE_FREE_MIN_MIB * 1024 * 1024,
    disk,
  });
  const receiving = { ...common, spool, comparisons, acknowledged: acknowledgedIds() };
  const retrieves = createRetrieves({
    ...common,
    take: (request) => answerCStore(request, receiving),
    turns: turns({
      runningMax: config.RETRIEVES_MAX,
      waitingMax: config.RETRIEVES_WAITING_MAX,
      what: 'retrieves (RETRIEVES_WAITING_MAX)',
    }),
  });
  const sending = turns({
    runningMax: config.SENDING_MAX,
    waitingMax: deliveriesWaitingMax,
    what: 'deliveries',
  });
  const destinations = createDestinations({
    ...common,
    sending,
    associationsMax: config.ASSOCIATIONS_PER_DESTINATION,
    operationsInvokedMax: config.OPERATIONS_INVOKED_MAX,
  });
  const commitmentRequests = createCommitmentRequests(common);
  const delivering = { ...common, retrieves, destinations, timeoutMs: config.MOVE_TIMEOUT_MS };
  return {
    destinations,
    handlers: associationHandlers({
      store: receiving,
      find: { ...common, timeoutMs: config.QUERY_TIMEOUT_MS },
      move: delivering,
      commitment: { reports, requests: commitmentRequests, log },
    }),
    jobs: createRetrieveJobs({ ...delivering, jobsMax: config.RETRIEVE_JOBS_MAX }),
    requestParts: { ...delivering, outgoing, commitmentRequests },
  };
}

/**
 * Opens the DICOM port, and a second one for TLS when there is a certificate. They share the places: a peer gets no
 * more associations by using both.
 * @throws When a port is taken; neither is open then.
 */
async function acceptPeers(
  config: DimseEdgeConfig,
  watch: ConfigurationWatch,
  handlers: AssociationHandlers,
  log: Log,
  metrics: EdgeMetrics,
  tls: EdgeTls | undefined,
): Promise<readonly Acceptor[]> {
  const hosts = createHostAddresses();
  const limits = dimseLimits(associationLimits(config));
  const common = {
    host: config.DICOM_HOST,
    reusePort: config.DICOM_REUSE_PORT,
    aeTitles: [config.AE_TITLE],
    implementationClassUid: uids.IsthmusImplementationClass,
    implementationVersionName,
    limits,
    occupancy: new Occupancy(limits),
    admit: async (request: AdmitRequest) => {
      const host = stationOfAeTitle(watch.current(), request.callingAeTitle)?.host;
      const addresses = host === undefined ? [] : await hosts.addressesOf(host);
      const known = { mode: config.ADMISSION, configuration: watch.current(), addressesOf: () => addresses };
      return admit(request, known);
    },
    handlers,
    onEvent: associationEvents(log, metrics.associations),
  };
  const plain = await acceptAssociations({ ...common, port: config.DICOM_PORT });
  if (tls === undefined) return [plain];
  try {
    const secured = await acceptAssociations({
      ...common,
      port: config.DICOM_TLS_PORT,
      tls: tls.accepting(),
    });
    tls.onReload(() => secured.reloadTls(tls.accepting()));
    return [plain, secured];
  } catch (error) {
    await plain.stop();
    throw error;
  }
}

function stopAll(acceptors: readonly Acceptor[], graceMs: number): Promise<unknown> {
  return Promise.all(acceptors.map((one) => one.stop({ graceMs })));
}

/** The port answers to AE_TITLE alone; peers that are told another one would be refused. */
function warnOfOtherAeTitle(watch: ConfigurationWatch, config: DimseEdgeConfig, log: Log): void {
  const configured = watch.current().cluster?.aeTitle;
  if (configured === undefined || configured === config.AE_TITLE) return;
  log.warn(
    { configured, aeTitle: config.AE_TITLE },
    'the cluster is configured with another AE title than AE_TITLE',
  );
}
