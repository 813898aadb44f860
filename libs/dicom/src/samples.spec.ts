import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import {
  decodeDataSet,
  encodeDataSet,
  HeaderWalker,
  itemsOf,
  readFileMeta,
  stringOf,
  stringsOf,
  tags,
  withoutElements,
} from './index.ts';
import type { DataElement, DataSetJson } from './index.ts';

// The one place where specs look at the environment: a folder of real files, which the suite also passes without.
const samples = process.env['DICOM_SAMPLES'];
const skip = samples === undefined ? 'DICOM_SAMPLES names no folder of real files' : false;
const dcm2json = spawnSync('dcm2json', ['--version']).error === undefined;

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile() && !path.endsWith('LICENSE'))
    .sort();
}

function load(path: string) {
  const bytes = readFileSync(path);
  const meta = readFileMeta(bytes);
  return { ...meta, bytes: bytes.subarray(meta.dataSetOffset) };
}

function sample(name: string): DataSetJson {
  const { bytes, transferSyntaxUid } = load(join(samples!, name));
  return decodeDataSet(bytes, transferSyntaxUid);
}

const unreadable: { readonly [name: string]: string } = {
  'malformed/MR_truncated.dcm': 'truncated',
  'malformed/rtplan_truncated.dcm': 'truncated',
  'malformed/no_meta.dcm': 'no-file-meta',
  'transfer-syntaxes/rtstruct.dcm': 'no-file-meta',
};

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

test(
  'what we read is what DCMTK reads',
  { skip: skip || (!dcm2json && 'dcm2json of DCMTK is not installed') },
  () => {
    let compared = 0;
    for (const path of filesIn(samples!)) {
      const answer = spawnSync('dcm2json', [path], { encoding: 'utf8', maxBuffer: 100_000_000 });
      // It refuses encapsulated pixel data, and ISO 2022 where its conversion library lacks it.
      if (answer.status !== 0) continue;
      const name = relative(samples!, path);
      // There it leaves the text of items undecoded.
      if (name.includes('chrSQEncoding')) continue;
      const theirs = JSON.parse(answer.stdout) as DataSetJson;
      assert.deepEqual(comparable(sample(name)), comparable(theirs), name);
      compared++;
    }
    assert.ok(compared > 30, `${compared} files compared`);
  },
);

/** Without what may differ: character set, group lengths, file meta, empty lists, and the spelling of numbers. */
function comparable(row: DataSetJson): unknown {
  return Object.fromEntries(
    Object.entries(row)
      .filter(
        ([tag]) => !tag.startsWith('0002') && !tag.endsWith('0000') && tag !== tags.SpecificCharacterSet,
      )
      .map(([tag, found]) => [
        tag,
        { ...found, Value: (found.Value ?? []).map((value) => plain(value, found)) },
      ]),
  );
}

function plain(value: unknown, { vr }: DataElement): unknown {
  if (vr === 'SQ') return comparable(value as DataSetJson);
  if (vr === 'FL' && typeof value === 'number') return Number(value.toPrecision(6));
  if (vr !== 'DS' && vr !== 'IS') return value;
  const number = Number(value);
  return value === null || Number.isNaN(number) ? null : number;
}
