import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mutations } from './mutations.ts';
import { playSchedule } from './schedule.ts';

/** Schedules within which the missing rule must be noticed. */
const schedulesMax = 400;

describe('a rule of the link protocol that is left out', () => {
  for (const [rule, without] of Object.entries(mutations)) {
    it(`[U10] is missed: ${rule}`, async (test) => {
      for (let seed = 1; seed <= schedulesMax; seed++) {
        const { failures } = await playSchedule({ seed, without });
        if (failures.length > 0) {
          test.diagnostic(`seed ${seed}: ${failures[0]}`);
          return;
        }
      }
      assert.fail(`${schedulesMax} schedules went well without it`);
    });
  }
});
