import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Problem } from '../index.ts';
import { checkIfMatch, etagOf, requireIfMatch } from '../index.ts';

const asking = (headers: Record<string, string>): { headers: Record<string, string> } => ({ headers });
const status = (attempt: () => void): number => {
  try {
    attempt();
    return 200;
  } catch (error) {
    return (error as Problem).status;
  }
};

describe('If-Match', () => {
  it('is needed to overwrite, refused when stale, and not needed for what is new', () => {
    const present = etagOf(3);
    assert.equal(
      status(() => requireIfMatch(asking({}), present)),
      428,
    );
    assert.equal(
      status(() => requireIfMatch(asking({ 'if-match': '"2"' }), present)),
      412,
    );
    assert.equal(
      status(() => requireIfMatch(asking({ 'if-match': '"3"' }), present)),
      200,
    );
    assert.equal(
      status(() => requireIfMatch(asking({ 'if-match': '"1", "3"' }), present)),
      200,
    );
    assert.equal(
      status(() => requireIfMatch(asking({ 'if-match': '*' }), present)),
      200,
    );
    assert.equal(
      status(() => requireIfMatch(asking({ 'if-match': 'W/"3"' }), present)),
      412,
    );
    assert.equal(
      status(() => requireIfMatch(asking({}), undefined)),
      200,
    );
    assert.equal(
      status(() => requireIfMatch(asking({ 'if-match': '"1"' }), undefined)),
      412,
    );
    assert.equal(
      status(() => requireIfMatch(asking({ 'if-none-match': '*' }), present)),
      412,
    );
  });

  it('may be left out where it is optional', () => {
    assert.equal(
      status(() => checkIfMatch(asking({}), etagOf('a'))),
      200,
    );
    assert.equal(
      status(() => checkIfMatch(asking({ 'if-match': '"b"' }), etagOf('a'))),
      412,
    );
  });
});
