import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { changeEvent } from '../test/given-events.ts';
import { compose } from './compose.ts';
import { positionAfter } from './delivery-step.ts';
import { decodeLinkedUpdate } from './linked-update.ts';
import type { Unit } from './outbox.ts';

const facts = { sender: 'north', incarnation: 'x', after: 0, upto: 100 };

/** An entry whose payload does not compress. */
function unit(sequence: number, bytes = 0): Unit {
  const value = {
    t: 'lww',
    value: randomBytes(bytes).toString('hex'),
    rank: 1,
    hlc: '0000000000000001',
    origin: 'north',
  } as const;
  const event = changeEvent({ registers: { x: value } });
  return { item: { kind: 'event', event }, manifest: undefined, source: { kind: 'entry', sequence } };
}

function manifestUnit(objects: number): Unit {
  const uid = (): string => `2.25.${BigInt(`0x${randomBytes(16).toString('hex')}`)}`;
  const instances = Array.from({ length: objects }, () => [uid(), uid()] as const);
  const manifest = {
    studyInstanceUid: '1.2',
    series: [{ seriesInstanceUid: '1.2.1', modality: 'CT', instances }],
  };
  return { ...unit(1), manifest };
}

describe('packing what a peer is to get', () => {
  it('puts all that fits into one update, in order', () => {
    const units = [unit(1), unit(2), unit(3)];
    const composed = compose(units, facts);
    assert.ok('shipments' in composed);
    assert.deepEqual(
      composed.shipments.map((shipment) => shipment.units),
      [units],
    );
  });

  it('sends the first ones when all together would be too large', () => {
    const units = [unit(1, 150_000), unit(2, 150_000), unit(3, 150_000), unit(4, 150_000)];
    const composed = compose(units, facts);
    assert.ok('shipments' in composed);
    assert.deepEqual(
      composed.shipments.map((shipment) => shipment.units),
      [units.slice(0, 2)],
    );
  });

  it('[U14] says which unit can never be sent', () => {
    const units = [unit(1, 600_000), unit(2)];
    assert.deepEqual(compose(units, facts), { oversized: units[0] });
  });

  it('[U4] sends a manifest that does not fit in parts, ahead of what announces it', () => {
    const composed = compose([manifestUnit(20_000)], facts);
    assert.ok('shipments' in composed);
    const decoded = composed.shipments.map(({ update }) =>
      decodeLinkedUpdate(update.bytes, update.transferSyntaxUid),
    );
    const kinds = decoded.flatMap((one) =>
      'batch' in one ? one.batch.items.map((item) => item.kind) : ['?'],
    );
    assert.equal(kinds.at(-1), 'event');
    assert.ok(kinds.length > 2 && kinds.slice(0, -1).every((kind) => kind === 'manifest'));
    assert.deepEqual(
      composed.shipments.map((shipment) => shipment.units.length),
      [...kinds.slice(0, -1).map(() => 0), 1],
    );
  });
});

describe('the position after a part of the work', () => {
  const due: Unit = { ...unit(0), source: { kind: 'due', study: '1.2', version: 1 } };
  const work = { units: [unit(11), unit(15), due], upto: 20 };

  it('stays below the first entry that is not done', () => {
    assert.equal(positionAfter(work, work.units.slice(0, 1)), 14);
  });

  it('passes over everything looked at once all entries are done', () => {
    assert.equal(positionAfter(work, work.units.slice(0, 2)), 20);
    assert.equal(positionAfter(work, work.units), 20);
  });
});
