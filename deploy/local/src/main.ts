/** `npm start`: linked clusters on one machine. Options: see `options.ts`, or `npm start -- --help`. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { untilSignal } from '@isthmus/service-kit';
import { greeting } from './greeting.ts';
import { readOptions, usage, UsageError, type Options } from './options.ts';
import { loadSamples } from './samples.ts';
import { startSystem, StartError, type System } from './system.ts';

const report = (message: string): void => console.error(`! ${message}`);

function optionsOrExit(): Options {
  try {
    const options = readOptions(process.argv.slice(2));
    if (options !== 'help') return options;
    console.log(usage);
    process.exit(0);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
}

async function systemOrExit(options: Options): Promise<System> {
  try {
    return await startSystem(options, report);
  } catch (error) {
    // A folder that cannot be written is named by the system's own message; a stack would not help.
    const expected =
      error instanceof StartError || 'remedy' in (error as object) || 'syscall' in (error as object);
    console.error(`Isthmus did not start: ${expected ? (error as Error).message : (error as Error).stack}`);
    process.exit(1);
  }
}

/** Once per data folder; a run that is cut off in the middle loads them again, which changes nothing. */
async function loadSamplesOnce(system: System): Promise<string> {
  const marker = join(system.dataDirectory, 'samples-loaded');
  if (existsSync(marker)) return 'Data of the last run is here.';
  const studies = await loadSamples(system.clusters);
  writeFileSync(marker, '');
  return `${studies} sample studies are loaded.`;
}

const startedAt = performance.now();
const options = optionsOrExit();
const signal = untilSignal();
console.log(`Starting ${options.clusters} clusters (${options.topology}) …`);
const system = await Promise.race([systemOrExit(options), signal]);
// Ctrl-C while starting: every child ends with this process, nothing half-started stays.
if (typeof system === 'string') process.exit(130);
const samples = options.samples ? await loadSamplesOnce(system) : 'No sample studies, as asked.';
const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
console.log(greeting(system, `Ready in ${seconds} s. ${samples}`));
await signal;
console.log('Stopping …');
await system.stop();
process.exit(0);
