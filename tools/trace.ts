/**
 * Lists every row of docs/requirements.md with the tests that prove it, and the rows that have none. A test names its
 * rows in its title: `[U4] pulls exactly the missing objects`. Fails when a test names a row that does not exist.
 */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const rows = new Map<string, string>();
for (const [, id, text] of readFileSync(`${root}/docs/requirements.md`, 'utf8').matchAll(
  /^\| ([A-Z]\d+) \| (.+) \|$/gm,
)) {
  rows.set(id!, text!);
}
const proofs = new Map<string, string[]>();
const strangers: string[] = [];
const specs = globSync('{libs,services,deploy,bench,e2e,tools}/**/*.spec.ts', {
  cwd: root,
  exclude: (path) => path.includes('node_modules'),
}).sort();
for (const file of specs) {
  const titles = readFileSync(`${root}/${file}`, 'utf8').matchAll(
    /\b(?:it|test)\(\s*(['"`])((?:\[[A-Z]\d+\] ?)+)(.*?)\1/gs,
  );
  for (const [, , ids, title] of titles) {
    for (const [, id] of ids!.matchAll(/\[([A-Z]\d+)\]/g)) {
      if (!rows.has(id!)) strangers.push(`${file}: ${id}`);
      proofs.set(id!, [...(proofs.get(id!) ?? []), `${title} (${file})`]);
    }
  }
}
for (const [id, text] of rows) {
  const tests = proofs.get(id) ?? [];
  console.log(
    `${tests.length > 0 ? '✔' : ' '} ${id.padEnd(4)}${text.length > 96 ? `${text.slice(0, 95)}…` : text}`,
  );
  for (const test of tests) console.log(`       ${test}`);
}
console.log(`\n${proofs.size} of ${rows.size} rows have tests`);
if (strangers.length > 0) {
  console.error(`tests name rows that do not exist:\n${strangers.join('\n')}`);
  process.exit(1);
}
