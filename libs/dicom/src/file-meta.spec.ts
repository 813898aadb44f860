import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesOf } from '../test/arbitraries.ts';
import { DataSetError, decodeDataSet, fileMetaInformation, readFileMeta, uids } from './index.ts';

const meta = {
  sopClassUid: uids.CTImageStorage,
  sopInstanceUid: '1.2.3.4.5',
  transferSyntaxUid: uids.ExplicitVrLittleEndian,
};
const bytes = fileMetaInformation({ ...meta, sourceAeTitle: 'NORTH' });

function fails(code: string) {
  return (error: unknown) => error instanceof DataSetError && error.code === code;
}

test('what is written before a data set is read back, and says where the data set begins', () => {
  const file = Buffer.concat([bytes, bytesOf('|1000 2000|LO|0200|1 ')]);
  assert.deepEqual(readFileMeta(file), { ...meta, dataSetOffset: bytes.length });
  assert.deepEqual(readFileMeta(bytes), { ...meta, dataSetOffset: bytes.length });
});

test('preamble, prefix, version, group length and implementation are those of PS3.10', () => {
  assert.ok(bytes.subarray(0, 128).every((byte) => byte === 0));
  assert.equal(bytes.toString('latin1', 128, 132), 'DICM');
  const group = decodeDataSet(bytes.subarray(132), uids.ExplicitVrLittleEndian);
  assert.deepEqual(group['00020000']!.Value, [bytes.length - 144]);
  assert.equal(group['00020001']!.InlineBinary, 'AAE=');
  assert.deepEqual(group['00020012']!.Value, [uids.IsthmusImplementationClass]);
  assert.deepEqual(group['00020016']!.Value, ['NORTH']);
});

test('a wrong group length does not matter', () => {
  const wrong = Buffer.from(bytes);
  wrong.writeUInt32LE(7, 140);
  assert.deepEqual(readFileMeta(wrong), { ...meta, dataSetOffset: bytes.length });
});

test('something that is no DICOM file, or ends early, is refused', () => {
  assert.throws(() => readFileMeta(Buffer.alloc(0)), fails('no-file-meta'));
  assert.throws(() => readFileMeta(Buffer.alloc(1000)), fails('no-file-meta'));
  assert.throws(() => readFileMeta(bytes.subarray(0, 132)), fails('no-file-meta'));
  assert.throws(() => readFileMeta(bytes.subarray(0, bytes.length - 1)), fails('truncated'));
  assert.throws(() => readFileMeta(bytes.subarray(0, 150)), fails('truncated'));
});

test('garbage after the prefix never throws anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(200), (list, cut) => {
      try {
        readFileMeta(Buffer.concat([bytes.subarray(0, 132 + cut), Buffer.from(list)]));
      } catch (error) {
        assert.ok(error instanceof DataSetError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});
