import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { pieces } from '../test/arbitraries.ts';
import { DataSetError } from './errors.ts';
import { InflateStream } from './inflate-stream.ts';

function inflate(chunks: readonly Buffer[], inflatedBytesMax = 10_000_000) {
  const out: Buffer[] = [];
  const stream = new InflateStream((bytes) => out.push(Buffer.from(bytes)), inflatedBytesMax);
  for (const chunk of chunks) stream.push(chunk);
  return { bytes: Buffer.concat(out), finished: stream.finished };
}

const strategies = fc.record({
  level: fc.constantFrom(0, 1, 6, 9),
  strategy: fc.constantFrom(
    constants.Z_DEFAULT_STRATEGY,
    constants.Z_FIXED,
    constants.Z_HUFFMAN_ONLY,
    constants.Z_RLE,
  ),
});

const contents = fc.oneof(
  fc.uint8Array({ maxLength: 3000 }).map((list) => Buffer.from(list)),
  fc.tuple(fc.string({ minLength: 1 }), fc.nat(3000)).map(([text, count]) => Buffer.from(text.repeat(count))),
);

test('gives back what zlib deflated, in whatever pieces it comes', () => {
  fc.assert(
    fc.property(
      contents,
      strategies,
      fc.array(fc.nat(100_000), { maxLength: 20 }),
      (content, options, ends) => {
        const seen = inflate(pieces(deflateRawSync(content, options), ends));
        assert.equal(seen.finished, true);
        assert.ok(seen.bytes.equals(content));
      },
    ),
    { numRuns: 500 },
  );
});

test('matches reach back over the whole window of 32 KB', () => {
  const block = Buffer.from(Array.from({ length: 32_768 }, (_, index) => (index * 7919) >> 3));
  const content = Buffer.concat([block, block, block, block.subarray(5), block]);
  assert.ok(inflate([deflateRawSync(content)]).bytes.equals(content));
});

test('is not finished before the last block has ended, and ignores what follows it', () => {
  const deflated = deflateRawSync(Buffer.from('a data set'.repeat(50)));
  assert.equal(inflate([deflated.subarray(0, -1)]).finished, false);
  assert.equal(inflate([deflated, Buffer.alloc(3)]).finished, true);
});

test('damage and bombs are refused', () => {
  const refused = (code: string) => (error: unknown) => error instanceof DataSetError && error.code === code;
  assert.throws(() => inflate([Buffer.of(0x07)]), refused('deflate'));
  assert.throws(() => inflate([Buffer.of(0x01, 1, 0, 1, 0)]), refused('deflate'));
  assert.throws(() => inflate([Buffer.of(0x63, 0x00, 0x42, 0xff, 0xff)]), refused('deflate'));
  assert.throws(() => inflate([deflateRawSync(Buffer.alloc(1_000_000))], 999_999), refused('deflate'));
});

test('what stands before the damage is given out, whatever the pieces', () => {
  const deflated = deflateRawSync(Buffer.alloc(300, 'good '), { finishFlush: constants.Z_SYNC_FLUSH });
  const damagedBytes = Buffer.concat([deflated, Buffer.of(0x07)]);
  for (const ends of [[], [deflated.length], [1, 2, 3, deflated.length - 1]]) {
    const out: Buffer[] = [];
    const stream = new InflateStream((bytes) => out.push(Buffer.from(bytes)), 1_000);
    assert.throws(() => {
      for (const piece of pieces(damagedBytes, ends)) stream.push(piece);
    }, DataSetError);
    assert.equal(Buffer.concat(out).length, 300, String(ends));
  }
});

test('a sink that throws is not given the same bytes again', () => {
  let calls = 0;
  const refusal = new Error('enough');
  const stream = new InflateStream(() => {
    calls += 1;
    throw refusal;
  }, 1_000);
  assert.throws(() => stream.push(deflateRawSync(Buffer.alloc(300, 'good '))), refusal);
  assert.equal(calls, 1);
});

test('garbage ends in a DataSetError or in nothing, soon', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (list) => {
      try {
        inflate([Buffer.from(list)]);
      } catch (error) {
        assert.ok(error instanceof DataSetError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});
