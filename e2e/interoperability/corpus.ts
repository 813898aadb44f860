import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeDataSet, stringOf, tags } from '@isthmus/dicom';
import { dicomSamples, metaOf } from '@isthmus/testing';
import { syntheticStudy, uidFrom } from '@isthmus/testing/synthetic';
import { oneOfEachCharacterSet, oneOfEachTransferSyntax } from './handmade.ts';
import type { SentObject } from './handmade.ts';

const implicitLittleEndian = '1.2.840.10008.1.2';
const pixelData = 0x7fe00010;

/** Real files below a folder of `$DICOM_SAMPLES`; none when that is not set. */
export function samples(folder: string): readonly SentObject[] {
  if (dicomSamples === undefined) return [];
  const root = join(dicomSamples, folder);
  return globSync('**/*', { cwd: root, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => readSample(path, path.slice(root.length + 1)));
}

/** A file's data set with the UIDs that stand in it; one without group 0002 is a bare Implicit VR data set. */
function readSample(path: string, name: string): SentObject {
  const file = readFileSync(path);
  const isPart10 = file.toString('latin1', 128, 132) === 'DICM';
  const meta = isPart10 ? metaOf(file) : { transferSyntaxUid: implicitLittleEndian, dataSetOffset: 0 };
  const dataSet = file.subarray(meta.dataSetOffset);
  // One file is deflated to an odd length; who sends that puts a NUL behind it (PS3.5 A.5, PS3.8 Annex E.1).
  return identified(
    name,
    dataSet.length % 2 === 0 ? dataSet : Buffer.concat([dataSet, Buffer.alloc(1)]),
    meta.transferSyntaxUid,
  );
}

function identified(name: string, dataSet: Buffer, transferSyntaxUid: string): SentObject {
  const header = decodeDataSet(dataSet, transferSyntaxUid, { untilTag: pixelData });
  const uid = (tag: string): string | undefined => stringOf(header, tag);
  const sopInstanceUid = uid(tags.SOPInstanceUID);
  if (sopInstanceUid === undefined) return identified(name, withUids(dataSet, name), transferSyntaxUid);
  return {
    name,
    sopClassUid: uid(tags.SOPClassUID)!,
    sopInstanceUid,
    seriesInstanceUid: uid(tags.SeriesInstanceUID)!,
    studyInstanceUid: uid(tags.StudyInstanceUID)!,
    transferSyntaxUid,
    dataSet,
  };
}

/** Two of the samples are excerpts without any UID: they get some, between the elements that they have. */
function withUids(dataSet: Buffer, name: string): Buffer {
  const ui = (element: string, uid: string): Buffer => {
    const value = uid.length % 2 === 0 ? uid : `${uid}\0`;
    return Buffer.concat([
      Buffer.from(element, 'hex'),
      Buffer.from([0x55, 0x49, value.length, 0]),
      Buffer.from(value),
    ]);
  };
  const characterSetEnd = 8 + dataSet.readUInt16LE(6);
  const group0032 = dataSet.indexOf(Buffer.from('32003210', 'hex'));
  if (dataSet.readUInt32LE(0) !== 0x00050008 || group0032 < 0) throw new Error(`${name} is no such excerpt`);
  return Buffer.concat([
    dataSet.subarray(0, characterSetEnd),
    ui('08001600', '1.2.840.10008.5.1.4.1.1.7'),
    ui('08001800', uidFrom(name)),
    dataSet.subarray(characterSetEnd, group0032),
    ui('20000d00', uidFrom(name, 'study')),
    ui('20000e00', uidFrom(name, 'series')),
    dataSet.subarray(group0032),
  ]);
}

/**
 * The same objects with UIDs that differ: samples that are one image in several encodings have one SOP Instance UID, of
 * which the last digits change, in the data set's bytes.
 */
export function distinct(objects: readonly SentObject[]): readonly SentObject[] {
  const taken = new Set<string>();
  return objects.map((object) => {
    let sopInstanceUid = object.sopInstanceUid;
    for (let digits = 10; taken.has(sopInstanceUid); digits++)
      sopInstanceUid = `${object.sopInstanceUid.slice(0, -2)}${digits}`;
    taken.add(sopInstanceUid);
    if (sopInstanceUid === object.sopInstanceUid) return object;
    const dataSet = Buffer.from(object.dataSet);
    const at = dataSet.indexOf(object.sopInstanceUid, 0, 'latin1');
    if (at < 0) throw new Error(`${object.name}: its SOP Instance UID does not stand in its bytes`);
    dataSet.write(sopInstanceUid, at, 'latin1');
    return { ...object, sopInstanceUid, dataSet };
  });
}

/**
 * So many objects: every real file that there is (all but the malformed ones), those made by hand in every transfer
 * syntax and character set, and phantoms for the rest.
 */
export function corpusOf(count: number): readonly SentObject[] {
  const others = distinct([
    ...['transfer-syntaxes', 'encodings', 'priors'].flatMap(samples),
    ...oneOfEachTransferSyntax('corpus/transfer-syntaxes'),
    ...oneOfEachCharacterSet('corpus/character-sets'),
  ]);
  return [...others, ...phantoms(count - others.length)];
}

/** Studies of up to 40 images. */
function phantoms(count: number): readonly SentObject[] {
  const made: SentObject[] = [];
  for (let number = 0; made.length < count; number++) {
    const study = syntheticStudy({
      patient: { id: `PHANTOM-${number}`, name: 'Phantom^Phil', birthDate: '19500101', sex: 'M' },
      seed: `corpus/phantoms/${number}`,
      modality: (['CT', 'MR', 'CR'] as const)[number % 3]!,
      studyDate: '20260103',
      description: 'corpus',
      instances: Math.min(40, count - made.length),
      size: 32 + 16 * (number % 4),
    });
    made.push(...study.map((object, index) => ({ name: `phantom ${number}/${index}`, ...object })));
  }
  return made;
}
