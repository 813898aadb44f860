import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { sourceOf } from '../test/samples.ts';
import { compareContent, decodeDataSet, element, encodeDataSet, tags, uids } from './index.ts';
import type { DataSetJson } from './index.ts';

const implicit = uids.ImplicitVrLittleEndian;
const explicit = uids.ExplicitVrLittleEndian;
const bigEndian = uids.ExplicitVrBigEndian;
const deflated = uids.DeflatedExplicitVrLittleEndian;
const jpeg = '1.2.840.10008.1.2.4.50';

const object: DataSetJson = {
  [tags.SpecificCharacterSet]: element('CS', 'ISO_IR 192'),
  [tags.ImageType]: element('CS', 'ORIGINAL', 'PRIMARY'),
  [tags.SOPInstanceUID]: element('UI', '1.2.3'),
  '00081140': element(
    'SQ',
    { '00081150': element('UI', '1.2'), '00081155': element('UI', '1.2.4') },
    { '00081150': element('UI', '1.2'), '00081155': element('UI', '1.2.5') },
  ),
  '00090010': element('LO', 'SOMEBODY 1.0'),
  '00091001': element('LO', 'odd'),
  '00091002': element('SQ', { '00100020': element('LO', 'X') }),
  '00091003': element('SQ'),
  [tags.PatientName]: element('PN', 'Müller^Jörg'),
  '00180050': element('DS', '1.0'),
  '00280002': element('US', 1),
  '00280009': element('AT', '00181063'),
  '00281052': element('DS', '-1024'),
  '0040A730': element('SQ', { '0040A730': element('SQ', { '0040A160': element('UT', 'Deep') }) }),
  '00720078': element('UL', 70_000, 3),
  '7FE00010': { vr: 'OW', InlineBinary: Buffer.alloc(140_000, 'pixels').toString('base64') },
};

type Side = readonly [bytes: Buffer, transferSyntaxUid: string];
const sideOf = ([bytes, transferSyntaxUid]: Side) => ({ bytes, transferSyntaxUid });
const compare = (one: Side, other: Side, stepBytes?: number, differencesMax = 10) =>
  compareContent(sourceOf(sideOf(one), stepBytes), sourceOf(sideOf(other), stepBytes), { differencesMax });
const written = (json: DataSetJson, transferSyntaxUid: string): Side => [
  encodeDataSet(json, transferSyntaxUid),
  transferSyntaxUid,
];
/** One Explicit VR element; `tag` as it stands in the bytes. */
const raw = (tag: string, vr: string, value: Buffer | string): Buffer => {
  const body = Buffer.from(value as string, 'latin1');
  const isLong = /^(?:O.|SQ|U[CNRT])$/.test(vr);
  const head = Buffer.alloc(isLong ? 12 : 8);
  head.write(tag, 0, 'hex');
  head.write(vr, 4, 'latin1');
  if (isLong) head.writeUInt32LE(body.length, 8);
  else head.writeUInt16LE(body.length, 6);
  return Buffer.concat([head, body]);
};
const delimited = {
  sequence: (tag: string, ...items: Buffer[]): Buffer =>
    Buffer.concat([
      Buffer.from(`${tag}53510000ffffffff`, 'hex'),
      ...items,
      Buffer.from('feffdde000000000', 'hex'),
    ]),
  item: (...elements: Buffer[]): Buffer =>
    Buffer.concat([
      Buffer.from('feff00e0ffffffff', 'hex'),
      ...elements,
      Buffer.from('feff0de000000000', 'hex'),
    ]),
};

