import assert from 'node:assert/strict';
import { test } from 'node:test';

import { capabilitiesOf, isAtLeast } from './capabilities.ts';

test('versions compare by number', () => {
  assert.equal(isAtLeast('2.9.10', 2, 10), false);
  assert.equal(isAtLeast('2.10.0', 2, 10), true);
  assert.equal(isAtLeast('2.15.0-dev', 2, 12), true);
  assert.equal(isAtLeast('3.0.0', 2, 12), true);
  assert.equal(isAtLeast('rubbish', 2, 0), false);
});

test('what a server can do follows from its version', () => {
  assert.deepEqual(capabilitiesOf('2.10.27'), { version: '2.10.27', syncAlways: true, atomicBatch: false });
  assert.deepEqual(capabilitiesOf('2.12.1'), { version: '2.12.1', syncAlways: true, atomicBatch: true });
});
