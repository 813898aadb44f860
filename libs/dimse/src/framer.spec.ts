import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { dataPdu, pdu, pdv } from '../test/scripted-peer.ts';
import { ProtocolError } from './errors.ts';
import { PduFramer } from './framer.ts';
import type { FramerState } from './framer.ts';

const pduBytesMax = 1_024;

/** A framer and what it said, data of neighbouring slices joined. */
function framer(state: FramerState) {
  const said: string[] = [];
  const it = new PduFramer(
    {
      pdu: (type, body) => said.push(`pdu ${type} ${body.toString('hex')}`),
      pdvStart: (contextId, isCommand, isLast, length) =>
        said.push(`pdv ${contextId} ${isCommand ? 'command' : 'data'}${isLast ? ' last' : ''} ${length}:`),
      pdvData: (slice) => (said[said.length - 1] += slice.toString('hex')),
      pdvEnd: () => said.push('end'),
      dataPduEnd: () => said.push('pdu end'),
    },
    { state, pduBytesMax, associatePduBytesMax: 4_096 },
  );
  return { framer: it, said };
}

const refusedFor = (reason: number) => (error: unknown) =>
  error instanceof ProtocolError && error.reason === reason;

describe('framer', () => {
  it('finds several PDVs in one PDU, empty ones too', () => {
    const { framer: it, said } = framer('established');
    it.push(
      dataPdu(
        pdv(1, 0, Buffer.from('aabb', 'hex')),
        pdv(1, 0, Buffer.alloc(0)),
        pdv(1, 2, Buffer.from('cc', 'hex')),
      ),
    );
    assert.deepEqual(said, [
      'pdv 1 data 2:aabb',
      'end',
      'pdv 1 data 0:',
      'end',
      'pdv 1 data last 1:cc',
      'end',
      'pdu end',
    ]);
  });

  it('says the same however the bytes are cut', () => {
    const stream = Buffer.concat([
      dataPdu(pdv(1, 3, Buffer.from('0102', 'hex')), pdv(1, 0, Buffer.alloc(40, 7))),
      dataPdu(pdv(1, 2, Buffer.alloc(0))),
      pdu(5, [0, 0, 0, 0]),
    ]);
    const whole = framer('established');
    whole.framer.push(stream);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: stream.length }), (sizes) => {
        const cut = framer('established');
        for (let at = 0, index = 0; at < stream.length; index += 1) {
          const end = at + (sizes[index] as number);
          cut.framer.push(stream.subarray(at, end));
          at = end;
        }
        assert.deepEqual(cut.said, whole.said);
      }),
    );
  });

  it('hands on views of the chunk instead of copies', () => {
    const chunk = dataPdu(pdv(1, 2, Buffer.alloc(100)));
    let slice: Buffer | undefined;
    const nothing = (): void => undefined;
    const it = new PduFramer(
      {
        pdu: nothing,
        pdvStart: nothing,
        pdvData: (data) => (slice = data),
        pdvEnd: nothing,
        dataPduEnd: nothing,
      },
      { state: 'established', pduBytesMax, associatePduBytesMax: 4_096 },
    );
    it.push(chunk);
    assert.equal(slice?.buffer, chunk.buffer);
  });

  it('stops where it is held, inside a chunk, and goes on from there', () => {
    const said: number[] = [];
    const it: PduFramer = new PduFramer(
      {
        pdu: () => undefined,
        pdvStart: () => undefined,
        pdvData: (slice) => said.push(slice.readUInt8(0)),
        pdvEnd: () => it.hold(),
        dataPduEnd: () => undefined,
      },
      { state: 'established', pduBytesMax, associatePduBytesMax: 4_096 },
    );
    it.push(dataPdu(pdv(1, 0, Buffer.from([1])), pdv(1, 0, Buffer.from([2]))));
    it.push(dataPdu(pdv(1, 0, Buffer.from([3]))));
    assert.deepEqual(said, [1]);
    it.release();
    assert.deepEqual(said, [1, 2]);
    it.release();
    assert.deepEqual(said, [1, 2, 3]);
  });

  it('refuses a length bomb from its header alone, in every state', () => {
    for (const [state, type] of [
      ['awaiting-request', 1],
      ['awaiting-answer', 2],
      ['awaiting-answer', 3],
      ['established', 4],
      ['established', 5],
      ['releasing', 6],
      ['established', 7],
    ] as const) {
      const bomb = Buffer.from([type, 0, 0xff, 0xff, 0xff, 0xf0]);
      assert.throws(() => framer(state).framer.push(bomb), refusedFor(6), `type ${type} while ${state}`);
    }
  });

  it('takes a P-DATA-TF of exactly the announced maximum and none larger', () => {
    const exact = framer('established');
    exact.framer.push(dataPdu(pdv(1, 2, Buffer.alloc(pduBytesMax - 6))));
    assert.equal(exact.said.at(-1), 'pdu end');
    const larger = dataPdu(pdv(1, 2, Buffer.alloc(pduBytesMax - 5)));
    assert.throws(() => framer('established').framer.push(larger), refusedFor(6));
  });

  it('refuses PDUs that the state does not allow, and types that do not exist', () => {
    const legal: { [S in FramerState]: number[] } = {
      'awaiting-request': [1, 7],
      'awaiting-answer': [2, 3, 7],
      established: [4, 5, 7],
      releasing: [4, 5, 6, 7],
      ended: [],
    };
    for (const [state, types] of Object.entries(legal) as [FramerState, number[]][]) {
      if (state === 'ended') continue;
      for (let type = 1; type <= 7; type += 1) {
        if (types.includes(type)) continue;
        assert.throws(
          () => framer(state).framer.push(pdu(type, [0, 0, 0, 0])),
          refusedFor(2),
          `${type} ${state}`,
        );
      }
      for (const type of [0, 8, 255]) {
        assert.throws(
          () => framer(state).framer.push(pdu(type, [0, 0, 0, 0])),
          refusedFor(1),
          `${type} ${state}`,
        );
      }
    }
  });

  it('throws everything away once the association has ended', () => {
    const { framer: it, said } = framer('ended');
    it.push(Buffer.from('GET / HTTP/1.1\r\n'));
    assert.deepEqual(said, []);
  });

  it('refuses PDV lengths that do not fit their PDU', () => {
    const lengths = [0, 1, 9, 0xffffffff];
    for (const length of lengths) {
      const broken = Buffer.from(dataPdu(pdv(1, 3, Buffer.alloc(4))));
      broken.writeUInt32BE(length, 6);
      assert.throws(() => framer('established').framer.push(broken), refusedFor(6), `PDV length ${length}`);
    }
  });

  it('refuses bytes left over behind the last PDV, and a P-DATA-TF without a PDV', () => {
    assert.throws(
      () => framer('established').framer.push(dataPdu(pdv(1, 3, Buffer.alloc(4)), Buffer.alloc(3))),
      refusedFor(6),
    );
    assert.throws(() => framer('established').framer.push(pdu(4, [])), refusedFor(6));
  });

  it('gives a ProtocolError and nothing else for any bytes', () => {
    const states: FramerState[] = ['awaiting-request', 'awaiting-answer', 'established', 'releasing'];
    fc.assert(
      fc.property(
        fc.constantFrom(...states),
        fc.constantFrom(1, 2, 3, 4, 5, 6, 7),
        fc.uint8Array({ maxLength: 300 }),
        (state, type, bytes) => {
          try {
            framer(state).framer.push(Buffer.concat([Buffer.from([type, 0, 0, 0]), Buffer.from(bytes)]));
          } catch (error) {
            assert.ok(error instanceof ProtocolError);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
