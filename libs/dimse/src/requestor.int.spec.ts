import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '@isthmus/testing';
import {
  allContexts,
  associate,
  ctStorage,
  explicitLittle,
  pattern,
  studyRootFind,
  studyRootMove,
} from '../test/acceptor-under-test.ts';
import { commandPdu, dataPdu, pdu, pdv, scriptedAcceptor } from '../test/scripted-peer.ts';
import type { ScriptedPeer } from '../test/scripted-peer.ts';
import {
  AssociationAbortedError,
  AssociationLostError,
  AssociationRejectedError,
  NoPresentationContextError,
  ResponseTimeoutError,
} from './index.ts';
import type { CommandSet } from './index.ts';
import {
  decodeAssociateRequest,
  encodeAbort,
  encodeAssociateAccept,
  encodeAssociateReject,
  encodeReleaseRequest,
  encodeReleaseResponse,
  pduType,
} from './pdu.ts';

const response = (request: CommandSet, status: number, more: Partial<CommandSet> = {}): CommandSet => ({
  commandField: request.commandField | 0x8000,
  hasDataSet: false,
  messageIdBeingRespondedTo: request.messageId,
  affectedSopClassUid: request.affectedSopClassUid,
  status,
  ...more,
});

/** Answers C-FIND and C-MOVE; the identifier of the request is read and dropped. */
async function receiveQuery(peer: ScriptedPeer): Promise<CommandSet> {
  const command = await peer.receiveCommand();
  await peer.receive();
  return command;
}

const query = { sopClassUid: studyRootFind, identifier: Buffer.from('query!') };
const move = { sopClassUid: studyRootMove, identifier: Buffer.from('query!'), destinationAeTitle: 'THIRD' };
const object = {
  sopClassUid: ctStorage,
  sopInstanceUid: '1.2.3',
  transferSyntaxUid: explicitLittle,
  dataSet: pattern(100_000),
};

describe('requesting an association', () => {
  it('tells why the peer rejected it', async (t) => {
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.receive();
      peer.send(encodeAssociateReject({ result: 2, source: 3, reason: 1 }));
    });
    await assert.rejects(associate(t, port), (error) => {
      assert.ok(error instanceof AssociationRejectedError);
      assert.match(error.message, /temporary congestion \(transient\)/);
      return true;
    });
  });

  it('fails when the peer aborts, closes, is silent or talks nonsense', async (t) => {
    for (const [script, expected] of [
      [(peer: ScriptedPeer) => peer.send(encodeAbort(2, 1)), AssociationAbortedError],
      [(peer: ScriptedPeer) => peer.socket.end(), AssociationLostError],
      [() => undefined, ResponseTimeoutError],
      [(peer: ScriptedPeer) => peer.send(Buffer.from('SSH-2.0-OpenSSH_9.2\r\n')), AssociationAbortedError],
    ] as const) {
      const { port } = await scriptedAcceptor(t, async (peer) => {
        await peer.receive();
        script(peer);
      });
      await assert.rejects(associate(t, port, { timeouts: { associateMs: 100 } }), expected);
    }
  });

  it('is given up when its signal says so', async (t) => {
    const controller = new AbortController();
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.receive();
      controller.abort(new Error('not wanted any more'));
    });
    await assert.rejects(associate(t, port, { signal: controller.signal }), /not wanted any more/);
  });

  it('counts a context as refused when the peer accepts it with a syntax that was not proposed', async (t) => {
    const { port } = await scriptedAcceptor(t, async (peer) => {
      const rq = await peer.receive();
      if (rq === 'closed') return;
      const request = decodeAssociateRequest(rq.body);
      const contexts = [
        { id: 1, result: 0 as const, transferSyntaxUid: '1.2.840.10008.1.2.2' },
        { id: 201, result: 0 as const, transferSyntaxUid: explicitLittle },
      ];
      peer.send(encodeAssociateAccept({ ...request, contexts, user: {} }));
    });
    const association = await associate(t, port);
    assert.deepEqual(association.accepted(allContexts[0]?.sopClassUid as string), []);
    await assert.rejects(association.cEcho(), NoPresentationContextError);
  });

  it('takes a peer without a maximum PDU length as unlimited, and still sends no PDU above 128 KiB', async (t) => {
    let largest = 0;
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.accept({ maxPduBytes: 0 });
      const command = await peer.receiveCommand();
      for (let isLast = false; !isLast;) {
        const data = await peer.receive();
        if (data === 'closed') return;
        largest = Math.max(largest, data.body.length);
        isLast = (data.body.readUInt8(5) & 2) !== 0;
      }
      peer.send(commandPdu(3, response(command, 0)));
    });
    const association = await associate(t, port);
    assert.equal((await association.cStore({ ...object, dataSet: pattern(500_000) })).status, 0);
    assert.equal(largest, 131_072);
  });
});

