import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { given, holding, reportStatus, studyInstanceUid } from '../test/given-study.ts';
import type { StudyAt } from '../test/given-study.ts';
import { claimOf, lostClaims, mayCountOn } from './claims.ts';
import type { Claim } from './claims.ts';
import { decideClaim } from './decide-claim.ts';
import type { ClaimCommand, ClaimContext, ClaimDecision } from './decide-claim.ts';
import type { LwwRegister } from './registers.ts';
import { stateDigest } from './state-digest.ts';

const leaseMs = 600_000;

/** A study's home that grants claims; `heldForMs` starts anew with each grant and renewal. */
class Home {
  readonly site: StudyAt;
  heldForMs = 0;
  homeForMs = 10 * leaseMs;

  constructor() {
    this.site = given('north');
    this.site.does(holding());
  }

  decides(command: ClaimCommand, more: Partial<ClaimContext> = {}): ClaimDecision {
    this.site.nowMs += 1;
    const decision = decideClaim(command, this.site.study, {
      cluster: 'north',
      now: new Date(this.site.nowMs),
      clock: this.site.clock,
      newId: () => `claim-${this.site.nowMs}`,
      ...{ leaseMs, leaseMaxMs: leaseMs, homeForMs: this.homeForMs, heldForMs: this.heldForMs },
      takeoverRoles: ['chief'],
      ...more,
    });
    if ('events' in decision) {
      this.site.takes(...decision.events);
      if (decision.claim) this.heldForMs = 0;
    }
    return decision;
  }

  grants(command: ClaimCommand): Claim {
    const decision = this.decides(command);
    assert.ok('events' in decision, JSON.stringify(decision));
    assert.ok(decision.claim);
    return decision.claim;
  }

  refuses(command: ClaimCommand): string {
    const decision = this.decides(command);
    assert.ok('refused' in decision, 'was not refused');
    return decision.refused.code;
  }
}

const claim = (user: string, cluster = 'south', role = 'radiologist'): ClaimCommand => ({
  type: 'ClaimStudy',
  ...{ studyInstanceUid, user, cluster, role },
});
const takeOver = (user: string, role: string): ClaimCommand => ({
  type: 'TakeOverClaim',
  ...{ studyInstanceUid, user, cluster: 'north', role },
});
const held = (type: 'RenewClaim' | 'ReleaseClaim', { user, cluster, fence }: Claim): ClaimCommand => ({
  type,
  ...{ studyInstanceUid, user, cluster, fence },
});

