import assert from 'node:assert/strict';
import { test } from 'node:test';

import { EventTooLargeError, LogFullError } from '../src/index.ts';
import { event, numbered, numbersOf, studyA, studyB, upTo } from './bench.ts';
import type { LogFactory } from './bench.ts';

export function testAppends(factory: LogFactory): void {
  test('an append answers with its place, and the event is there', async (t) => {
    const log = await (await factory(t)).connect();
    const first = event({ number: 0 });
    assert.deepEqual(await log.append('STUDY', studyA, first), { sequence: 1, duplicate: false });
    assert.deepEqual(await log.lastOf('STUDY', studyA), { sequence: 1, logSubject: studyA, event: first });
  });

  test('an event that is appended again is stored once and says where', async (t) => {
    const log = await (await factory(t)).connect();
    const first = event();
    await log.append('STUDY', studyA, first);
    await log.append('STUDY', studyA, event());
    assert.deepEqual(await log.append('STUDY', studyA, first), { sequence: 1, duplicate: true });
    assert.equal(await log.lastSequence('STUDY'), 2);
  });

  test('appends at the same time are each stored once, and a duplicate among them hurts no other', async (t) => {
    const log = await (await factory(t)).connect();
    const known = event();
    await log.append('INSTANCES', 'instance.1.1-2', known);
    const fresh = numbered(200, 'instance.1.1-2').map((entry) => entry.event);
    const twice = fresh[7] ?? event();
    const answers = await Promise.all(
      [...fresh, known, twice].map((each) => log.append('INSTANCES', 'instance.1.1-2', each)),
    );
    assert.equal(await log.lastSequence('INSTANCES'), 201);
    assert.equal(answers.filter((answer) => answer.duplicate).length, 2);
    assert.deepEqual(new Set(answers.map((answer) => answer.sequence)).size, 201);
    assert.deepEqual(answers[200], { sequence: 1, duplicate: true });
  });

  test('many events are stored in the order given', async (t) => {
    const log = await (await factory(t)).connect();
    const entries = numbered(2500);
    const answers = await log.appendAll('STUDY', entries);
    assert.deepEqual(
      answers.map((answer) => answer.sequence),
      upTo(2500).map((number) => number + 1),
    );
    assert.deepEqual(numbersOf(await log.readSubject('STUDY', studyA, 0)), upTo(2500));
  });

  test('nothing to append is nothing', async (t) => {
    const log = await (await factory(t)).connect();
    assert.deepEqual(await log.appendAll('STUDY', []), []);
  });

  test('a subject that the stream does not store is a mistake of the programmer', async (t) => {
    const log = await (await factory(t)).connect();
    await assert.rejects(log.append('INSTANCES', studyA, event()), TypeError);
    await assert.rejects(log.appendExpecting('instance.1.1-2', event(), 0), TypeError);
    await assert.rejects(log.append('STUDY', 'elsewhere.1', event()), TypeError);
  });

  test('an event over the size of a message is refused and the log goes on', async (t) => {
    const log = await (await factory(t)).connect();
    await assert.rejects(log.append('STUDY', studyA, event('x'.repeat(1_100_000))), EventTooLargeError);
    assert.equal((await log.append('STUDY', studyA, event('x'.repeat(1_000_000)))).sequence, 1);
  });

  testExpectations(factory);
  testFullLog(factory);
}

function testExpectations(factory: LogFactory): void {
  test('an append that expects the right place is stored', async (t) => {
    const log = await (await factory(t)).connect();
    assert.deepEqual(await log.appendExpecting(studyA, event(), 0), {
      ok: true,
      sequence: 1,
      duplicate: false,
    });
    await log.append('STUDY', studyB, event());
    assert.deepEqual(await log.appendExpecting(studyA, event(), 1), {
      ok: true,
      sequence: 3,
      duplicate: false,
    });
  });

  test('an append that expects a wrong place stores nothing and tells the right one', async (t) => {
    const log = await (await factory(t)).connect();
    await log.append('STUDY', studyA, event());
    await log.append('STUDY', studyA, event());
    assert.deepEqual(await log.appendExpecting(studyA, event(), 0), { ok: false, lastSequence: 2 });
    assert.deepEqual(await log.appendExpecting(studyA, event(), 1), { ok: false, lastSequence: 2 });
    assert.deepEqual(await log.appendExpecting(studyB, event(), 7), { ok: false, lastSequence: 0 });
    assert.equal(await log.lastSequence('STUDY'), 2);
  });

  test('a retry of an append that was stored is a success, even when others wrote after it', async (t) => {
    const log = await (await factory(t)).connect();
    const decision = event();
    await log.appendExpecting(studyA, decision, 0);
    assert.deepEqual(await log.appendExpecting(studyA, decision, 0), {
      ok: true,
      sequence: 1,
      duplicate: true,
    });
    await log.append('STUDY', studyA, event());
    assert.deepEqual(await log.appendExpecting(studyA, decision, 0), {
      ok: true,
      sequence: 1,
      duplicate: true,
    });
    assert.equal(await log.lastSequence('STUDY'), 2);
  });

  test('of ten writers that decide on the same state one wins; the others learn where to look', async (t) => {
    const log = await (await factory(t)).connect();
    const outcomes = await Promise.all(upTo(10).map(() => log.appendExpecting(studyA, event(), 0)));
    assert.equal(outcomes.filter((outcome) => outcome.ok).length, 1);
    for (const outcome of outcomes) if (!outcome.ok) assert.equal(outcome.lastSequence, 1);
    assert.equal(await log.lastSequence('STUDY'), 1);
  });
}

function testFullLog(factory: LogFactory): void {
  test('a full log refuses, keeps all it has, and the other stream goes on', async (t) => {
    const log = await (await factory(t)).connect({ streams: { studyBytesMax: 100_000 } });
    const big = (): ReturnType<typeof event> => event('x'.repeat(30_000));
    for (const place of [1, 2, 3]) assert.equal((await log.append('STUDY', studyA, big())).sequence, place);
    assert.ok((await log.fill('STUDY')) > 0.9);
    await assert.rejects(log.append('STUDY', studyA, big()), LogFullError);
    await assert.rejects(log.appendExpecting(studyA, big(), 3), LogFullError);
    await assert.rejects(
      log.appendAll(
        'STUDY',
        numbered(20).map((entry) => ({ ...entry, event: big() })),
      ),
      {
        code: 'log-full',
      },
    );
    assert.equal((await log.readSubject('STUDY', studyA, 0)).length, 3);
    assert.equal((await log.append('INSTANCES', 'instance.1.1-2', big())).sequence, 1);
  });

  test('fill is the part of the room that is used', async (t) => {
    const log = await (await factory(t)).connect();
    assert.equal(await log.fill('INSTANCES'), 0);
    await log.append('INSTANCES', 'instance.1.1-2', event());
    const fill = await log.fill('INSTANCES');
    assert.ok(fill > 0 && fill < 0.001);
  });
}
