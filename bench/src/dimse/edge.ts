import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { configSubject } from '@isthmus/domain';
import type { Station } from '@isthmus/domain';
import { connectEventLog } from '@isthmus/event-log';
import type { EventLog } from '@isthmus/event-log';
import { findNatsServer, startNatsServer } from '@isthmus/embedded';
import type { Peer } from './peers.ts';
import { freePort, ready, startProgram } from './programs.ts';
import type { Program } from './programs.ts';
import type { Rig } from './rig.ts';

const repository = join(import.meta.dirname, '../../..');
const edgeMain = join(repository, 'services/dimse-edge/src/main.ts');
const federatorMain = join(import.meta.dirname, 'scripted-federator.ts');
const silent = { info() {}, warn() {}, error() {} };
const cluster = 'bench';
/** Of the histogram behind `nodejs_eventloop_lag_max_seconds`: an idle loop shows as so much. */
const lagResolutionMs = 10;

/** A workstation unless it says otherwise. */
export type NamedStation = Pick<Station, 'aeTitle' | 'port'> & Partial<Pick<Station, 'kind' | 'cluster'>>;

/** The service alone, as its own process, on a nats-server of its own. */
export interface EdgeUnderTest extends Peer {
  readonly natsVersion: string;
  /** Of this process, for what the bench asks or configures. */
  readonly eventLog: EventLog;
  /** Of the first process when there are several. */
  readonly pid: number;
  /** Tells the edge of a station, as config-store would. */
  station(station: NamedStation): Promise<void>;
  /** Longest time that the event loop was held up since the call before, in ms. */
  lagMs(): Promise<number>;
  /** What the first process tells at `/metrics`, in the text format of Prometheus. */
  metrics(): Promise<string>;
  /** Answers `query.find` with so many rows and `query.locate` with what is in the log, in a process of its own. */
  federate(rows: number): Promise<void>;
}

export interface EdgeOptions {
  /** `group`: also the nats-server acknowledges only what is on the disk. `none`: nothing is forced to the disk. */
  readonly fsync: 'none' | 'group';
  /** Processes that share the DICOM port. */
  readonly edges?: number;
  /** Directory of the objects, when it is not to be on the disk of the benchmark. */
  readonly store?: string;
  /** Settings that differ from those that the edge is shipped with. */
  readonly settings?: { readonly [name: string]: string };
}

export async function startEdge(rig: Rig, options: EdgeOptions): Promise<EdgeUnderTest> {
  const directory = rig.folder(`edge-${options.fsync}`);
  const binary = await findNatsServer({ fetchInto: join(repository, '.isthmus/bin'), fetch: 'when-older' });
  const syncAlways = options.fsync === 'group' || rig.options.syncAlways;
  const nats = await startNatsServer({ dataDir: join(directory, 'nats'), binary: binary.path, syncAlways });
  rig.atEnd('nats-server', () => nats.stop());
  const aeTitle = 'BENCH';
  const store = options.store ?? join(directory, 'store');
  const port = await freePort();
  const edges: RunningEdge[] = [];
  for (let edge = 0; edge < (options.edges ?? 1); edge++) {
    edges.push(
      await startEdgeProcess(rig, options, { directory, store, port, nats: nats.url, aeTitle, edge }),
    );
  }
  const first = edges[0]!;
  const eventLog = await connectEventLog({ servers: nats.url, cluster, service: 'bench', log: silent });
  rig.atEnd('connection to the log', () => eventLog.close());
  return {
    name: `edge, fsync ${options.fsync}`,
    natsVersion: nats.version,
    eventLog,
    aeTitle,
    port: first.dicomPort,
    pid: first.program.pid,
    directory: store,
    empty: () => emptyObjects(store),
    station: (station) => configureStation(eventLog, station),
    lagMs: async () => Math.max(...(await Promise.all(edges.map(({ http }) => lagMsOf(http))))),
    metrics: () => metricsOf(first.http),
    federate: (rows) => startFederator(rig, directory, nats.url, rows),
  };
}

