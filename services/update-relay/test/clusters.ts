import { configSubject, instanceSubject } from '@isthmus/domain';
import type {
  ConfigurationChange,
  ConfigurationKind,
  Link,
  LinkSwitch,
  Station,
  StudyView,
} from '@isthmus/domain';
import { connectEventLog } from '@isthmus/event-log';
import type { EventLog } from '@isthmus/event-log';
import { connectPostgres, createLog, newUuid, readConfig } from '@isthmus/service-kit';
import type { Database } from '@isthmus/service-kit';
import { eventually, requestJson, testServers } from '@isthmus/testing';
import type { JsonAnswer, TestContextLike, TestServers } from '@isthmus/testing';
import type { Static } from 'typebox';
import { startUpdateRelay, updateRelayConfig } from '../src/app.ts';
import type { UpdateRelay } from '../src/app.ts';
import type { LinkStatusAnswer, StudyAnswer } from '../src/schemas.ts';
import type { RelayTables } from '../src/tables.ts';
import { createBridge } from './bridge.ts';
import type { Bridge, BridgeEnd } from './bridge.ts';
import { instanceStored } from './objects.ts';
import type { TestObject } from './objects.ts';

/** A study as REST gives it: the schema leaves open what may grow. */
export type StudyBody = Static<typeof StudyAnswer> &
  StudyView & { readonly modalities: readonly string[]; readonly instanceCount: number };
export type LinkStatusBody = Static<typeof LinkStatusAnswer>;

/** One cluster: real nats-server, real PostgreSQL, a real relay; its edge is the bridge. */
export interface Cluster extends BridgeEnd {
  readonly servers: TestServers;
  readonly db: Database<RelayTables>;
  relay(): UpdateRelay;
  /** Stops the relay, as at the end of its process. */
  stopRelay(): Promise<void>;
  startRelay(): Promise<void>;
  /** An object arrives from a modality. */
  store(...objects: readonly TestObject[]): Promise<void>;
  /** Whole copies of these objects arrive by C-MOVE from a linked cluster. */
  pull(from: string, ...objects: readonly TestObject[]): Promise<void>;
  call<Body = StudyBody>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<JsonAnswer<Body>>;
  configure(kind: ConfigurationKind, name: string, value: unknown): Promise<void>;
  link(peer: string, more?: Partial<Link>): Promise<void>;
}

export interface Federation {
  readonly bridge: Bridge;
  /** @throws When there is none of that name. */
  cluster(id: string): Cluster;
}

/** Two clusters that are linked. */
export interface Pair {
  readonly federation: Federation;
  readonly north: Cluster;
  readonly south: Cluster;
}

export const on: LinkSwitch = { in: true, out: true };

export function linkTo(peer: string, more: Partial<Link> = {}): Link {
  return {
    peer,
    enabled: true,
    internalQueries: on,
    externalQueries: on,
    updates: on,
    prefetching: on,
    ...more,
  };
}

/** Collects what the tests of a suite share, to be ended once all have run: `after(shared.end)`. */
export function sharedBySuite(): TestContextLike & { end(): Promise<void> } {
  const work: (() => Promise<void>)[] = [];
  return {
    after: (cleanUp) => void work.unshift(cleanUp),
    end: async () => {
      for (const cleanUp of work) await cleanUp();
    },
  };
}

const stationDefaults = {
  host: '127.0.0.1',
  port: 104,
  tls: false,
  archive: false,
  alsoSendsAs: [],
  keepsStatus: true,
};

/**
 * Starts clusters that are linked in pairs, and waits until every relay has answered Link State over every
 * link.
 * @param settings - Of every relay, beside short intervals.
 */
export async function startFederation(
  test: TestContextLike,
  names: readonly string[],
  links: readonly (readonly [string, string])[],
  settings: Record<string, string> = {},
): Promise<Federation> {
  const bridge = createBridge();
  const clusters = new Map<string, Cluster>();
  const counters = new Map<string, number>();
  await Promise.all(
    names.map(async (id) => {
      clusters.set(id, await startCluster(test, id, { bridge, counters, settings }));
    }),
  );
  const cluster = (id: string): Cluster => {
    const found = clusters.get(id);
    if (!found) throw new RangeError(`no cluster ${id}`);
    return found;
  };
  for (const id of names) {
    const here = cluster(id);
    await here.configure('cluster', id, { id, name: id, aeTitle: here.aeTitle, patientDomain: 'DOMAIN' });
    for (const [a, b] of links) {
      const peer = a === id ? b : b === id ? a : undefined;
      if (peer === undefined) continue;
      const station: Station = {
        ...stationDefaults,
        aeTitle: peer.toUpperCase(),
        kind: 'cluster',
        cluster: peer,
      };
      await here.configure('station', station.aeTitle, station);
      await here.link(peer);
    }
  }
  for (const [a, b] of links) {
    await eventually(
      `${a} and ${b} to hear of each other`,
      async () => (await reachable(cluster(a), b)) && reachable(cluster(b), a),
    );
  }
  return { bridge, cluster };
}

