import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeCommandSet, encodeCommandSet } from './command-set.ts';
import type { CommandSet } from './command-set.ts';
import { ProtocolError } from './errors.ts';

const storeRequest: CommandSet = {
  commandField: 1,
  hasDataSet: true,
  messageId: 7,
  affectedSopClassUid: '1.2.840.10008.5.1.4.1.1.2',
  affectedSopInstanceUid: '1.2.3',
  priority: 0,
  moveOriginatorAeTitle: 'MOVER',
  moveOriginatorMessageId: 65_535,
};

describe('command set', () => {
  it('comes back from its bytes', () => {
    assert.deepEqual(decodeCommandSet(encodeCommandSet(storeRequest)), storeRequest);
  });

  it('is written in implicit VR little endian with its group length, tags ascending, values even', () => {
    const bytes = encodeCommandSet({
      commandField: 0x8030,
      hasDataSet: false,
      messageIdBeingRespondedTo: 1,
      status: 0,
      affectedSopClassUid: '1.2.3',
    });
    assert.equal(
      bytes.toString('hex'),
      [
        '0000000004000000' + '36000000',
        '0000020006000000' + Buffer.from('1.2.3\0').toString('hex'),
        '0000000102000000' + '3080',
        '0000200102000000' + '0100',
        '0000000802000000' + '0101',
        '0000000902000000' + '0000',
      ].join(''),
    );
  });

  it('carries the sub-operation counts', () => {
    const response: CommandSet = {
      commandField: 0x8021,
      hasDataSet: false,
      messageIdBeingRespondedTo: 3,
      status: 0xff00,
      remainingSubOperations: 4,
      completedSubOperations: 3,
      failedSubOperations: 2,
      warningSubOperations: 1,
    };
    assert.deepEqual(decodeCommandSet(encodeCommandSet(response)), response);
  });

  it('cuts an error comment to 64 ASCII characters', () => {
    const bytes = encodeCommandSet({
      commandField: 0x8001,
      hasDataSet: false,
      errorComment: 'é\\' + 'x'.repeat(80),
    });
    assert.equal(decodeCommandSet(bytes).errorComment, '??' + 'x'.repeat(62));
  });

  it('passes over elements that it does not know', () => {
    const unknown = Buffer.from('0000995502000000ffff', 'hex');
    assert.deepEqual(
      decodeCommandSet(Buffer.concat([encodeCommandSet(storeRequest), unknown])),
      storeRequest,
    );
  });

  it('is refused when an element is longer than the rest, cut off, or of another group', () => {
    const bytes = encodeCommandSet(storeRequest);
    for (const broken of [
      bytes.subarray(0, bytes.length - 1),
      Buffer.concat([bytes, Buffer.from([0, 0])]),
      Buffer.concat([bytes, Buffer.from('0800050000000000', 'hex')]),
    ]) {
      assert.throws(() => decodeCommandSet(broken), ProtocolError);
    }
  });

  it('passes over elements of another group behind those of a response, and keeps to their lengths', () => {
    const response: CommandSet = { commandField: 0x8010, hasDataSet: false, status: 0xc000 };
    const failedUids = Buffer.from('0800580006000000312e322e3300', 'hex');
    const sent = Buffer.concat([encodeCommandSet(response), failedUids]);
    assert.deepEqual(decodeCommandSet(sent), response);
    assert.throws(() => decodeCommandSet(sent.subarray(0, sent.length - 1)), ProtocolError);
  });

  it('is refused without Command Field or Command Data Set Type', () => {
    assert.throws(() => decodeCommandSet(Buffer.alloc(0)), /no Command Field/);
    assert.throws(
      () => decodeCommandSet(Buffer.from('00000001020000003000', 'hex')),
      /no Command Data Set Type/,
    );
  });

  it('gives a ProtocolError and nothing else for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeCommandSet(Buffer.from(bytes));
        } catch (error) {
          assert.ok(error instanceof ProtocolError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
