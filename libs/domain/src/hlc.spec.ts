import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isStamp, nextStamp, observe, stampMilliseconds, tick } from './hlc.ts';

const stamps = fc
  .bigInt({ min: 0n, max: 0xefffffffffffffffn })
  .map((value) => value.toString(16).padStart(16, '0'));
const wallMs = fc.integer({ min: 0, max: 4_102_444_800_000 });

describe('hybrid logical clock', () => {
  it('[U10] gives a stamp greater than every stamp seen, whatever the wall clock says', () => {
    fc.assert(
      fc.property(stamps, stamps, stamps, wallMs, (clock, register, seen, nowMs) => {
        const next = nextStamp({ clock, nowMs, register, seen });
        assert.ok(next > clock && next > register && next > seen);
        assert.equal(next.length, 16);
      }),
    );
  });
  it('follows the wall clock when that is ahead', () => {
    assert.equal(stampMilliseconds(tick('', 1_700_000_000_000)), 1_700_000_000_000);
    assert.equal(stampMilliseconds(tick(tick('', 1000), 2000)), 2000);
  });
  it('counts when the wall clock stands still or goes back, carrying into the milliseconds', () => {
    assert.equal(tick('00000000000a0000', 10), '00000000000a0001');
    assert.equal(tick('00000000000a0000', 3), '00000000000a0001');
    assert.equal(tick('00000000000affff', 3), '00000000000b0000');
  });
  it('passes over what is not a stamp', () => {
    assert.equal(
      observe('zz', undefined, '00000000000A0000', 'ffffffffffffffff', '0000000000000001'),
      '0000000000000001',
    );
    assert.equal(observe(), '');
  });
  it('refuses stamps so near the end of the scale that no edit could beat them', () => {
    assert.equal(isStamp('ffffffffffffffff'), false);
    assert.equal(isStamp('efffffffffffffff'), true);
  });
});
