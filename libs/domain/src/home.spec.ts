import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { given, holding, StudyAt, studyInstanceUid } from '../test/given-study.ts';
import { compareText } from './canonical.ts';
import { digest } from './digest.ts';
import { greatestStamp } from './greatest-stamp.ts';
import { homeOf, homeRegister, homeTerm } from './home.ts';
import { mergeRegisters } from './merge.ts';
import { isMalformed, parseRegisters } from './parse.ts';
import type { RegisterMap } from './registers.ts';

const stamps = fc
  .bigInt({ min: 0n, max: 0xefff_ffff_ffff_ffffn })
  .map((n) => n.toString(16).padStart(16, '0'));
const claims = fc.record({
  cluster: fc.constantFrom('north', 'south', 'east'),
  term: fc.integer({ min: 1, max: 3 }),
  stamp: fc.oneof(stamps, fc.constantFrom('0000000000000001', '0000000000000002')),
});
const transferTo = (to: string) => ({ type: 'TransferHome', studyInstanceUid, to }) as const;

/** Two clusters that hold the study and know of each other; north is its home. */
function bothHold(): { north: StudyAt; south: StudyAt } {
  const north = given('north');
  const south = given('south');
  south.takes(...north.does(holding()));
  north.takes(...south.does(holding()));
  return { north, south };
}

describe('the home of a study', () => {
  it('[U10] is the cluster that stored first, when two stored without knowing of each other', () => {
    const north = given('north');
    const south = given('south');
    south.nowMs += 60_000;
    const atSouth = south.does(holding());
    const atNorth = north.does(holding());
    north.takes(...atSouth);
    south.takes(...atNorth);
    assert.deepEqual([north.shows().homeCluster, south.shows().homeCluster], ['north', 'north']);
    assert.equal(digest(north.study), digest(south.study));
  });
  it('[U10] is that of the greatest term and, within a term, of the lowest stamp, merged in any order', () => {
    fc.assert(
      fc.property(fc.array(claims, { minLength: 1, maxLength: 6 }), fc.gen(), (made, gen) => {
        const states = made.map(({ cluster, term, stamp }): RegisterMap => ({
          home: homeRegister(cluster, term, stamp),
        }));
        const order = states.map((state) => [gen(fc.nat), state] as const).sort(([a], [b]) => a - b);
        const home = homeOf(order.map(([, state]) => state).reduce(mergeRegisters));
        const [first] = [...made].sort(
          (a, b) => b.term - a.term || compareText(a.stamp, b.stamp) || compareText(b.cluster, a.cluster),
        );
        assert.equal(home, first?.cluster);
      }),
      { numRuns: 500 },
    );
  });
  it('is what peers may send, and moves no clock of anybody', () => {
    const state = { home: homeRegister('north', 1, '0000018bcfe56800') };
    assert.equal(isMalformed(parseRegisters(state)), false);
    assert.equal(greatestStamp(state), '0000000000000000');
  });
  it('[U16] stays where an older version put it when a newer one stored at the same time', () => {
    const older: RegisterMap = {
      home: { t: 'lww', value: { cluster: 'south' }, rank: 1, hlc: '0000018bcfe56800', origin: 'south' },
    };
    const newer: RegisterMap = { home: homeRegister('north', 1, '0000018bcfe56000') };
    assert.equal(homeOf(mergeRegisters(older, newer)), 'south');
    assert.equal(homeOf(mergeRegisters(newer, older)), 'south');
    const transferred: RegisterMap = { home: homeRegister('north', 2, '0000018bcfe56000') };
    assert.equal(homeOf(mergeRegisters(older, transferred)), 'north');
  });
  it('can be transferred to another holder, once', () => {
    const { north, south } = bothHold();
    const events = north.does({ ...transferTo('south'), by: 'admin' });
    assert.deepEqual(
      events.map(({ type, data }) => [type, data.intent, data.by]),
      [['HomeTransferred', { cluster: 'south' }, 'admin']],
    );
    assert.equal(south.takes(...events).shows().homeCluster, 'south');
    assert.equal(homeTerm(south.study), 2);
    assert.deepEqual(south.does(transferTo('south')), []);
  });
  it('stays with the first of two transfers that were made apart', () => {
    const { north, south } = bothHold();
    const atEast = given('east').does(holding({ mayBecomeHome: false }));
    north.takes(...atEast);
    south.takes(...atEast).nowMs += 60_000;
    const later = south.does(transferTo('south'));
    north.does(transferTo('east'));
    assert.equal(north.takes(...later).shows().homeCluster, 'east');
  });
  it('goes to nobody who holds nothing, and to nobody of a study that is not known', () => {
    given().refuses(transferTo('south'), 'VALUE_INVALID', '/to');
    new StudyAt('north').refuses(transferTo('south'), 'STUDY_UNKNOWN');
  });
});
