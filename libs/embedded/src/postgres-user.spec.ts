import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { postgresPlace } from './postgres-user.ts';

const asRoot = process.getuid?.() === 0 ? false : 'needs root';

/** A folder that only we may enter, and one that stands for /var/lib/isthmus. */
function folders(t: TestContext): { closed: string; system: string } {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'isthmus-place-'));
  t.after(() => fs.rmSync(base, { recursive: true, force: true }));
  return { closed: path.join(base, 'data'), system: path.join(base, 'system') };
}

test('a data folder that the server cannot enter is replaced, and found again', { skip: asRoot }, (t) => {
  const { closed, system } = folders(t);
  const place = postgresPlace(closed, system);
  assert.equal(path.dirname(place.dataDir), system);
  assert.equal(postgresPlace(closed, system).dataDir, place.dataDir);
});

test('who removes the data folder begins anew, and the old database goes', { skip: asRoot }, (t) => {
  const { closed, system } = folders(t);
  const first = postgresPlace(closed, system).dataDir;
  fs.rmSync(closed, { recursive: true });
  const second = postgresPlace(closed, system).dataDir;
  assert.notEqual(second, first);
  assert.equal(fs.existsSync(first), false);
});

test('a database that is in use, or whose disk may be away, stays', { skip: asRoot }, (t) => {
  const { closed, system } = folders(t);
  const used = postgresPlace(closed, system).dataDir;
  fs.mkdirSync(path.join(used, 'data'));
  fs.writeFileSync(path.join(used, 'data/postmaster.pid'), `${process.pid}\n`);
  fs.rmSync(closed, { recursive: true });
  const away = postgresPlace(closed, system).dataDir;
  fs.writeFileSync(path.join(away, 'origin'), '/media/not-mounted/isthmus');
  fs.rmSync(closed, { recursive: true });
  postgresPlace(closed, system);
  assert.deepEqual([fs.existsSync(used), fs.existsSync(away)], [true, true]);
});

test('a folder that the server can enter is used as it is', { skip: asRoot }, (t) => {
  const { closed, system } = folders(t);
  fs.chmodSync(path.dirname(closed), 0o755);
  assert.equal(postgresPlace(closed, system).dataDir, closed);
});
