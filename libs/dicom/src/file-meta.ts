import { characterSetOf } from './character-sets.ts';
import { stringOf } from './data-set-json.ts';
import type { DataElement } from './data-set-json.ts';
import { ElementHeader, tagText, undefinedLength } from './element-header.ts';
import { encodeDataSet } from './encode.ts';
import { DataSetError } from './errors.ts';
import { readValue } from './read-value.ts';
import { tags } from './tags.ts';
import { uids } from './uids.ts';

/** Implementation Version Name (0002,0013) that we write and negotiate: 16 characters at most (PS3.7 D.3.3.2.3). */
export const implementationVersionName = 'ISTHMUS_0_1';

const preambleBytes = 128;
/** Group 0002 of a real file is under 1 KB; more is not looked at. */
const metaBytesMax = 64 * 1024;
const prefix = 'DICM';
const ascii = characterSetOf([]);

export interface FileMeta {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly transferSyntaxUid: string;
}

/**
 * What stands before the data set in a file: preamble, prefix and group 0002 (PS3.10 7.1). It is the only part of a
 * file that is ours.
 *
 * @throws DataSetError `unencodable` when a UID or title is not ASCII or holds a backslash
 */
export function fileMetaInformation(meta: FileMeta & { readonly sourceAeTitle: string }): Buffer {
  const group = encodeDataSet(
    {
      [tags.FileMetaInformationVersion]: { vr: 'OB', InlineBinary: Buffer.of(0, 1).toString('base64') },
      [tags.MediaStorageSOPClassUID]: { vr: 'UI', Value: [meta.sopClassUid] },
      [tags.MediaStorageSOPInstanceUID]: { vr: 'UI', Value: [meta.sopInstanceUid] },
      [tags.TransferSyntaxUID]: { vr: 'UI', Value: [meta.transferSyntaxUid] },
      [tags.ImplementationClassUID]: { vr: 'UI', Value: [uids.IsthmusImplementationClass] },
      [tags.ImplementationVersionName]: { vr: 'SH', Value: [implementationVersionName] },
      [tags.SourceApplicationEntityTitle]: { vr: 'AE', Value: [meta.sourceAeTitle] },
    },
    uids.ExplicitVrLittleEndian,
  );
  const head = Buffer.alloc(preambleBytes + prefix.length + 12);
  head.write(prefix, preambleBytes, 'latin1');
  const lengthAt = preambleBytes + prefix.length;
  head.writeUInt16LE(0x0002, lengthAt);
  head.write('UL', lengthAt + 4, 'latin1');
  head.writeUInt16LE(4, lengthAt + 6);
  head.writeUInt32LE(group.length, lengthAt + 8);
  return Buffer.concat([head, group]);
}

/**
 * Reads group 0002 from the beginning of a file; `bytes` may be its first part only, and `dataSetOffset` is where the
 * data set begins. The group's length is not believed: the group ends where another begins.
 *
 * @throws DataSetError `no-file-meta` when there is no preamble and prefix, or no Transfer Syntax UID (which may be
 * an unknown one); `truncated` when
 *   `bytes` end inside group 0002
 */
export function readFileMeta(bytes: Buffer): FileMeta & { readonly dataSetOffset: number } {
  const start = preambleBytes + prefix.length;
  if (bytes.length < start || bytes.toString('latin1', preambleBytes, start) !== prefix) {
    throw new DataSetError('no-file-meta', 'Preamble and prefix DICM are not there');
  }
  const row: { [tag: string]: DataElement } = {};
  const header = new ElementHeader();
  const coding = { explicitVr: true, littleEndian: true };
  const end = Math.min(bytes.length, start + metaBytesMax);
  let at = start;
  while (at + 2 <= end && bytes.readUInt16LE(at) === 0x0002) {
    if (!header.read(bytes, at, end, coding))
      throw new DataSetError('truncated', 'The file ends early', { offset: at });
    const valueAt = at + header.headerBytes;
    if (header.length === undefinedLength || header.length > end - valueAt) {
      throw new DataSetError('truncated', 'The file ends inside group 0002', {
        offset: at,
        tag: tagText(header.tag),
      });
    }
    at = valueAt + header.length;
    const value = bytes.subarray(valueAt, at);
    if (header.vr !== undefined && header.vr !== 'SQ')
      row[tagText(header.tag)] = readValue(value, header.vr, true, ascii);
  }
  const transferSyntaxUid = stringOf(row, tags.TransferSyntaxUID);
  if (transferSyntaxUid === undefined) {
    throw new DataSetError('no-file-meta', 'Transfer Syntax UID is missing', { tag: tags.TransferSyntaxUID });
  }
  return {
    sopClassUid: stringOf(row, tags.MediaStorageSOPClassUID) ?? '',
    sopInstanceUid: stringOf(row, tags.MediaStorageSOPInstanceUID) ?? '',
    transferSyntaxUid,
    dataSetOffset: at,
  };
}
