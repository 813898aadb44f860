import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { EventEnvelope } from '@isthmus/domain';

import { eventually } from '@isthmus/testing';
import { LogReplacedError, LogUnavailableError } from '../src/index.ts';
import { event, following, numbered, numbersOf, studyA, upTo } from './bench.ts';
import type { LogFactory } from './bench.ts';

export function testFaults(factory: LogFactory): void {
  test('[U11] a server killed in the middle of appends loses nothing that was acknowledged, readers see each once', async (t) => {
    const bench = await factory(t);
    const writer = await bench.connect({ appendTimeoutMs: 30_000 });
    const reader = await bench.connect();
    const followed = following(t, reader, 'INSTANCES');
    const acknowledged = new Map<string, number>();
    let writing = true;
    const write = async (lane: number): Promise<void> => {
      for (let number = 0; writing; number++) {
        const next: EventEnvelope = event({ lane, number });
        const { sequence } = await writer.append('INSTANCES', `instance.${lane}.1-2`, next);
        acknowledged.set(next.id, sequence);
      }
    };
    const lanes = upTo(16).map(write);
    for (const round of [1, 2, 3]) {
      await eventually('some appends', () => acknowledged.size > round * 150);
      await bench.kill();
      await bench.restart();
    }
    await eventually('appends after the last restart', () => acknowledged.size > 800);
    writing = false;
    await Promise.all(lanes);
    const last = await reader.lastSequence('INSTANCES');
    await eventually('the reader', () => (followed.events.at(-1)?.sequence ?? 0) === last);
    const places = new Map(followed.events.map((stored) => [stored.event.id, stored.sequence]));
    assert.equal(places.size, followed.events.length, 'each id once');
    assert.deepEqual(
      followed.events.map((stored) => stored.sequence),
      upTo(last).map((number) => number + 1),
    );
    for (const [id, sequence] of acknowledged) assert.equal(places.get(id), sequence);
  });

  test('an append that meets a dead server waits for its return', async (t) => {
    const bench = await factory(t);
    const log = await bench.connect({ appendTimeoutMs: 30_000 });
    await bench.kill();
    const appending = log.append('STUDY', studyA, event());
    const deciding = log.appendExpecting('study.3.7-8', event(), 0);
    await bench.restart();
    assert.deepEqual(new Set([(await appending).sequence, (await deciding).ok]).size, 2);
    assert.equal(await log.lastSequence('STUDY'), 2);
  });

  test('an append without a server fails when its time is over, and again appended is stored once', async (t) => {
    const bench = await factory(t);
    const log = await bench.connect({ appendTimeoutMs: 300 });
    const lost = event();
    await bench.kill();
    await assert.rejects(log.append('STUDY', studyA, lost), LogUnavailableError);
    await assert.rejects(log.appendAll('STUDY', numbered(20)), LogUnavailableError);
    await assert.rejects(log.appendExpecting('study.3.7-8', event(), 0), LogUnavailableError);
    await bench.restart();
    const later = await bench.connect();
    await later.append('STUDY', studyA, lost);
    const stored = await later.readSubject('STUDY', studyA, 0);
    assert.equal(stored.filter((one) => one.event.id === lost.id).length, 1);
  });

  test('many events keep their order over a killed server', async (t) => {
    const bench = await factory(t);
    const log = await bench.connect({ appendTimeoutMs: 30_000 });
    const entries = numbered(4000);
    const appending = log.appendAll('STUDY', entries);
    const other = await bench.connect();
    let stored = 0;
    while (stored < 500) stored = await other.lastSequence('STUDY');
    await bench.kill();
    await bench.restart();
    await appending;
    assert.deepEqual(numbersOf(await log.readSubject('STUDY', studyA, 0)), upTo(4000));
  });

  test('watching goes on after a restart', async (t) => {
    const bench = await factory(t);
    const log = await bench.connect({ appendTimeoutMs: 30_000 });
    const seen: unknown[] = [];
    const controller = new AbortController();
    t.after(() => controller.abort());
    const watching = (async () => {
      for await (const item of log.watchLast('config.>', controller.signal)) {
        seen.push(item === 'caughtUp' ? item : numbersOf([item])[0]);
      }
    })();
    await log.append('STUDY', 'config.link.1', event({ number: 1 }));
    await eventually('the first', () => seen.includes(1));
    await bench.kill();
    await bench.restart();
    await log.append('STUDY', 'config.link.2', event({ number: 2 }));
    await eventually('the second', () => seen.includes(2));
    controller.abort();
    await watching;
    assert.deepEqual(
      seen.filter((item) => item !== 'caughtUp'),
      [1, 2],
    );
    assert.equal(seen.filter((item) => item === 'caughtUp').length, 1);
  });

  testIncarnations(factory);
}

function testIncarnations(factory: LogFactory): void {
  test('the incarnation is the same for all, over restarts', async (t) => {
    const bench = await factory(t);
    const [one, other] = await Promise.all([bench.connect(), bench.connect()]);
    assert.equal(one.incarnation, other.incarnation);
    const before = one.incarnation;
    await bench.kill();
    await bench.restart();
    assert.equal((await bench.connect()).incarnation, before);
  });

  test('a wiped log is another incarnation, and nobody goes on reading as if nothing had happened', async (t) => {
    const bench = await factory(t);
    const log = await bench.connect({ appendTimeoutMs: 30_000 });
    const before = log.incarnation;
    await log.appendAll('STUDY', numbered(10));
    const followed = following(t, log, 'STUDY');
    await eventually('all', () => followed.events.length === 10);
    await bench.kill();
    await bench.wipe();
    await bench.restart();
    await followed.ended;
    assert.ok(followed.error instanceof LogReplacedError);
    await eventually('the log made anew', () => log.incarnation !== before);
    assert.equal((await log.append('STUDY', studyA, event())).sequence, 1);
    assert.equal((await bench.connect()).incarnation, log.incarnation);
  });

  test('a position beyond the end of the log is no position of this log', async (t) => {
    const log = await (await factory(t)).connect();
    await log.append('STUDY', studyA, event());
    const followed = following(t, log, 'STUDY', { after: 2 });
    await followed.ended;
    assert.ok(followed.error instanceof LogReplacedError);
  });
}
