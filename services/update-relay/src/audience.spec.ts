import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { audienceOf, onwardPath } from './audience.ts';

const north = { self: 'north', nextHop: { south: 'hub', east: 'hub', hub: 'hub' }, served: ['hub'] };
const mesh = { self: 'north', nextHop: { south: 'south', east: 'east' }, served: ['south', 'east'] };
const entry = { holders: ['north', 'south'], announcement: false, path: ['north'] };

describe('who gets an entry', () => {
  it('[L4] sends a study only towards clusters that hold it', () => {
    assert.deepEqual(audienceOf(entry, mesh), ['south']);
    assert.deepEqual(audienceOf({ ...entry, holders: ['north'] }, mesh), []);
  });

  it('[U7] sends to the hub what a spoke behind it holds, once', () => {
    assert.deepEqual(audienceOf({ ...entry, holders: ['south', 'east'] }, north), ['hub']);
  });

  it('[U7] tells every linked peer who became a holder', () => {
    assert.deepEqual(audienceOf({ ...entry, holders: [], announcement: true }, mesh), ['east', 'south']);
  });

  it('[U15] never sends to a cluster on the path', () => {
    assert.deepEqual(audienceOf({ ...entry, path: ['south', 'north'] }, mesh), []);
    assert.deepEqual(audienceOf({ ...entry, announcement: true, path: ['south', 'north'] }, mesh), ['east']);
  });

  it('[L2] sends nothing over a link that is off', () => {
    assert.deepEqual(audienceOf(entry, { ...mesh, served: [] }), []);
  });

  it('leaves out holders that no route leads to', () => {
    assert.deepEqual(audienceOf({ ...entry, holders: ['west', 'constructor', 'south'] }, mesh), ['south']);
  });

  it('[U15] passes over a holder that the sender serves itself, also as a way to others', () => {
    assert.deepEqual(audienceOf({ ...entry, holders: ['south', 'east'], path: ['east', 'north'] }, mesh), [
      'south',
    ]);
  });

  it('[U15] names on the path everyone else that the sender serves, and never the receiver', () => {
    assert.deepEqual(onwardPath(['west'], 'north', ['south', 'east'], 'east'), ['west', 'north', 'south']);
  });
});
