import { existsSync, globSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dicomSamples, metaOf } from '@isthmus/testing';
import { syntheticStudy } from '@isthmus/testing/synthetic';

/** A study as files on disk, the way a modality's operator has it. */
export interface StudyOnDisk {
  readonly name: string;
  readonly files: readonly string[];
}

/** Real studies of `$DICOM_SAMPLES/priors` when that is set, else invented ones; several patients and modalities. */
export function studiesOnDisk(): readonly StudyOnDisk[] {
  const samples = dicomSamples;
  if (samples !== undefined && existsSync(join(samples, 'priors'))) {
    return ['77654033/CR*/*', '77654033/CT2/*', '98892001/*/*', '98892003/*/*'].map((pattern) => ({
      name: pattern,
      files: globSync(join(samples, 'priors', pattern)).sort(),
    }));
  }
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-studies-'));
  return (['CT', 'MR', 'CR'] as const).map((modality, index) => {
    const study = syntheticStudy({
      patient: { id: `E2E-${index}`, name: 'Test^Tess', birthDate: '19600101', sex: 'F' },
      seed: `e2e/${process.pid}/${modality}`,
      modality,
      studyDate: '20260101',
      description: 'end to end',
      instances: 3,
      size: 64,
    });
    const files = study.map((object, number) => {
      const file = join(directory, `${modality}-${number}.dcm`);
      writeFileSync(file, object.file);
      return file;
    });
    return { name: modality, files };
  });
}

/** Data set bytes of files by SOP Instance UID. */
export function dataSetsOf(files: readonly string[]): ReadonlyMap<string, Buffer> {
  return new Map(
    files.map((path) => {
      const file = readFileSync(path);
      const meta = metaOf(file);
      return [meta.sopInstanceUid, file.subarray(meta.dataSetOffset)];
    }),
  );
}

/** Study Instance UIDs of files, found in the bytes: element (0020,000D) in Explicit or Implicit VR Little Endian. */
export function studyUidsOf(files: readonly string[]): readonly string[] {
  const found = new Set<string>();
  for (const path of files) {
    const file = readFileSync(path);
    const at = file.indexOf(Buffer.from([0x20, 0x00, 0x0d, 0x00]), metaOf(file).dataSetOffset);
    if (at < 0) continue;
    const explicit = file.toString('latin1', at + 4, at + 6) === 'UI';
    const length = explicit ? file.readUInt16LE(at + 6) : file.readUInt32LE(at + 4);
    found.add(file.toString('latin1', at + 8, at + 8 + length).replace(/[\0 ]+$/, ''));
  }
  return [...found];
}
