import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '@isthmus/testing';
import {
  allContexts,
  associate,
  collect,
  ctStorage,
  explicitLittle,
  implicitLittle,
  pattern,
  startAcceptor,
} from '../test/acceptor-under-test.ts';
import {
  AssociationAbortedError,
  AssociationLostError,
  AssociationRejectedError,
  NoPresentationContextError,
  requestAssociation,
} from './index.ts';

const object = (dataSet: Buffer | { file: string; offset: number }, sopInstanceUid = '1.2.3') => ({
  sopClassUid: ctStorage,
  sopInstanceUid,
  transferSyntaxUid: explicitLittle,
  dataSet,
});

describe('association', () => {
  it('is accepted, answers C-ECHO and is released', async (t) => {
    const { port, event } = await startAcceptor(t);
    const association = await associate(t, port);
    assert.deepEqual(await association.cEcho(), { status: 0 });
    assert.equal(association.peer.implementationClassUid, '1.2.3.4');
    assert.equal(association.peer.maxPduBytes, 131_072);
    await association.release();
    const released = await event('released');
    assert.equal(released.association.callingAeTitle, 'REQUESTOR');
    assert.equal(released.association.remoteAddress, '127.0.0.1');
    await assert.rejects(association.cEcho(), AssociationLostError);
  });

  it('offers one context per SOP class and transfer syntax list and tells which were accepted', async (t) => {
    const { port } = await startAcceptor(t, {
      admit: ({ contexts }) => ({
        accept: true,
        contexts: contexts.map(({ id, transferSyntaxUids: [first] }) =>
          id === 3 ? { id, reason: 4 } : { id, transferSyntaxUid: first as string },
        ),
      }),
    });
    const contexts = [explicitLittle, implicitLittle, '1.2.840.10008.1.2.4.50'].map((uid) => ({
      sopClassUid: ctStorage,
      transferSyntaxUids: [uid],
    }));
    const association = await associate(t, port, { contexts });
    assert.deepEqual(association.accepted(ctStorage), [
      { contextId: 1, transferSyntaxUid: explicitLittle },
      { contextId: 5, transferSyntaxUid: '1.2.840.10008.1.2.4.50' },
    ]);
    await assert.rejects(
      association.cStore({ ...object(Buffer.alloc(2)), transferSyntaxUid: implicitLittle }),
      NoPresentationContextError,
    );
  });

  it('is rejected for a called AE title that is not ours, and says what to do', async (t) => {
    const { port, event } = await startAcceptor(t);
    await assert.rejects(associate(t, port, { calledAeTitle: 'OTHER' }), (error) => {
      assert.ok(error instanceof AssociationRejectedError);
      assert.deepEqual([error.result, error.source, error.reason], [1, 1, 7]);
      assert.match(error.remedy, /AE title/);
      return true;
    });
    assert.equal((await event('rejected')).calledAeTitle, 'OTHER');
  });

  it('is rejected as admission says, and transiently when admission throws or does not end', async (t) => {
    const refusing = await startAcceptor(t, {
      admit: () => ({ accept: false, result: 1, source: 1, reason: 3 }),
    });
    await assert.rejects(associate(t, refusing.port), { result: 1, source: 1, reason: 3 });
    const failing = await startAcceptor(t, {
      admit: () => {
        throw new Error('no configuration');
      },
    });
    await assert.rejects(associate(t, failing.port), { result: 2, source: 3, reason: 1 });
    assert.equal((await failing.event('handler-failed')).service, 'admit');
    const undecided = await startAcceptor(t, {
      limits: { firstPduMs: 50 },
      admit: () => new Promise(() => undefined),
    });
    await assert.rejects(associate(t, undecided.port), { result: 2, source: 3, reason: 1 });
  });

  it('is rejected beyond the number of associations, in all and per address, until one ends', async (t) => {
    for (const limits of [{ associationsMax: 1 }, { associationsPerAddressMax: 1 }]) {
      const { acceptor, port } = await startAcceptor(t, { limits });
      const first = await associate(t, port);
      await assert.rejects(associate(t, port), { result: 2, source: 3, reason: 2 });
      await first.release();
      await eventually('the end of the connections', () => acceptor.connections === 0);
      await (await associate(t, port)).release();
    }
  });

  it('cannot be made where nobody listens', async (t) => {
    const { acceptor, port } = await startAcceptor(t);
    await acceptor.stop();
    await assert.rejects(associate(t, port), (error) => {
      assert.ok(error instanceof AssociationLostError);
      assert.match(error.message, /ECONNREFUSED/);
      return true;
    });
  });

  it('is not requested with illegal AE titles or without contexts', async () => {
    const options = {
      host: '127.0.0.1',
      port: 1,
      calledAeTitle: 'A',
      callingAeTitle: 'B',
      contexts: allContexts,
    };
    await assert.rejects(requestAssociation({ ...options, calledAeTitle: 'SEVENTEEN_LETTERS' }), RangeError);
    await assert.rejects(requestAssociation({ ...options, contexts: [] }), RangeError);
  });
});

describe('the end of an association', () => {
  it('makes the data throw when the requestor aborts in the middle, and nothing else notices', async (t) => {
    const errors: unknown[] = [];
    const half = Promise.withResolvers<void>();
    const { port, events } = await startAcceptor(t, {
      handlers: {
        cStore: async ({ data }) => {
          try {
            for await (const _ of data) half.resolve();
          } catch (error) {
            errors.push(error);
            throw error;
          }
          return { status: 0 };
        },
      },
    });
    const other = await associate(t, port);
    const association = await associate(t, port);
    const answer = association.cStore(object(pattern(64 * 1024 * 1024)));
    await half.promise;
    association.abort();
    await assert.rejects(answer, AssociationAbortedError);
    await eventually('the handler to be told', () => errors.length === 1);
    assert.ok(errors[0] instanceof AssociationAbortedError || errors[0] instanceof AssociationLostError);
    assert.equal((await other.cEcho()).status, 0);
    assert.ok(!events.some(({ type }) => type === 'handler-failed'));
  });

  it('comes at once when idle and after its operation when busy, once the acceptor stops', async (t) => {
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const { acceptor, port } = await startAcceptor(t, {
      handlers: {
        cStore: async ({ data }) => {
          begun.resolve();
          await gate.promise;
          await collect(data);
          return { status: 0 };
        },
      },
    });
    const idle = await associate(t, port);
    const busy = await associate(t, port);
    const answer = busy.cStore(object(pattern(3_000_000)));
    await begun.promise;
    const stopped = acceptor.stop({ graceMs: 10_000 });
    await idle.closed;
    assert.equal(idle.isOpen, false);
    gate.resolve();
    assert.deepEqual(await answer, { status: 0 });
    await stopped;
    await assert.rejects(busy.cEcho(), AssociationAbortedError);
  });

  it('comes by force when the grace is over', async (t) => {
    const begun = Promise.withResolvers<void>();
    const { acceptor, port } = await startAcceptor(t, {
      handlers: {
        cStore: async () => {
          begun.resolve();
          return new Promise(() => undefined);
        },
      },
    });
    const association = await associate(t, port);
    const answer = association.cStore(object(pattern(10)));
    await begun.promise;
    await Promise.all([acceptor.stop({ graceMs: 1 }), assert.rejects(answer, AssociationAbortedError)]);
  });
});
