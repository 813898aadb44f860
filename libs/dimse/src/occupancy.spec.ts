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
});
