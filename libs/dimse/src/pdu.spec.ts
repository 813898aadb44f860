import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from './errors.ts';
import {
  decodeAbort,
  decodeAssociateAccept,
  decodeAssociateReject,
  decodeAssociateRequest,
  encodeAbort,
  encodeAssociateAccept,
  encodeAssociateReject,
  encodeAssociateRequest,
} from './pdu.ts';
import type { AssociateRequest, ProposedContext } from './pdu.ts';

const context = (id: number): ProposedContext => ({
  id,
  sopClassUid: '1.2.840.10008.1.1',
  transferSyntaxUids: ['1.2.840.10008.1.2', '1.2.840.10008.1.2.1'],
});

const request = (contexts: ProposedContext[]): AssociateRequest => ({
  protocolVersion: 1,
  calledAeTitle: 'CALLED',
  callingAeTitle: 'CALLING_16_CHARS',
  applicationContextName: '1.2.840.10008.3.1.1.1',
  contexts,
  user: {
    maxPduBytes: 131_072,
    implementationClassUid: '1.2.3',
    implementationVersionName: 'VERSION',
    asyncOperations: { invoked: 5, performed: 6 },
    roles: [{ sopClassUid: '1.2.4', scu: true, scp: true }],
    extendedNegotiations: [{ sopClassUid: '1.2.5', information: Buffer.from([1, 0, 1]) }],
    commonExtendedNegotiations: [
      { sopClassUid: '1.2.6', serviceClassUid: '1.2.7', relatedGeneralSopClassUids: ['1.2.8', '1.2.9'] },
    ],
    userIdentity: {
      type: 2,
      responseRequested: true,
      primary: Buffer.from('name'),
      secondary: Buffer.from('word'),
    },
  },
});

const bodyOf = (pdu: Buffer): Buffer => pdu.subarray(6);
const decoded = (contexts: ProposedContext[]) =>
  decodeAssociateRequest(bodyOf(encodeAssociateRequest(request(contexts))));
const isInvalid = (text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof ProtocolError);
  assert.equal(error.reason, 6);
  assert.match(error.message, text);
  return true;
};

describe('A-ASSOCIATE-RQ', () => {
  it('comes back from its bytes with every user item', () => {
    const original = request([context(1), context(3)]);
    assert.deepEqual(decodeAssociateRequest(bodyOf(encodeAssociateRequest(original))), original);
  });

  it('keeps the order and the ids of contexts that are not ascending', () => {
    assert.deepEqual(
      decoded([context(5), context(3), context(1)]).contexts.map(({ id }) => id),
      [5, 3, 1],
    );
  });

  it('takes 128 contexts', () => {
    const most = Array.from({ length: 128 }, (_, index) => context(index * 2 + 1));
    assert.equal(decoded(most).contexts.length, 128);
  });

  it('is refused with a repeated context id', () => {
    assert.throws(() => decoded([context(1), context(1)]), isInvalid(/id 1 is repeated/));
  });

  it('is refused with an even context id', () => {
    assert.throws(() => decoded([context(2)]), isInvalid(/id 2 is even/));
  });

  it('is refused with a context that has no transfer syntax', () => {
    assert.throws(
      () => decoded([{ ...context(1), transferSyntaxUids: [] }]),
      isInvalid(/no transfer syntax/),
    );
  });

  it('is refused with a context that has no abstract syntax', () => {
    assert.throws(() => decoded([{ ...context(1), sopClassUid: '' }]), isInvalid(/no abstract syntax/));
  });

  it('is refused when a UID is longer than 64 characters', () => {
    assert.throws(
      () => decoded([{ ...context(1), sopClassUid: '1'.repeat(65) }]),
      isInvalid(/65 characters/),
    );
  });

  it('is refused when an item is longer than what holds it', () => {
    const body = bodyOf(encodeAssociateRequest(request([context(1)])));
    for (const [at, what] of [
      [68, 'application context'],
      [68 + 4 + 21, 'presentation context'],
    ] as const) {
      const broken = Buffer.from(body);
      broken.writeUInt16BE(0xffff, at + 2);
      assert.throws(() => decodeAssociateRequest(broken), isInvalid(/longer than what holds it/), what);
    }
  });

  it('passes over items that it does not know', () => {
    const body = bodyOf(encodeAssociateRequest(request([context(1)])));
    const withMore = Buffer.concat([body, Buffer.from([0x77, 0, 0, 2, 1, 2])]);
    assert.deepEqual(decodeAssociateRequest(withMore), decodeAssociateRequest(body));
  });

  it('trims UIDs that are padded', () => {
    const padded = decoded([{ ...context(1), sopClassUid: '1.2.840.10008.1.1\0' }]);
    assert.equal(padded.contexts[0]?.sopClassUid, '1.2.840.10008.1.1');
  });

  it('gives a ProtocolError and nothing else for any bytes', () => {
    const start = bodyOf(encodeAssociateRequest(request([context(1), context(3)])));
    const mutated = fc
      .array(fc.tuple(fc.nat(start.length - 1), fc.nat(255)), { maxLength: 8 })
      .map((changes) => {
        const bytes = Buffer.from(start);
        for (const [at, byte] of changes) bytes[at] = byte;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 400 }).map(Buffer.from)), (bytes) => {
        for (const decode of [decodeAssociateRequest, decodeAssociateAccept]) {
          try {
            decode(bytes as Buffer);
          } catch (error) {
            assert.ok(error instanceof ProtocolError);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('A-ASSOCIATE-AC', () => {
  const accept = {
    ...request([]),
    contexts: [
      { id: 3, result: 0 as const, transferSyntaxUid: '1.2.840.10008.1.2' },
      { id: 1, result: 4 as const },
    ],
  };

  it('comes back from its bytes', () => {
    assert.deepEqual(decodeAssociateAccept(bodyOf(encodeAssociateAccept(accept))), accept);
  });

  it('is refused when it answers a context twice', () => {
    const twice = { ...accept, contexts: [...accept.contexts, ...accept.contexts] };
    assert.throws(
      () => decodeAssociateAccept(bodyOf(encodeAssociateAccept(twice))),
      isInvalid(/answered twice/),
    );
  });
});

describe('A-ASSOCIATE-RJ and A-ABORT', () => {
  it('come back from their bytes', () => {
    const rejection = { result: 1, source: 3, reason: 2 };
    assert.deepEqual(decodeAssociateReject(bodyOf(encodeAssociateReject(rejection))), rejection);
    assert.deepEqual(decodeAbort(bodyOf(encodeAbort(2, 6))), { source: 2, reason: 6 });
  });
});
