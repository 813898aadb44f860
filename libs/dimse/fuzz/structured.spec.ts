import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { PduFramer } from '../src/framer.ts';
import { decodeAssociateRequest, encodeAssociateRequest, pduHeaderBytes } from '../src/pdu.ts';

interface Fragment {
  readonly contextId: number;
  readonly isCommand: boolean;
  readonly isLast: boolean;
  readonly data: string;
}

/** Objects with the prototype that decoded ones have, so that they can be compared. */
const record: typeof fc.record = (model: object, constraints?: object) =>
  fc.record(model, { ...constraints, noNullPrototype: true } as object) as never;
const uid = fc
  .array(fc.nat(99_999), { minLength: 1, maxLength: 9 })
  .map((parts) => ['1', ...parts].join('.').slice(0, 64).replace(/\.$/, ''));
const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((list) => Buffer.from(list));
const aeTitle = fc.stringMatching(/^[A-Z0-9_]{1,16}$/);

const fragment: fc.Arbitrary<Fragment> = record({
  contextId: fc.nat(127).map((index) => 2 * index + 1),
  isCommand: fc.boolean(),
  isLast: fc.boolean(),
  data: bytes(200).map((data) => data.toString('latin1')),
});
/** PDUs of one PDV or several. */
const conversation = fc.array(fc.array(fragment, { minLength: 1, maxLength: 4 }), { maxLength: 8 });

const request = record({
  protocolVersion: fc.constant(1),
  calledAeTitle: aeTitle,
  callingAeTitle: aeTitle,
  applicationContextName: uid,
  contexts: fc
    .uniqueArray(
      record({
        id: fc.nat(127).map((index) => 2 * index + 1),
        sopClassUid: uid,
        transferSyntaxUids: fc.array(uid, { minLength: 1, maxLength: 5 }),
      }),
      { selector: ({ id }) => id, maxLength: 128 },
    )
    .map((contexts) => [...contexts]),
  user: record(
    {
      maxPduBytes: fc.nat(),
      implementationClassUid: uid,
      implementationVersionName: aeTitle,
      asyncOperations: record({ invoked: fc.nat(0xffff), performed: fc.nat(0xffff) }),
      roles: fc.array(record({ sopClassUid: uid, scu: fc.boolean(), scp: fc.boolean() }), {
        minLength: 1,
      }),
      extendedNegotiations: fc.array(record({ sopClassUid: uid, information: bytes(20) }), {
        minLength: 1,
      }),
      commonExtendedNegotiations: fc.array(
        record({ sopClassUid: uid, serviceClassUid: uid, relatedGeneralSopClassUids: fc.array(uid) }),
        { minLength: 1 },
      ),
      userIdentity: record({
        type: fc.integer({ min: 1, max: 5 }),
        responseRequested: fc.boolean(),
        primary: bytes(300),
        secondary: bytes(30),
      }),
    },
    { requiredKeys: [] },
  ),
});

function encoded(pdus: readonly (readonly Fragment[])[]): Buffer {
  return Buffer.concat(
    pdus.map((fragments) => {
      const body = Buffer.concat(
        fragments.map(({ contextId, isCommand, isLast, data }) => {
          const header = Buffer.from([0, 0, 0, 0, contextId, (isCommand ? 1 : 0) + (isLast ? 2 : 0)]);
          header.writeUInt32BE(data.length + 2);
          return Buffer.concat([header, Buffer.from(data, 'latin1')]);
        }),
      );
      const header = Buffer.from([4, 0, 0, 0, 0, 0]);
      header.writeUInt32BE(body.length, 2);
      return Buffer.concat([header, body]);
    }),
  );
}

/** What a framer hands on of `stream`, cut at `cuts`, PDU by PDU; held after each PDV when `holding`. */
function received(stream: Buffer, cuts: readonly number[], holding: boolean): Fragment[][] {
  const pdus: Fragment[][] = [];
  let pdu: Fragment[] = [];
  const framer: PduFramer = new PduFramer(
    {
      pdu: () => assert.fail('there is none'),
      pdvStart: (contextId, isCommand, isLast) => pdu.push({ contextId, isCommand, isLast, data: '' }),
      pdvData: (slice) => {
        const last = pdu.pop() as Fragment;
        pdu.push({ ...last, data: last.data + slice.toString('latin1') });
      },
      pdvEnd: () => holding && framer.hold(),
      dataPduEnd: () => {
        pdus.push(pdu);
        pdu = [];
      },
    },
    { state: 'established', pduBytesMax: 16_384, associatePduBytesMax: 16_384 },
  );
  const ends = cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b);
  for (const [index, start] of [0, ...ends].entries()) {
    framer.push(stream.subarray(start, ends[index] ?? stream.length));
    while (framer.isHeld) framer.release();
  }
  assert.equal(framer.insidePdu, false);
  return pdus;
}

describe('any legal', () => {
  it('[R6] conversation is handed on fragment by fragment, wherever it is cut and held', () => {
    fc.assert(
      fc.property(
        conversation,
        fc.array(fc.nat(10_000), { maxLength: 12 }),
        fc.boolean(),
        (pdus, cuts, holding) => {
          assert.deepEqual(received(encoded(pdus), cuts, holding), pdus);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('association request comes back from its bytes', () => {
    fc.assert(
      fc.property(request, (one) => {
        const pdu = encodeAssociateRequest(one);
        assert.equal(pdu.readUInt32BE(2), pdu.length - pduHeaderBytes);
        assert.deepEqual(decodeAssociateRequest(pdu.subarray(pduHeaderBytes)), one);
      }),
      { numRuns: 1_000 },
    );
  });
});
