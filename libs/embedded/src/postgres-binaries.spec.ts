import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { postgresBinaries } from './postgres-binaries.ts';

/** A package as npm leaves it when install scripts are not run. */
function unfinishedPackage(t: TestContext): { native: string; home: string } {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'isthmus-package-'));
  t.after(() => fs.rmSync(base, { recursive: true, force: true }));
  const native = path.join(base, 'package/native');
  for (const name of ['bin', 'lib']) fs.mkdirSync(path.join(native, name), { recursive: true });
  fs.writeFileSync(path.join(base, 'package/package.json'), '{"version":"18.4.0"}');
  fs.writeFileSync(path.join(native, 'bin/postgres'), '', { mode: 0o755 });
  fs.writeFileSync(path.join(native, 'lib/libpq.so.5.18'), 'library');
  const links = [{ source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' }];
  fs.writeFileSync(path.join(native, 'pg-symlinks.json'), JSON.stringify(links));
  return { native, home: path.join(base, 'home') };
}

test('links that the install script would have made are made in place, once', (t) => {
  const { native, home } = unfinishedPackage(t);
  for (const _ of [1, 2]) {
    assert.equal(
      postgresBinaries(home, () => true, native),
      native,
    );
    assert.equal(fs.readFileSync(path.join(native, 'lib/libpq.so.5'), 'utf8'), 'library');
  }
  assert.equal(fs.existsSync(home), false);
});

test('binaries that the user of the server cannot reach are copied, once, with their links', (t) => {
  const { native, home } = unfinishedPackage(t);
  const copy = postgresBinaries(home, () => false, native);
  assert.equal(copy, path.join(home, 'postgres-18.4.0'));
  assert.equal(fs.readlinkSync(path.join(copy, 'lib/libpq.so.5')), 'libpq.so.5.18');
  assert.equal(fs.existsSync(path.join(native, 'lib/libpq.so.5')), false);
  assert.equal(
    postgresBinaries(home, () => false, native),
    copy,
  );
  assert.deepEqual(fs.readdirSync(home), ['postgres-18.4.0']);
});
