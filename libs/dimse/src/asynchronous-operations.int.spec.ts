import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { eventually, temporaryFolder } from '@isthmus/testing';
import {
  associate,
  collect,
  ctStorage,
  explicitLittle,
  pattern,
  startAcceptor,
} from '../test/acceptor-under-test.ts';
import {
  commandPdu,
  dataPdu,
  pdv,
  scriptedAcceptor,
  scriptedRequestor,
  storeCommand,
} from '../test/scripted-peer.ts';
import type { ScriptedPeer } from '../test/scripted-peer.ts';
import { decodeCommandSet } from './command-set.ts';

const object = (index: number, dataSet: Buffer | { file: string; offset: number } = pattern(50_000)) => ({
  sopClassUid: ctStorage,
  sopInstanceUid: `1.2.${index}`,
  transferSyntaxUid: explicitLittle,
  dataSet,
});

/** Reads one C-STORE whole; answers its Message ID. */
async function readStore(peer: ScriptedPeer): Promise<number> {
  const { messageId = 0 } = await peer.receiveCommand();
  for (;;) {
    const pdu = await peer.receive();
    assert.ok(pdu !== 'closed' && pdu.type === 4);
    const control = pdu.body.readUInt8(5);
    assert.equal(control & 1, 0, 'the fragments of two messages are mixed');
    if ((control & 2) !== 0) return messageId;
  }
}

function answer(peer: ScriptedPeer, messageId: number): void {
  const facts = { commandField: 0x8001, hasDataSet: false, messageIdBeingRespondedTo: messageId, status: 0 };
  peer.send(commandPdu(3, facts));
}

describe('asynchronous operations as requestor', () => {
  it('[Q13] C-STORE go out up to the number granted, whole, and answers may come in any order', async (t) => {
    let unanswered = 0;
    let most = 0;
    const { port } = await scriptedAcceptor(t, async (peer) => {
      const request = await peer.accept({ asyncOperations: { invoked: 3, performed: 1 } });
      assert.deepEqual(request.user.asyncOperations, { invoked: 8, performed: 1 });
      const waiting = [await readStore(peer), await readStore(peer), await readStore(peer)];
      for (let count = 3; count < 9; count += 1) {
        unanswered = waiting.length;
        most = Math.max(most, unanswered);
        answer(peer, waiting.pop() as number);
        waiting.push(await readStore(peer));
      }
      for (const messageId of waiting) answer(peer, messageId);
      await peer.receive();
    });
    const association = await associate(t, port, { operationsInvokedMax: 8 });
    assert.equal(association.operationsInvokedMax, 3);
    const path = await temporaryFolder(t);
    const stores = Array.from({ length: 9 }, async (_, index) => {
      const file = join(path, String(index));
      await writeFile(file, pattern(700_000));
      return association.cStore(object(index, index % 2 === 0 ? { file, offset: 0 } : undefined));
    });
    const statuses = (await Promise.all(stores)).map(({ status }) => status);
    assert.deepEqual(statuses, Array(9).fill(0));
    assert.equal(most, 3);
  });

  it('one at a time where nothing is granted, or nothing was asked for', async (t) => {
    for (const [asked, granted] of [
      [8, undefined],
      [undefined, 5],
      [8, 1],
    ] as const) {
      const { port } = await scriptedAcceptor(t, async (peer) => {
        await peer.accept(
          granted === undefined ? {} : { asyncOperations: { invoked: granted, performed: 1 } },
        );
      });
      const association = await associate(t, port, { operationsInvokedMax: asked });
      assert.equal(association.operationsInvokedMax, 1);
    }
  });

  it('everything but C-STORE runs alone', async (t) => {
    const order: string[] = [];
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.accept({ asyncOperations: { invoked: 0, performed: 1 } });
      const first = await readStore(peer);
      const second = await readStore(peer);
      order.push('two stores');
      answer(peer, first);
      answer(peer, second);
      const echo = await peer.receive();
      assert.ok(echo !== 'closed');
      assert.equal(decodeCommandSet(echo.body.subarray(6)).commandField, 0x30);
      order.push('echo');
      peer.send(
        commandPdu(1, { commandField: 0x8030, hasDataSet: false, messageIdBeingRespondedTo: 3, status: 0 }),
      );
      answer(peer, await readStore(peer));
      order.push('store');
      await peer.receive();
    });
    const association = await associate(t, port, { operationsInvokedMax: 4 });
    const calls = [
      association.cStore(object(1)),
      association.cStore(object(2)),
      // In memory: it asks for its turn a microtask later than what is sent at once.
      Promise.resolve().then(() => association.cEcho()),
      new Promise((resolve) => setImmediate(resolve)).then(() => association.cStore(object(3))),
    ];
    await Promise.all(calls);
    assert.deepEqual(order, ['two stores', 'echo', 'store']);
  });

  it('when the association ends, every store under way and waiting rejects', async (t) => {
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.accept({ asyncOperations: { invoked: 2, performed: 1 } });
      await readStore(peer);
      await readStore(peer);
      peer.socket.resetAndDestroy();
    });
    const association = await associate(t, port, { operationsInvokedMax: 2 });
    const results = await Promise.allSettled([1, 2, 3, 4].map((index) => association.cStore(object(index))));
    assert.deepEqual(
      results.map((result) => result.status === 'rejected' && (result.reason as { code?: string }).code),
      Array(4).fill('DIMSE_ASSOCIATION_LOST'),
    );
  });
});

