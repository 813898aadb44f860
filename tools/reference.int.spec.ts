import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, it } from 'node:test';
import { element, encodeDataSet, fileMetaInformation, privateBlock, uids } from '@isthmus/dicom';
import type { DataElement, DataSetJson } from '@isthmus/dicom';
import { httpPage } from './reference/http-page.ts';
import { linkPrivateElements, studyPrivateElements } from './reference/private-elements.ts';
import type { PrivateElement } from './reference/private-elements.ts';
import { root } from './reference/source.ts';

/** The dictionary that the installed DCMTK reads, whichever version. */
function standardDictionary(): string | undefined {
  return globSync('/usr/{,local/}share/{libdcmtk*,dcmtk*}/dicom.dic').at(0);
}

describe('the reference of routes', () => {
  it('says what running services say (else: npm run reference)', async () => {
    assert.equal(readFileSync(`${root}docs/reference/http.md`, 'utf8'), await httpPage());
  });
});

const dictionary = standardDictionary();

describe('the dictionary for DCMTK', { skip: dictionary === undefined && 'DCMTK is not installed' }, () => {
  it('[L5] names every private element that Isthmus writes', () => {
    const folder = mkdtempSync(join(tmpdir(), 'isthmus-dic-'));
    try {
      const file = join(folder, 'all.dcm');
      writeFileSync(file, fileWithAll());
      const env = {
        PATH: process.env['PATH'],
        DCMDICTPATH: `${dictionary}${delimiter}${root}docs/isthmus.dic`,
      };
      const dump = execFileSync('dcmdump', ['-q', '-Un', file], { env, encoding: 'utf8' });
      for (const { name, vr, tag } of [...studyPrivateElements, ...linkPrivateElements]) {
        const line = new RegExp(
          `^${tag.replace('xx', '10').replace(/[()]/g, '\\$&')} ${vr} .* ${name}$`,
          'im',
        );
        assert.match(dump, line);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** A file in Implicit VR, so that DCMTK has to look every VR up. */
function fileWithAll(): Buffer {
  const dataSet: DataSetJson = { ...blockOf(studyPrivateElements), ...blockOf(linkPrivateElements) };
  const meta = fileMetaInformation({
    sopClassUid: uids.IsthmusLinkedUpdateStorage,
    sopInstanceUid: '1.2.3',
    transferSyntaxUid: uids.ImplicitVrLittleEndian,
    sourceAeTitle: 'NORTH',
  });
  return Buffer.concat([meta, encodeDataSet(dataSet, uids.ImplicitVrLittleEndian)]);
}

function blockOf(elements: readonly PrivateElement[]): DataSetJson {
  const [first] = elements;
  assert.ok(first);
  return privateBlock(
    first.creator,
    Object.fromEntries(elements.map(({ byte, vr }): [number, DataElement] => [byte, exampleOf(vr)])),
  );
}

function exampleOf(vr: string): DataElement {
  switch (vr) {
    case 'SQ':
      return element('SQ', {});
    case 'OB':
      return { vr, InlineBinary: Buffer.of(1, 2).toString('base64') };
    case 'US':
    case 'UL':
    case 'IS':
      return element(vr, 1);
    case 'UI':
      return element(vr, '1.2');
    case 'DT':
      return element(vr, '20260102030405');
    case 'AT':
      return element(vr, '00100020');
    default:
      return element(vr, 'TEXT');
  }
}
