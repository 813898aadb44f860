import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startNatsServer, startPostgres } from '@isthmus/embedded';
import { clusterFile } from './cluster-file.ts';
import { serviceEnvironment, serviceNames, type ServiceName, type ServicePorts } from './environment.ts';
import type { ClusterPlan } from './plan.ts';
import { SupervisedProcess } from './supervised-process.ts';
import { superviseServer, type RestartableServer } from './supervised-server.ts';

export interface ClusterOptions {
  readonly plan: ClusterPlan;
  readonly all: readonly ClusterPlan[];
  readonly ports: ServicePorts;
  readonly directory: string;
  readonly natsBinary: string;
  readonly isolate: 'cluster' | 'service';
  readonly report: (message: string) => void;
  /** Called whenever a process of this cluster starts or ends. */
  readonly onPids: () => void;
}

export interface RunningCluster {
  readonly plan: ClusterPlan;
  /** Process id of each part that runs now: `nats-server`, `postgres`, and processes by service. */
  readonly pids: ReadonlyMap<string, number>;
  /** Resolves true when every service says that it is ready, false after the time. */
  ready(timeoutMs: number): Promise<boolean>;
  /** Names of what is not ready, as the console sees it. */
  unready(): Promise<string>;
  stop(): Promise<void>;
}

const root = fileURLToPath(new URL('../../../', import.meta.url));
const readyPollMs = 100;

/**
 * Starts one cluster: its nats-server and PostgreSQL, then its services. Resolves when the processes are started, not
 * when they are ready.
 * @throws {EmbeddedServerError} A server does not start; what was started is stopped again.
 */
export async function startCluster(options: ClusterOptions): Promise<RunningCluster> {
  const { plan, all, directory, report } = options;
  const pids = new Map<string, number>();
  const stops: (() => Promise<void>)[] = [];
  const onPid = (part: string) => (pid: number | undefined) => {
    if (pid === undefined) pids.delete(part);
    else pids.set(part, pid);
    options.onPids();
  };
  const stop = async (): Promise<void> => {
    while (stops.length > 0) await Promise.allSettled(stops.splice(-1).map((end) => end()));
  };
  try {
    mkdirSync(join(directory, 'logs'), { recursive: true });
    const configuration = join(directory, 'cluster.yaml');
    writeFileSync(configuration, clusterFile(plan, all));
    const ends: (() => Promise<void>)[] = [];
    stops.push(async () => void (await Promise.allSettled(ends.map((end) => end()))));
    const supervised = async <Server extends RestartableServer>(
      part: string,
      start: Promise<Server>,
    ): Promise<Server> => {
      const server = await start;
      ends.push(superviseServer(`${plan.id}/${part}`, server, report, onPid(part)));
      return server;
    };
    // Both are waited for, also when one fails: what has started is stopped by `stop`.
    const started = await Promise.allSettled([
      supervised(
        'nats-server',
        startNatsServer({ dataDir: join(directory, 'nats'), binary: options.natsBinary }),
      ),
      supervised('postgres', startPostgres({ dataDir: join(directory, 'postgres') })),
    ]);
    const [nats, postgres] = started;
    if (nats.status === 'rejected') throw nats.reason;
    if (postgres.status === 'rejected') throw postgres.reason;
    const places = {
      natsUrl: nats.value.url,
      databaseUrl: postgres.value.url,
      objectStore: join(directory, 'objects'),
      clusterFile: configuration,
    };
    const processes = startProcesses(options, places, onPid);
    stops.push(async () => void (await Promise.allSettled(processes.map((child) => child.stop()))));
  } catch (error) {
    await stop();
    throw error;
  }
  const readiness = `http://127.0.0.1:${plan.httpPort}/health/ready`;
  return {
    plan,
    pids,
    stop,
    ready: (timeoutMs) => until(async () => (await fetch(readiness)).ok, timeoutMs),
    unready: () => describeReadiness(readiness),
  };
}

function startProcesses(
  options: ClusterOptions,
  places: Parameters<typeof serviceEnvironment>[3],
  onPid: (part: string) => (pid: number | undefined) => void,
): readonly SupervisedProcess[] {
  const { plan, ports, directory, report } = options;
  const compileCache = { NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/node'), PATH: '/usr/bin:/bin' };
  const environment = (service: ServiceName): Record<string, string> => ({
    ...compileCache,
    ...serviceEnvironment(service, plan, ports, places),
  });
  const start = (
    part: string,
    script: string,
    env: Record<string, string>,
    args: string[] = [],
  ): SupervisedProcess =>
    new SupervisedProcess({
      name: `${plan.id}/${part}`,
      script,
      args,
      env,
      logFile: join(directory, 'logs', `${part}.log`),
      report,
      onPid: onPid(part),
    });
  const alone = (service: ServiceName): SupervisedProcess =>
    start(service, join(root, `services/${service}/src/main.ts`), environment(service));
  if (options.isolate === 'service') return serviceNames.map(alone);

  const together = serviceNames.filter((service) => service !== 'dimse-edge');
  const file = join(directory, 'services.json');
  writeFileSync(
    file,
    JSON.stringify(Object.fromEntries(together.map((service) => [service, environment(service)])), null, 2),
  );
  const script = fileURLToPath(new URL('services.ts', import.meta.url));
  return [alone('dimse-edge'), start('services', script, compileCache, [file])];
}

async function until(condition: () => Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    // Connection refused is the normal answer until the console listens.
    if (await condition().catch(() => false)) return true;
    await new Promise((resolve) => setTimeout(resolve, readyPollMs));
  }
  return false;
}

async function describeReadiness(url: string): Promise<string> {
  try {
    return (await (await fetch(url)).text()).slice(0, 2_000);
  } catch {
    return 'the console does not answer';
  }
}
