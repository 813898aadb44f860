import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findNatsServer } from '@isthmus/embedded';
import { startCluster, type RunningCluster } from './cluster.ts';
import { choosePorts, isFree } from './environment.ts';
import type { Options } from './options.ts';
import { planClusters, type ClusterPlan } from './plan.ts';

export interface System {
  readonly clusters: readonly ClusterPlan[];
  readonly dataDirectory: string;
  readonly natsVersion: string;
  stop(): Promise<void>;
}

/** Why nothing was started, in words for the person who tried. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

const root = fileURLToPath(new URL('../../../', import.meta.url));
const readyTimeoutMs = 90_000;

/**
 * Starts all clusters and resolves when every service of each is ready. Either everything runs or nothing does.
 * @throws {StartError | EmbeddedServerError} Nothing is left running.
 */
export async function startSystem(options: Options, report: (message: string) => void): Promise<System> {
  const clusters = planClusters(options.clusters, options.topology, options.portOffset);
  const dataDirectory = resolve(
    options.data ?? join(root, `.isthmus/data/${options.topology}-${options.clusters}`),
  );
  mkdirSync(dataDirectory, { recursive: true });
  const statusFile = join(dataDirectory, 'isthmus.json');
  refuseSecondStart(statusFile, dataDirectory);
  await refuseTakenPorts(clusters);

  const running: RunningCluster[] = [];
  let ready = false;
  const writeStatus = (): void => writeAtomically(statusFile, statusOf(clusters, running, ready));
  const stop = async (): Promise<void> => {
    await Promise.allSettled(running.map((cluster) => cluster.stop()));
    rmSync(statusFile, { force: true });
  };
  const nats = await findNatsServer({ fetchInto: join(root, '.isthmus/bin'), fetch: 'when-older' });
  const ports = await choosePorts(clusters, options.portOffset);
  writeStatus();
  const starts = await Promise.allSettled(
    clusters.map(async (plan) => {
      const cluster = await startCluster({
        plan,
        all: clusters,
        ports: ports.get(plan.id)!,
        directory: join(dataDirectory, plan.id),
        natsBinary: nats.path,
        isolate: options.isolate,
        report,
        onPids: () => writeStatus(),
      });
      running.push(cluster);
    }),
  );
  try {
    for (const start of starts) if (start.status === 'rejected') throw start.reason;
    await untilReady(running, dataDirectory);
  } catch (error) {
    await stop();
    throw error;
  }
  ready = true;
  writeStatus();
  return { clusters, dataDirectory, natsVersion: nats.version, stop };
}

async function untilReady(clusters: readonly RunningCluster[], dataDirectory: string): Promise<void> {
  const answers = await Promise.all(clusters.map((cluster) => cluster.ready(readyTimeoutMs)));
  const late = clusters.filter((_, index) => !answers[index]);
  if (late.length === 0) return;
  const reasons = await Promise.all(
    late.map(async (cluster) => `${cluster.plan.id}: ${await cluster.unready()}`),
  );
  throw new StartError(
    `not ready after ${readyTimeoutMs / 1000} s; everything was stopped again.\n${reasons.join('\n')}\nLogs: ${dataDirectory}/*/logs`,
  );
}

function refuseSecondStart(statusFile: string, dataDirectory: string): void {
  let pid: number;
  try {
    pid = (JSON.parse(readFileSync(statusFile, 'utf8')) as { pid: number }).pid;
    process.kill(pid, 0);
  } catch {
    return; // No file, or nobody alive behind it: a former run was killed.
  }
  if (pid === process.pid) return;
  throw new StartError(
    `process ${pid} runs on ${dataDirectory} already; stop it, or give another folder with --data`,
  );
}

async function refuseTakenPorts(clusters: readonly ClusterPlan[]): Promise<void> {
  const taken: number[] = [];
  for (const { dicomPort, httpPort } of clusters) {
    for (const port of [dicomPort, httpPort]) if (!(await isFree(port))) taken.push(port);
  }
  if (taken.length > 0) {
    throw new StartError(
      `port ${taken.join(', ')} on 127.0.0.1 is in use; end what uses it, or give --port-offset N`,
    );
  }
}

function statusOf(plans: readonly ClusterPlan[], running: readonly RunningCluster[], ready: boolean): object {
  return {
    pid: process.pid,
    ready,
    clusters: plans.map((plan) => ({
      id: plan.id,
      aeTitle: plan.aeTitle,
      dicom: { host: '127.0.0.1', port: plan.dicomPort },
      http: `http://127.0.0.1:${plan.httpPort}`,
      pids: Object.fromEntries(running.find((cluster) => cluster.plan.id === plan.id)?.pids ?? []),
    })),
  };
}

/** Readers of the status file never see half of it. */
function writeAtomically(file: string, content: object): void {
  writeFileSync(`${file}.new`, `${JSON.stringify(content, null, 2)}\n`);
  renameSync(`${file}.new`, file);
}
