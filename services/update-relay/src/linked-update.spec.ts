import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeDataSet, encodeDataSet, element, linkElements, privateTag, tags, uids } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import fc from 'fast-check';
import { changeEvent } from '../test/given-events.ts';
import { batchFormat, batchLimits, manifestParts } from './batch.ts';
import type { Batch, BatchItem } from './batch.ts';
import { decodeLinkedUpdate, encodeLinkedUpdate } from './linked-update.ts';
import type { EncodedUpdate } from './linked-update.ts';

function batchOf(items: readonly BatchItem[]): Batch {
  return { format: batchFormat, sender: 'north', incarnation: 'a1b2', after: 4, upto: 9, items };
}

function encoded(batch: Batch): EncodedUpdate {
  const update = encodeLinkedUpdate(batch);
  assert.ok(update !== 'tooLarge');
  return update;
}

const oneEvent = batchOf([{ kind: 'event', event: changeEvent() }]);
const link = 'ISTHMUS LINK 1.0';

/** The same update with some elements replaced; undefined removes one. */
function tampered(
  update: EncodedUpdate,
  changes: { [byte: number]: ReturnType<typeof element> | undefined },
): Buffer {
  const dataSet: { [tag: string]: DataSetJson[string] } = {
    ...decodeDataSet(update.bytes, update.transferSyntaxUid),
  };
  for (const [byte, value] of Object.entries(changes)) {
    const tag = privateTag(link, Number(byte));
    if (value) dataSet[tag] = value;
    else delete dataSet[tag];
  }
  return encodeDataSet(dataSet, update.transferSyntaxUid);
}

function statusOf(bytes: Buffer): number | undefined {
  const decoded = decodeLinkedUpdate(bytes, uids.ExplicitVrLittleEndian);
  return 'status' in decoded ? decoded.status : undefined;
}

const text = fc.string({ unit: 'binary', maxLength: 40 });
const register = fc.record({
  t: fc.constant('lww' as const),
  value: fc.oneof(text, fc.integer(), fc.constant(null), fc.array(text, { maxLength: 3 })),
  rank: fc.integer({ min: 1, max: 4 }),
  hlc: fc.constant('0000000000000001'),
  origin: fc.constant('north'),
});
const registers = fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), register, {
  maxKeys: 4,
  noNullPrototype: true,
});
const item: fc.Arbitrary<BatchItem> = fc.oneof(
  registers.map((map): BatchItem => ({ kind: 'event', event: changeEvent({ registers: map }) })),
  registers.map((map): BatchItem => ({
    kind: 'state',
    study: '1.2.3',
    registers: map,
    patients: { 'P^^^D': map },
    path: ['north'],
  })),
  fc
    .integer({ min: 1, max: 30 })
    .map((count): BatchItem => ({ kind: 'manifest', manifest: manifestOf(count) })),
);

function manifestOf(count: number): Extract<BatchItem, { kind: 'manifest' }>['manifest'] {
  const instances = Array.from(
    { length: count },
    (_, index) => [`1.2.3.9.${index}`, '1.2.840.10008.5.1.4.1.1.2'] as const,
  );
  return { studyInstanceUid: '1.2.3', series: [{ seriesInstanceUid: '1.2.3.9', modality: 'CT', instances }] };
}

