import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { states } from '../test/registers.ts';
import { canonicalJson } from './canonical.ts';
import { digest } from './digest.ts';
import { mergeRegisters } from './merge.ts';
import type { Register, RegisterMap } from './registers.ts';

const bytes = (state: RegisterMap): string => canonicalJson(state);

describe('merging registers, known, unknown and broken ones', () => {
  it('[U10] is commutative', () => {
    fc.assert(
      fc.property(states, states, (a, b) =>
        assert.equal(bytes(mergeRegisters(a, b)), bytes(mergeRegisters(b, a))),
      ),
      { numRuns: 2000 },
    );
  });
  it('[U10] is associative', () => {
    fc.assert(
      fc.property(states, states, states, (a, b, c) =>
        assert.equal(
          bytes(mergeRegisters(mergeRegisters(a, b), c)),
          bytes(mergeRegisters(a, mergeRegisters(b, c))),
        ),
      ),
      { numRuns: 2000 },
    );
  });
  it('[U10] is idempotent and gives the same reference exactly when nothing is new', () => {
    fc.assert(
      fc.property(states, states, (a, b) => {
        assert.equal(mergeRegisters(a, a), a);
        assert.equal(mergeRegisters(a, structuredClone(a)), a);
        const merged = mergeRegisters(a, b);
        assert.equal(merged === a, bytes(merged) === bytes(a));
        assert.equal(mergeRegisters(merged, b), merged);
      }),
      { numRuns: 2000 },
    );
  });
  it('changes neither argument and no prototype', () => {
    fc.assert(
      fc.property(states, states, (a, b) => {
        const before = [bytes(a), bytes(b)];
        const merged = mergeRegisters(a, b);
        assert.deepEqual([bytes(a), bytes(b)], before);
        assert.equal(Object.getPrototypeOf(merged), Object.prototype);
      }),
    );
  });
  it('gives equal digests to states that were merged in any order', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }),
        fc.array(states, { minLength: 4, maxLength: 4 }),
        (order, parts) => {
          const inOrder = parts.reduce(mergeRegisters);
          const shuffled = order.map((place) => parts[place] ?? {}).reduce(mergeRegisters);
          assert.equal(digest(inOrder), digest(shuffled));
        },
      ),
    );
  });
  it('orders by rank before time, by time before origin', () => {
    const register = (rank: number, hlc: string, origin: string): RegisterMap => ({
      r: { t: 'lww', value: origin, rank, hlc, origin },
    });
    const ris = register(2, '0000000000000001', 'a');
    const late = register(1, '0000000000000009', 'b');
    assert.equal(mergeRegisters(ris, late), ris);
    assert.equal(mergeRegisters(late, register(1, '0000000000000009', 'c'))['r']?.t, 'lww');
    assert.deepEqual(
      mergeRegisters(late, register(1, '0000000000000009', 'c')),
      register(1, '0000000000000009', 'c'),
    );
  });
  it('[U16] keeps members that a later version added to a register', () => {
    const newer = { r: { t: 'map', entries: {}, since: 'v9' } } as unknown as RegisterMap;
    const entry: Register = { t: 'max', value: 1 };
    assert.deepEqual(mergeRegisters({ r: { t: 'map', entries: { x: entry } } }, newer), {
      r: { t: 'map', entries: { x: entry }, since: 'v9' },
    });
  });
});
