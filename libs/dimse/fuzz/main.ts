/**
 * Coverage-guided fuzzing: `npm run fuzz -- TARGET… [--inputs N] [--seed S] [--samples DIRECTORY] [--keep]`.
 *
 * TARGET is one of framer, associate, command, walker, decode; all when there is none. Ends with 1 when a property does
 * not hold; the minimised input is then in corpus/TARGET. `--keep` writes the small inputs that reached new code there,
 * too. `--samples` takes the beginning of real DICOM files as seeds.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readFileMeta } from '@isthmus/dicom';
import { readCorpus, writeCoverage, writeFailure } from './corpus.ts';
import { BlockCoverage } from './coverage.ts';
import { layouts } from './data-set-seeds.ts';
import { fuzz } from './loop.ts';
import type { FuzzFacts } from './loop.ts';
import { promised } from './target.ts';
import type { Target } from './target.ts';
import { targets } from './targets.ts';
import { Watchdog } from './watchdog.ts';

/** What is kept for the tests: short inputs, and not too many. */
const keptBytesMax = 250;
const keptMax = 100;
const sampleBytesMax = 600;
const coveredSources = ['libs/dimse/src/', 'libs/dicom/src/'];

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    inputs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    samples: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});
const inputs = wholeNumber('inputs', values.inputs);
const seed = wholeNumber('seed', values.seed);
const chosen = positionals.length === 0 ? targets.map(({ name }) => name) : positionals;
let failed = false;
for (const name of chosen) {
  const target = targets.find((one) => one.name === name);
  if (target === undefined) fail(`no target ${name}; there are ${targets.map((one) => one.name).join(', ')}`);
  failed = (await run(target)) || failed;
}
process.exit(failed ? 1 : 0);

async function run(target: Target): Promise<boolean> {
  const { name } = target;
  const coverage = new BlockCoverage(coveredSources);
  const watchdog = new Watchdog(name);
  const corpus = [...readCorpus(name).values(), ...samplesFor(name)];
  say(`${name}: ${inputs} inputs, seed ${seed}, ${target.seeds.length} seeds, corpus of ${corpus.length}`);
  const progress = (facts: FuzzFacts): void => say(`  ${told(facts)}`);
  const result = await fuzz({ target, inputs, seed, corpus, coverage, watchdog, progress });
  coverage.stop();
  await watchdog.stop();
  say(`${name}: ${told(result.facts)}; ${result.failures.length} failures`);
  for (const [index, { error, input }] of result.failures.entries()) {
    const path = writeFailure(name, `failure-${error.kind.replace(' ', '-')}-${seed}-${index}`, input);
    say(`  FAILED ${error.message.slice(0, 2_000)}\n  ${input.length} bytes: ${path}`);
  }
  const small = result.found.filter(({ length }) => length <= keptBytesMax);
  if (values.keep) say(`  kept: ${writeCoverage(name, small.slice(-keptMax))}`);
  return result.failures.length > 0;
}

function told(facts: FuzzFacts): string {
  return (
    `${facts.inputs} inputs, ${facts.inputsPerSecond}/s, ${facts.found} new-coverage inputs, ` +
    `${facts.coveredCharacters} characters of source covered, ${facts.answers} different answers, ` +
    `slowest ${facts.slowestMs} ms`
  );
}

/** The beginning of each file's data set, as an input of the targets that read data sets. */
function samplesFor(name: string): Buffer[] {
  if (values.samples === undefined || (name !== 'walker' && name !== 'decode')) return [];
  const files = globSync('**/*', { cwd: values.samples, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return files.flatMap((entry) => {
    const file = readFileSync(join(entry.parentPath, entry.name));
    const meta = promised(Error, () => readFileMeta(file));
    if ('refused' in meta) return [];
    const layout = (layouts as readonly string[]).indexOf(meta.answer.transferSyntaxUid);
    const head = file.subarray(meta.answer.dataSetOffset, meta.answer.dataSetOffset + sampleBytesMax);
    return [Buffer.concat([Buffer.of(layout < 0 ? 1 : layout, 0), head])];
  });
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) fail(`--${name} must be a whole number, not ${text}`);
  return Number(text);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function fail(why: string): never {
  process.stderr.write(`${why}\n`);
  process.exit(2);
}
