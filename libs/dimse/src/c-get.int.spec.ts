import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { eventually } from '@isthmus/testing';
import {
  associate,
  collect,
  ctStorage,
  explicitLittle,
  implicitLittle,
  pattern,
  startAcceptor,
} from '../test/acceptor-under-test.ts';
import { commandPdu, dataPdu, pdv, scriptedAcceptor, storeCommand } from '../test/scripted-peer.ts';
import type { AdmitRequest, AdmitResult, AssociationHandlers, SubOperationCounts } from './index.ts';

const studyRootGet = '1.2.840.10008.5.1.4.1.2.2.3';
const grayscalePresentationState = '1.2.840.10008.5.1.4.1.1.11.1';
const privateClass = '1.2.826.0.1.3680043.10.9.1';
const classes = [ctStorage, grayscalePresentationState, privateClass];
const identifier = { '00080052': { vr: 'CS', Value: ['STUDY'] } };

const contexts = [
  { sopClassUid: studyRootGet, transferSyntaxUids: [implicitLittle] },
  ...classes.map((sopClassUid) => ({
    sopClassUid,
    transferSyntaxUids: [explicitLittle],
    role: 'scp' as const,
  })),
];

const admitWithRoles = (request: AdmitRequest): AdmitResult => ({
  accept: true,
  contexts: request.contexts.map(({ id, transferSyntaxUids }) => ({
    id,
    transferSyntaxUid: transferSyntaxUids[0] as string,
  })),
  roles: request.roles,
});

/** An archive that gives one object of each class and takes roles as proposed. */
async function archive(
  t: TestContext,
  overrides: { cGet?: AssociationHandlers['cGet']; withoutRoles?: boolean } = {},
) {
  const statuses: number[] = [];
  const cGet: AssociationHandlers['cGet'] = async function* (request) {
    let remaining = classes.length;
    for (const sopClassUid of classes) {
      const dataSet = pattern(300_000);
      const object = {
        sopClassUid,
        sopInstanceUid: `1.2.3.${remaining}`,
        transferSyntaxUid: explicitLittle,
        dataSet,
      };
      await request.store(object).then(
        ({ status }) => statuses.push(status),
        () => undefined,
      );
      remaining -= 1;
      yield { ...request.tally().counts, remaining };
    }
    const { counts, failedSopInstanceUids } = request.tally();
    return { status: counts.failed > 0 ? 0xb000 : 0, counts, failedSopInstanceUids };
  };
  const started = await startAcceptor(t, {
    admit: (request) => ({
      ...admitWithRoles(request),
      ...(overrides.withoutRoles === true && { roles: [] }),
    }),
    handlers: { cGet: overrides.cGet ?? cGet },
  });
  return { ...started, statuses };
}

