import { element, privateBlock, privateCreator, studyElements, tags } from '@isthmus/dicom';
import { configSubject, orderSubject, requestSubjects } from '@isthmus/domain';
import type {
  ClusterOutcome,
  ConfigurationKind,
  DataSetJson,
  EventEnvelope,
  FindAnswer,
  FindRequest,
  LocateAnswer,
  LocateRequest,
  OrderPlaced,
  RetrieveAnswer,
  RetrieveRequest,
  SendAnswer,
  SendRequest,
} from '@isthmus/domain';
import { connectEventLog } from '@isthmus/event-log';
import type { EventLog } from '@isthmus/event-log';
import { connectPostgres, createLog, newUuid, readConfig } from '@isthmus/service-kit';
import type { Database } from '@isthmus/service-kit';
import { eventually, requestJson, testServers } from '@isthmus/testing';
import type { JsonAnswer, TestContextLike } from '@isthmus/testing';
import type { Static } from 'typebox';
import { prefetcherConfig, startPrefetcher } from '../src/app.ts';
import type { JobAnswer, JobList } from '../src/schemas.ts';
import type { PrefetcherTables } from '../src/tables.ts';

export const patient = { id: 'P1', issuer: 'NORTH' };

/** A prior that the clusters know. */
export interface ScriptedPrior {
  readonly uid: string;
  readonly date: string;
  /** Cluster ids; `north` is where the prefetcher works. */
  readonly holders: readonly string[];
  readonly patientId?: string;
  readonly issuer?: string;
}

/** What query-federator and dimse-edge of cluster `north` do, as the test says. */
export class ScriptedCluster {
  priors: ScriptedPrior[] = [];
  /** Clusters that do not answer queries. */
  silent = new Set<string>();
  /** Studies whose transfer fails, with the detail. */
  broken = new Map<string, string>();
  /** A transfer waits for this before it ends. */
  hold: Promise<void> = Promise.resolve();
  readonly finds: FindRequest[] = [];
  readonly retrieves: RetrieveRequest[] = [];
  readonly sends: SendRequest[] = [];
  transfersCancelled = 0;

  serve(eventLog: EventLog): void {
    const { requests } = eventLog;
    requests.answerStream<FindRequest, FindAnswer>(requestSubjects.find, ({ payload }) =>
      this.#find(payload),
    );
    requests.answerStream<LocateRequest, LocateAnswer>(requestSubjects.locate, ({ payload }) =>
      this.#locate(payload),
    );
    requests.answerStream<RetrieveRequest, RetrieveAnswer>(requestSubjects.retrieve, ({ payload, signal }) =>
      this.#retrieve(payload, signal),
    );
    requests.answerStream<SendRequest, SendAnswer>(requestSubjects.send, ({ payload }) =>
      this.#send(payload),
    );
    requests.answer(requestSubjects.routes, async () => ({ nextHop: { south: 'south', east: 'east' } }));
  }

  async *#find(request: FindRequest): AsyncIterable<FindAnswer> {
    this.finds.push(request);
    const asked = (request.clusters ?? ['north', 'south', 'east']).filter(
      (cluster) => cluster === 'north' || request.localOnly !== true,
    );
    for (const prior of this.priors) {
      const heard = prior.holders.some((holder) => asked.includes(holder) && !this.silent.has(holder));
      if (heard) yield { row: rowOf(prior) };
    }
    const outcomes = asked.map((cluster): ClusterOutcome => ({
      cluster,
      status: this.silent.has(cluster) ? 'timed-out' : 'answered',
      rows: 0,
      keysNotApplied: [],
    }));
    yield { done: { outcomes } };
  }

  async *#locate(request: LocateRequest): AsyncIterable<LocateAnswer> {
    const studies = request.studyInstanceUids.map((studyInstanceUid) => {
      const holders = this.priors.find(({ uid }) => uid === studyInstanceUid)?.holders ?? [];
      const sources = holders
        .filter((holder) => holder !== 'north')
        .map((holder) => ({ peer: holder, aeTitle: holder.toUpperCase(), holder }));
      return { studyInstanceUid, complete: holders.includes('north'), sources };
    });
    yield { studies };
  }

  async *#retrieve(request: RetrieveRequest, signal: AbortSignal): AsyncIterable<RetrieveAnswer> {
    this.retrieves.push(request);
    signal.addEventListener('abort', () => this.transfersCancelled++, { once: true });
    yield { arrived: 0 };
    await this.hold;
    const detail = this.broken.get(request.studyInstanceUid);
    if (detail !== undefined) yield { done: { outcome: 'failed', arrived: 0, missing: [], detail } };
    else {
      this.priors = this.priors.map((prior) =>
        prior.uid === request.studyInstanceUid ? { ...prior, holders: [...prior.holders, 'north'] } : prior,
      );
      yield { done: { outcome: 'complete', arrived: 2, missing: [] } };
    }
  }

  async *#send(request: SendRequest): AsyncIterable<SendAnswer> {
    this.sends.push(request);
    yield { done: { outcome: 'complete', sent: 2, failed: [] } };
  }
}

function rowOf(prior: ScriptedPrior): DataSetJson {
  const holders = prior.holders.map((cluster) =>
    privateBlock(privateCreator.study, {
      [studyElements.cluster]: element('LO', cluster),
      [studyElements.complete]: element('CS', 'YES'),
    }),
  );
  return {
    [tags.StudyInstanceUID]: element('UI', prior.uid),
    [tags.StudyDate]: element('DA', prior.date),
    [tags.PatientID]: element('LO', prior.patientId ?? patient.id),
    [tags.IssuerOfPatientID]: element('LO', prior.issuer ?? patient.issuer),
    [tags.ModalitiesInStudy]: element('CS', 'CT'),
    ...privateBlock(privateCreator.study, { [studyElements.holders]: element('SQ', ...holders) }),
  };
}

