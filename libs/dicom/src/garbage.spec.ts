import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dataSets, layouts, pieces } from '../test/arbitraries.ts';
import { DataSetError, decodeDataSet, encodeDataSet, HeaderWalker } from './index.ts';

const anyLayout = fc.constantFrom(...Object.values(layouts));

function read(bytes: Buffer, uid: string): void {
  try {
    decodeDataSet(bytes, uid);
  } catch (error) {
    assert.ok(error instanceof DataSetError, String(error));
  }
  const walker = new HeaderWalker(uid);
  for (const piece of pieces(bytes, [5, 77])) walker.push(piece);
  walker.end();
  assert.equal(typeof walker.attributes, 'object');
}

test('ten thousand random inputs are read, or refused with a DataSetError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), anyLayout, (list, uid) => read(Buffer.from(list), uid)),
    { numRuns: 10_000 },
  );
});

test('real data sets with a few bytes changed are read, or refused with a DataSetError', () => {
  const changes = fc.array(fc.tuple(fc.nat(3000), fc.nat(255)), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(dataSets, anyLayout, changes, (row, uid, list) => {
      const bytes = encodeDataSet(row, uid);
      for (const [at, byte] of list) if (bytes.length > 0) bytes[at % bytes.length] = byte;
      read(bytes, uid);
    }),
    { numRuns: 1000 },
  );
});

test('lengths that promise more than there is cost nothing', () => {
  const promise = Buffer.from('100020004c4f0000', 'hex');
  const lying = Buffer.concat([Buffer.from('0900011055540000feffffff', 'hex'), Buffer.alloc(100)]);
  for (const bytes of [promise, lying]) for (const uid of Object.values(layouts)) read(bytes, uid);
});

test('a megabyte of the smallest elements, items and zeros is read in one pass', () => {
  for (const unit of [
    '0900011000000000',
    'feff00e000000000',
    '0000000000000000',
    '08001011ffffffff',
    '1b1b1b1b1b1b1b1b',
  ]) {
    const bytes = Buffer.concat(Array.from({ length: 131_072 }, () => Buffer.from(unit, 'hex')));
    for (const uid of [layouts.implicit, layouts.explicit]) read(bytes, uid);
  }
});
