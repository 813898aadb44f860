import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '@isthmus/testing';
import { associate, collect, ctStorage, pattern } from '../test/acceptor-under-test.ts';
import {
  associateRequest,
  cancelCommand,
  commandPdu,
  dataPdu,
  echoCommand,
  findCommand,
  pdu,
  pdv,
  scriptedRequestor,
  storeCommand,
} from '../test/scripted-peer.ts';
import type { ScriptedPeer } from '../test/scripted-peer.ts';
import { encodeCommandSet } from './command-set.ts';
import { AssociationAbortedError, AssociationLostError } from './index.ts';
import { decodeAssociateAccept, encodeAbort, encodeAssociateRequest, encodeReleaseRequest } from './pdu.ts';
import { archive, assertAborted } from '../test/archive.ts';

const store = (messageId: number, ...fragments: Buffer[]) =>
  Buffer.concat([
    commandPdu(3, storeCommand(messageId)),
    ...fragments.map((bytes, index) => dataPdu(pdv(3, index === fragments.length - 1 ? 2 : 0, bytes))),
  ]);

describe('in an association', () => {
  it('[R6] byte-wise fragments, several PDVs per PDU and empty ones bring the same bytes', async (t) => {
    const { port, stored } = await archive(t);
    const peer = await scriptedRequestor(t, port);
    await peer.sendByteWise(encodeAssociateRequest(associateRequest()));
    const accepted = await peer.receive();
    assert.ok(accepted !== 'closed');
    assert.equal(decodeAssociateAccept(accepted.body).contexts.length, 4);
    const bytes = pattern(300);
    const command = encodeCommandSet(storeCommand(1));
    await peer.sendByteWise(
      Buffer.concat([
        // Command in two PDVs, the second together with data in one PDU.
        dataPdu(pdv(3, 1, command.subarray(0, 7))),
        dataPdu(pdv(3, 3, command.subarray(7)), pdv(3, 0, bytes.subarray(0, 1)), pdv(3, 0, Buffer.alloc(0))),
        dataPdu(pdv(3, 0, bytes.subarray(1, 150)), pdv(3, 0, bytes.subarray(150))),
        dataPdu(pdv(3, 2, Buffer.alloc(0))),
      ]),
    );
    const answer = await peer.receiveCommand();
    assert.deepEqual(
      [answer.commandField, answer.status, answer.affectedSopClassUid, answer.affectedSopInstanceUid],
      [0x8001, 0, ctStorage, '1.2.3'],
    );
    assert.ok(stored[0]?.equals(bytes));
  });

  it('a truncated PDU makes the data throw, and ends that association only', async (t) => {
    const { port, stored, broken, event } = await archive(t);
    const other = await associate(t, port);
    const peer = await scriptedRequestor(t, port);
    await peer.associate();
    const whole = store(1, pattern(1_000), pattern(1_000));
    peer.send(whole.subarray(0, whole.length - 100));
    peer.socket.end();
    assert.equal((await event('ended')).error.code, 'DIMSE_ASSOCIATION_LOST');
    await eventually('the handler to be told', () => broken.length === 1);
    assert.ok(broken[0] instanceof AssociationLostError);
    assert.equal(stored.length, 0);
    assert.equal((await other.cEcho()).status, 0);
  });

  it('an abort or a reset in mid object makes the data throw', async (t) => {
    const { port, broken, acceptor } = await archive(t);
    for (const end of [
      (peer: ScriptedPeer) => peer.send(encodeAbort(0, 0)),
      (peer: ScriptedPeer) => peer.socket.resetAndDestroy(),
    ]) {
      const peer = await scriptedRequestor(t, port);
      await peer.associate();
      peer.send(commandPdu(3, storeCommand(1)), dataPdu(pdv(3, 0, pattern(10_000))));
      await eventually('the connection', () => acceptor.connections === 1);
      end(peer);
      const seen = broken.length;
      await eventually('the handler to be told', () => broken.length > seen || broken.length === 2);
      await eventually('the end of the connection', () => acceptor.connections === 0);
    }
    assert.ok(broken[0] instanceof AssociationAbortedError);
    assert.ok(broken[1] instanceof AssociationLostError);
  });

  it('length bombs and PDUs out of order are aborted, and their message with them', async (t) => {
    const { port } = await archive(t);
    const bomb = (type: number) => Buffer.from([type, 0, 0xff, 0xff, 0xff, 0xf0]);
    const longPdv = Buffer.from(dataPdu(pdv(3, 3, Buffer.alloc(20))));
    longPdv.writeUInt32BE(0xfffffff0, 6);
    for (const [name, bytes, reason] of [
      ['data bomb', bomb(4), 6],
      ['release bomb', bomb(5), 6],
      ['larger than announced', dataPdu(pdv(3, 2, Buffer.alloc(131_072))), 6],
      ['PDV bomb', longPdv, 6],
      ['second request', encodeAssociateRequest(associateRequest()), 2],
      ['release response', pdu(6, [0, 0, 0, 0]), 2],
      ['context that was not offered', commandPdu(9, echoCommand(1)), 6],
      ['data without command', dataPdu(pdv(3, 2, Buffer.alloc(4))), 2],
      [
        'command inside a data set',
        Buffer.concat([commandPdu(3, storeCommand(1)), commandPdu(3, echoCommand(2))]),
        2,
      ],
      [
        'data on another context',
        Buffer.concat([commandPdu(3, storeCommand(1)), dataPdu(pdv(1, 2, Buffer.alloc(4)))]),
        6,
      ],
      ['release in mid object', Buffer.concat([commandPdu(3, storeCommand(1)), encodeReleaseRequest()]), 2],
      [
        'response to nothing',
        commandPdu(1, { commandField: 0x8030, hasDataSet: false, messageIdBeingRespondedTo: 1, status: 0 }),
        2,
      ],
      ['garbage for a command', dataPdu(pdv(1, 3, Buffer.alloc(9, 0xff))), 6],
    ] as const) {
      const peer = await scriptedRequestor(t, port);
      await peer.associate();
      peer.send(bytes);
      await assertAborted(peer, reason).catch((error: unknown) => {
        throw new Error(name, { cause: error });
      });
    }
  });

  it('a command set or an identifier without end is aborted at its limit', async (t) => {
    const { port } = await archive(t, {
      limits: { commandBytesMax: 1_000, identifierBytesMax: 2_000, storeBytesMax: 3_000 },
      handlers: {
        cFind: async function* () {
          yield* [];
        },
        cStore: async ({ data }) => {
          await collect(data);
          return { status: 0 };
        },
      },
    });
    for (const begin of [[], [commandPdu(5, findCommand(1))], [commandPdu(3, storeCommand(1))]]) {
      const peer = await scriptedRequestor(t, port);
      await peer.associate();
      peer.send(...begin);
      const contextId = begin.length === 0 ? 3 : (begin[0]?.readUInt8(10) as number);
      const endless = dataPdu(pdv(contextId, begin.length === 0 ? 1 : 0, Buffer.alloc(500)));
      for (let count = 0; count < 8; count += 1) peer.send(endless);
      await assertAborted(peer);
    }
  });

  it('a peer that stops inside a message, or between messages, is aborted after the deadline', async (t) => {
    const { port, acceptor, broken } = await archive(t, { limits: { betweenPdusMs: 40, idleMs: 40 } });
    const idle = await scriptedRequestor(t, port);
    await idle.associate();
    await assertAborted(idle, 0);
    const stuck = await scriptedRequestor(t, port);
    await stuck.associate();
    stuck.send(commandPdu(3, storeCommand(1)), dataPdu(pdv(3, 0, pattern(100))));
    await assertAborted(stuck, 0);
    await eventually('the end of both', () => acceptor.connections === 0 && broken.length === 1);
  });

  it('a peer that asks for more rows than it takes is aborted, and the handler is told', async (t) => {
    let aborted = false;
    const { port, acceptor } = await archive(t, {
      limits: { writeStallMs: 50, abortLingerMs: 20 },
      handlers: {
        cFind: async function* ({ signal }) {
          signal.addEventListener('abort', () => (aborted = true));
          for (;;) yield { status: 0xff00, identifier: Buffer.alloc(60_000) };
        },
      },
    });
    const peer = await scriptedRequestor(t, port);
    await peer.associate();
    peer.socket.pause();
    peer.send(commandPdu(5, findCommand(1)), dataPdu(pdv(5, 2, Buffer.alloc(0))));
    await eventually('the end of the association', () => aborted && acceptor.connections === 0);
  });

  it('[R6] a handler that does not read makes the peer wait; then every byte arrives', async (t) => {
    const gate = Promise.withResolvers<void>();
    let received = 0;
    const { port } = await archive(t, {
      handlers: {
        cStore: async ({ data }) => {
          await gate.promise;
          for await (const batch of data.batches()) for (const bytes of batch) received += bytes.length;
          return { status: 0 };
        },
      },
    });
    const peer = await scriptedRequestor(t, port);
    await peer.associate();
    peer.send(commandPdu(3, storeCommand(1)));
    const fragment = dataPdu(pdv(3, 0, pattern(131_066)));
    const fragments = 512;
    let taken = 0;
    for (let count = 0; count < fragments; count += 1) peer.socket.write(fragment, () => (taken += 1));
    peer.send(dataPdu(pdv(3, 2, Buffer.alloc(0))));
    let last = -1;
    let still = 0;
    await eventually('the stream to stand still', () => {
      still = taken === last ? still + 1 : 0;
      last = taken;
      return still > 40;
    });
    assert.ok(taken < fragments / 2, `${taken} of ${fragments} fragments were taken`);
    gate.resolve();
    assert.equal((await peer.receiveCommand()).status, 0);
    assert.equal(received, fragments * 131_066);
  });

  it('requests sent without waiting are answered one after the other, and a release after the last', async (t) => {
    const { port, stored } = await archive(t);
    const peer = await scriptedRequestor(t, port);
    await peer.associate();
    peer.send(
      store(1, pattern(10)),
      commandPdu(1, echoCommand(2)),
      store(3, pattern(200_000).subarray(0, 100_000), pattern(20)),
      store(4, pattern(30)),
      encodeReleaseRequest(),
    );
    for (const messageId of [1, 2, 3, 4]) {
      const answer = await peer.receiveCommand();
      assert.deepEqual([answer.messageIdBeingRespondedTo, answer.status], [messageId, 0]);
    }
    const released = await peer.receive();
    assert.ok(released !== 'closed' && released.type === 6);
    assert.deepEqual(
      stored.map(({ length }) => length),
      [10, 100_020, 30],
    );
  });

  it('[Q13] a C-CANCEL in mid find is honoured, one for another message is not', async (t) => {
    const { port } = await archive(t, {
      handlers: {
        cFind: async function* () {
          for (let index = 0; ; index += 1) yield { status: 0xff00, identifier: Buffer.alloc(1_000) };
        },
      },
    });
    const peer = await scriptedRequestor(t, port);
    await peer.associate();
    peer.send(commandPdu(1, cancelCommand(5)));
    peer.send(commandPdu(5, findCommand(5)), dataPdu(pdv(5, 2, Buffer.alloc(0))));
    assert.equal(
      (await peer.receiveCommand()).status,
      0xff00,
      'a cancel that came too early cancels nothing',
    );
    peer.send(commandPdu(5, cancelCommand(4)));
    await peer.receive();
    assert.equal((await peer.receiveCommand()).status, 0xff00);
    peer.send(commandPdu(5, cancelCommand(5)));
    for (;;) {
      const answer = await peer.receive();
      assert.ok(answer !== 'closed' && answer.type === 4);
      const isCommand = (answer.body.readUInt8(5) & 1) === 1;
      if (isCommand && answer.body.includes(Buffer.from([0x00, 0x09, 2, 0, 0, 0, 0x00, 0xfe]))) break;
    }
    peer.send(commandPdu(1, echoCommand(6)));
    assert.equal((await peer.receiveCommand()).messageIdBeingRespondedTo, 6);
  });

  it('requests that cannot be served get a status on their context, and the association goes on', async (t) => {
    const { port, stored } = await archive(t);
    const peer = await scriptedRequestor(t, port);
    await peer.associate();
    const data = dataPdu(pdv(3, 2, pattern(100)));
    const noInstance = { ...storeCommand(1), affectedSopInstanceUid: undefined };
    for (const [name, bytes, contextId, status] of [
      ['no SOP Instance UID', Buffer.concat([commandPdu(3, noInstance), data]), 3, 0x0117],
      [
        'a path for a UID',
        Buffer.concat([commandPdu(3, storeCommand(1, '../../etc/passwd')), data]),
        3,
        0x0117,
      ],
      [
        'another SOP class',
        Buffer.concat([commandPdu(3, { ...storeCommand(1), affectedSopClassUid: '1.2.9' }), data]),
        3,
        0xa900,
      ],
      ['no data set', commandPdu(3, { ...storeCommand(1), hasDataSet: false }), 3, 0xc000],
      [
        'N-CREATE',
        Buffer.concat([commandPdu(3, { ...storeCommand(1), commandField: 0x0140 }), data]),
        3,
        0x0211,
      ],
      [
        'C-GET',
        Buffer.concat([
          commandPdu(5, { ...findCommand(1), commandField: 0x0010 }),
          dataPdu(pdv(5, 2, pattern(8))),
        ]),
        5,
        0x0122,
      ],
      [
        'C-FIND without handler',
        Buffer.concat([commandPdu(5, findCommand(1)), dataPdu(pdv(5, 2, pattern(8)))]),
        5,
        0x0122,
      ],
    ] as const) {
      peer.send(bytes);
      const answer = await peer.receive();
      assert.ok(answer !== 'closed', name);
      assert.equal(answer.body.readUInt8(4), contextId, name);
      const statusBytes = Buffer.from([0x00, 0x09, 2, 0, 0, 0, status & 0xff, status >> 8]);
      assert.ok(answer.body.includes(statusBytes), name);
    }
    assert.equal(stored.length, 0);
    peer.send(store(2, pattern(10)));
    assert.equal((await peer.receiveCommand()).status, 0);
  });

  it('a hundred aborts in mid object leave no connection and no other trace', async (t) => {
    const { port, acceptor, broken, stored } = await archive(t);
    const other = await associate(t, port);
    for (let count = 0; count < 100; count += 1) {
      const peer = await scriptedRequestor(t, port);
      await peer.associate();
      peer.send(commandPdu(3, storeCommand(1)), dataPdu(pdv(3, 0, pattern(50_000))));
      const seen = broken.length;
      if (count % 2 === 0) peer.send(encodeAbort(0, 0));
      else peer.socket.destroySoon();
      await eventually('the handler to be told', () => broken.length > seen);
    }
    await eventually('the end of the connections', () => acceptor.connections === 1);
    assert.deepEqual([broken.length, stored.length], [100, 0]);
    assert.equal((await other.cEcho()).status, 0);
  });
});
