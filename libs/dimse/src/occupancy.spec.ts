import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Occupancy } from './occupancy.ts';

const limits = {
  associationsMax: 6,
  associationsPerAddressMax: 4,
  unknownPerAddressMax: 2,
  refusalsMax: 100,
};

describe('places of an acceptor', () => {
  it('[Q13] who becomes known leaves room for the next that nobody knows yet', () => {
    const occupancy = new Occupancy(limits);
    const isServed = (address: string) => occupancy.enter(address)?.isServed;
    const first = occupancy.enter('10.0.0.1');
    assert.equal(isServed('10.0.0.1'), true);
    assert.equal(isServed('10.0.0.1'), false);
    assert.equal(first?.take('CT1', 10, true), true);
    assert.equal(isServed('10.0.0.1'), true);
    assert.equal(isServed('10.0.0.1'), false);
  });

  it('[Q13] an address full of known peers gets no more, and another still does', () => {
    const occupancy = new Occupancy(limits);
    const places = Array.from({ length: 5 }, () => {
      const place = occupancy.enter('10.0.0.1');
      place?.take('CT1', 10, true);
      return place;
    });
    assert.deepEqual(
      places.map((place) => place?.isServed),
      [true, true, true, true, false],
    );
    assert.equal(occupancy.enter('10.0.0.2')?.isServed, true);
    places[0]?.leave();
    places[0]?.leave();
    assert.deepEqual(
      [1, 2].map(() => occupancy.enter('10.0.0.1')?.isServed),
      [true, false],
    );
  });

  it('a peer that finds no place of its AE title stays unknown, and leaves nothing behind', () => {
    const occupancy = new Occupancy(limits);
    const [first, second] = [occupancy.enter('10.0.0.1'), occupancy.enter('10.0.0.1')];
    assert.equal(first?.take('CT1', 1, true), true);
    assert.equal(second?.take('CT1', 1, true), false);
    first?.leave();
    second?.leave();
    assert.equal(occupancy.connections, 0);
    assert.equal(occupancy.enter('10.0.0.1')?.take('CT1', 1, false), true);
  });

  it('[Q13] a connection that only waits gives its place to the next, the oldest of its address first', () => {
    const occupancy = new Occupancy(limits);
    const given: string[] = [];
    const enter = (address: string, name: string) => occupancy.enter(address, () => given.push(name));
    const first = enter('10.0.0.1', 'first');
    enter('10.0.0.1', 'second');
    enter('10.0.0.2', 'other');
    first?.asked();
    assert.equal(enter('10.0.0.1', 'third')?.isServed, true);
    assert.deepEqual(given, ['second']);
    assert.equal(occupancy.connections, 3);
    // What was given up is counted once, whenever its socket closes.
    assert.equal(first?.take('CT1', 10, false), true);
    assert.equal(enter('10.0.0.1', 'fourth')?.isServed, true);
    assert.deepEqual(given, ['second', 'third']);
  });

  it('[Q13] an acceptor full of connections that only wait takes the place of the address that has most', () => {
    const occupancy = new Occupancy({ ...limits, unknownPerAddressMax: 4 });
    const given: string[] = [];
    const enter = (address: string) => occupancy.enter(address, () => given.push(address));
    for (const address of ['10.0.0.1', '10.0.0.2', '10.0.0.2', '10.0.0.2', '10.0.0.3', '10.0.0.3']) {
      assert.equal(enter(address)?.isServed, true);
    }
    assert.equal(enter('10.0.0.4')?.isServed, true);
    assert.deepEqual(given, ['10.0.0.2']);
    assert.equal(occupancy.connections, limits.associationsMax);
  });

  it('[Q13] who has asked keeps the place, and who comes is told that there is none', () => {
    const occupancy = new Occupancy(limits);
    const given: string[] = [];
    for (const name of ['first', 'second']) occupancy.enter('10.0.0.1', () => given.push(name))?.asked();
    assert.equal(occupancy.enter('10.0.0.1', () => given.push('third'))?.isServed, false);
    assert.deepEqual(given, []);
  });
});