describe('the content of two data sets', () => {
  const syntaxes = [implicit, explicit, bigEndian, deflated];

  it('is the same in every encoding, private elements and sequences included, in pieces of any size', async () => {
    for (const one of syntaxes) {
      for (const other of syntaxes) {
        assert.deepEqual(await compare(written(object, one), written(object, other)), [], `${one} ${other}`);
      }
      assert.deepEqual(await compare(written(object, explicit), written(object, one), 7), [], `${one} by 7`);
    }
  });

  it('differs where one value does, in every encoding, whatever the size', async () => {
    const changed: readonly [path: string, json: DataSetJson][] = [
      ['00100010', { ...object, [tags.PatientName]: element('PN', 'Müller^Jürg') }],
      ['00180050', { ...object, '00180050': element('DS', '1') }],
      ['00091001', { ...object, '00091001': element('LO', 'even') }],
      ['00091002[1].00100020', { ...object, '00091002': element('SQ', { '00100020': element('LO', 'Y') }) }],
      ['00720078', { ...object, '00720078': element('UL', 70_001, 3) }],
      ['00280009', { ...object, '00280009': element('AT', '00181064') }],
      [
        '0040A730[1].0040A730[1].0040A160',
        {
          ...object,
          '0040A730': element('SQ', { '0040A730': element('SQ', { '0040A160': element('UT', 'Deeper') }) }),
        },
      ],
      [
        '7FE00010',
        {
          ...object,
          '7FE00010': { vr: 'OW', InlineBinary: Buffer.alloc(140_000, 'Pixels').toString('base64') },
        },
      ],
    ];
    for (const [path, json] of changed) {
      for (const syntax of syntaxes) {
        const found = await compare(written(object, explicit), written(json, syntax));
        assert.deepEqual(found, [path], `${path} in ${syntax}`);
      }
    }
  });

  it('differs where an element, an item or a value is missing or more', async () => {
    const { '00180050': _thickness, ...without } = object;
    assert.deepEqual(await compare(written(object, explicit), written(without, implicit)), ['00180050']);
    assert.deepEqual(await compare(written(without, implicit), written(object, explicit)), ['00180050']);
    const [first] = object['00081140']!.Value as DataSetJson[];
    const fewer = { ...object, '00081140': element('SQ', first) };
    assert.deepEqual(await compare(written(object, implicit), written(fewer, explicit)), ['00081140[2]']);
    const none = { ...object, '00081140': element('SQ') };
    assert.deepEqual(await compare(written(none, explicit), written(object, explicit)), ['00081140']);
    const empty = { ...object, [tags.PatientName]: element('PN') };
    assert.deepEqual(await compare(written(object, explicit), written(empty, explicit)), ['00100010']);
  });

  it('lists at most as many differences as asked for', async () => {
    const found = await compare(written(object, explicit), written({}, explicit), undefined, 3);
    assert.deepEqual(found, [tags.ImageType, tags.SOPInstanceUID, '00081140']);
  });

  it('does not depend on lengths, group lengths, padding or Length to End', async () => {
    const inner = [raw('08005011', 'UI', '1.2\0'), raw('08005511', 'UI', '1.2.4\0')];
    const plain = Buffer.concat([
      raw('08001800', 'UI', '1.2.3\0'),
      delimited.sequence('08004011', delimited.item(...inner)),
      raw('10001000', 'PN', 'Doe^Jane'),
    ]);
    const body = Buffer.concat(inner);
    const itemHead = Buffer.from('feff00e000000000', 'hex');
    itemHead.writeUInt32LE(body.length, 4);
    const other = Buffer.concat([
      raw('08000000', 'UL', '\x10\0\0\0'),
      raw('08000100', 'UL', '\x20\0\0\0'),
      raw('08000500', 'CS', 'ISO_IR 100'),
      raw('08001800', 'UI', '1.2.3'),
      raw('08004011', 'SQ', Buffer.concat([itemHead, body])),
      raw('10000000', 'UL', '\x10\0\0\0'),
      raw('10001000', 'PN', 'Doe^Jane  '),
      raw('fcfffcff', 'OB', Buffer.alloc(10)),
      Buffer.alloc(7),
    ]);
    assert.deepEqual(await compare([plain, explicit], [other, explicit]), []);
    assert.deepEqual(await compare([other, explicit], [plain, explicit], 3), []);
  });

  it('does not depend on the character set, but on the text', async () => {
    const latin1 = (name: string): Side => [
      Buffer.concat([raw('08000500', 'CS', 'ISO_IR 100'), raw('10001000', 'PN', name)]),
      explicit,
    ];
    const unicode = written(
      {
        [tags.SpecificCharacterSet]: element('CS', 'ISO_IR 192'),
        [tags.PatientName]: element('PN', 'Müller'),
      },
      explicit,
    );
    assert.deepEqual(await compare(latin1('M\xfcller'), unicode), []);
    assert.deepEqual(await compare(latin1('M\xf6ller'), unicode), ['00100010']);
  });

  it('differs where text that cannot be decoded has other bytes', async () => {
    const broken = (name: string): Side => [
      Buffer.concat([raw('08000500', 'CS', 'ISO_IR 192'), raw('10001000', 'PN', name)]),
      explicit,
    ];
    assert.deepEqual(await compare(broken('M\xfcller'), broken('M\xfcller')), []);
    assert.deepEqual(await compare(broken('M\xfcller'), broken('M\xf6ller')), ['00100010']);
  });

  it('takes a value of odd length for the one that was padded, but numbers as they are', async () => {
    const binary = (vr: string, value: Buffer): Side => [raw('09000110', vr, value), explicit];
    const odd = binary('OB', Buffer.of(1, 2, 3));
    assert.deepEqual(await compare(odd, binary('OB', Buffer.of(1, 2, 3, 0))), []);
    assert.deepEqual(await compare(odd, binary('OB', Buffer.of(1, 2, 3, 4))), ['00091001']);
    const one = binary('US', Buffer.of(1, 0));
    assert.deepEqual(await compare(one, binary('US', Buffer.of(1, 0, 0, 0))), ['00091001']);
    const large = binary('OB', Buffer.alloc(200_001, 1));
    assert.deepEqual(
      await compare(large, binary('OB', Buffer.concat([Buffer.alloc(200_001, 1), Buffer.alloc(1)]))),
      [],
    );
  });

  it('of compressed pixels is that of the fragments, in one transfer syntax alone', async () => {
    const pixels = (offsetTable: string, ...fragments: readonly string[]): Buffer =>
      Buffer.concat([
        Buffer.from('e07f10004f420000ffffffff', 'hex'),
        ...[offsetTable, ...fragments].map((text) => {
          const head = Buffer.from('feff00e000000000', 'hex');
          head.writeUInt32LE(text.length, 4);
          return Buffer.concat([head, Buffer.from(text)]);
        }),
        Buffer.from('feffdde000000000', 'hex'),
      ]);
    const found = (one: Buffer, other: Buffer, otherSyntax = jpeg) =>
      compare([one, jpeg], [other, otherSyntax], 5);
    assert.deepEqual(await found(pixels('', 'ab', 'cd'), pixels('\0\0\0\0', 'ab', 'cd')), []);
    assert.deepEqual(await found(pixels('', 'ab', 'cd'), pixels('', 'ab', 'ce')), ['7FE00010']);
    assert.deepEqual(await found(pixels('', 'ab', 'cd'), pixels('', 'abcd')), ['7FE00010']);
    const jpegLs = '1.2.840.10008.1.2.4.80';
    assert.deepEqual(await found(pixels('', 'ab'), pixels('', 'ab'), jpegLs), ['7FE00010']);
    assert.deepEqual(await found(pixels('', 'ab'), raw('e07f1000', 'OB', 'ab'), explicit), ['7FE00010']);
  });

  it('is not guessed of what is cut off, out of order, or not what it says', async () => {
    const whole = encodeDataSet(object, explicit);
    const good: Side = [whole, explicit];
    await assert.rejects(compare([whole.subarray(0, -1), explicit], good), { code: 'truncated' });
    const twice = Buffer.concat([raw('10002000', 'LO', 'A '), raw('10002000', 'LO', 'A ')]);
    await assert.rejects(compare([twice, explicit], [twice, explicit]), { code: 'malformed' });
    const swapped = Buffer.concat([raw('10002000', 'LO', 'A '), raw('08001800', 'UI', '1.')]);
    await assert.rejects(compare([swapped, explicit], [swapped, explicit]), { code: 'malformed' });
    await assert.rejects(compare([whole, '1.2.3.4'], good), { code: 'unknown-transfer-syntax' });
    const many = [
      deflateRawSync(Buffer.alloc(8_000_000, Buffer.from('fe7f10004c4f0000', 'hex'))),
      deflated,
    ] as const;
    await assert.rejects(compare(many, many), { name: 'DataSetError' });
  });

  it('ends when it is no longer wanted, and looks at no more parts than allowed', async () => {
    const [bytes] = written(object, explicit);
    const options = { differencesMax: 5 };
    const source = () => sourceOf(sideOf([bytes, explicit]), 100);
    await assert.rejects(
      compareContent(source(), source(), { ...options, signal: AbortSignal.abort(new Error('late')) }),
      /late/,
    );
    await assert.rejects(compareContent(source(), source(), { ...options, partsMax: 10 }), {
      code: 'too-large',
    });
  });

  it('never crashes on garbage, nor calls it the same as what the decoder reads differently', async () => {
    const whole = encodeDataSet(object, explicit).subarray(0, 600);
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (let round = 0; round < 600; round++) {
      const damaged = Buffer.from(whole);
      damaged[random(damaged.length)] = random(256);
      try {
        const found = await compare([whole, explicit], [damaged, explicit], 1 + random(700));
        if (found.length > 0) continue;
        const [mine, theirs] = [whole, damaged].map((bytes) => ({
          ...decodeDataSet(bytes, explicit),
          [tags.SpecificCharacterSet]: element('CS'),
        }));
        assert.deepEqual(JSON.stringify(mine), JSON.stringify(theirs));
      } catch (error) {
        assert.equal((error as Error).name, 'DataSetError', (error as Error).stack);
      }
    }
  });
});