describe('a linked update as a data set', () => {
  it('[U1] gives back every batch that it carried, whatever text is in it', () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 8 }), (items) => {
        const batch = batchOf(items);
        const update = encoded(batch);
        const decoded = decodeLinkedUpdate(update.bytes, update.transferSyntaxUid);
        assert.ok('batch' in decoded, JSON.stringify(decoded));
        assert.deepEqual(decoded.batch, JSON.parse(JSON.stringify(batch)));
        assert.equal(decoded.sopInstanceUid, update.sopInstanceUid);
      }),
      { numRuns: 200 },
    );
  });

  it('[U16] passes on types, versions and fields that it does not know', () => {
    const event = { ...changeEvent({ type: 'HologramRotated', v: 7 }), novelty: { depth: [1, 2] } };
    const update = encoded(batchOf([{ kind: 'event', event }]));
    const decoded = decodeLinkedUpdate(update.bytes, update.transferSyntaxUid);
    assert.ok('batch' in decoded);
    assert.deepEqual(decoded.batch.items, [{ kind: 'event', event }]);
  });

  it('names the same content the same, and other content otherwise', () => {
    assert.equal(encoded(oneEvent).sopInstanceUid, encoded(oneEvent).sopInstanceUid);
    assert.notEqual(encoded(oneEvent).sopInstanceUid, encoded({ ...oneEvent, upto: 10 }).sopInstanceUid);
    assert.match(encoded(oneEvent).sopInstanceUid, /^2\.25\.[1-9][0-9]{0,38}$/);
  });

  it('is readable up to 64 KiB, and deflated above', () => {
    const small = decodeDataSet(encoded(oneEvent).bytes, uids.ExplicitVrLittleEndian);
    assert.equal(small[privateTag(link, linkElements.payloadEncoding)]?.Value?.[0], 'JSON');
    const items = Array.from({ length: 300 }, (): BatchItem => ({ kind: 'event', event: changeEvent() }));
    const large = decodeDataSet(encoded(batchOf(items)).bytes, uids.ExplicitVrLittleEndian);
    assert.equal(large[privateTag(link, linkElements.payloadEncoding)]?.Value?.[0], 'DEFLATE');
    assert.equal(large[privateTag(link, linkElements.itemCount)]?.Value?.[0], 300);
  });

  it('[U4] carries the manifest of a study of 5,000 objects in one update', () => {
    const update = encoded(batchOf([{ kind: 'manifest', manifest: manifestOf(5_000) }]));
    assert.ok(update.bytes.length < batchLimits.wireBytesMax);
  });

  it('refuses to write what would not fit through NATS', () => {
    const noise = Array.from({ length: 600_000 }, () =>
      String.fromCharCode(33 + Math.floor(Math.random() * 90)),
    ).join('');
    const value = { t: 'lww', value: noise, rank: 1, hlc: '0000000000000001', origin: 'north' } as const;
    assert.equal(
      encodeLinkedUpdate(batchOf([{ kind: 'event', event: changeEvent({ registers: { x: value } }) }])),
      'tooLarge',
    );
  });

  it('answers C102 to another format, and names the highest that it reads', () => {
    const decoded = decodeLinkedUpdate(
      tampered(encoded(oneEvent), { [linkElements.format]: element('US', 2) }),
      uids.ExplicitVrLittleEndian,
    );
    assert.deepEqual(decoded, { status: 0xc102, errorComment: 'highest format: 1' });
  });

  it('answers A900 to a wrong hash, a wrong length, another sender, and a payload that is missing', () => {
    const update = encoded(oneEvent);
    assert.equal(
      statusOf(tampered(update, { [linkElements.payloadSha256]: element('LO', 'f'.repeat(64)) })),
      0xa900,
    );
    assert.equal(statusOf(tampered(update, { [linkElements.payloadBytes]: element('UL', 3) })), 0xa900);
    assert.equal(statusOf(tampered(update, { [linkElements.sender]: element('LO', 'south') })), 0xa900);
    assert.equal(statusOf(tampered(update, { [linkElements.payloadJson]: undefined })), 0xa900);
  });

  it('answers A900 to an item that would break a merge', () => {
    const broken = { ...changeEvent(), hlc: 'yesterday' };
    assert.equal(statusOf(encoded(batchOf([{ kind: 'event', event: broken }])).bytes), 0xa900);
    const other = { kind: 'hologram' } as unknown as BatchItem;
    const faulty: Batch = batchOf([{ kind: 'event', event: changeEvent() }]);
    assert.throws(() => encodeLinkedUpdate({ ...faulty, items: [other] }));
  });

  it('never throws on bytes from the wire', () => {
    const update = encoded(oneEvent);
    fc.assert(
      fc.property(
        fc.nat({ max: update.bytes.length - 1 }),
        fc.nat({ max: 255 }),
        fc.boolean(),
        (at, byte, cut) => {
          const bytes = Buffer.from(update.bytes);
          bytes[at] = byte;
          const decoded = decodeLinkedUpdate(cut ? bytes.subarray(0, at) : bytes, update.transferSyntaxUid);
          assert.ok('batch' in decoded || decoded.errorComment.length <= 64);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('does not inflate beyond its bound', () => {
    const update = encoded(
      batchOf(Array.from({ length: 300 }, (): BatchItem => ({ kind: 'event', event: changeEvent() }))),
    );
    assert.equal(statusOf(tampered(update, { [linkElements.payloadDeflated]: element('OB') })), 0xa900);
  });

  it('carries the standard elements that say what it is', () => {
    const dataSet = decodeDataSet(encoded(oneEvent).bytes, uids.ExplicitVrLittleEndian);
    assert.equal(dataSet[tags.SOPClassUID]?.Value?.[0], uids.IsthmusLinkedUpdateStorage);
    const [summary] = dataSet[privateTag(link, linkElements.summary)]?.Value as DataSetJson[];
    assert.equal(summary?.[tags.StudyInstanceUID]?.Value?.[0], '1.2.3');
  });
});

describe('cutting a manifest', () => {
  it('names every object once, at most so many in each part', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 6 }),
        fc.integer({ min: 1, max: 10 }),
        (sizes, max) => {
          const manifest = {
            studyInstanceUid: '1.2.3',
            series: sizes.map((size, at) => ({
              ...manifestOf(size).series[0]!,
              seriesInstanceUid: `1.2.3.${at}`,
            })),
          };
          const parts = manifestParts(manifest, max);
          const names = (of: typeof manifest | (typeof parts)[number]): string[] =>
            of.series.flatMap((series) =>
              series.instances.map(([uid]) => `${series.seriesInstanceUid} ${uid}`),
            );
          assert.deepEqual(parts.flatMap(names), names(manifest));
          for (const part of parts) assert.ok(names(part).length <= max && names(part).length > 0);
        },
      ),
    );
  });
});
