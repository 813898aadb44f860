import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mergeMetrics } from './metrics-text.ts';

describe('metrics of all services', () => {
  it('[O4] name each metric once, and each sample’s service', () => {
    const one = '# HELP up Is up\n# TYPE up gauge\nup 1\nup{x="a,b"} 2\n';
    const two =
      '# HELP up Is up\n# TYPE up gauge\nup{service="two"} 1\n# TYPE h histogram\nh_bucket{le="+Inf"} 3\nh_sum 4\n';
    const merged = mergeMetrics([
      { service: 'one', text: one },
      { service: 'two', text: two },
    ]);
    assert.deepEqual(merged.split('\n').filter(Boolean), [
      '# HELP up Is up',
      '# TYPE up gauge',
      'up{service="one"} 1',
      'up{x="a,b",service="one"} 2',
      'up{service="two"} 1',
      '# TYPE h histogram',
      'h_bucket{le="+Inf",service="two"} 3',
      'h_sum{service="two"} 4',
    ]);
  });
});