interface RunningEdge {
  readonly program: Program;
  readonly http: string;
  readonly dicomPort: number;
}

async function startEdgeProcess(
  rig: Rig,
  options: EdgeOptions,
  at: {
    readonly directory: string;
    readonly store: string;
    readonly port: number;
    readonly nats: string;
    readonly aeTitle: string;
    readonly edge: number;
  },
): Promise<RunningEdge> {
  const { profiles } = rig.options;
  const profile = profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}/${options.fsync}`];
  const logFile = join(at.directory, `edge-${at.edge}.log`);
  const program = startProgram('dimse-edge', [process.execPath, ...profile, edgeMain], {
    logFile,
    env: {
      ISTHMUS_CLUSTER: cluster,
      NATS_URL: at.nats,
      AE_TITLE: at.aeTitle,
      DICOM_PORT: String(at.port),
      // Several edges share the port; one is used as it is shipped.
      DICOM_REUSE_PORT: String((options.edges ?? 1) > 1),
      OBJECT_STORE: at.store,
      ADMISSION: 'open-loopback',
      FSYNC: options.fsync,
      ...options.settings,
    },
  });
  rig.atEnd('dimse-edge', () => program.stop());
  let up: { dicomPort: number; http: string } | undefined;
  await ready(program, () => (up = upLine(logFile)) !== undefined);
  return { program, http: up!.http, dicomPort: up!.dicomPort };
}

/** The service says in its log where it listens. */
function upLine(logFile: string): { dicomPort: number; http: string } | undefined {
  const line = readFileSync(logFile, 'utf8')
    .split('\n')
    .find((one) => one.includes('"dimse-edge is up"'));
  return line === undefined ? undefined : (JSON.parse(line) as { dicomPort: number; http: string });
}

function emptyObjects(store: string): void {
  const objects = join(store, 'objects');
  for (const shard of readdirSync(objects)) {
    for (const name of readdirSync(join(objects, shard))) rmSync(join(objects, shard, name));
  }
}

let configurations = 0;

async function configureStation(eventLog: EventLog, station: NamedStation): Promise<void> {
  configurations += 1;
  const { aeTitle, port, kind = 'workstation', cluster: itsCluster } = station;
  const value: Station = {
    aeTitle,
    host: '127.0.0.1',
    port,
    tls: false,
    kind,
    ...(itsCluster === undefined ? {} : { cluster: itsCluster }),
    archive: false,
    alsoSendsAs: [],
    keepsStatus: true,
  };
  await eventLog.append('STUDY', configSubject('station', aeTitle), {
    id: `bench-configuration-${configurations}`,
    type: 'ConfigurationChanged',
    source: `${cluster}/bench`,
    subject: `station/${aeTitle}`,
    time: new Date().toISOString(),
    origin: cluster,
    hlc: '',
    path: [cluster],
    v: 1,
    data: {
      kind: 'station',
      name: aeTitle,
      value,
      version: configurations,
      author: 'bench',
      reason: 'bench',
    },
  });
}

async function metricsOf(http: string): Promise<string> {
  return (await fetch(`${http}/metrics`)).text();
}

async function lagMsOf(http: string): Promise<number> {
  const line = (await metricsOf(http))
    .split('\n')
    .find((one) => one.startsWith('nodejs_eventloop_lag_max_seconds'));
  if (line === undefined) throw new Error('dimse-edge tells no nodejs_eventloop_lag_max_seconds');
  return Math.max(0, Number(line.split(' ').at(-1)) * 1_000 - lagResolutionMs);
}

async function startFederator(rig: Rig, directory: string, natsUrl: string, rows: number): Promise<void> {
  const logFile = join(directory, 'federator.log');
  const command = [process.execPath, federatorMain, natsUrl, cluster, String(rows)] as const;
  const program = startProgram('scripted federator', [...command], { logFile });
  rig.atEnd('scripted federator', () => program.stop());
  await ready(program, () => readFileSync(logFile, 'utf8').includes('ready'));
}
