import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { element, encodeDataSet, fileMetaInformation, personName, tags, uids } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';

const root = '1.2.826.0.1.3680043.10.1561';
export const studyInstanceUid = `${root}.1`;
export const seriesInstanceUid = `${root}.1.1`;

/** Files that clients send. UIDs have the same width whatever their number, so that they can be changed in place. */
export interface ObjectSet {
  readonly files: readonly string[];
  /** SOP Instance UIDs as they are now, in the order of the files. */
  readonly sopInstanceUids: readonly string[];
  /** Gives every object a SOP Instance UID that was not used before, so that no archive sees a duplicate. */
  renumber(): void;
  /** `parts` lists of equal length, for as many clients. */
  split(parts: number): string[][];
}

/** A CT image of 512 × 512 × 16 bit (or less), as a scanner sends it: some forty attributes, then pixels. */
export function ctDataSet(sopInstanceUid: string, pixelBytes: number): Buffer {
  const row: DataSetJson = {
    [tags.SpecificCharacterSet]: element('CS', 'ISO_IR 100'),
    [tags.ImageType]: element('CS', 'ORIGINAL', 'PRIMARY', 'AXIAL'),
    [tags.SOPClassUID]: element('UI', uids.CTImageStorage),
    [tags.SOPInstanceUID]: element('UI', sopInstanceUid),
    [tags.StudyDate]: element('DA', '20260901'),
    [tags.SeriesDate]: element('DA', '20260901'),
    [tags.AcquisitionDate]: element('DA', '20260901'),
    [tags.ContentDate]: element('DA', '20260901'),
    [tags.StudyTime]: element('TM', '101500'),
    [tags.SeriesTime]: element('TM', '101512'),
    [tags.AcquisitionTime]: element('TM', '101513.25'),
    [tags.ContentTime]: element('TM', '101513.25'),
    [tags.AccessionNumber]: element('SH', 'ACC0001'),
    [tags.Modality]: element('CS', 'CT'),
    [tags.Manufacturer]: element('LO', 'Synthetic'),
    [tags.InstitutionName]: element('LO', 'North Hospital'),
    [tags.ReferringPhysicianName]: element('PN', personName('Referrer^One')),
    [tags.StationName]: element('SH', 'CT1'),
    [tags.StudyDescription]: element('LO', 'CT Thorax'),
    [tags.SeriesDescription]: element('LO', 'Thorax 1.0 B70'),
    [tags.ManufacturerModelName]: element('LO', 'Phantom'),
    [tags.PatientName]: element('PN', personName('Doe^Jane')),
    [tags.PatientID]: element('LO', 'BENCH1'),
    [tags.PatientBirthDate]: element('DA', '19700101'),
    [tags.PatientSex]: element('CS', 'F'),
    [tags.PatientAge]: element('AS', '056Y'),
    [tags.BodyPartExamined]: element('CS', 'CHEST'),
    '00180050': element('DS', '1.0'),
    '00180060': element('DS', '120'),
    [tags.ProtocolName]: element('LO', 'Thorax routine'),
    '00181151': element('IS', '250'),
    [tags.StudyInstanceUID]: element('UI', studyInstanceUid),
    [tags.SeriesInstanceUID]: element('UI', seriesInstanceUid),
    [tags.StudyID]: element('SH', '1'),
    [tags.SeriesNumber]: element('IS', '2'),
    [tags.InstanceNumber]: element('IS', '1'),
    '00200032': element('DS', '-170.0', '-170.0', '-512.0'),
    '00200037': element('DS', '1', '0', '0', '0', '1', '0'),
    '00200052': element('UI', `${root}.1.9`),
    '00280002': element('US', 1),
    '00280004': element('CS', 'MONOCHROME2'),
    [tags.Rows]: element('US', 512),
    [tags.Columns]: element('US', 512),
    [tags.BitsAllocated]: element('US', 16),
    '00280101': element('US', 12),
    '00280102': element('US', 11),
    '00280103': element('US', 0),
    '00281052': element('DS', '-1024'),
    '00281053': element('DS', '1'),
    [tags.PixelData]: { vr: 'OW', InlineBinary: randomBytes(pixelBytes).toString('base64') },
  };
  return encodeDataSet(row, uids.ExplicitVrLittleEndian);
}

/** Group 0002 as any sender writes it. */
export function fileHeader(sopInstanceUid: string): Buffer {
  return fileMetaInformation({
    sopClassUid: uids.CTImageStorage,
    sopInstanceUid,
    transferSyntaxUid: uids.ExplicitVrLittleEndian,
    sourceAeTitle: 'BENCH',
  });
}

/** Makes `count` files of one study. @param objectBytes - Size of the data set, about. */
export function makeObjects(directory: string, count: number, objectBytes: number): ObjectSet {
  let number = 0;
  /** Constant width: no component may begin with 0. */
  const nextUid = (): string => `${root}.2.${1_000_000_000 + number++}`;
  const first = nextUid();
  const smallest = ctDataSet(first, 2).length;
  const template = Buffer.concat([
    fileHeader(first),
    ctDataSet(first, Math.max(2, objectBytes - smallest) & ~1),
  ]);
  const places: number[] = [];
  for (let at = template.indexOf(first); at >= 0; at = template.indexOf(first, at + 1)) places.push(at);

  mkdirSync(directory, { recursive: true });
  const files = Array.from({ length: count }, (_, index) => join(directory, `${index}.dcm`));
  let sopInstanceUids = files.map(nextUid);
  for (const [index, file] of files.entries()) {
    for (const place of places) template.write(sopInstanceUids[index]!, place, 'latin1');
    writeFileSync(file, template);
  }
  return {
    files,
    get sopInstanceUids() {
      return sopInstanceUids;
    },
    renumber: () => {
      sopInstanceUids = files.map(nextUid);
      for (const [index, file] of files.entries()) {
        const uid = sopInstanceUids[index]!;
        const descriptor = openSync(file, 'r+');
        for (const place of places) writeSync(descriptor, uid, place, 'latin1');
        closeSync(descriptor);
      }
    },
    split: (parts) =>
      Array.from({ length: parts }, (_, part) => files.filter((_file, index) => index % parts === part)),
  };
}