describe('claims', () => {
  it('[U9] are granted by the home, to one at a time', () => {
    const home = new Home();
    const first = home.grants(claim('dr.s'));
    home.heldForMs = 1000;
    const decision = home.decides(claim('dr.n', 'north'));
    assert.ok('refused' in decision && decision.refused.code === 'HELD');
    assert.deepEqual(
      [decision.refused.claim.user, decision.refused.claim.fence, decision.refused.remainingMs],
      ['dr.s', first.fence, leaseMs - 1000],
    );
  });
  it('[U9] are granted by nobody else, who names the home', () => {
    const home = new Home();
    const decision = home.decides(claim('dr.s'), { cluster: 'south' });
    assert.deepEqual(decision, { refused: { code: 'NOT_HOME', home: 'north' } });
  });
  it('[U9] end with their lease, and the next one has a higher fence', () => {
    const home = new Home();
    const first = home.grants(claim('dr.s'));
    home.heldForMs = leaseMs;
    const second = home.grants(claim('dr.n', 'north'));
    assert.ok(second.fence > first.fence);
    assert.equal(claimOf(home.site.study)?.user, 'dr.n');
    assert.equal(home.refuses(held('RenewClaim', first)), 'CLAIM_LOST');
    assert.equal(home.refuses(held('ReleaseClaim', first)), 'CLAIM_LOST');
  });
  it('[U9] are shown as expired when the home looks', () => {
    const home = new Home();
    home.grants(claim('dr.s'));
    home.heldForMs = leaseMs - 1;
    assert.deepEqual(home.decides({ type: 'ExpireClaim', studyInstanceUid }), {
      events: [],
      claim: undefined,
    });
    home.heldForMs = leaseMs;
    home.decides({ type: 'ExpireClaim', studyInstanceUid });
    assert.equal(claimOf(home.site.study)?.state, 'expired');
    assert.deepEqual(home.decides({ type: 'ExpireClaim', studyInstanceUid }), {
      events: [],
      claim: undefined,
    });
  });
  it('are renewed by their owner, by the same fence, and no digest knows it', () => {
    const home = new Home();
    const first = home.grants(claim('dr.s'));
    const digest = stateDigest({ study: home.site.study, patients: {} });
    home.heldForMs = leaseMs - 1;
    assert.equal(home.grants(held('RenewClaim', first)).fence, first.fence);
    home.heldForMs = leaseMs - 1;
    assert.equal(home.grants(claim('dr.s')).fence, first.fence);
    assert.equal(stateDigest({ study: home.site.study, patients: {} }), digest);
    assert.ok(home.site.study['claimRenewals']);
    home.heldForMs = leaseMs;
    assert.equal(home.refuses(held('RenewClaim', first)), 'CLAIM_LOST');
  });
  it('are free again when their owner is done', () => {
    const home = new Home();
    home.decides(held('ReleaseClaim', home.grants(claim('dr.s'))));
    assert.equal(claimOf(home.site.study)?.state, 'released');
    assert.equal(home.grants(claim('dr.n')).user, 'dr.n');
  });
  it('[U9] are taken over by who may', () => {
    const home = new Home();
    const first = home.grants(claim('dr.s'));
    assert.equal(home.refuses(takeOver('dr.n', 'radiologist')), 'ROLE_MAY_NOT');
    assert.ok(home.grants(takeOver('dr.n', 'chief')).fence > first.fence);
    assert.equal(home.refuses(held('RenewClaim', first)), 'CLAIM_LOST');
  });
  it('[U9] are not granted for one longest lease after a new incarnation, not even to a chief', () => {
    const home = new Home();
    home.homeForMs = leaseMs - 5;
    assert.deepEqual(home.decides(claim('dr.s')), { refused: { code: 'NOT_YET', retryAfterMs: 5 } });
    assert.equal(home.refuses(takeOver('dr.n', 'chief')), 'NOT_YET');
    home.homeForMs = leaseMs;
    assert.equal(home.grants(claim('dr.s')).user, 'dr.s');
  });
  it('[U9] keep their fences growing when the home has forgotten them', () => {
    const home = new Home();
    const first = home.grants(claim('dr.s'));
    const { claim: _, ...forgotten } = home.site.study;
    home.site.study = forgotten;
    assert.ok(home.grants(claim('dr.n')).fence > first.fence);
  });
  it('are refused where a claim came in that leaves no fence, rather than sent where nobody reads them', () => {
    const home = new Home();
    home.grants(claim('dr.s'));
    const register = { ...(home.site.study['claim'] as LwwRegister), rank: Number.MAX_SAFE_INTEGER };
    home.site.study = { ...home.site.study, claim: register };
    home.heldForMs = leaseMs;
    assert.equal(home.refuses(claim('dr.n')), 'NO_FENCE_LEFT');
  });
  it('[U9] have never two owners at one instant, however long messages take', () => {
    const delay = fc.integer({ min: 0, max: 60_000 });
    fc.assert(
      fc.property(delay, delay, delay, fc.integer({ min: 0, max: 30_000 }), (ask, grant, back, marginMs) => {
        const home = new Home();
        const askedAtMs = ask;
        const grantedAtMs = askedAtMs + grant;
        assert.equal(home.grants(claim('dr.s')).leaseMs, leaseMs);
        // The first instant at which the home gives it to somebody else.
        const nextAtMs = [0, leaseMs - 1, leaseMs].map((heldForMs) => {
          home.heldForMs = heldForMs;
          return 'events' in home.decides(claim('dr.n')) ? grantedAtMs + heldForMs : undefined;
        });
        assert.deepEqual(nextAtMs.slice(0, 2), [undefined, undefined]);
        const nowMs = nextAtMs[2] ?? 0;
        assert.equal(mayCountOn({ askedAtMs, nowMs, leaseMs, marginMs }), false);
        const received = grantedAtMs + back;
        assert.ok(mayCountOn({ askedAtMs, nowMs: received, leaseMs, marginMs }));
      }),
    );
  });
});

describe('a status that was sent under a lost claim', () => {
  it('[U9] is kept and flagged at every cluster, naming both owners, though its clock is behind', () => {
    const home = new Home();
    const first = home.grants(claim('dr.s'));
    const south = given('south');
    south.study = home.site.study;
    home.heldForMs = leaseMs;
    home.grants(claim('dr.n', 'north'));
    south.nowMs = 500;
    const late = south.does(reportStatus('DICTATED', { by: 'dr.s', claim: first.fence }));
    home.site.takes(...late);
    assert.equal(home.site.shows().reportStatus, 'DICTATED');
    const [lost] = lostClaims(home.site.study);
    assert.deepEqual([lost?.by, lost?.fence, lost?.claim.user], ['dr.s', first.fence, 'dr.n']);
  });
  it('is none when the home had it before it granted the next claim, or under the present one', () => {
    const home = new Home();
    const first = home.grants(claim('dr.s'));
    home.site.does(reportStatus('DICTATED', { by: 'dr.s', claim: first.fence }));
    assert.deepEqual(lostClaims(home.site.study), []);
    home.decides(held('ReleaseClaim', first));
    const second = home.grants(claim('dr.n'));
    assert.deepEqual(lostClaims(home.site.study), []);
    home.site.does(reportStatus('APPROVED', { by: 'dr.n', claim: second.fence }));
    assert.deepEqual(lostClaims(home.site.study), []);
  });
  it('is none without any claim; a fence that is no number is refused', () => {
    const north = given();
    north.refuses(reportStatus('DICTATED', { claim: 1.5 }), 'VALUE_INVALID', '/claim');
    north.does(reportStatus('DICTATED', { claim: 3 }));
    assert.deepEqual(lostClaims(north.study), []);
  });
});
