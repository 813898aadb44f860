/** `npm run bench -- NAME [options]`: each benchmark starts what it needs, prints its figures and ends. */
import { dimse } from './dimse/main.ts';
import { updateLatency } from './update-latency.ts';

const benchmarks: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  dimse,
  'update-latency': updateLatency,
};

const name = process.argv[2] ?? '';
const benchmark = benchmarks[name];
if (!benchmark) {
  console.error(`npm run bench -- NAME, one of: ${Object.keys(benchmarks).join(', ')}`);
  process.exit(2);
}
await benchmark(process.argv.slice(3));