describe('asynchronous operations as acceptor', () => {
  const store = (messageId: number) =>
    Buffer.concat([commandPdu(3, storeCommand(messageId)), dataPdu(pdv(3, 2, pattern(500)))]);

  it('are granted only when an option says so, and run side by side then', async (t) => {
    const waiting: (() => void)[] = [];
    const { port } = await startAcceptor(t, {
      operationsPerformedMax: 3,
      handlers: {
        cStore: async ({ data }) => {
          await collect(data);
          await new Promise<void>((resolve) => waiting.push(resolve));
          return { status: 0 };
        },
      },
    });
    const peer = await scriptedRequestor(t, port);
    const accept = await peer.associate({}, { asyncOperations: { invoked: 8, performed: 1 } });
    assert.deepEqual(accept.user.asyncOperations, { invoked: 3, performed: 1 });
    // The fourth is beyond the window: it waits on the socket.
    peer.send(store(1), store(2), store(3), store(4));
    await eventually('three handlers', () => waiting.length === 3);
    waiting[1]?.();
    assert.equal((await peer.receiveCommand()).messageIdBeingRespondedTo, 2);
    await eventually('the fourth handler', () => waiting.length === 4);
    for (const resolve of waiting) resolve();
    const rest = [await peer.receiveCommand(), await peer.receiveCommand(), await peer.receiveCommand()];
    assert.deepEqual(rest.map((one) => one.messageIdBeingRespondedTo).sort(), [1, 3, 4]);
    const plain = await scriptedRequestor(t, port);
    assert.equal((await plain.associate()).user.asyncOperations, undefined);
  });

  it('a Message ID that is in use is refused with an abort', async (t) => {
    const { port } = await startAcceptor(t, {
      operationsPerformedMax: 3,
      handlers: { cStore: () => new Promise<never>(() => undefined) },
    });
    const peer = await scriptedRequestor(t, port);
    await peer.associate({}, { asyncOperations: { invoked: 0, performed: 1 } });
    peer.send(store(1), store(1));
    const end = await peer.receive();
    assert.ok(end !== 'closed');
    assert.equal(end.type, 7);
  });

  it('our requestor and our acceptor pipeline many objects, every byte in its place', async (t) => {
    const stored = new Map<string, number>();
    const { port } = await startAcceptor(t, {
      operationsPerformedMax: 4,
      handlers: {
        cStore: async ({ data, sopInstanceUid }) => {
          const bytes = await collect(data);
          assert.ok(bytes.equals(pattern(bytes.length)));
          stored.set(sopInstanceUid, bytes.length);
          return { status: 0 };
        },
      },
    });
    const association = await associate(t, port, { operationsInvokedMax: 4 });
    const lengths = Array.from({ length: 60 }, (_, index) => 4 * (1 + index * 9_000));
    const answers = lengths.map((length, index) => association.cStore(object(index, pattern(length))));
    for (const { status } of await Promise.all(answers)) assert.equal(status, 0);
    assert.deepEqual(
      [...stored.values()].sort((a, b) => a - b),
      lengths,
    );
    await association.release();
  });
});
