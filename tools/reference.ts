/**
 * Writes the reference pages: `npm run reference`. What stands between `<!-- generated:NAME -->` and
 * `<!-- /generated -->` in docs/CONFORMANCE.md, and whole files under docs/reference, come from the code; everything
 * else is written by hand. `--without-http` leaves out the page that needs running services.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { httpPage } from './reference/http-page.ts';
import { referencePages } from './reference/pages.ts';
import { root } from './reference/source.ts';

function write(file: string, text: string): void {
  if (existsSync(root + file) && readFileSync(root + file, 'utf8') === text) return;
  mkdirSync(dirname(root + file), { recursive: true });
  writeFileSync(root + file, text);
  console.log(`wrote ${file}`);
}

for (const [file, text] of referencePages()) write(file, text);
if (!process.argv.includes('--without-http')) write('docs/reference/http.md', await httpPage());
process.exit(0);
