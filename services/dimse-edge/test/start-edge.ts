import { statSync } from 'node:fs';
import type { Dirent } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configSubject, requestSubjects } from '@isthmus/domain';
import type { ConfigurationKind, EchoAnswer, EchoRequest, Link, Station } from '@isthmus/domain';
import { connectEventLog } from '@isthmus/event-log';
import type { EventLog, StreamLimits } from '@isthmus/event-log';
import { createLog, readConfig } from '@isthmus/service-kit';
import type { Log } from '@isthmus/service-kit';
import { eventually, shownLogLevel, testNats } from '@isthmus/testing';
import type { TestContextLike } from '@isthmus/testing';
import { dimseEdgeConfig, startDimseEdge } from '../src/app.ts';
import type { DimseEdge, DimseEdgeParts } from '../src/app.ts';
import { scriptFederator } from './scripted-federator.ts';
import type { ScriptedFederator } from './scripted-federator.ts';

export interface TestEdge {
  readonly cluster: string;
  readonly aeTitle: string;
  readonly edge: DimseEdge;
  readonly eventLog: EventLog;
  readonly natsUrl: string;
  readonly federator: ScriptedFederator;
  /** Directory of the object store. */
  readonly directory: string;
  readonly log: Log;
  station(station: Partial<Station> & Pick<Station, 'aeTitle' | 'port'>): Promise<void>;
  link(link: Partial<Link> & Pick<Link, 'peer'>): Promise<void>;
  /** Paths below the object store, of everything but empty directories. */
  files(): Promise<string[]>;
  /** Stops the edge and starts it again on the same store and log. */
  restart(): Promise<void>;
  /** Starts another edge on the same store and log, as another process of it would; stopped after the test. */
  another(): Promise<DimseEdge>;
}

const on = { in: true, out: true };

/** An edge on a nats-server of its own, with an object store that is thrown away. */
export async function startTestEdge(
  test: TestContextLike,
  options: {
    readonly cluster?: string;
    readonly settings?: { readonly [name: string]: string };
    readonly diskCalls?: DimseEdgeParts['diskCalls'];
    /** How much the log takes. */
    readonly streams?: StreamLimits;
    /** Default: shown when LOG_LEVEL is info. */
    readonly log?: Log;
  } = {},
): Promise<TestEdge> {
  const cluster = options.cluster ?? 'north';
  const aeTitle = cluster.toUpperCase();
  const nats = await testNats();
  const directory = await mkdtemp(join(tmpdir(), 'isthmus-edge-'));
  const log = options.log ?? createLog({ service: 'dimse-edge', cluster, level: shownLogLevel });
  const { streams = {} } = options;
  const eventLog = await connectEventLog({ servers: nats.url, cluster, service: 'dimse-edge', log, streams });
  const federator = scriptFederator(eventLog);
  const config = readConfig(dimseEdgeConfig, {
    ISTHMUS_CLUSTER: cluster,
    AE_TITLE: aeTitle,
    DICOM_PORT: '0',
    OBJECT_STORE: directory,
    OBJECT_STORE_FREE_MIN_MIB: '0',
    ADMISSION: 'open-loopback',
    FSYNC: 'none',
    STOP_GRACE_MS: '2000',
    ...options.settings,
  });
  const start = (): Promise<DimseEdge> =>
    startDimseEdge({ config, log, eventLog, ...(options.diskCalls ? { diskCalls: options.diskCalls } : {}) });
  let edge = await start();
  const others: DimseEdge[] = [];
  test.after(async () => {
    await Promise.all([edge, ...others].map((one) => one.stop()));
    await federator.stop();
    await eventLog.close();
    await nats.stop();
    await rm(directory, { recursive: true, force: true });
  });

  const configure = configurer(eventLog, cluster);
  return {
    cluster,
    aeTitle,
    get edge() {
      return edge;
    },
    eventLog,
    natsUrl: nats.url,
    federator,
    directory,
    log,
    station: (station) => configure('station', station.aeTitle, { ...plainStation, ...station }),
    link: (link) =>
      configure('link', link.peer, {
        enabled: true,
        internalQueries: on,
        externalQueries: on,
        updates: on,
        prefetching: on,
        ...link,
      }),
    files: async () => {
      const entries = await readdir(directory, { recursive: true, withFileTypes: true });
      return entries
        .filter((entry) => entry.isFile() && !isMadeAhead(entry))
        .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
    },
    restart: async () => {
      await edge.stop();
      edge = await start();
    },
    another: async () => {
      const other = await start();
      others.push(other);
      return other;
    },
  };
}

/** A temporary file that nothing has been written to: the edge makes them before they are needed. */
function isMadeAhead({ name, parentPath }: Dirent): boolean {
  return (
    /\/incoming\/[0-9a-f-]{36}$/.test(parentPath) &&
    name.endsWith('.part') &&
    statSync(join(parentPath, name), { throwIfNoEntry: false })?.size === 0
  );
}

/** Appends changes as config-store does, and waits until the edge has them. */
function configurer(eventLog: EventLog, cluster: string) {
  let version = 0;
  const append = async (kind: ConfigurationKind, name: string, value: unknown): Promise<void> => {
    version += 1;
    await eventLog.append('STUDY', configSubject(kind, name), {
      id: `${cluster}-configuration-${version}`,
      type: 'ConfigurationChanged',
      source: `${cluster}/test`,
      subject: `${kind}/${name}`,
      time: new Date(0).toISOString(),
      origin: cluster,
      hlc: '',
      path: [cluster],
      v: 1,
      data: { kind, name, value, version, author: 'test', reason: 'test' },
    });
  };
  return async (kind: ConfigurationKind, name: string, value: unknown): Promise<void> => {
    await append(kind, name, value);
    // Changes come in order: when the edge knows a station that was added after, it knows this one too.
    const aeTitle = `MARK${version}`;
    await append('station', aeTitle, { ...plainStation, aeTitle, port: 1 });
    await eventually('the configuration has arrived', async () => {
      const answer = await eventLog.requests.ask<EchoRequest, EchoAnswer>(
        requestSubjects.echo,
        { aeTitle },
        { timeoutMs: 5_000 },
      );
      return !/no station/.test(answer.detail ?? '');
    });
  };
}

const plainStation = {
  host: '127.0.0.1',
  tls: false,
  kind: 'workstation',
  archive: false,
  alsoSendsAs: [],
  keepsStatus: true,
} as const;