/** A job of the prefetcher, and a list of them, as its schema says. */
export type JobBody = Static<typeof JobAnswer>;
export type JobListBody = Static<typeof JobList>;

export interface RunningPrefetcher {
  readonly cluster: ScriptedCluster;
  readonly eventLog: EventLog;
  readonly db: Database<PrefetcherTables>;
  /** Appends an order as ris-gateway does. */
  order(changes: Partial<OrderPlaced>, envelope?: Partial<EventEnvelope>): Promise<EventEnvelope>;
  /** Links north to a peer with these switches. */
  link(
    peer: string,
    switches?: { prefetching?: boolean; internalQueries?: boolean; enabled?: boolean },
  ): Promise<void>;
  get<Body>(path: string): Promise<JsonAnswer<Body>>;
  post<Body>(path: string, body: unknown): Promise<JsonAnswer<Body>>;
  /** The job of an accession number once the condition holds. */
  jobOnce(accessionNumber: string, condition: (job: JobBody) => boolean): Promise<JobBody>;
  stopService(): Promise<void>;
  startService(): Promise<void>;
}

const settings = {
  ISTHMUS_CLUSTER: 'north',
  JOBS_POLL_MS: '20',
  RETRY_BASE_MS: '20',
  RETRY_MAX_MS: '50',
  JOB_LEASE_MS: '1000',
};

/** A prefetcher of cluster `north` between scripted neighbours, on servers of its own. */
export async function startScripted(
  test: TestContextLike,
  more: { readonly [name: string]: string } = {},
): Promise<RunningPrefetcher> {
  const servers = await testServers();
  const log = createLog({ service: 'prefetcher', cluster: 'north', level: 'silent' });
  const connect = (service: string): Promise<EventLog> =>
    connectEventLog({ servers: servers.natsUrl, cluster: 'north', service, log });
  const [eventLog, neighbours] = await Promise.all([connect('prefetcher'), connect('query-federator')]);
  const db = await connectPostgres<PrefetcherTables>({
    url: servers.databaseUrl,
    schema: 'prefetcher',
    poolMax: 6,
    log,
  });
  const cluster = new ScriptedCluster();
  cluster.serve(neighbours);
  const environment = { ...settings, ...more, NATS_URL: servers.natsUrl, DATABASE_URL: servers.databaseUrl };
  const config = readConfig(prefetcherConfig, environment);
  const start = (): ReturnType<typeof startPrefetcher> => startPrefetcher({ config, log, eventLog, db });
  let service: Awaited<ReturnType<typeof startPrefetcher>> | undefined = await start();
  const stopService = async (): Promise<void> => {
    await service?.stop();
    service = undefined;
  };
  test.after(async () => {
    await stopService();
    await neighbours.close();
    await eventLog.close();
    await db.destroy();
    await servers.stop();
  });
  const versions = new Map<string, number>();
  const configure = async (kind: ConfigurationKind, name: string, value: unknown): Promise<void> => {
    const version = (versions.get(`${kind}/${name}`) ?? 0) + 1;
    versions.set(`${kind}/${name}`, version);
    const data = { kind, name, value, version, author: 'test', reason: 'test' };
    await eventLog.append('STUDY', configSubject(kind, name), envelope('ConfigurationChanged', name, data));
  };
  const get: RunningPrefetcher['get'] = (path) => requestJson('GET', `${service?.address ?? ''}${path}`);
  return {
    cluster,
    eventLog,
    db,
    get,
    stopService,
    startService: async () => {
      service = await start();
    },
    order: async (changes, more_ = {}) => {
      const order: OrderPlaced = { accessionNumber: 'A1', patient, status: 'SCHEDULED', ...changes };
      const event = { ...envelope('OrderPlaced', order.accessionNumber, order), ...more_ };
      await eventLog.append('STUDY', orderSubject('order', order.accessionNumber), event);
      return event;
    },
    link: async (peer, { prefetching = true, internalQueries = true, enabled = true } = {}) => {
      const both = (on: boolean): object => ({ in: on, out: on });
      await configure('station', peer.toUpperCase(), {
        aeTitle: peer.toUpperCase(),
        host: '127.0.0.1',
        port: 1,
        tls: false,
        kind: 'cluster',
        cluster: peer,
        archive: true,
        alsoSendsAs: [],
        keepsStatus: true,
      });
      await configure('link', peer, {
        peer,
        enabled,
        internalQueries: both(internalQueries),
        externalQueries: both(true),
        updates: both(true),
        prefetching: both(prefetching),
      });
    },
    post: (path, body) => requestJson('POST', `${service?.address ?? ''}${path}`, body),
    jobOnce: (accessionNumber, condition) =>
      eventually(`the job of ${accessionNumber}`, async () => {
        const { items } = (await get<JobListBody>('/api/v1/prefetch-jobs?limit=200')).body;
        const job = items.find(({ trigger }) => trigger.accessionNumber === accessionNumber);
        if (job && condition(job)) return job;
        throw new Error(`it is ${JSON.stringify(job)}`);
      }),
  };
}

function envelope(type: string, subject: string, data: unknown): EventEnvelope {
  return {
    id: newUuid(),
    type,
    source: 'north/ris-gateway',
    subject,
    time: new Date().toISOString(),
    origin: 'north',
    hlc: '0000000000000001',
    path: ['north'],
    v: 1,
    data,
  };
}
