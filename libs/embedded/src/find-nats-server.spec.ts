import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { programEnvironment } from './config.ts';
import { EmbeddedServerError } from './errors.ts';
import { findNatsServer, natsServersHere } from './find-nats-server.ts';

function folder(t: TestContext): string {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'isthmus-find-'));
  t.after(() => fs.rmSync(made, { recursive: true, force: true }));
  return made;
}

/** A program that says only its version. */
function program(file: string, version: string): string {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, `#!/bin/sh\necho "nats-server: v${version}"\n`, { mode: 0o755 });
  return file;
}

test('the newest of the fetched and the installed servers is used', async (t) => {
  const base = folder(t);
  const fetchInto = path.join(base, 'bin');
  program(path.join(base, 'usr/nats-server'), '2.9.10');
  const environment = { natsServer: undefined, folders: [path.join(base, 'usr')] };
  assert.equal((await findNatsServer({ fetchInto, environment })).version, '2.9.10');
  const fetched = program(path.join(fetchInto, 'nats-server-2.15.1'), '2.15.1');
  program(path.join(fetchInto, 'nats-server-2.10.27'), '2.10.27');
  assert.deepEqual(await findNatsServer({ fetchInto, environment }), { path: fetched, version: '2.15.1' });
  assert.deepEqual(
    natsServersHere(fetchInto, environment).map((server) => server.version),
    ['2.15.1', '2.10.27', '2.9.10'],
  );
});

test('NATS_SERVER wins over a newer one, and is refused by name when it is none', async (t) => {
  const base = folder(t);
  program(path.join(base, 'usr/nats-server'), '2.15.1');
  const chosen = program(path.join(base, 'mine'), '2.10.1');
  const environment = { natsServer: chosen, folders: [path.join(base, 'usr')] };
  assert.deepEqual(await findNatsServer({ environment }), { path: chosen, version: '2.10.1' });
  const wrong = findNatsServer({ environment: { ...environment, natsServer: path.join(base, 'nothing') } });
  await assert.rejects(wrong, { code: 'nats-server-missing', message: /NATS_SERVER/ });
});

test('something that is no nats-server is passed by', async (t) => {
  const base = folder(t);
  fs.writeFileSync(path.join(base, 'nats-server'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  const good = program(path.join(base, 'other/nats-server'), '2.10.1');
  const environment = { natsServer: undefined, folders: [base, path.join(base, 'other')] };
  assert.equal((await findNatsServer({ environment })).path, good);
});

test('without any server one message says what to do', async () => {
  const environment = { natsServer: undefined, folders: [] };
  await assert.rejects(findNatsServer({ environment }), (error) => {
    assert.ok(error instanceof EmbeddedServerError);
    assert.equal(error.code, 'nats-server-missing');
    assert.match(error.message, /apt-get install nats-server.*github\.com\/nats-io.*NATS_SERVER/);
    return true;
  });
});

test('servers are looked for where distributions put them, even off the path', () => {
  assert.deepEqual(programEnvironment({ PATH: '/a:/usr/sbin', NATS_SERVER: '' }), {
    natsServer: undefined,
    folders: ['/a', '/usr/sbin', '/usr/local/sbin', '/usr/local/bin'],
  });
});
