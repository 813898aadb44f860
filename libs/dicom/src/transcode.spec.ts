import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeDataSet } from './decode.ts';
import { element } from './data-set-json.ts';
import { encodeDataSet } from './encode.ts';
import { tags } from './tags.ts';
import { canTranscode, transcodeDataSet } from './transcode.ts';

const implicit = '1.2.840.10008.1.2';
const explicit = '1.2.840.10008.1.2.1';
const deflatedExplicit = '1.2.840.10008.1.2.1.99';
const bigEndian = '1.2.840.10008.1.2.2';
const jpeg = '1.2.840.10008.1.2.4.50';
const natives = [implicit, explicit, deflatedExplicit, bigEndian];
const inflatedBytesMax = 1_000_000;

const dataSet = {
  [tags.SOPInstanceUID]: element('UI', '1.2.3'),
  [tags.PatientName]: element('PN', 'Doe^Jane'),
  '00280103': element('US', 1),
  '00280106': element('SS', -5),
  '00280009': element('AT', '00181063'),
  '00189306': element('FD', 1.5),
  '00081140': {
    vr: 'SQ',
    Value: [
      {
        '00081155': element('UI', '1.2.4'),
        '00400275': { vr: 'SQ', Value: [{ '00400009': element('SH', 'A') }] },
      },
      {},
    ],
  },
  '00730010': element('LO', 'ISTHMUS STUDY 1.0'),
  '00731001': element('CS', 'X'),
  '7FE00010': { vr: 'OW', InlineBinary: Buffer.from([1, 2, 3, 4]).toString('base64') },
} as const;

const convert = (bytes: Buffer, from: string, to: string): Buffer =>
  transcodeDataSet(bytes, { from, to, inflatedBytesMax });

describe('transcoding of native data sets', () => {
  it('gives the same bytes as if they had been written so, between any two', () => {
    for (const from of natives) {
      for (const to of natives.filter((one) => one !== bigEndian)) {
        const converted = convert(encodeDataSet(dataSet, from), from, to);
        assert.ok(converted.equals(encodeDataSet(dataSet, to)), `${from} to ${to}`);
      }
    }
  });

  it('keeps undefined lengths, and lets what came as UN be Implicit VR inside', () => {
    const item = (tag: number, length: number): Buffer => {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt16LE(0xfffe, 0);
      bytes.writeUInt16LE(tag, 2);
      bytes.writeUInt32LE(length, 4);
      return bytes;
    };
    const inside = encodeDataSet({ '00081155': element('UI', '1.2.4') }, implicit);
    const items = Buffer.concat([item(0xe000, 0xffffffff), inside, item(0xe00d, 0), item(0xe0dd, 0)]);
    const un = Buffer.concat([Buffer.from('09001010554e0000ffffffff', 'hex'), items]);
    assert.ok(convert(un, explicit, explicit).equals(un));
    const asImplicit = Buffer.concat([Buffer.from('09001010ffffffff', 'hex'), items]);
    assert.ok(convert(un, explicit, implicit).equals(asImplicit));
    const sequence = convert(asImplicit, implicit, explicit);
    assert.deepEqual(decodeDataSet(sequence, explicit)['00091010'], {
      vr: 'SQ',
      Value: [{ '00081155': element('UI', '1.2.4') }],
    });
    assert.ok(convert(sequence, explicit, implicit).equals(asImplicit));
  });

  it('leaves out group lengths and padding, and writes as UN what is too long for its VR', () => {
    const groupLength = Buffer.from('0800000004000000' + '0a000000', 'hex');
    const body = encodeDataSet({ [tags.Modality]: element('CS', 'CT') }, implicit);
    const converted = convert(Buffer.concat([groupLength, body, Buffer.alloc(6)]), implicit, explicit);
    assert.ok(converted.equals(encodeDataSet({ [tags.Modality]: element('CS', 'CT') }, explicit)));
    const long = {
      '00080018': { vr: 'UI', Value: Array.from({ length: 9_000 }, (_, n) => `1.2.${n + 10_000}`) },
    };
    const un = convert(encodeDataSet(long, implicit), implicit, explicit);
    assert.equal(un.toString('latin1', 4, 6), 'UN');
    assert.deepEqual(decodeDataSet(un, explicit)['00080018']?.Value, long['00080018'].Value);
  });

  it('does not touch encapsulated pixel data, nor write Big Endian', () => {
    for (const [from, to] of [
      [jpeg, explicit],
      [explicit, jpeg],
      [explicit, bigEndian],
      ['1.2.3', explicit],
    ] as const) {
      assert.equal(canTranscode(from, to), false);
      assert.throws(() => convert(Buffer.alloc(0), from, to), { code: 'unknown-transfer-syntax' });
    }
  });

  it('says what is wrong with bytes that are no data set, and throws nothing else', () => {
    const whole = encodeDataSet(dataSet, implicit);
    assert.throws(() => convert(whole.subarray(0, whole.length - 2), implicit, explicit), {
      code: 'truncated',
    });
    assert.throws(() => convert(Buffer.alloc(50, 7), deflatedExplicit, explicit), { code: 'deflate' });
    const bomb = convert(
      encodeDataSet(
        { '00420011': { vr: 'OB', InlineBinary: Buffer.alloc(2_000_000).toString('base64') } },
        explicit,
      ),
      explicit,
      deflatedExplicit,
    );
    assert.throws(() => convert(bomb, deflatedExplicit, implicit), { code: 'deflate' });
    for (let at = 0; at < whole.length; at++) {
      for (const value of [0, 0x53, 0xff]) {
        const damaged = Buffer.from(whole);
        damaged[at] = value;
        for (const from of natives) {
          try {
            convert(damaged, from, from === explicit ? implicit : explicit);
          } catch (error) {
            assert.equal((error as Error).name, 'DataSetError', String(error));
          }
        }
      }
    }
  });
});
