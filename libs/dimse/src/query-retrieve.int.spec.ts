import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '@isthmus/testing';
import {
  associate,
  implicitLittle,
  startAcceptor,
  studyRootFind,
  studyRootMove,
} from '../test/acceptor-under-test.ts';
import type { FindRow } from './index.ts';

const row = (text: string): FindRow => ({ status: 0xff00, identifier: Buffer.from(text) });

describe('C-FIND', () => {
  it('streams rows and the final status with its comment', async (t) => {
    const { port } = await startAcceptor(t, {
      handlers: {
        cFind: async function* ({ identifier }) {
          yield row(`${identifier.toString()} 1`);
          yield { status: 0xff01, identifier: Buffer.from('two') };
          return { status: 0, errorComment: 'done' };
        },
      },
    });
    const association = await associate(t, port);
    const responses = association.cFind({ sopClassUid: studyRootFind, identifier: Buffer.from('query!') });
    const rows: string[] = [];
    for await (const identifier of responses) rows.push(identifier.toString());
    assert.deepEqual(rows, ['query! 1', 'two']);
    assert.deepEqual(await responses.final, { status: 0, errorComment: 'done', withWarnings: true });
    assert.equal(responses.transferSyntaxUid, implicitLittle);
  });

  it('encodes an identifier given as JSON in the transfer syntax that was accepted', async (t) => {
    let identifier: Buffer = Buffer.alloc(0);
    const { port } = await startAcceptor(t, {
      handlers: {
        cFind: async function* (request) {
          identifier = request.identifier;
          yield* [];
        },
      },
    });
    const association = await associate(t, port);
    const query = { '00080052': { vr: 'CS', Value: ['STUDY'] } };
    for await (const _ of association.cFind({ sopClassUid: studyRootFind, identifier: query })) assert.fail();
    assert.equal(identifier.toString('hex'), '0800520006000000' + Buffer.from('STUDY ').toString('hex'));
  });

  it('brings 10,000 rows in order, also across PDU limits', async (t) => {
    const { port } = await startAcceptor(t, {
      handlers: {
        cFind: async function* () {
          for (let index = 0; index < 10_000; index += 1) yield row(`${index}`.padEnd(200));
        },
      },
    });
    const association = await associate(t, port, { limits: { pduBytesMax: 512 } });
    let next = 0;
    for await (const identifier of association.cFind({
      sopClassUid: studyRootFind,
      identifier: Buffer.alloc(0),
    })) {
      assert.equal(identifier.toString().trimEnd(), `${next}`);
      next += 1;
    }
    assert.equal(next, 10_000);
  });

  it('sends the first row of a slow query at once', async (t) => {
    const gate = Promise.withResolvers<void>();
    const { port } = await startAcceptor(t, {
      handlers: {
        cFind: async function* () {
          yield row('first');
          await gate.promise;
        },
      },
    });
    const association = await associate(t, port);
    const responses = association.cFind({ sopClassUid: studyRootFind, identifier: Buffer.alloc(0) });
    const rows = responses[Symbol.asyncIterator]();
    assert.equal((await rows.next()).value?.toString(), 'first');
    gate.resolve();
    assert.equal((await rows.next()).done, true);
  });

  it('[Q13] is cancelled when the loop is left early: the handler is told and the association goes on', async (t) => {
    let cancelled: AbortSignal | undefined;
    let cleanedUp = false;
    const { port } = await startAcceptor(t, {
      handlers: {
        cFind: async function* ({ signal }) {
          cancelled = signal;
          try {
            for (let index = 0; ; index += 1) yield row(`${index}`);
          } finally {
            cleanedUp = true;
          }
        },
      },
    });
    const association = await associate(t, port);
    const responses = association.cFind({ sopClassUid: studyRootFind, identifier: Buffer.alloc(0) });
    for await (const _ of responses) break;
    assert.equal((await responses.final).status, 0xfe00);
    assert.equal(cancelled?.aborted, true);
    await eventually('the end of the generator', () => cleanedUp);
    assert.equal((await association.cEcho()).status, 0);
  });

  it('[Q13] is cancelled by a signal even while the handler is stuck', async (t) => {
    const { port } = await startAcceptor(t, {
      handlers: {
        cFind: async function* () {
          yield row('first');
          await new Promise(() => undefined);
        },
      },
    });
    const association = await associate(t, port);
    const controller = new AbortController();
    const responses = association.cFind({
      sopClassUid: studyRootFind,
      identifier: Buffer.alloc(0),
      signal: controller.signal,
    });
    for await (const _ of responses) controller.abort();
    assert.equal((await responses.final).status, 0xfe00);
  });

  it('pulls rows only as the reader takes them', async (t) => {
    let pulled = 0;
    const { port } = await startAcceptor(t, {
      handlers: {
        cFind: async function* () {
          for (; pulled < 1_000; pulled += 1) yield row('x'.repeat(100_000));
        },
      },
    });
    const association = await associate(t, port);
    const responses = association.cFind({ sopClassUid: studyRootFind, identifier: Buffer.alloc(0) });
    const rows = responses[Symbol.asyncIterator]();
    await rows.next();
    let last = -1;
    let still = 0;
    await eventually('the rows to stand still', () => {
      still = pulled === last ? still + 1 : 0;
      last = pulled;
      return still > 20;
    });
    assert.ok(pulled < 500, `${pulled} of 1,000 rows were pulled`);
    let count = 1;
    while ((await rows.next()).done !== true) count += 1;
    assert.equal(count, 1_000);
  });

  it('answers C000 when the handler fails in the middle, after the rows that it gave', async (t) => {
    const { port, event } = await startAcceptor(t, {
      handlers: {
        cFind: async function* () {
          yield row('one');
          throw new Error('index is gone');
        },
      },
    });
    const association = await associate(t, port);
    const responses = association.cFind({ sopClassUid: studyRootFind, identifier: Buffer.alloc(0) });
    for await (const _ of responses);
    assert.equal((await responses.final).status, 0xc000);
    assert.equal((await event('handler-failed')).service, 'C-FIND');
  });
});

