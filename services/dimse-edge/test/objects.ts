import { randomInt } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { element, encodeDataSet, readFileMeta, tags, uids } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { dicomSamples } from '@isthmus/testing';

export interface TestObject {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly transferSyntaxUid: string;
  readonly dataSet: Buffer;
}

/** A small CT object; what is given replaces elements. */
export function ctObject(
  names: { readonly study?: string; readonly series?: string; readonly instance?: string },
  more: DataSetJson = {},
  transferSyntaxUid: string = uids.ExplicitVrLittleEndian,
): TestObject {
  const studyInstanceUid = names.study ?? '1.2.3.1';
  const seriesInstanceUid = names.series ?? `${studyInstanceUid}.1`;
  const sopInstanceUid = names.instance ?? `${seriesInstanceUid}.${randomInt(1, 1_000_000_000)}`;
  const row: DataSetJson = {
    [tags.SOPClassUID]: element('UI', uids.CTImageStorage),
    [tags.SOPInstanceUID]: element('UI', sopInstanceUid),
    [tags.StudyInstanceUID]: element('UI', studyInstanceUid),
    [tags.SeriesInstanceUID]: element('UI', seriesInstanceUid),
    [tags.PatientID]: element('LO', 'PAT1'),
    [tags.PatientName]: element('PN', 'Doe^Jane'),
    [tags.Modality]: element('CS', 'CT'),
    [tags.PixelData]: { vr: 'OW', InlineBinary: Buffer.alloc(2_000, sopInstanceUid).toString('base64') },
    ...more,
  };
  return {
    sopClassUid: uids.CTImageStorage,
    sopInstanceUid,
    studyInstanceUid,
    seriesInstanceUid,
    transferSyntaxUid,
    dataSet: encodeDataSet(row, transferSyntaxUid),
  };
}

/** Why tests with real files are skipped. */
export const samplesMissing: string | undefined =
  dicomSamples === undefined ? 'DICOM_SAMPLES does not name a directory of DICOM files' : undefined;

/** Paths of all sample files below a folder. */
export function sampleFiles(folder: string): string[] {
  if (dicomSamples === undefined) return [];
  return globSync('**/*', { cwd: join(dicomSamples, folder), withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** The data set of a stored file, without the file header. */
export function dataSetOfFile(path: string): Buffer {
  const bytes = readFileSync(path);
  return bytes.subarray(readFileMeta(bytes).dataSetOffset);
}