/** Starts two linked clusters, `north` and `south`. */
export async function startPair(test: TestContextLike, settings: Record<string, string> = {}): Promise<Pair> {
  const federation = await startFederation(test, ['north', 'south'], [['north', 'south']], settings);
  return { federation, north: federation.cluster('north'), south: federation.cluster('south') };
}

async function reachable(cluster: Cluster, peer: string): Promise<boolean> {
  const { status, body } = await cluster.call<LinkStatusBody>('GET', `/api/v1/links/${peer}/status`);
  return status === 200 && body.reachable;
}

interface Shared {
  readonly bridge: Bridge;
  readonly counters: Map<string, number>;
  readonly settings: Record<string, string>;
}

async function startCluster(test: TestContextLike, id: string, shared: Shared): Promise<Cluster> {
  const servers = await testServers(test);
  const log = createLog({
    service: 'update-relay',
    cluster: id,
    level: 'silent',
  });
  const eventLog: EventLog = await connectEventLog({
    servers: servers.natsUrl,
    cluster: id,
    service: 'test',
    log,
  });
  const db = await connectPostgres<RelayTables>({
    url: servers.databaseUrl,
    schema: 'update_relay',
    poolMax: 8,
    log,
  });
  const disk = new Map<string, TestObject>();
  const config = readConfig(updateRelayConfig, {
    ISTHMUS_CLUSTER: id,
    NATS_URL: servers.natsUrl,
    DATABASE_URL: servers.databaseUrl,
    LINK_STATE_EVERY_MS: '100',
    LINK_REQUEST_TIMEOUT_MS: '2000',
    DELIVERY_BACKOFF_MAX_MS: '200',
    OBJECTS_QUIET_MS: '150',
    OBJECTS_ANNOUNCE_MAX_MS: '600',
    ...shared.settings,
  });
  let relay: UpdateRelay | undefined = await startUpdateRelay({ config, log, eventLog, db });
  const append = async (object: TestObject, pulledFrom?: string): Promise<void> => {
    disk.set(object.sop, object);
    const event = instanceStored(object, {
      cluster: id,
      ...(pulledFrom === undefined ? {} : { pulledFrom }),
    });
    await eventLog.append('INSTANCES', instanceSubject(object.study), event);
  };
  const cluster: Cluster = {
    id,
    aeTitle: id.toUpperCase(),
    servers,
    eventLog,
    db,
    disk,
    relay: () => {
      if (!relay) throw new Error('the relay is stopped');
      return relay;
    },
    stopRelay: async () => {
      await relay?.stop();
      relay = undefined;
    },
    startRelay: async () => {
      relay = await startUpdateRelay({ config, log, eventLog, db });
    },
    take: (object, pulledFrom) => append(object, pulledFrom),
    store: async (...objects) => {
      for (const object of objects) await append(object);
    },
    pull: async (from, ...objects) => {
      for (const object of objects) await append(object, from);
    },
    call: (method, path, body, headers) =>
      requestJson(method, `${cluster.relay().address}${path}`, body, headers),
    configure: async (kind, name, value) => {
      const version = (shared.counters.get(`${id} ${kind} ${name}`) ?? 0) + 1;
      shared.counters.set(`${id} ${kind} ${name}`, version);
      const data: ConfigurationChange = { kind, name, value, version, author: 'test', reason: 'test' };
      await eventLog.append('STUDY', configSubject(kind, name), configurationChanged(id, data));
    },
    link: (peer, more) => cluster.configure('link', peer, linkTo(peer, more)),
  };
  shared.bridge.connect(cluster);
  test.after(async () => {
    await relay?.stop();
    await eventLog.close();
    await db.destroy();
  });
  return cluster;
}

function configurationChanged(cluster: string, data: ConfigurationChange): Parameters<EventLog['append']>[2] {
  return {
    id: newUuid(),
    type: 'ConfigurationChanged',
    source: `${cluster}/config-store`,
    subject: data.name,
    time: new Date().toISOString(),
    origin: cluster,
    hlc: '0000000000000001',
    path: [cluster],
    v: 1,
    data,
  };
}