describe('an operation', () => {
  it('times out when no response comes, and the association is aborted', async (t) => {
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.accept();
      await peer.receiveCommand();
    });
    const association = await associate(t, port, { timeouts: { responseMs: 50 } });
    const waiting = association.cEcho();
    await assert.rejects(association.cEcho(), ResponseTimeoutError);
    await assert.rejects(waiting, ResponseTimeoutError);
    assert.equal(association.isOpen, false);
  });

  it('fails with the abort of the peer, also while the data set is on its way', async (t) => {
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.accept();
      await peer.receiveCommand();
      peer.send(encodeAbort(0, 0));
    });
    const association = await associate(t, port);
    await assert.rejects(association.cStore({ ...object, dataSet: pattern(50_000_000) }), (error) => {
      return error instanceof AssociationAbortedError && error.by === 'peer';
    });
  });

  it('takes an early final response and still sends the data set to its end', async (t) => {
    let bytes = 0;
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.accept();
      const command = await peer.receiveCommand();
      peer.send(commandPdu(3, response(command, 0xa700)));
      for (let isLast = false; !isLast;) {
        const data = await peer.receive();
        if (data === 'closed') return;
        bytes += data.body.length - 6;
        isLast = (data.body.readUInt8(5) & 2) !== 0;
      }
    });
    const association = await associate(t, port);
    assert.equal((await association.cStore({ ...object, dataSet: pattern(3_000_000) })).status, 0xa700);
    await eventually('the whole data set', () => bytes === 3_000_000);
  });

  it('takes FF00 and FF01 both as pending', async (t) => {
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.accept();
      const command = await receiveQuery(peer);
      for (const status of [0xff01, 0xff00, 0xff01]) {
        peer.send(commandPdu(5, response(command, status, { hasDataSet: true })));
        peer.send(dataPdu(pdv(5, 2, Buffer.from('row'))));
      }
      peer.send(commandPdu(5, response(command, 0)));
    });
    const association = await associate(t, port);
    const responses = association.cFind(query);
    let rows = 0;
    for await (const _ of responses) rows += 1;
    assert.equal(rows, 3);
    assert.deepEqual(await responses.final, { status: 0, withWarnings: true });
  });

  it('gives a failure status and its comment as an answer', async (t) => {
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.accept();
      const command = await receiveQuery(peer);
      peer.send(commandPdu(5, response(command, 0xa900, { errorComment: 'no level' })));
    });
    const association = await associate(t, port);
    const responses = association.cFind(query);
    for await (const _ of responses) assert.fail();
    assert.deepEqual(await responses.final, {
      status: 0xa900,
      errorComment: 'no level',
      withWarnings: false,
    });
  });

  it('aborts a peer that goes on with rows after C-CANCEL for too long', async (t) => {
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.accept();
      const command = await receiveQuery(peer);
      while (!peer.isClosed) {
        peer.send(
          commandPdu(5, response(command, 0xff00, { hasDataSet: true })),
          dataPdu(pdv(5, 2, pattern(8))),
        );
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
    const association = await associate(t, port, { timeouts: { cancelMs: 50 } });
    const responses = association.cFind(query);
    for await (const _ of responses) break;
    await assert.rejects(responses.final, ResponseTimeoutError);
  });

  it('throws to the loop what ended the association', async (t) => {
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.accept();
      const command = await receiveQuery(peer);
      peer.send(
        commandPdu(5, response(command, 0xff00, { hasDataSet: true })),
        dataPdu(pdv(5, 2, pattern(8))),
      );
      peer.socket.destroySoon();
    });
    const association = await associate(t, port);
    await assert.rejects(async () => {
      for await (const _ of association.cFind(query));
    }, AssociationLostError);
  });

  it('gives C-MOVE its own, longer wait for responses', async (t) => {
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.accept();
      const command = await receiveQuery(peer);
      await new Promise((resolve) => setTimeout(resolve, 100));
      peer.send(commandPdu(7, response(command, 0, { completedSubOperations: 2 })));
    });
    const association = await associate(t, port, { timeouts: { responseMs: 20 } });
    const outcome = await association.cMove(move);
    assert.deepEqual(outcome.counts, { completed: 2, failed: 0, warning: 0 });
  });

  it('is aborted when the peer answers another message, on another context, or asks something itself', async (t) => {
    const scripts: ((peer: ScriptedPeer, command: CommandSet) => void)[] = [
      (peer, command) => peer.send(commandPdu(1, response(command, 0, { messageIdBeingRespondedTo: 999 }))),
      (peer, command) => peer.send(commandPdu(3, response(command, 0))),
      (peer, command) => peer.send(commandPdu(1, { ...command, messageId: 1 })),
      (peer) => peer.send(pdu(pduType.associateAc, Buffer.alloc(100))),
    ];
    for (const script of scripts) {
      const { port } = await scriptedAcceptor(t, async (peer) => {
        await peer.accept();
        script(peer, await peer.receiveCommand());
      });
      const association = await associate(t, port);
      await assert.rejects(association.cEcho(), AssociationAbortedError);
    }
  });
});

describe('releasing', () => {
  it('ends in order when both sides release at the same time', async (t) => {
    const types: (number | string)[] = [];
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.accept();
      for (;;) {
        const received = await peer.receive();
        types.push(received === 'closed' ? received : received.type);
        if (received === 'closed') return;
        if (received.type === pduType.releaseRq) peer.send(encodeReleaseRequest());
        if (received.type === pduType.releaseRp) peer.send(encodeReleaseResponse());
      }
    });
    const association = await associate(t, port);
    await association.release();
    await eventually('the end of the connection', () => types.includes('closed'));
    assert.deepEqual(types, [pduType.releaseRq, pduType.releaseRp, 'closed']);
  });

  it('ends though the peer never answers', async (t) => {
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.accept();
    });
    const association = await associate(t, port, {
      timeouts: { releaseMs: 30 },
      limits: { abortLingerMs: 20 },
    });
    await association.release();
    assert.equal(association.isOpen, false);
  });

  it('is answered when the peer asks for it', async (t) => {
    let answered: number | undefined;
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.accept();
      peer.send(encodeReleaseRequest());
      const answer = await peer.receive();
      if (answer !== 'closed') answered = answer.type;
      peer.socket.end();
    });
    const association = await associate(t, port);
    await association.closed;
    await eventually('the answer', () => answered !== undefined);
    assert.equal(answered, pduType.releaseRp);
    await assert.rejects(association.cEcho(), AssociationLostError);
  });
});
