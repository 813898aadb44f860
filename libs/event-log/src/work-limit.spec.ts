import assert from 'node:assert/strict';
import { test } from 'node:test';

import { WorkLimit } from './work-limit.ts';

test('as many as allowed run, as many as allowed wait, the next is refused', async () => {
  const limit = new WorkLimit(2, 1);
  const releases: (() => void)[] = [];
  const task = (): Promise<void> => new Promise((resolve) => releases.push(resolve));
  assert.deepEqual(
    [limit.add(task), limit.add(task), limit.add(task), limit.add(task)],
    [true, true, true, false],
  );
  assert.equal(releases.length, 2);
  releases[0]?.();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(releases.length, 3);
  assert.equal(limit.add(task), true);
  let idle = false;
  const waiting = limit.idle().then(() => (idle = true));
  for (let index = 1; index < 4; index++) {
    assert.equal(idle, false);
    releases[index]?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await waiting;
});
