import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually } from '@isthmus/testing';
import { event, following, numbered, numbersOf, studyA, studyB, upTo } from './bench.ts';
import type { LogFactory } from './bench.ts';

export function testReads(factory: LogFactory): void {
  test('a subject is read after a place, in order, without its neighbours', async (t) => {
    const log = await (await factory(t)).connect();
    for (const number of upTo(40)) {
      await log.append('STUDY', number % 2 === 0 ? studyA : studyB, event({ number }));
    }
    const even = upTo(20).map((number) => number * 2);
    assert.deepEqual(numbersOf(await log.readSubject('STUDY', studyA, 0)), even);
    assert.deepEqual(numbersOf(await log.readSubject('STUDY', studyA, 35)), [36, 38]);
    assert.deepEqual(await log.readSubject('STUDY', studyA, 39), []);
    assert.deepEqual(await log.readSubject('STUDY', 'study.1.9-9', 0), []);
    assert.equal(await log.lastOf('STUDY', 'study.1.9-9'), undefined);
  });

  test('following gives everything after a place, then what comes, in batches', async (t) => {
    const log = await (await factory(t)).connect();
    await log.appendAll('STUDY', numbered(100));
    const all = following(t, log, 'STUDY', { batchMax: 30 });
    const later = following(t, log, 'STUDY', { after: 90 });
    await eventually('the past', () => all.events.length === 100 && later.events.length === 10);
    await log.append('STUDY', studyB, event({ number: 100 }));
    await eventually('the new one', () => all.events.length === 101 && later.events.length === 11);
    assert.deepEqual(numbersOf(all.events), upTo(101));
    assert.ok(all.sizes.every((size) => size > 0 && size <= 30));
    assert.deepEqual(
      later.events.map((stored) => stored.sequence),
      upTo(11).map((number) => 91 + number),
    );
  });

  test('following a filter leaves the others out', async (t) => {
    const log = await (await factory(t)).connect();
    const followed = following(t, log, 'STUDY', { filter: 'config.>' });
    await log.append('STUDY', studyA, event({ number: 0 }));
    await log.append('STUDY', 'config.link.73', event({ number: 1 }));
    await log.append('STUDY', 'order.order.31', event({ number: 2 }));
    await log.append('STUDY', 'config.station.61', event({ number: 3 }));
    await eventually('both', () => followed.events.length === 2);
    assert.deepEqual(numbersOf(followed.events), [1, 3]);
  });

  test('a slow reader gets everything, once', async (t) => {
    const log = await (await factory(t)).connect();
    await log.appendAll('STUDY', numbered(2000));
    const controller = new AbortController();
    const seen: number[] = [];
    for await (const batch of log.follow('STUDY', { after: 0, batchMax: 50, signal: controller.signal })) {
      seen.push(...numbersOf(batch));
      await new Promise((resolve) => setImmediate(resolve));
      if (seen.length >= 2000) break;
    }
    assert.deepEqual(seen, upTo(2000));
  });

  test('following ends with its signal, at once when it was given already', async (t) => {
    const log = await (await factory(t)).connect();
    const followed = following(t, log, 'STUDY');
    followed.stop();
    await followed.ended;
    assert.equal(followed.error, undefined);
    for await (const _ of log.follow('STUDY', { after: 0, signal: AbortSignal.abort() })) assert.fail();
  });

  test('following ends when the log is closed', async (t) => {
    const log = await (await factory(t)).connect();
    const followed = following(t, log, 'STUDY');
    await log.append('STUDY', studyA, event({ number: 0 }));
    await eventually('it', () => followed.events.length === 1);
    await log.close();
    await followed.ended;
    assert.equal(followed.error, undefined);
  });

  testWatching(factory);
}

function testWatching(factory: LogFactory): void {
  test('watching an empty log is caught up at once', async (t) => {
    const log = await (await factory(t)).connect();
    const controller = new AbortController();
    for await (const item of log.watchLast('config.>', controller.signal)) {
      assert.equal(item, 'caughtUp');
      break;
    }
  });

  test('watching gives the newest of each subject, says when it has them, then what comes', async (t) => {
    const log = await (await factory(t)).connect();
    for (const number of upTo(6)) await log.append('STUDY', `config.link.${number % 2}`, event({ number }));
    await log.append('STUDY', studyA, event({ number: 99 }));
    const seen: (number | 'caughtUp')[] = [];
    const controller = new AbortController();
    for await (const item of log.watchLast('config.>', controller.signal)) {
      seen.push(item === 'caughtUp' ? item : (numbersOf([item])[0] ?? -1));
      if (item === 'caughtUp') await log.append('STUDY', 'config.link.0', event({ number: 6 }));
      else if (seen.includes('caughtUp')) controller.abort();
    }
    assert.deepEqual(seen, [4, 5, 'caughtUp', 6]);
  });

  test('three thousand old values are passed by', async (t) => {
    const log = await (await factory(t)).connect();
    await log.appendAll('STUDY', numbered(3000, 'config.link.1'));
    const seen: unknown[] = [];
    for await (const item of log.watchLast('config.>', new AbortController().signal)) {
      seen.push(item === 'caughtUp' ? item : item.sequence);
      if (item === 'caughtUp') break;
    }
    assert.deepEqual(seen, [3000, 'caughtUp']);
  });
}
