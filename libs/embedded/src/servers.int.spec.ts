import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';

import pg from 'pg';

import { natsServersHere, startNatsServer, startPostgres } from './index.ts';
import { findProgram } from './server-process.ts';

const fetchedInto = path.resolve(import.meta.dirname, '../../../.isthmus/bin');

function folder(t: TestContext): string {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'isthmus-embedded-'));
  // As root, PostgreSQL runs as another user, who must be able to enter.
  fs.chmodSync(made, 0o755);
  t.after(() => fs.rmSync(made, { recursive: true, force: true }));
  return made;
}

/** What a nats-server says first. */
async function greeting(port: number): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  const [data] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return data.toString();
}

for (const server of natsServersHere(fetchedInto)) {
  describe(`nats-server ${server.version}`, () => {
    test('is ready when it was started, also after kill and restart, on the same port and data', async (t) => {
      const nats = await startNatsServer({ dataDir: path.join(folder(t), 'nats'), binary: server.path });
      t.after(() => nats.stop());
      assert.equal(nats.version, server.version);
      const { pid, port, url } = nats;
      assert.match(await greeting(port), /"jetstream":true/);
      await nats.kill();
      assert.equal(nats.running, false);
      await assert.rejects(greeting(port), { code: 'ECONNREFUSED' });
      await nats.restart();
      assert.deepEqual([nats.port, nats.url, nats.running], [port, url, true]);
      assert.notEqual(nats.pid, pid);
      assert.match(await greeting(port), /^INFO/);
      assert.ok(fs.readFileSync(nats.logFile, 'utf8').includes('JetStream'));
    });

    test('a port that is taken is an error that says so, and nothing is left running', async (t) => {
      const base = folder(t);
      const first = await startNatsServer({ dataDir: path.join(base, 'a'), binary: server.path });
      t.after(() => first.stop());
      const second = startNatsServer({
        dataDir: path.join(base, 'b'),
        binary: server.path,
        port: first.port,
      });
      await assert.rejects(second, { code: 'server-start-failed', message: /in use/ });
    });
  });
}

test('two servers never run on one store', { timeout: 30_000 }, async (t) => {
  const dataDir = path.join(folder(t), 'nats');
  const first = await startNatsServer({ dataDir });
  t.after(() => first.stop());
  await assert.rejects(startNatsServer({ dataDir }), { code: 'data-directory-in-use' });
  assert.equal(first.running, true);
});

test('PostgreSQL keeps what was committed over kill and restart', async (t) => {
  const postgres = await startPostgres({ dataDir: path.join(folder(t), 'postgres') });
  t.after(() => postgres.stop());
  const { port, url } = postgres;
  await query(url, 'CREATE TABLE kept (number int)');
  await query(url, 'INSERT INTO kept VALUES (1)');
  await postgres.kill();
  await postgres.restart();
  assert.deepEqual([postgres.port, postgres.url], [port, url]);
  assert.deepEqual(await query(url, 'SELECT number FROM kept'), [{ number: 1 }]);
  await postgres.restart();
  assert.deepEqual(await query(url, 'SELECT number FROM kept'), [{ number: 1 }]);
});

test('a database is created once and dropped with those who use it', async (t) => {
  const postgres = await startPostgres({
    dataDir: path.join(folder(t), 'postgres'),
    settings: { fsync: 'off' },
  });
  t.after(() => postgres.stop());
  const [one, other] = await Promise.all([postgres.createDatabase('x y'), postgres.createDatabase('x y')]);
  assert.equal(one, other);
  const client = new pg.Client({ connectionString: encodeURI(one) });
  client.on('error', () => {});
  await client.connect();
  await postgres.dropDatabase('x y');
  await assert.rejects(client.query('SELECT 1'));
});

test('a half-made database folder is made anew', async (t) => {
  const dataDir = path.join(folder(t), 'postgres');
  fs.mkdirSync(path.join(dataDir, 'data.new/base'), { recursive: true });
  const postgres = await startPostgres({ dataDir, settings: { fsync: 'off' } });
  await postgres.stop();
  assert.deepEqual(fs.readdirSync(postgres.dataDir).sort(), ['data', 'server.log']);
});

const setprivMissing = findProgram('setpriv') === undefined ? 'setpriv is not here' : false;

test('servers die with a parent that is killed', { skip: setprivMissing, timeout: 60_000 }, async (t) => {
  const base = folder(t);
  const program = `
    const { startNatsServer, startPostgres } = await import(${JSON.stringify(path.join(import.meta.dirname, 'index.ts'))});
    const nats = await startNatsServer({ dataDir: ${JSON.stringify(path.join(base, 'nats'))} });
    const postgres = await startPostgres({ dataDir: ${JSON.stringify(path.join(base, 'postgres'))} });
    console.log(JSON.stringify([nats.pid, postgres.pid]));
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => parent.kill('SIGKILL'));
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pids = JSON.parse(line.toString()) as number[];
  assert.deepEqual(pids.map(runs), [true, true]);
  parent.kill('SIGKILL');
  const deadline = performance.now() + 20_000;
  while (pids.some(runs)) {
    assert.ok(performance.now() < deadline, 'still there');
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
});

/** A process that nobody reaps stays in the table as a zombie. */
function runs(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX] /.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function query(connectionString: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return (await client.query(text)).rows as unknown[];
  } finally {
    await client.end();
  }
}
