import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fill } from './reference/markdown.ts';
import { referencePages } from './reference/pages.ts';
import { root } from './reference/source.ts';

describe('the reference pages', () => {
  for (const [file, text] of referencePages()) {
    it(`say what the code says: ${file} (else: npm run reference)`, () => {
      assert.equal(readFileSync(root + file, 'utf8'), text);
    });
  }

  it('refuse a place that nothing is generated for, and a part without a place', () => {
    const page = 'a\n<!-- generated:one -->\nold\n<!-- /generated -->\nz';
    const filled = fill(page, new Map([['one', 'new']]));
    assert.equal(filled, 'a\n<!-- generated:one -->\n\nnew\n\n<!-- /generated -->\nz');
    assert.equal(fill(filled, new Map([['one', 'new']])), filled);
    assert.throws(() => fill(page, new Map()), /nothing is generated for: one/);
    assert.throws(() => fill('', new Map([['two', '']])), /no place for: two/);
  });
});
