import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonValue, Register, RegisterMap } from '@isthmus/domain';
import { changeEvent } from '../test/given-events.ts';
import { changeOf, consequencesOf, foldEntry } from './fold.ts';

const at = (value: JsonValue, hlc = 1): Register => ({
  t: 'lww',
  value,
  rank: 1,
  hlc: hlc.toString(16).padStart(16, '0'),
  origin: 'north',
});
const holding = (clusters: readonly string[], hlc = 1): Register => ({
  t: 'map',
  entries: Object.fromEntries(
    clusters.map((cluster) => [
      cluster,
      at({ holds: true, complete: true, instanceCount: 1, scope: 'full' }, hlc),
    ]),
  ),
});
const facts = { self: 'north', nextHop: { south: 'hub', east: 'hub', hub: 'hub' }, foreign: true };

describe('folding one entry', () => {
  it('[U11] calls an event effective because it is the first with its id, even when it loses', () => {
    const state = { patientLocation: at('WARD 9', 9) };
    const { state: after, effective } = foldEntry(
      state,
      changeEvent({ registers: { patientLocation: at('OLD', 1) } }),
    );
    assert.equal(after, state);
    assert.equal(effective, true);
  });

  it('[U15] calls a whole state effective only when merging it changes something', () => {
    const registers = { patientLocation: at('WARD 7') };
    const event = changeEvent({ type: 'StateMerged', registers });
    assert.equal(foldEntry({}, event).effective, true);
    assert.equal(foldEntry(registers, event).effective, false);
  });

  it('leaves events of other aggregates alone', () => {
    assert.equal(changeOf({ ...changeEvent(), data: { accessionNumber: 'A1' } }), undefined);
    assert.equal(changeOf({ ...changeEvent(), data: null }), undefined);
  });
});

describe('what a change to a study obliges us to', () => {
  it('[U7] owes the state to a new holder, by way of the next hop', () => {
    const before = { holders: holding(['north']) };
    const after = { holders: holding(['north', 'south']) };
    assert.deepEqual(consequencesOf(before, after, facts).due, ['hub']);
    assert.deepEqual(consequencesOf(after, { ...after, x: at('y') }, facts).due, []);
  });

  it('owes nothing to a holder that no route leads to', () => {
    assert.deepEqual(consequencesOf({}, { holders: holding(['west']) }, facts).due, []);
  });

  it('owes the state to every holder when the study becomes another patient’s', () => {
    const before = { holders: holding(['south']), patient: at({ id: 'A', issuer: 'D' }) };
    const after = { ...before, patient: at({ id: 'B', issuer: 'D' }, 2) };
    assert.deepEqual(consequencesOf(before, after, facts).due, ['hub']);
  });

  it('looks at the disk again when our own entry comes back changed', () => {
    const before = { holders: holding(['north']) };
    const after = { holders: { t: 'map', entries: { north: at({ holds: false }, 2) } } } as RegisterMap;
    assert.equal(consequencesOf(before, after, facts).dirty, true);
    assert.equal(consequencesOf(before, after, { ...facts, foreign: false }).dirty, false);
  });

  it('[U4] looks at its objects when somebody announced others', () => {
    const after = { objects: at({ count: 2, digest: 'f'.repeat(64) }) };
    assert.equal(consequencesOf({}, after, facts).dirty, true);
  });
});
