/** `npm run sim`: plays schedules of many clusters with faults, and says which fail. */
import { parseArgs } from 'node:util';
import { playSchedule } from './schedule.ts';
import { topologies } from './topology.ts';
import type { Topology } from './topology.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    schedules: { type: 'string', default: '1000' },
    topology: { type: 'string' },
    clusters: { type: 'string' },
    actions: { type: 'string' },
  },
});
const first = Number(values.seed);
const count = Number(values.schedules);
const schedulesShownMax = 10;
const failuresShownMax = 5;

function topologyOf(name: string | undefined): Topology | undefined {
  return topologies.find((one) => one === name);
}

const topology = topologyOf(values.topology);
const fixed = {
  ...(topology ? { topology } : {}),
  ...(values.clusters === undefined ? {} : { clusters: Number(values.clusters) }),
  ...(values.actions === undefined ? {} : { actions: Number(values.actions) }),
};
const startedAt = performance.now();
let failed = 0;
for (let seed = first; seed < first + count; seed++) {
  const outcome = await playSchedule({ seed, ...fixed });
  if (outcome.failures.length === 0) continue;
  failed += 1;
  if (failed > schedulesShownMax) continue;
  console.log(
    `seed ${seed}: ${outcome.topology} of ${outcome.clusters}\n  ${outcome.failures.slice(0, failuresShownMax).join('\n  ')}`,
  );
  console.log(`  again: npm run sim -- --seed ${seed} --schedules 1`);
}
const seconds = (performance.now() - startedAt) / 1_000;
console.log(`${count} schedules from seed ${first}, ${failed} failed, ${seconds.toFixed(1)} s`);
process.exitCode = failed > 0 ? 1 : 0;
