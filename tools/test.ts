/**
 * Runs the tests of one kind, or all: `node tools/test.ts [unit|simulation|integration|e2e]… [name filter]`.
 *
 * Kinds go by suffix: `*.spec.ts` pure, `*.sim.spec.ts` many simulated clusters, `*.int.spec.ts` own servers and
 * real sockets, `*.e2e.spec.ts` the whole system from outside. Fails when a kind finds no file, so that a wrong
 * pattern never looks like success.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findNatsServer } from '@isthmus/embedded';

const root = fileURLToPath(new URL('..', import.meta.url));
const skip = (path: string): boolean => path.includes('node_modules') || path.startsWith('.');
const specs = globSync('{libs,services,deploy,bench,e2e,tools}/**/*.spec.ts', {
  cwd: root,
  exclude: skip,
}).sort();

const kinds = {
  unit: {
    files: specs.filter((file) => !/\.(sim|int|e2e)\.spec\.ts$/.test(file)),
    flags: ['--test-isolation=none'],
  },
  simulation: {
    files: specs.filter((file) => file.endsWith('.sim.spec.ts')),
    flags: ['--test-concurrency=2', '--test-timeout=600000'],
  },
  integration: {
    files: specs.filter((file) => file.endsWith('.int.spec.ts')),
    flags: ['--test-concurrency=2', '--test-timeout=240000', '--test-force-exit'],
  },
  e2e: {
    files: specs.filter((file) => file.endsWith('.e2e.spec.ts')),
    flags: ['--test-concurrency=1', '--test-timeout=600000', '--test-force-exit'],
  },
} as const;
type Kind = keyof typeof kinds;

const args = process.argv.slice(2);
const asked = args.filter((arg): arg is Kind => arg in kinds);
const filter = args.find((arg) => !(arg in kinds));
let failed = false;
const totals: Record<string, number> = { pass: 0, fail: 0, skipped: 0 };

if (asked.length === 0 || asked.some((kind) => kind === 'integration' || kind === 'e2e')) {
  // Once, before tests that run side by side want it: the newest nats-server that can be had.
  const { version } = await findNatsServer({ fetchInto: `${root}/.isthmus/bin`, fetch: 'when-older' });
  console.log(`nats-server ${version}`);
}
for (const kind of asked.length > 0 ? asked : (Object.keys(kinds) as Kind[])) {
  const { files, flags } = kinds[kind];
  const chosen = filter === undefined ? files : files.filter((file) => file.includes(filter));
  if (chosen.length === 0) {
    if (filter !== undefined) continue;
    console.error(`no ${kind} tests found`);
    process.exit(1);
  }
  console.log(`\n== ${kind}: ${chosen.length} files`);
  const started = performance.now();
  const run = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--test', '--test-reporter=spec', ...flags, ...chosen],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
      maxBuffer: 256 * 1024 * 1024,
      // Colours would hide the counts from us.
      env: { ...process.env, FORCE_COLOR: '0', NODE_COMPILE_CACHE: `${root}/node_modules/.cache/node` },
    },
  );
  const counted = report(run.stdout);
  console.log(`${kind}: ${Math.round((performance.now() - started) / 1000)} s`);
  if (run.status !== 0 || counted === 0) failed = true;
}
console.log(`\n${totals['pass']} passed, ${totals['fail']} failed, ${totals['skipped']} skipped`);
process.exit(failed || totals['fail']! > 0 || totals['pass'] === 0 ? 1 : 0);

/** Prints what a person needs (failures and the counts), keeps the sums. @returns tests counted */
function report(output: string): number {
  const lines = output.split('\n');
  let counted = 0;
  for (const line of lines) {
    const sum = /^ℹ (tests|pass|fail|cancelled|skipped) (\d+)$/.exec(line);
    if (!sum) continue;
    const [, name, text] = sum;
    if (name === 'tests') counted += Number(text);
    if (name === 'cancelled') totals['fail'] = totals['fail']! + Number(text);
    else if (name! in totals) totals[name!] = totals[name!]! + Number(text);
  }
  const failures = lines.indexOf('✖ failing tests:');
  if (failures >= 0) console.log(lines.slice(failures).join('\n'));
  for (const line of lines) if (/^\s*﹣ .*# /.test(line)) console.log(line.trim());
  console.log(lines.filter((line) => line.startsWith('ℹ ')).join(' · '));
  return counted;
}
