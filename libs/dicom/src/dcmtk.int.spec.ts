import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { dataSets, layouts } from '../test/arbitraries.ts';
import { samplesFolder } from '../test/config.ts';
import { comparable, filesIn, load, sourceOf, unreadable } from '../test/samples.ts';
import { compareContent, decodeDataSet, encodeDataSet, fileMetaInformation, uids } from './index.ts';
import type { DataSetJson } from './index.ts';

const missing =
  spawnSync('dcm2json', ['--version']).error !== undefined && 'dcm2json of DCMTK is not installed';
const samples = samplesFolder();

function readByDcmtk(path: string): DataSetJson | undefined {
  const answer = spawnSync('dcm2json', [path], { encoding: 'utf8', maxBuffer: 100_000_000 });
  return answer.status === 0 ? (JSON.parse(answer.stdout) as DataSetJson) : undefined;
}

test(
  'what we read is what DCMTK reads',
  { skip: missing || (samples === undefined && 'DICOM_SAMPLES names no folder of real files') },
  () => {
    let compared = 0;
    for (const path of filesIn(samples!)) {
      const name = relative(samples!, path);
      // DCMTK leaves the text of those items undecoded, and guesses at files without group 0002.
      if (name.includes('chrSQEncoding') || unreadable[name] !== undefined) continue;
      const theirs = readByDcmtk(path);
      // It refuses encapsulated pixel data, and ISO 2022 where its conversion library lacks it.
      if (theirs === undefined) continue;
      const { bytes, transferSyntaxUid } = load(path);
      assert.deepEqual(comparable(decodeDataSet(bytes, transferSyntaxUid)), comparable(theirs), name);
      compared++;
    }
    assert.ok(compared > 30, `${compared} files compared`);
  },
);

test('what we write is read by DCMTK as we meant it', { skip: missing }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-dicom-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'written.dcm');
  // Implicit VR is not among them: DCMTK does not know our private elements.
  const explicit = fc.constantFrom(layouts.explicit, layouts.bigEndian, layouts.deflated);
  fc.assert(
    fc.property(dataSets, explicit, (row, transferSyntaxUid) => {
      const meta = { sopClassUid: uids.CTImageStorage, sopInstanceUid: '1.2.3', transferSyntaxUid };
      const head = fileMetaInformation({ ...meta, sourceAeTitle: 'NORTH' });
      writeFileSync(path, Buffer.concat([head, encodeDataSet(row, transferSyntaxUid)]));
      const theirs = readByDcmtk(path);
      assert.ok(theirs !== undefined);
      assert.deepEqual(comparable(theirs), comparable(row));
    }),
    // A process for each: no shrinking.
    { numRuns: 25, endOnFailure: true },
  );
});

test(
  'what DCMTK writes in another encoding has the same content',
  { skip: missing || (samples === undefined && 'DICOM_SAMPLES names no folder of real files') },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'isthmus-dicom-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const written = join(folder, 'written.dcm');
    const encodings = [
      ['+ti', '-e'],
      ['+te', '+e', '+g'],
      ['+tb', '-e'],
      ['+td', '+e'],
    ] as const;
    let compared = 0;
    for (const path of filesIn(samples!)) {
      const name = relative(samples!, path);
      if (name.includes('malformed') || unreadable[name] !== undefined) continue;
      const encoding = encodings[compared % encodings.length]!;
      // It does not decompress, and refuses what it cannot write in that encoding.
      if (spawnSync('dcmconv', [...encoding, path, written]).status !== 0) continue;
      const found = await compareContent(sourceOf(load(path)), sourceOf(load(written)), {
        differencesMax: 9,
      });
      assert.deepEqual(found, [], `${name} ${encoding.join(' ')}`);
      compared++;
    }
    assert.ok(compared > 30, `${compared} files compared`);
  },
);
