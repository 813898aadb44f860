import { globSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { EdgeUnderTest } from './edge.ts';

const MIB = 1024 * 1024;
const lookEveryMs = 100;
/** `Timeout`s of Node that come and go by themselves: pings of the log, deadlines of the connection that asks. */
const timersSlack = 3;
/** Pools, compiled code, and what the collector has not come to yet: it waits until the heap has doubled. */
const residentSlackMib = 96;

/** What a process holds, seen from its operating system and from its own metrics. */
export interface ProcessState {
  readonly sockets: number;
  /** Descriptors of objects, whole or coming in. Directories do not count: the edge keeps those open to sync them. */
  readonly objectFiles: number;
  /** Files in `incoming/`. */
  readonly incoming: number;
  /** Timers that wait, as `process.getActiveResourcesInfo()` counts them. */
  readonly timers: number;
  readonly residentMib: number;
  readonly heapMib: number;
}

/** Linux only: reads `/proc`. */
export async function stateOf(edge: EdgeUnderTest): Promise<ProcessState> {
  const metrics = await edge.metrics();
  const targets = descriptorsOf(edge.pid);
  return {
    sockets: targets.filter((target) => target.startsWith('socket:')).length,
    objectFiles: targets.filter((target) => /\.(?:part|dcm)\b/.test(target)).length,
    incoming: incomingOf(edge).length,
    timers: valueOf(metrics, 'nodejs_active_resources{type="Timeout"') ?? 0,
    residentMib: residentMib(edge.pid),
    heapMib: (valueOf(metrics, 'nodejs_heap_size_used_bytes') ?? Number.NaN) / MIB,
  };
}

/** Files in `incoming/`: of objects that are not whole. */
export function incomingOf(edge: Pick<EdgeUnderTest, 'directory'>): string[] {
  const cwd = join(edge.directory, 'incoming');
  return globSync('**/*', { cwd, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
}

/** Waits until a process holds no more than it did before, or the time is over. @returns What it holds then. */
export async function settledState(
  edge: EdgeUnderTest,
  before: ProcessState,
  withinMs: number,
): Promise<ProcessState> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const now = await stateOf(edge);
    if (isBack(now, before) || performance.now() > deadline) return now;
    await pause(lookEveryMs);
  }
}

/** No descriptor, file or timer more than before; memory within what any work leaves behind. */
export function isBack(now: ProcessState, before: ProcessState): boolean {
  return (
    now.sockets <= before.sockets &&
    now.objectFiles <= before.objectFiles &&
    now.incoming <= before.incoming &&
    now.timers <= before.timers + timersSlack &&
    now.residentMib <= before.residentMib + residentSlackMib
  );
}

export function shownState(now: ProcessState, before: ProcessState): string {
  const resident = now.residentMib - before.residentMib;
  return [
    `sockets ${before.sockets} → ${now.sockets}`,
    `object files ${before.objectFiles} → ${now.objectFiles}`,
    `incoming ${now.incoming}`,
    `timers ${before.timers} → ${now.timers}`,
    `RSS ${resident < 0 ? '−' : '+'}${Math.abs(resident).toFixed(0)} MiB`,
  ].join(', ');
}

export function residentMib(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? Number.NaN) / 1_024;
}

function descriptorsOf(pid: number): string[] {
  const directory = `/proc/${pid}/fd`;
  return readdirSync(directory).flatMap((fd) => {
    try {
      return [readlinkSync(join(directory, fd))];
    } catch {
      return []; // closed meanwhile
    }
  });
}

/** Of the first sample whose line begins so. */
function valueOf(metrics: string, beginning: string): number | undefined {
  const line = metrics.split('\n').find((one) => one.startsWith(beginning));
  return line === undefined ? undefined : Number(line.split(' ').at(-1));
}
