/** `npm run bench -- NAME`: each benchmark starts what it needs, prints its figures and ends. */
import { updateLatency } from './update-latency.ts';

const benchmarks: Readonly<Record<string, () => Promise<void>>> = { 'update-latency': updateLatency };

const name = process.argv[2] ?? '';
const benchmark = benchmarks[name];
if (!benchmark) {
  console.error(`npm run bench -- NAME, one of: ${Object.keys(benchmarks).join(', ')}`);
  process.exit(2);
}
await benchmark();
