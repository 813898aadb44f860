import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '@isthmus/testing';
import { ctStorage, studyRootFind } from '../test/acceptor-under-test.ts';
import { associateRequest, commandPdu, echoCommand, pdu, scriptedRequestor } from '../test/scripted-peer.ts';
import { encodeAssociateRequest, encodeReleaseRequest } from './pdu.ts';
import { archive, assertAborted } from '../test/archive.ts';

describe('before an association', () => {
  it('a length bomb, an unknown PDU, data, and another protocol are each aborted at once', async (t) => {
    const { port, acceptor } = await archive(t);
    for (const [bytes, reason] of [
      [Buffer.from([1, 0, 0xff, 0xff, 0xff, 0xf0]), 6],
      [pdu(9, [0, 0, 0, 0]), 1],
      [commandPdu(1, echoCommand(1)), 2],
      [encodeReleaseRequest(), 2],
      [Buffer.from('GET / HTTP/1.1\r\n\r\n'), 1],
      [pdu(1, Buffer.alloc(67)), 6],
    ] as const) {
      const peer = await scriptedRequestor(t, port);
      peer.send(bytes);
      await assertAborted(peer, reason);
    }
    await eventually('the end of all connections', () => acceptor.connections === 0);
  });

  it('a silent peer and one that dribbles are aborted after the deadline and destroyed', async (t) => {
    const { port, acceptor, event } = await archive(t, { limits: { firstPduMs: 50, abortLingerMs: 20 } });
    const silent = await scriptedRequestor(t, port);
    silent.socket.pause();
    const dribbling = await scriptedRequestor(t, port);
    const bytes = encodeAssociateRequest(associateRequest());
    let at = 0;
    const dribble = setInterval(() => dribbling.send(bytes.subarray(at, (at += 1))), 5);
    t.after(() => clearInterval(dribble));
    await eventually('the end of both connections', () => acceptor.connections === 0);
    assert.equal((await event('ended')).error.code, 'DIMSE_RESPONSE_TIMEOUT');
  });

  it('contexts 5, 3, 1 are answered with their own ids', async (t) => {
    const { port } = await archive(t);
    const peer = await scriptedRequestor(t, port);
    const request = associateRequest();
    const accept = await peer.associate({ contexts: request.contexts.slice(0, 3).reverse() });
    assert.deepEqual(
      accept.contexts.map(({ id, result }) => [id, result]),
      [
        [5, 0],
        [3, 0],
        [1, 0],
      ],
    );
    peer.send(commandPdu(1, echoCommand(9)));
    assert.equal((await peer.receiveCommand()).messageIdBeingRespondedTo, 9);
  });

  it('repeated context ids are aborted as an invalid parameter', async (t) => {
    const { port } = await archive(t);
    const peer = await scriptedRequestor(t, port);
    const [context] = associateRequest().contexts;
    assert.ok(context);
    peer.send(encodeAssociateRequest({ ...associateRequest(), contexts: [context, context] }));
    await assertAborted(peer, 6);
  });

  it('an asynchronous operations window is not granted, whatever is proposed', async (t) => {
    const { port } = await archive(t);
    const peer = await scriptedRequestor(t, port);
    const accept = await peer.associate({}, { asyncOperations: { invoked: 8, performed: 8 } });
    assert.equal(accept.user.asyncOperations, undefined);
  });

  it('roles and extended negotiation are answered only where they were proposed', async (t) => {
    const information = Buffer.from([1]);
    const { port } = await archive(t, {
      admit: ({ contexts, roles, extendedNegotiations }) => ({
        accept: true,
        contexts: contexts.map(({ id, transferSyntaxUids }) => ({
          id,
          transferSyntaxUid: transferSyntaxUids[0] ?? '',
        })),
        roles: [...roles, { sopClassUid: '9.9', scu: true, scp: true }],
        extendedNegotiations,
      }),
    });
    const peer = await scriptedRequestor(t, port);
    const roles = [{ sopClassUid: ctStorage, scu: false, scp: true }];
    const extendedNegotiations = [{ sopClassUid: studyRootFind, information }];
    const accept = await peer.associate({}, { roles, extendedNegotiations });
    assert.deepEqual(accept.user.roles, roles);
    assert.deepEqual(accept.user.extendedNegotiations, extendedNegotiations);
  });

  it('a wrong version, application context, AE title or a tiny maximum PDU is rejected as such', async (t) => {
    const { port } = await archive(t);
    for (const [overrides, user, rejection] of [
      [{ protocolVersion: 2 }, {}, [1, 2, 2]],
      [{ applicationContextName: '1.2.3' }, {}, [1, 1, 2]],
      [{ callingAeTitle: '' }, {}, [1, 1, 3]],
      [{ callingAeTitle: 'A\\B' }, {}, [1, 1, 3]],
      [{ calledAeTitle: '' }, {}, [1, 1, 7]],
      [{}, { maxPduBytes: 16 }, [1, 2, 1]],
    ] as const) {
      const peer = await scriptedRequestor(t, port);
      peer.send(encodeAssociateRequest({ ...associateRequest(user), ...overrides }));
      const answer = await peer.receive();
      assert.ok(answer !== 'closed');
      assert.equal(answer.type, 3);
      assert.deepEqual([...answer.body.subarray(1)], [...rejection], JSON.stringify(overrides));
    }
  });

  it('connections beyond those that are told so are closed at once', async (t) => {
    const { port, event } = await archive(t, { limits: { associationsMax: 1, refusalsMax: 1 } });
    const first = await scriptedRequestor(t, port);
    await first.associate();
    const told = await scriptedRequestor(t, port);
    const turnedAway = await scriptedRequestor(t, port);
    assert.equal(await turnedAway.receive(), 'closed');
    await event('turned-away');
    told.send(encodeAssociateRequest(associateRequest()));
    const answer = await told.receive();
    assert.ok(answer !== 'closed' && answer.type === 3);
  });
});
