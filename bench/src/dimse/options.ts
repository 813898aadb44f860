import { parseArgs } from 'node:util';

export const benchmarkNames = [
  'store-in',
  'store-small',
  'store-out',
  'find',
  'large-object',
  'endurance',
] as const;
export type BenchmarkName = (typeof benchmarkNames)[number];

export interface DimseBenchOptions {
  /** Runs that count, after one that does not. Medians are of these. */
  readonly runs: number;
  readonly only: readonly BenchmarkName[];
  /** Edge processes that share one port in C-STORE in. */
  readonly edges: number;
  /** A tenth of the objects: to see that it works, not to quote. */
  readonly quick: boolean;
  /** The whole ends within so many minutes; a benchmark that runs out of its share makes fewer runs and says so. */
  readonly minutesMax: number;
  /** Temporary files go below this directory; it decides which disk is measured. */
  readonly directory: string | undefined;
  /** Leaves the results file alone. */
  readonly dry: boolean;
  /** The nats-server syncs every event also beside an edge with fsync `none`. */
  readonly syncAlways: boolean;
  /** V8 CPU profiles of the edges go there. */
  readonly profiles: string | undefined;
}

export const usage = `npm run bench -- dimse [--runs N] [--only NAME[,NAME]] [--edges N] [--quick] [--minutes N]
  [--directory DIR] [--dry] [--sync-always] [--profiles DIR]
NAME: ${benchmarkNames.join(', ')}`;

/** @throws {Error} An option is unknown or out of bounds; the message says which. */
export function dimseBenchOptions(args: readonly string[]): DimseBenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: 'string', default: '5' },
      only: { type: 'string', default: benchmarkNames.join(',') },
      edges: { type: 'string', default: '1' },
      minutes: { type: 'string', default: '12' },
      quick: { type: 'boolean', default: false },
      directory: { type: 'string' },
      dry: { type: 'boolean', default: false },
      'sync-always': { type: 'boolean', default: false },
      profiles: { type: 'string' },
    },
  });
  const only = values.only.split(',').map((name) => {
    const known = benchmarkNames.find((one) => one === name);
    if (known === undefined) throw new Error(`--only: ${name} is none of ${benchmarkNames.join(', ')}`);
    return known;
  });
  return {
    runs: wholeNumber('runs', values.runs, 50),
    only,
    edges: wholeNumber('edges', values.edges, 16),
    quick: values.quick,
    minutesMax: wholeNumber('minutes', values.minutes, 120),
    directory: values.directory,
    dry: values.dry,
    syncAlways: values['sync-always'],
    profiles: values.profiles,
  };
}

function wholeNumber(name: string, text: string, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new Error(`--${name}: ${text} is not a whole number from 1 to ${max}`);
}
