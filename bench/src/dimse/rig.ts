import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DimseBenchOptions } from './options.ts';
import type { Report } from './report.ts';

/** Worth a line: it counts against the time that there is. */
const slowUndoMs = 1_000;

/** What every benchmark gets: where to put files, what to undo, how much time is left. */
export interface Rig {
  readonly options: DimseBenchOptions;
  readonly directory: string;
  readonly report: Report;
  /** Undone in reverse order at the end of the benchmark, whether it succeeds or not. */
  atEnd(what: string, undo: () => unknown): void;
  /** A new empty directory. */
  folder(name: string): string;
  /** False: the share of time is used up, no further run should begin. */
  readonly timeLeft: boolean;
  say(line: string): void;
  /** One that ends earlier and undoes only its own. */
  part(minutesMax: number): Rig & { end(): Promise<void> };
}

export function createRig(options: DimseBenchOptions, report: Report): Rig & { end(): Promise<void> } {
  const directory = mkdtempSync(join(options.directory ?? tmpdir(), 'isthmus-bench-'));
  const deadline = performance.now() + options.minutesMax * 60_000;
  const rig = rigIn(directory, options, report, deadline);
  rig.atEnd('temporary files', () => rmSync(directory, { recursive: true, force: true }));
  return rig;
}

function rigIn(
  directory: string,
  options: DimseBenchOptions,
  report: Report,
  deadline: number,
): Rig & { end(): Promise<void> } {
  const undoing: { what: string; undo: () => unknown }[] = [];
  let folders = 0;
  const say = (line: string): void => console.log(line);
  return {
    options,
    directory,
    report,
    say,
    get timeLeft() {
      return performance.now() < deadline;
    },
    atEnd: (what, undo) => void undoing.push({ what, undo }),
    folder: (name) => {
      folders += 1;
      const path = join(directory, `${folders}-${name}`);
      mkdirSync(path);
      return path;
    },
    part: (minutesMax) => {
      const own = mkdtempSync(join(directory, 'part-'));
      const ends = Math.min(deadline, performance.now() + minutesMax * 60_000);
      const part = rigIn(own, options, report, ends);
      part.atEnd('temporary files', () => rmSync(own, { recursive: true, force: true }));
      return part;
    },
    end: async () => {
      for (const { what, undo } of undoing.splice(0).reverse()) {
        const from = performance.now();
        try {
          await undo();
          const ms = performance.now() - from;
          if (ms > slowUndoMs) say(`${what} took ${ms.toFixed(0)} ms to end`);
        } catch (error) {
          say(`could not clean up ${what}: ${(error as Error).message}`);
        }
      }
    },
  };
}