describe('C-MOVE', () => {
  const move = { sopClassUid: studyRootMove, identifier: Buffer.alloc(0), destinationAeTitle: 'THIRD' };

  it('tells the counts on the way, the totals and the failed objects at the end', async (t) => {
    let destination = '';
    const { port } = await startAcceptor(t, {
      handlers: {
        cMove: async function* ({ destinationAeTitle }) {
          destination = destinationAeTitle;
          yield { remaining: 2, completed: 1, failed: 0, warning: 0 };
          yield { remaining: 1, completed: 1, failed: 1, warning: 0 };
          return {
            status: 0xb000,
            counts: { completed: 2, failed: 1, warning: 0 },
            failedSopInstanceUids: ['1.2.3', '1.2.4'],
            errorComment: 'one failed',
          };
        },
      },
    });
    const association = await associate(t, port);
    const pending: number[] = [];
    const outcome = await association.cMove({
      ...move,
      onPending: ({ remaining }) => pending.push(remaining ?? -1),
    });
    assert.equal(destination, 'THIRD');
    assert.deepEqual(pending, [2, 1]);
    assert.deepEqual(outcome, {
      status: 0xb000,
      errorComment: 'one failed',
      counts: { completed: 2, failed: 1, warning: 0 },
      failedSopInstanceUids: ['1.2.3', '1.2.4'],
    });
  });

  it('is cancelled by a signal and answers with what the handler counted', async (t) => {
    const { port } = await startAcceptor(t, {
      handlers: {
        cMove: async function* ({ signal }) {
          yield { remaining: 9, completed: 1, failed: 0, warning: 0 };
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
          return { status: 0xfe00, counts: { remaining: 7, completed: 3, failed: 0, warning: 0 } };
        },
      },
    });
    const association = await associate(t, port);
    const controller = new AbortController();
    const outcome = await association.cMove({
      ...move,
      signal: controller.signal,
      onPending: () => controller.abort(),
    });
    assert.equal(outcome.status, 0xfe00);
    assert.deepEqual(outcome.counts, { remaining: 7, completed: 3, failed: 0, warning: 0 });
  });

  it('answers a cancelled handler that does not stop with FE00 and the last counts', async (t) => {
    const { port } = await startAcceptor(t, {
      limits: { cancelGraceMs: 20 },
      handlers: {
        cMove: async function* () {
          yield { remaining: 9, completed: 1, failed: 0, warning: 0 };
          await new Promise(() => undefined);
          throw new Error('not reached');
        },
      },
    });
    const association = await associate(t, port);
    const controller = new AbortController();
    const outcome = await association.cMove({
      ...move,
      signal: controller.signal,
      onPending: () => controller.abort(),
    });
    assert.deepEqual([outcome.status, outcome.counts.remaining, outcome.counts.completed], [0xfe00, 9, 1]);
  });

  it('is answered while it takes longer than every deadline: none runs while we work', async (t) => {
    const { port } = await startAcceptor(t, {
      limits: { idleMs: 20, betweenPdusMs: 20, firstPduMs: 1_000 },
      handlers: {
        cMove: async function* () {
          await new Promise((resolve) => setTimeout(resolve, 100));
          yield* [];
          return { status: 0, counts: { completed: 1, failed: 0, warning: 0 } };
        },
      },
    });
    const association = await associate(t, port);
    assert.equal((await association.cMove(move)).status, 0);
  });
});
