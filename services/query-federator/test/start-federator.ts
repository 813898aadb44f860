import assert from 'node:assert/strict';
import { requestSubjects } from '@isthmus/domain';
import type {
  ClusterOutcome,
  DataSetJson,
  DimseFindAnswer,
  DimseFindRequest,
  EventEnvelope,
  FindAnswer,
  FindRequest,
  LocateAnswer,
  LocatedInstance,
  LocateRequest,
} from '@isthmus/domain';
import { connectEventLog } from '@isthmus/event-log';
import type { EventLog, IncomingRequest } from '@isthmus/event-log';
import { connectPostgres, createLog, readConfig } from '@isthmus/service-kit';
import type { Database } from '@isthmus/service-kit';
import { eventually, requestJson, testServers } from '@isthmus/testing';
import type { JsonAnswer, PageBody, TestContextLike } from '@isthmus/testing';
import { queryFederatorConfig, startQueryFederator } from '../src/app.ts';
import type { SearchAnswer } from '../src/search.ts';
import type { StudyBody } from '../src/study-body.ts';
import type { Tables } from '../src/tables.ts';
import { configured, subjectOf } from './facts.ts';

export interface Found {
  readonly rows: readonly DataSetJson[];
  readonly outcomes: readonly ClusterOutcome[];
}

export interface RunningFederator {
  readonly cluster: string;
  readonly eventLog: EventLog;
  readonly db: Database<Tables>;
  /** Appends events and waits until both projections and the configuration have them. */
  append(...events: readonly EventEnvelope[]): Promise<void>;
  find(request: Partial<FindRequest> & Pick<FindRequest, 'identifier'>, signal?: AbortSignal): Promise<Found>;
  locate(request: Partial<LocateRequest>): Promise<{
    readonly instances: readonly LocatedInstance[];
    readonly studies: Extract<LocateAnswer, { studies: unknown }>['studies'];
  }>;
  /** Answers `dimse.find` in this cluster, in place of its edge. */
  answerPeers(handler: (request: IncomingRequest<DimseFindRequest>) => AsyncIterable<DimseFindAnswer>): void;
  get<Body = StudyBody>(path: string): Promise<JsonAnswer<Body>>;
  post<Body = SearchAnswer>(path: string, body?: unknown): Promise<JsonAnswer<Body>>;
  stop(): Promise<void>;
}

/** A federator of one cluster with servers of its own; everything ends with the test. */
export async function startFederator(
  test: TestContextLike,
  cluster = 'north',
  environment: { readonly [name: string]: string } = {},
): Promise<RunningFederator> {
  const servers = await testServers();
  const service = 'query-federator';
  const log = createLog({ service, cluster, level: 'silent' });
  const eventLog = await connectEventLog({ servers: servers.natsUrl, cluster, service, log });
  const db = await connectPostgres<Tables>({
    url: servers.databaseUrl,
    schema: 'query_federator',
    poolMax: 6,
    log,
  });
  const settings = {
    ISTHMUS_CLUSTER: cluster,
    NATS_URL: servers.natsUrl,
    DATABASE_URL: servers.databaseUrl,
    ...environment,
  };
  const config = readConfig(queryFederatorConfig, settings);
  const running = await startQueryFederator({ config, log, eventLog, db });
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= running.stop());
  test.after(async () => {
    await stop();
    await eventLog.close();
    await db.destroy();
    await servers.stop();
  });
  const get: RunningFederator['get'] = (path) => requestJson('GET', `${running.address}${path}`);
  const federator: RunningFederator = {
    cluster,
    eventLog,
    db,
    stop,
    get,
    append: async (...events) => {
      for (const event of events)
        await eventLog.append(
          event.type === 'InstanceStored' ? 'INSTANCES' : 'STUDY',
          subjectOf(event),
          event,
        );
      await eventually('both projections have them', async () => {
        const { body } = await get<PageBody<{ lag: number }>>('/api/v1/projections/query-federator');
        assert.deepEqual(
          body.items.map(({ lag }) => lag),
          [0, 0],
        );
        return true;
      });
    },
    find: (request, signal) => find(eventLog, request, signal),
    locate: (request) => locate(eventLog, request),
    answerPeers: (handler) => void eventLog.requests.answerStream(requestSubjects.dimseFind, handler),
    post: (path, body) => requestJson('POST', `${running.address}${path}`, body),
  };
  const self = {
    id: cluster,
    name: cluster,
    aeTitle: cluster.toUpperCase(),
    patientDomain: cluster.toUpperCase(),
  };
  await federator.append(configured('cluster', cluster, self));
  return federator;
}

async function find(
  eventLog: EventLog,
  request: Partial<FindRequest> & Pick<FindRequest, 'identifier'>,
  signal?: AbortSignal,
): Promise<Found> {
  const whole: FindRequest = {
    model: 'STUDY_ROOT',
    level: 'STUDY',
    asker: { kind: 'station', aeTitle: 'WORKSTATION' },
    linked: false,
    hops: [],
    remainingMs: 10_000,
    ...request,
  };
  const options = { timeoutMs: 20_000, ...(signal ? { signal } : {}) };
  const rows: DataSetJson[] = [];
  for await (const answer of eventLog.requests.askStream<FindRequest, FindAnswer>(
    requestSubjects.find,
    whole,
    options,
  )) {
    if ('done' in answer) return { rows, outcomes: answer.done.outcomes };
    rows.push(answer.row);
  }
  throw new Error('the answer ended without done');
}

async function locate(
  eventLog: EventLog,
  request: Partial<LocateRequest>,
): ReturnType<RunningFederator['locate']> {
  const whole: LocateRequest = { level: 'STUDY', studyInstanceUids: [], ...request };
  const instances: LocatedInstance[] = [];
  const options = { timeoutMs: 20_000 };
  for await (const answer of eventLog.requests.askStream<LocateRequest, LocateAnswer>(
    requestSubjects.locate,
    whole,
    options,
  )) {
    if ('studies' in answer) return { instances, studies: answer.studies };
    instances.push(...answer.instances);
  }
  throw new Error('the answer ended without studies');
}
