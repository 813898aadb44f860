import { parseArgs } from 'node:util';
import { clustersMax, clustersMin, topologies, type Topology } from './plan.ts';

export interface Options {
  readonly clusters: number;
  readonly topology: Topology;
  /** Directory that keeps everything between runs; absent: a folder under the project. */
  readonly data?: string;
  /** `service`: a process for every service, as the chaos tests need. */
  readonly isolate: 'cluster' | 'service';
  readonly portOffset: number;
  readonly samples: boolean;
}

export const usage = `npm start -- [options]
  --clusters N         ${clustersMin} to ${clustersMax} linked clusters (default 3)
  --topology T         ${topologies.join(' | ')} (default mesh; in hub, the last cluster is the hub)
  --data DIR           where everything is kept between runs (default .isthmus/data/<topology>-<clusters>)
  --isolate service    a process for every service (default: one for the DICOM edge, one for the rest)
  --port-offset N      added to every port, to run a second system beside the first
  --no-samples         do not load the sample studies
  --help`;

/** A wrong option: the message is for the person who typed it. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** @throws {UsageError} */
export function readOptions(args: readonly string[]): Options | 'help' {
  const values = parsed(args);
  if (values.help) return 'help';
  const topology = topologies.find((known) => known === values.topology);
  if (!topology) throw new UsageError(`--topology is one of ${topologies.join(', ')}`);
  if (values.isolate !== undefined && values.isolate !== 'service')
    throw new UsageError('--isolate takes: service');
  return {
    clusters: wholeNumber('--clusters', values.clusters ?? '3', clustersMin, clustersMax),
    topology,
    ...(values.data === undefined ? {} : { data: values.data }),
    isolate: values.isolate === 'service' ? 'service' : 'cluster',
    portOffset: wholeNumber('--port-offset', values['port-offset'] ?? '0', 0, 40_000),
    samples: !values['no-samples'],
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        clusters: { type: 'string' },
        topology: { type: 'string', default: 'mesh' },
        data: { type: 'string' },
        isolate: { type: 'string' },
        'port-offset': { type: 'string' },
        'no-samples': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw new UsageError(`${name} takes a whole number from ${min} to ${max}`);
  }
  return value;
}
