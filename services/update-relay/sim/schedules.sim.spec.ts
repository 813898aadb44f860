import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { playSchedule } from './schedule.ts';
import type { Outcome } from './schedule.ts';
import { topologies } from './topology.ts';

/** What fits into a run of all tests; `npm run sim` plays as many as one likes. */
const schedules = 1_000;

/** A failing schedule, in words that play it again. */
function describeFailure({ seed, failures }: Outcome): string {
  return [...failures, `again: npm run sim -- --seed ${seed} --schedules 1`].join('\n');
}

describe('clusters that are cut off, killed, switched off and copied from at random', () => {
  for (const topology of topologies) {
    it(`[U10] [U11] [L3] end with the same state at every holder, and then fall silent: ${topology}`, async () => {
      for (let seed = 1; seed <= schedules / topologies.length; seed++) {
        const outcome = await playSchedule({ seed, topology });
        assert.equal(outcome.failures.length, 0, describeFailure(outcome));
      }
    });
  }
});
