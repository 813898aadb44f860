import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checksum } from './checksum.ts';

function of(...pieces: readonly Buffer[]): string {
  const sum = checksum();
  for (const piece of pieces) sum.update(piece);
  return sum.digest();
}

describe('the checksum of a data set', () => {
  it('is GMAC: test case 1 of the GCM specification for no bytes', () => {
    assert.equal(of(), '58e2fccefa7e3061367f1d57a4e7455a');
  });

  it('does not depend on the pieces that the bytes come in', () => {
    const bytes = Buffer.from(Array.from({ length: 1_000 }, (_, n) => n & 0xff));
    for (const cut of [1, 15, 16, 17, 500, 999]) {
      assert.equal(of(bytes.subarray(0, cut), bytes.subarray(cut)), of(bytes));
    }
  });

  it('tells a changed bit, a missing byte and a swap apart', () => {
    const bytes = Buffer.alloc(64, 7);
    const changed = Buffer.from(bytes);
    changed.writeUInt8(6, 40);
    const [a, b] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)];
    assert.equal(new Set([of(bytes), of(changed), of(bytes.subarray(1)), of(a, b), of(b, a)]).size, 5);
  });
});