describe('C-GET', () => {
  it('[Q13] brings objects of every class, private and GSPS, on the association that asked', async (t) => {
    const { port, statuses } = await archive(t);
    const association = await associate(t, port, { contexts });
    for (const sopClassUid of classes)
      assert.deepEqual(association.roleFor(sopClassUid), { scu: false, scp: true });
    const received: string[] = [];
    const pending: SubOperationCounts[] = [];
    const outcome = await association.cGet({
      sopClassUid: studyRootGet,
      identifier,
      onStore: async ({ sopClassUid, data }) => {
        assert.ok((await collect(data)).equals(pattern(300_000)));
        received.push(sopClassUid);
        return { status: 0 };
      },
      onPending: (counts) => pending.push(counts),
    });
    assert.deepEqual(outcome, {
      status: 0,
      counts: { completed: 3, failed: 0, warning: 0 },
      failedSopInstanceUids: [],
    });
    assert.deepEqual([received, statuses], [classes, [0, 0, 0]]);
    assert.deepEqual(
      pending.map(({ remaining, completed }) => [remaining, completed]),
      [
        [2, 1],
        [1, 2],
        [0, 3],
      ],
    );
    await association.release();
  });

  it('counts what our handler refuses or throws, and goes on', async (t) => {
    const { port } = await archive(t);
    const failures: unknown[] = [];
    const association = await associate(t, port, { contexts, onEvent: (event) => failures.push(event) });
    let count = 0;
    const outcome = await association.cGet({
      sopClassUid: studyRootGet,
      identifier,
      onStore: async ({ data }) => {
        count += 1;
        if (count === 1) return { status: 0xa700 };
        if (count === 2) throw new Error('no such table');
        await collect(data);
        return { status: 0xb007 };
      },
    });
    assert.equal(outcome.status, 0xb000);
    assert.deepEqual(outcome.counts, { completed: 0, failed: 2, warning: 1 });
    assert.deepEqual(outcome.failedSopInstanceUids, ['1.2.3.3', '1.2.3.2']);
    assert.equal(failures.length, 1);
  });

  it('sends nothing under a role that was not negotiated', async (t) => {
    const { port } = await archive(t, { withoutRoles: true });
    const association = await associate(t, port, { contexts });
    const outcome = await association.cGet({
      sopClassUid: studyRootGet,
      identifier,
      onStore: () => Promise.reject(new Error('nothing may come')),
    });
    assert.deepEqual(outcome.counts, { completed: 0, failed: 3, warning: 0 });
  });

  it('[R6] holds the peer back while our handler does not read', async (t) => {
    const bytes = 40_000_000;
    let hasLeft = false;
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.accept();
      await peer.receiveCommand();
      await peer.receive();
      peer.send(commandPdu(3, storeCommand(1)));
      for (let sent = 0; sent < bytes; sent += 100_000) {
        peer.send(dataPdu(pdv(3, sent + 100_000 === bytes ? 2 : 0, pattern(100_000))));
      }
      peer.socket.write(Buffer.alloc(0), () => (hasLeft = true));
      assert.equal((await peer.receiveCommand()).status, 0);
      const final = { commandField: 0x8010, hasDataSet: false, messageIdBeingRespondedTo: 1, status: 0 };
      peer.send(commandPdu(1, final));
    });
    const association = await associate(t, port, { contexts });
    const outcome = await association.cGet({
      sopClassUid: studyRootGet,
      identifier,
      onStore: async ({ data }) => {
        // Far more turns than the bytes would need if anybody took them.
        for (let turn = 0; turn < 2_000; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        assert.equal(hasLeft, false);
        let received = 0;
        for await (const slice of data) received += slice.length;
        assert.equal(received, bytes);
        return { status: 0 };
      },
    });
    assert.equal(outcome.status, 0);
  });

  it('[Q13] is cancelled between objects, with counts that are true', async (t) => {
    const { port } = await archive(t, {
      cGet: async function* (request) {
        let remaining = 1_000;
        while (!request.signal.aborted) {
          await request.store({
            sopClassUid: ctStorage,
            sopInstanceUid: `1.2.${remaining}`,
            transferSyntaxUid: explicitLittle,
            dataSet: pattern(1_000),
          });
          remaining -= 1;
          yield { ...request.tally().counts, remaining };
        }
        return { status: 0xfe00, counts: { ...request.tally().counts, remaining } };
      },
    });
    const association = await associate(t, port, { contexts });
    const canceller = new AbortController();
    let stored = 0;
    const outcome = await association.cGet({
      sopClassUid: studyRootGet,
      identifier,
      onStore: async ({ data }) => {
        await collect(data);
        stored += 1;
        if (stored === 5) canceller.abort();
        return { status: 0 };
      },
      signal: canceller.signal,
    });
    assert.equal(outcome.status, 0xfe00);
    assert.equal(outcome.counts.completed, stored);
    assert.equal(outcome.counts.remaining, 1_000 - stored);
    assert.ok(stored >= 5 && stored < 1_000, `${stored}`);
  });

  it('a cancelled handler that does not stop is answered for, when the object under way is counted', async (t) => {
    let release = (): void => undefined;
    const stuck = new Promise<void>((resolve) => (release = resolve));
    t.after(() => release());
    const object = { sopClassUid: ctStorage, sopInstanceUid: '1.2', transferSyntaxUid: explicitLittle };
    const late: unknown[] = [];
    const { acceptor, port } = await startAcceptor(t, {
      limits: { cancelGraceMs: 30 },
      admit: admitWithRoles,
      handlers: {
        cGet: async function* (request) {
          yield request.tally().counts;
          await request.store({ ...object, dataSet: pattern(500) });
          await stuck;
          await request
            .store({ ...object, dataSet: pattern(500) })
            .catch((error: unknown) => late.push(error));
          return { status: 0, counts: request.tally().counts };
        },
      },
    });
    const association = await associate(t, port, { contexts });
    const canceller = new AbortController();
    const outcome = await association.cGet({
      sopClassUid: studyRootGet,
      identifier,
      onStore: async () => {
        canceller.abort();
        // Well beyond the grace.
        await new Promise((resolve) => setTimeout(resolve, 150));
        return { status: 0 };
      },
      signal: canceller.signal,
    });
    assert.deepEqual([outcome.status, outcome.counts.completed], [0xfe00, 1]);
    release();
    await eventually('the handler to be told', () => late.length === 1);
    assert.match(String(late[0]), /answered already/);
    assert.equal(acceptor.connections, 1);
  });

  it('an association lost in mid object makes our handler throw, and the call reject', async (t) => {
    const { port } = await scriptedAcceptor(t, async (peer) => {
      const request = await peer.accept();
      assert.equal(request.user.roles?.length, 3);
      await peer.receiveCommand();
      await peer.receive();
      peer.send(commandPdu(3, storeCommand(7)), dataPdu(pdv(3, 0, pattern(5_000))));
      await eventually('the handler to be called', () => seen);
      peer.socket.destroy();
    });
    let seen = false;
    let thrown: { code?: string } | undefined;
    const association = await associate(t, port, { contexts });
    const asked = association.cGet({
      sopClassUid: studyRootGet,
      identifier,
      onStore: async ({ data }) => {
        seen = true;
        try {
          await collect(data);
        } catch (error) {
          thrown = error as { code?: string };
          throw error;
        }
        return { status: 0 };
      },
    });
    await assert.rejects(asked, { code: 'DIMSE_ASSOCIATION_LOST' });
    await eventually('the handler to be told', () => thrown !== undefined);
    assert.equal(thrown?.code, 'DIMSE_ASSOCIATION_LOST');
  });

  it('C-STORE outside a C-GET, and two at once, are against the protocol', async (t) => {
    for (const [name, withGet] of [
      ['outside', false],
      ['two at once', true],
    ] as const) {
      const aborted = Promise.withResolvers<number>();
      const { port } = await scriptedAcceptor(t, async (peer) => {
        await peer.accept();
        if (withGet) {
          await peer.receiveCommand();
          await peer.receive();
          peer.send(commandPdu(3, storeCommand(7)), dataPdu(pdv(3, 2, pattern(50))));
        }
        peer.send(commandPdu(3, storeCommand(8)), dataPdu(pdv(3, 2, pattern(50))));
        const answer = await peer.receive();
        aborted.resolve(answer === 'closed' ? 0 : answer.type);
      });
      const association = await associate(t, port, { contexts });
      if (withGet) {
        const onStore = () => new Promise<never>(() => undefined);
        await assert.rejects(association.cGet({ sopClassUid: studyRootGet, identifier, onStore }), {
          code: 'DIMSE_ASSOCIATION_ABORTED',
        });
      }
      assert.equal(await aborted.promise, 7, name);
    }
  });

  it('a peer that does not answer a sub-operation is given up', async (t) => {
    const { acceptor, port } = await startAcceptor(t, {
      limits: { responseMs: 50, abortLingerMs: 20 },
      admit: admitWithRoles,
      handlers: {
        cGet: async function* (request) {
          yield request.tally().counts;
          await request.store({
            sopClassUid: ctStorage,
            sopInstanceUid: '1.2',
            transferSyntaxUid: explicitLittle,
            dataSet: pattern(10),
          });
          return { status: 0, counts: request.tally().counts };
        },
      },
    });
    const association = await associate(t, port, { contexts });
    const onStore = () => new Promise<never>(() => undefined);
    await assert.rejects(association.cGet({ sopClassUid: studyRootGet, identifier, onStore }));
    await eventually('the end of the connection', () => acceptor.connections === 0);
  });
});
