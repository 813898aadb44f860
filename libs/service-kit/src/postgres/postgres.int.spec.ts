import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@isthmus/testing';
import { sql } from 'kysely';
import { ownDatabase } from '../../test/database.ts';
import { connectPostgres, isDatabaseUnreachable, migrate } from '../index.ts';
import type { Migration } from '../index.ts';

describe('PostgreSQL', () => {
  let server: Awaited<ReturnType<typeof ownDatabase>>;
  before(async () => {
    server = await ownDatabase();
  });
  after(() => server.remove());

  it('gives each service its schema and 64-bit integers as numbers', async () => {
    const one = await connectPostgres({ url: server.url, schema: 'one', poolMax: 2 });
    const two = await connectPostgres({ url: server.url, schema: 'two', poolMax: 2 });
    await sql`create table kept (n bigint)`.execute(one);
    await sql`insert into kept values (9007199254740991)`.execute(one);
    const found = await sql<{ n: number }>`select n from kept`.execute(one);
    assert.equal(found.rows[0]?.n, Number.MAX_SAFE_INTEGER);
    await assert.rejects(sql`select n from kept`.execute(two), /does not exist/);
    await Promise.all([one.destroy(), two.destroy()]);
  });

  it('runs each migration once, in order, when several instances start together', async () => {
    const order: string[] = [];
    const step = (name: string): Migration => ({
      name,
      up: async (db) => {
        order.push(name);
        await sql`create table ${sql.table(name)} (n int)`.execute(db);
      },
    });
    const pools = await Promise.all(
      [1, 2, 3].map(() => connectPostgres({ url: server.url, schema: 'migrated', poolMax: 2 })),
    );
    await Promise.all(pools.map((db) => migrate(db, 'spec', [step('a'), step('b')])));
    await migrate(pools[0]!, 'spec', [step('a'), step('b'), step('c')]);
    assert.deepEqual(order, ['a', 'b', 'c']);
    await Promise.all(pools.map((db) => db.destroy()));
  });

  it('changes nothing when a migration fails', async () => {
    const db = await connectPostgres({ url: server.url, schema: 'halfway', poolMax: 2 });
    const good: Migration = { name: 'good', up: (tx) => sql`create table good (n int)`.execute(tx) };
    const bad: Migration = { name: 'bad', up: (tx) => sql`create table good (n int)`.execute(tx) };
    await assert.rejects(migrate(db, 'spec', [good, bad]), /already exists/);
    await assert.rejects(sql`select * from good`.execute(db), /does not exist/);
    await db.destroy();
  });

  it('survives the death of the server: statements fail as unreachable, then work again', async () => {
    const db = await connectPostgres({ url: server.url, schema: 'one', poolMax: 3 });
    await Promise.all([1, 2, 3].map(() => sql`select pg_sleep(0.01)`.execute(db)));
    await server.kill();
    // A backend whose postmaster was killed may answer once more before it notices.
    const errorNow = (): Promise<unknown> =>
      sql`select 1`.execute(db).then(
        () => undefined,
        (error: unknown) => error,
      );
    await eventually('statements fail as unreachable', async () => isDatabaseUnreachable(await errorNow()));
    await server.restart();
    await eventually('it answers again', () =>
      sql`select 1`.execute(db).then(
        () => true,
        () => false,
      ),
    );
    await db.destroy();
  });

  it('waits at start for a server that is not up yet, and gives up at its deadline', async () => {
    await server.stop();
    const late = connectPostgres({ url: server.url, schema: 'late', poolMax: 2 });
    await assert.rejects(
      connectPostgres({ url: server.url, schema: 'late', poolMax: 2, startTimeoutMs: 0 }),
      (error) => isDatabaseUnreachable(error),
    );
    await server.restart();
    await (await late).destroy();
  });

  it('does not take a constraint violation or a bad value for an absent server', async () => {
    const db = await connectPostgres({ url: server.url, schema: 'one', poolMax: 2 });
    await sql`create table single (n int primary key)`.execute(db);
    await sql`insert into single values (1)`.execute(db);
    await assert.rejects(
      sql`insert into single values (1)`.execute(db),
      (error) => !isDatabaseUnreachable(error),
    );
    await assert.rejects(sql`select 'x'::int`.execute(db), (error) => !isDatabaseUnreachable(error));
    await db.destroy();
  });
});
