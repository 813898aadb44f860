import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { circuitBreaker } from './circuit-breaker.ts';

describe('the circuit breaker', () => {
  it('[Q8] leaves a peer alone after failures in a row, then lets one query try', () => {
    let now = 0;
    const breaker = circuitBreaker({ failuresMax: 2, pauseMs: 100, now: () => now });
    breaker.failed('south');
    assert.equal(breaker.admits('south'), true);
    breaker.failed('south');
    assert.equal(breaker.admits('south'), false);
    assert.equal(breaker.isOpen('south'), true);
    assert.equal(breaker.admits('east'), true);
    now = 100;
    assert.equal(breaker.admits('south'), true);
    assert.equal(breaker.admits('south'), false, 'one tries');
    breaker.failed('south');
    now = 150;
    assert.equal(breaker.admits('south'), false);
    now = 200;
    breaker.succeeded('south');
    assert.equal(breaker.admits('south'), true);
    breaker.failed('south');
    assert.equal(breaker.admits('south'), true, 'failures in a row count, not in all');
  });
});
