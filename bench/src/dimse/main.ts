import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { findNatsServer } from '@isthmus/embedded';
import { endurance } from './endurance.ts';
import { find } from './find.ts';
import { largeObject } from './large-object.ts';
import { dimseBenchOptions, usage } from './options.ts';
import type { BenchmarkName, DimseBenchOptions } from './options.ts';
import { createReport, tableOf } from './report.ts';
import type { Report } from './report.ts';
import { createRig } from './rig.ts';
import type { Rig } from './rig.ts';
import { storeOut } from './store-out.ts';
import { storeIn, storeSmall } from './store-in.ts';

const repository = join(import.meta.dirname, '../../..');

/** Each with the longest time that it may begin new runs in, in minutes. */
const benchmarks: Readonly<Record<BenchmarkName, { run(rig: Rig): Promise<void>; minutesMax: number }>> = {
  'store-in': { run: storeIn, minutesMax: 4.25 },
  'store-small': { run: storeSmall, minutesMax: 0.75 },
  'store-out': { run: storeOut, minutesMax: 1 },
  find: { run: find, minutesMax: 0.75 },
  'large-object': { run: largeObject, minutesMax: 1.5 },
  endurance: { run: endurance, minutesMax: 2.5 },
};

/**
 * The figures that the DICOM edge has to show, each beside its peer in the same run on the same machine. Prints a table of
 * ratios and writes `bench/results/dimse.md`. A benchmark that fails is a line of the results and does not keep the others
 * from running; the exit code is 1 then.
 */
export async function dimse(args: readonly string[]): Promise<void> {
  let options: DimseBenchOptions;
  try {
    options = dimseBenchOptions(args);
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`);
    process.exitCode = 2;
    return;
  }
  const started = new Date();
  const report = createReport();
  const rig = createRig(options, report);
  let part: { end(): Promise<void> } | undefined;
  const interrupted = (): void => {
    void (async () => {
      rig.say('interrupted: cleaning up');
      await part?.end();
      await rig.end();
      process.exit(130);
    })();
  };
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  try {
    for (const name of options.only) {
      const { run, minutesMax } = benchmarks[name];
      const own = rig.part(minutesMax);
      part = own;
      const from = performance.now();
      try {
        await run(own);
      } catch (error) {
        process.exitCode = 1;
        report.note(`${name} FAILED: ${(error as Error).message}`);
        rig.say((error as Error).stack ?? String(error));
      } finally {
        await own.end();
        rig.say(`${name}: ${((performance.now() - from) / 1_000).toFixed(0)} s`);
      }
    }
  } finally {
    await rig.end();
    process.off('SIGINT', interrupted);
    process.off('SIGTERM', interrupted);
  }
  const text = await resultsText(options, report, started, args);
  console.log(`\n${text}`);
  if (options.dry) return;
  mkdirSync(join(repository, 'bench/results'), { recursive: true });
  writeFileSync(join(repository, 'bench/results/dimse.md'), text);
}

/** Of the log, when nothing else is forced to the disk either. */
const inBackground = 'it syncs in the background, as nothing is forced to the disk then';

async function resultsText(
  options: DimseBenchOptions,
  report: Report,
  started: Date,
  args: readonly string[],
): Promise<string> {
  const nats = await findNatsServer({ fetchInto: join(repository, '.isthmus/bin') });
  const minutes = ((Date.now() - started.getTime()) / 60_000).toFixed(1);
  return [
    '# DICOM edge beside its peers',
    '',
    `\`npm run bench -- dimse${args.map((arg) => ` ${arg}`).join('')}\`, ${started.toISOString().slice(0, 16)}Z, ${minutes} minutes.`,
    `Medians of ${options.runs} runs after one that does not count, runs interleaved; ratios run by run, least and most in`,
    'brackets. Clients, servers and nats-server share the machine; rates are by the wall clock of the clients, from their',
    'start to their end. DCMTK with TCP_NODELAY=1; storescp with +B, which neither parses nor syncs; the edge as it is',
    'shipped: log lines written, every event acknowledged before the answer. With fsync `group` (the default) nats-server',
    `runs with \`sync_interval: always\`; with \`none\` ${options.syncAlways ? 'too' : inBackground}.`,
    '',
    `Machine: ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Linux ${release()}, node ${process.version},`,
    `nats-server ${nats.version}, ${versionOf('storescp')}, ${versionOf('Orthanc')}; edge processes: ${options.edges}.`,
    ...(options.quick ? ['', '**--quick: a tenth of the objects. Not to be quoted.**'] : []),
    '',
    tableOf(report.findings),
    '',
    ...report.notes.map((note) => `- ${note}`),
    '',
  ].join('\n');
}

function versionOf(program: string): string {
  try {
    const text = execFileSync(program, ['--version'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return (text.split('\n')[0] ?? program).replaceAll('$', '').trim();
  } catch {
    return `${program} is not here`;
  }
}
