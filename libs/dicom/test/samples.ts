import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readFileMeta, tags } from '../src/index.ts';
import type { ContentSource, DataElement, DataSetJson } from '../src/index.ts';

export function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile() && !path.endsWith('LICENSE'))
    .sort();
}

/** A file, its data set apart. */
export function load(path: string) {
  const bytes = readFileSync(path);
  const meta = readFileMeta(bytes);
  return { ...meta, bytes: bytes.subarray(meta.dataSetOffset) };
}

/** A data set that is read at most `stepBytes` at a time, into memory that is used again. */
export function sourceOf(
  { bytes, transferSyntaxUid }: { readonly bytes: Buffer; readonly transferSyntaxUid: string },
  stepBytes = Infinity,
): ContentSource {
  let at = 0;
  const memory = Buffer.alloc(512 * 1024);
  return {
    transferSyntaxUid,
    read: async (bytesMax) => {
      const count = bytes.copy(memory, 0, at, at + Math.min(bytesMax, stepBytes));
      at += count;
      return memory.subarray(0, count);
    },
  };
}

/** Samples that are cut off, or are no files of PS3.10, with the code of the error that says so. */
export const unreadable: { readonly [name: string]: string } = {
  'malformed/MR_truncated.dcm': 'truncated',
  'malformed/rtplan_truncated.dcm': 'truncated',
  'malformed/no_meta.dcm': 'no-file-meta',
  'transfer-syntaxes/rtstruct.dcm': 'no-file-meta',
};

/** Without what may differ: character set, group lengths, file meta, empty lists, and the spelling of numbers. */
export function comparable(row: DataSetJson): unknown {
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
  if (typeof value === 'object' && value !== null) return { ...value };
  if (vr === 'FL' && typeof value === 'number') return Number(value.toPrecision(6));
  if (vr === 'FD' && typeof value === 'number') return Number(value.toPrecision(12));
  if (vr !== 'DS' && vr !== 'IS') return value;
  const number = Number(value);
  return value === null || Number.isNaN(number) ? null : number;
}
