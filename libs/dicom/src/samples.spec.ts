import assert from 'node:assert/strict';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { samplesFolder } from '../test/config.ts';
import { comparable, filesIn, load, unreadable } from '../test/samples.ts';
import {
  decodeDataSet,
  encodeDataSet,
  HeaderWalker,
  itemsOf,
  stringOf,
  stringsOf,
  tags,
  withoutElements,
} from './index.ts';
import type { DataSetJson } from './index.ts';

const samples = samplesFolder();
const skip = samples === undefined ? 'DICOM_SAMPLES names no folder of real files' : false;

function sample(name: string): DataSetJson {
  const { bytes, transferSyntaxUid } = load(join(samples!, name));
  return decodeDataSet(bytes, transferSyntaxUid);
}

test('[Q13] names in every character set of the samples read as they should', { skip }, () => {
  const expected: { readonly [file: string]: string } = {
    chrArab: 'قباني^لنزار',
    chrFren: 'Buc^Jérôme',
    chrFrenMulti: 'Buc^Jérôme',
    chrGerm: 'Äneas^Rüdiger',
    chrGreek: 'Διονυσιος',
    chrH31: 'Yamada^Tarou=山田^太郎=やまだ^たろう',
    chrH32: 'ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう',
    chrHbrw: 'שרון^דבורה',
    chrI2: 'Hong^Gildong=洪^吉洞=홍^길동',
    chrJapMulti: 'やまだ^たろう',
    chrJapMultiExplicitIR6: 'やまだ^たろう',
    chrKoreanMulti: '김희중',
    chrRuss: 'Люкceмбypг',
    chrX1: 'Wang^XiaoDong=王^小東',
    chrX2: 'Wang^XiaoDong=王^小东',
  };
  for (const [file, name] of Object.entries(expected)) {
    assert.equal(stringOf(sample(`encodings/${file}.dcm`), tags.PatientName), name, file);
  }
  for (const file of ['chrSQEncoding', 'chrSQEncoding1']) {
    const [item] = itemsOf(sample(`encodings/${file}.dcm`), tags.RequestedProcedureCodeSequence);
    assert.equal(stringOf(item!, tags.PatientName), 'ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう', file);
  }
  assert.deepEqual(stringsOf(sample('encodings/chrFrenMulti.dcm'), tags.OtherPatientIDs), ['eggs', 'spam']);
});

test('every sample is read, followed to its end and written again, or refused by name', { skip }, () => {
  for (const path of filesIn(samples!)) {
    const name = relative(samples!, path);
    const code = unreadable[name];
    if (code !== undefined) {
      assert.throws(
        () => {
          const { bytes, transferSyntaxUid } = load(path);
          const walker = new HeaderWalker(transferSyntaxUid);
          walker.push(bytes);
          assert.equal(walker.end().complete, false, name);
          decodeDataSet(bytes, transferSyntaxUid);
        },
        { code },
        name,
      );
      continue;
    }
    const { bytes, transferSyntaxUid } = load(path);
    const row = decodeDataSet(bytes, transferSyntaxUid);
    const walker = new HeaderWalker(transferSyntaxUid, { headBytesMax: 10_000_000 });
    for (let at = 0; at < bytes.length; at += 1000) walker.push(bytes.subarray(at, at + 1000));
    assert.equal(walker.end().complete, true, name);
    assert.deepEqual(
      walker.attributes,
      decodeDataSet(bytes, transferSyntaxUid, { untilTag: 0x7fe00000 }),
      name,
    );
    const kept = row[tags.PixelData]?.BulkDataURI === undefined ? row : withoutElements(row, tags.PixelData);
    const again = decodeDataSet(encodeDataSet(kept, transferSyntaxUid), transferSyntaxUid);
    assert.deepEqual(comparable(again), comparable(kept), name);
  }
});
