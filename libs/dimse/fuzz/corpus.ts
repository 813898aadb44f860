import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('./corpus/', import.meta.url));
/** One input per line, so that hundreds of small inputs are one file. */
const coverageFile = 'coverage.base64';

/**
 * The inputs that are kept for a target: `<name>.hex` are recorded or once failing ones, one each; `coverage.base64`
 * has those that reached new code in a long run.
 */
export function readCorpus(target: string): ReadonlyMap<string, Buffer> {
  const directory = join(root, target);
  const inputs = new Map<string, Buffer>();
  if (!existsSync(directory)) return inputs;
  for (const name of readdirSync(directory).sort()) {
    const text = readFileSync(join(directory, name), 'latin1');
    if (name.endsWith('.hex')) inputs.set(name, Buffer.from(text.replace(/\s/g, ''), 'hex'));
    if (name !== coverageFile) continue;
    for (const [index, line] of text.split('\n').entries()) {
      if (line !== '') inputs.set(`${name}:${index + 1}`, Buffer.from(line, 'base64'));
    }
  }
  return inputs;
}

/** @returns the file's path */
export function writeFailure(target: string, name: string, input: Buffer): string {
  const lines = input.toString('hex').replace(/(.{1,100})/g, '$1\n');
  return write(target, `${name}.hex`, lines);
}

/** Replaces what an earlier run found. @returns the file's path */
export function writeCoverage(target: string, inputs: readonly Buffer[]): string {
  return write(target, coverageFile, inputs.map((input) => `${input.toString('base64')}\n`).join(''));
}

function write(target: string, name: string, text: string): string {
  const directory = join(root, target);
  mkdirSync(directory, { recursive: true });
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}
