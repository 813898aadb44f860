import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const outside = (path: string): boolean => /(^|\/)(node_modules|\.tsc|\.nx|\.git|\.isthmus)(\/|$)/.test(path);
const files = (pattern: string): string[] => globSync(pattern, { cwd: root, exclude: outside }).sort();
const read = (file: string): string => readFileSync(`${root}/${file}`, 'utf8');
const sources = files('{libs,services,deploy,bench,e2e,tools}/**/*.ts');
const texts = [...files('*.md'), ...files('{docs,libs,services,deploy,bench,e2e,tools}/**/*.md')];

describe('the house is tidy', () => {
  it('has no file over 500 lines and no line over 140 characters', () => {
    const long: string[] = [];
    for (const file of sources) {
      const lines = read(file).split('\n');
      if (lines.length > 501) long.push(`${file}: ${lines.length} lines`);
      lines.forEach((line, index) => {
        if (line.length > 140) long.push(`${file}:${index + 1}: ${line.length} characters`);
      });
    }
    assert.deepEqual(long, []);
  });

  it('has no room for odds and ends, and one barrel per library', () => {
    const folders = new Set(sources.map((file) => dirname(file)));
    const vague = [...folders].filter((folder) =>
      /\/(utils?|common|helpers?|shared|misc)(\/|$)/.test(folder),
    );
    const barrels = sources.filter((file) => basename(file) === 'index.ts');
    const misplaced = barrels.filter((file) => !/^(libs\/[a-z-]+|bench|e2e)\/src\/index\.ts$/.test(file));
    assert.deepEqual([...vague, ...misplaced], []);
    const starred = barrels.filter((file) => /export \* from/.test(read(file)));
    assert.deepEqual(starred, [], 'barrels list their names one by one');
  });

  it('leaves no unfinished business in the code', () => {
    const marks = sources.filter(
      (file) => file !== 'tools/tidy.spec.ts' && /\b(FIXME|TODO|XXX|HACK)\b/.test(read(file)),
    );
    const narrowed = sources.filter((file) => /\b(it|describe|test)\.only\(/.test(read(file)));
    assert.deepEqual([...marks, ...narrowed], []);
  });

  it('keeps the core pure: no clock, no randomness, no input or output', () => {
    const core = sources.filter(
      (file) => /^libs\/(dicom|domain)\/src\//.test(file) && !file.endsWith('.spec.ts'),
    );
    const impure =
      /Date\.now\(|new Date\(\)|Math\.random\(|performance\.now\(|from 'node:(fs|net|http|child_process)/;
    assert.deepEqual(
      core.filter((file) => impure.test(read(file))),
      [],
    );
  });

  it('cites only decisions that are written down', () => {
    const decisions = new Set(files('docs/adr/*.md').map((file) => basename(file).slice(0, 4)));
    const missing: string[] = [];
    for (const file of [...sources, ...texts]) {
      for (const [, number] of read(file).matchAll(/ADR-(\d{4})/g)) {
        if (!decisions.has(number!)) missing.push(`${file}: ADR-${number}`);
      }
    }
    assert.deepEqual(missing, []);
  });

  it('gives every page one title, and every room a page that says what it is for', () => {
    const untitled = texts.filter((file) => {
      const prose = read(file).replace(/```[\s\S]*?```/g, '');
      return prose.match(/^# /gm)?.length !== 1;
    });
    const rooms = [...files('libs/*/package.json'), ...files('services/*/package.json')].map((file) =>
      dirname(file),
    );
    assert.deepEqual([...untitled, ...rooms.filter((room) => !existsSync(`${root}/${room}/README.md`))], []);
  });

  it('links only to pages that exist', () => {
    const broken: string[] = [];
    for (const file of texts) {
      for (const [, target] of read(file).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)) {
        if (!existsSync(`${root}/${dirname(file)}/${target}`)) broken.push(`${file}: ${target}`);
      }
    }
    assert.deepEqual(broken, []);
  });
});
