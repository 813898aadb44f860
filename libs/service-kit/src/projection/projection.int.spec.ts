import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { eventually } from '@isthmus/testing';
import { sql } from 'kysely';
import { ownDatabase, recordedLog } from '../../test/database.ts';
import { ScriptedSource } from '../../test/scripted-source.ts';
import { connectPostgres, createMetrics, startProjection } from '../index.ts';
import type { Database, Projection, ProjectionOptions } from '../index.ts';

describe('projection on a real PostgreSQL', () => {
  let server: Awaited<ReturnType<typeof ownDatabase>>;
  let db: Database;
  let source: ScriptedSource;
  let recorded: ReturnType<typeof recordedLog>;
  let started: Projection[] = [];
  let schemas = 0;

  before(async () => {
    server = await ownDatabase();
  });
  after(() => server.remove());

  beforeEach(async () => {
    db = await connectPostgres({ url: server.url, schema: `spec_${'x'.repeat(++schemas)}`, poolMax: 6 });
    await sql`create table seen (sequence bigint primary key, data jsonb not null)`.execute(db);
    source = new ScriptedSource();
    recorded = recordedLog();
    started = [];
  });
  afterEach(async () => {
    for (const projection of started) await projection.stop();
    await db.destroy();
  });

  const insert: ProjectionOptions['apply'] = async (tx, events) => {
    for (const { sequence, event } of events) {
      if (event.data === 'poison') throw new TypeError('cannot apply this');
      await sql`insert into seen values (${sequence}, ${JSON.stringify(event.data)}::jsonb)`.execute(tx);
    }
  };
  const start = (extra: Partial<ProjectionOptions> = {}): Projection => {
    const tables = ['seen'];
    const options = {
      db,
      log: recorded.log,
      name: 'seen',
      source,
      stream: 'STUDY' as const,
      tables,
      pollMs: 20,
    };
    const projection = startProjection({ ...options, apply: insert, ...extra });
    started.push(projection);
    return projection;
  };
  const rows = async (): Promise<number[]> => {
    const found = await sql<{ sequence: number }>`select sequence from seen order by 1`.execute(db);
    return found.rows.map((row) => row.sequence);
  };

  it('commits rows and checkpoint together, and tells who waits and who listens', async () => {
    source.add('a', 'b');
    const projection = start({ batchMax: 1 });
    const heard: number[] = [];
    projection.onAdvance((checkpoint) => heard.push(checkpoint));
    assert.equal(await projection.waitFor(2, 5_000), true);
    source.add('c');
    assert.equal(await projection.waitFor(3, 5_000), true);
    assert.deepEqual(await rows(), [1, 2, 3]);
    assert.deepEqual(heard, [1, 2, 3]);
    assert.equal(await projection.lag(), 0);
    assert.equal(await projection.waitFor(4, 1), false);
    assert.deepEqual(projection.health(), { ok: true, detail: 'running' });
  });

  it('goes on after its checkpoint when it is started again', async () => {
    source.add('a', 'b');
    const first = start();
    await first.waitFor(2, 5_000);
    await first.stop();
    source.add('c');
    assert.equal(await start().waitFor(3, 5_000), true);
    assert.deepEqual(await rows(), [1, 2, 3]);
  });

  it('[O2] lets one of two instances project while the other stands by, follows the checkpoint, and takes over', async () => {
    source.add('a');
    const first = start();
    await first.waitFor(1, 5_000);
    const second = start();
    await eventually('the second stands by', () => second.state() === 'standby');
    source.add('b');
    assert.equal(await second.waitFor(2, 5_000), true);
    await first.stop();
    source.add('c');
    assert.equal(await second.waitFor(3, 5_000), true);
    assert.equal(second.state(), 'running');
    assert.deepEqual(await rows(), [1, 2, 3]);
  });

  it('heals by itself when PostgreSQL is killed and comes back', async () => {
    source.add('a');
    const projection = start();
    await projection.waitFor(1, 5_000);
    await server.kill();
    source.add('b', 'c');
    await eventually('it says so', () => !projection.health().ok);
    await server.restart();
    assert.equal(await projection.waitFor(3, 20_000), true);
    assert.deepEqual(await rows(), [1, 2, 3]);
  });

  it('heals by itself when the event log goes away and comes back', async () => {
    source.add('a');
    const projection = start();
    await projection.waitFor(1, 5_000);
    source.away = true;
    source.wake();
    await eventually('it says so', () => !projection.health().ok);
    source.away = false;
    source.add('b');
    assert.equal(await projection.waitFor(2, 20_000), true);
    assert.deepEqual(await rows(), [1, 2]);
  });

  it('halts at an event that cannot be applied, having applied those before it, and says which it is', async () => {
    source.add('a', 'b', 'poison', 'd');
    const projection = start();
    await eventually('it halts', () => projection.state() === 'halted');
    assert.deepEqual(await rows(), [1, 2]);
    assert.equal(projection.checkpoint(), 2);
    assert.equal(projection.health().ok, false);
    assert.equal(await projection.waitFor(4, 60_000), false);
    const line = recorded.lines.find(({ msg }) => String(msg).startsWith('projection halted'));
    assert.equal(line?.['sequence'], 3);
    assert.equal(line['id'], 'id-3');
    assert.match(String(line['msg']), /event 3 \(Counted\) cannot be applied/);
  });

  it('tries again, without halting, an event that fails once', async () => {
    let failures = 2;
    source.add('a', 'b');
    const projection = start({
      apply: (tx, events) => {
        if (events.some(({ sequence }) => sequence === 2) && failures-- > 0)
          throw new TypeError('once in a while');
        return insert(tx, events);
      },
    });
    assert.equal(await projection.waitFor(2, 5_000), true);
    assert.deepEqual(await rows(), [1, 2]);
  });

  it('rebuilds: empties the tables, folds all anew and reaches the old position', async () => {
    source.add('a', 'b', 'c');
    const projection = start();
    await projection.waitFor(3, 5_000);
    await sql`update seen set data = '"spoilt"'`.execute(db);
    await sql`insert into seen values (99, '"invented"')`.execute(db);
    const heard: number[] = [];
    projection.onAdvance((checkpoint) => heard.push(checkpoint));
    await projection.rebuild();
    assert.deepEqual(await rows(), [1, 2, 3]);
    const spoilt = await sql<{ n: number }>`select count(*) as n from seen where data = '"spoilt"'`.execute(
      db,
    );
    assert.equal(spoilt.rows[0]?.n, 0);
    assert.equal(heard[0], 0);
    assert.equal(heard.at(-1), 3);
  });

  it('notices a rebuild that another instance began', async () => {
    source.add('a', 'b');
    const first = start();
    await first.waitFor(2, 5_000);
    const second = start();
    await eventually('the second stands by', () => second.state() === 'standby' && second.checkpoint() === 2);
    await sql`insert into seen values (99, '"invented"')`.execute(db);
    await second.rebuild();
    assert.deepEqual(await rows(), [1, 2]);
  });

  it('leaves a halt by a rebuild, once the event can be applied', async () => {
    let fixed = false;
    source.add('a', 'poison', 'c');
    const projection = start({
      apply: (tx, events) =>
        fixed
          ? insert(
              tx,
              events.filter((one) => one.event.data !== 'poison'),
            )
          : insert(tx, events),
    });
    await eventually('it halts', () => projection.state() === 'halted');
    fixed = true;
    await projection.rebuild();
    assert.equal(await projection.waitFor(3, 5_000), true);
    assert.equal(projection.state(), 'running');
  });

  it('can be waited for again after a halt on the very first event', async () => {
    let fixed = false;
    source.add('poison');
    const apply: ProjectionOptions['apply'] = async (tx, events) => {
      if (!fixed) await insert(tx, events);
    };
    const projection = start({ apply });
    await eventually('it halts', () => projection.state() === 'halted');
    fixed = true;
    await projection.rebuild();
    assert.equal(await projection.waitFor(1, 5_000), true);
  });

  it('halts when the log has another incarnation, and when it is shorter than the checkpoint', async () => {
    source.add('a', 'b');
    const first = start();
    await first.waitFor(2, 5_000);
    await first.stop();
    source.incarnation = 'second';
    const second = start();
    await eventually('it halts', () => second.state() === 'halted');
    assert.match(second.health().detail ?? '', /another one/);
    await second.stop();
    source.incarnation = 'first';
    source.events.pop();
    const third = start();
    await eventually('it halts', () => third.state() === 'halted');
    assert.match(third.health().detail ?? '', /shorter/);
    assert.deepEqual(await rows(), [1, 2]);
  });

  it('publishes lag and checkpoint as metrics, several projections of a service side by side', async () => {
    const metrics = createMetrics({ service: 'spec', cluster: 'north' });
    await sql`create table other (sequence bigint)`.execute(db);
    source.add('a');
    const one = start({ metrics });
    const two = start({ metrics, name: 'other', tables: ['other'], apply: async () => undefined });
    await one.waitFor(1, 5_000);
    await two.waitFor(1, 5_000);
    const text = await metrics.metrics();
    assert.match(text, /isthmus_projection_checkpoint\{projection="seen",service="spec",cluster="north"\} 1/);
    assert.match(
      text,
      /isthmus_projection_lag_events\{projection="other",service="spec",cluster="north"\} 0/,
    );
  });
});
