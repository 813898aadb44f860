import { characterSetOf } from './character-sets.ts';
import { stringOf } from './data-set-json.ts';
import type { DataElement } from './data-set-json.ts';
import { ElementHeader, tagText, undefinedLength } from './element-header.ts';
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
  // Written by hand: it is made for every object that comes in, and is mostly the same.
  const values: readonly [element: number, vr: 'UI' | 'SH' | 'AE', value: string][] = [
    [0x0002, 'UI', meta.sopClassUid],
    [0x0003, 'UI', meta.sopInstanceUid],
    [0x0010, 'UI', meta.transferSyntaxUid],
    [0x0012, 'UI', uids.IsthmusImplementationClass],
    [0x0013, 'SH', implementationVersionName],
    [0x0016, 'AE', meta.sourceAeTitle],
  ];
  let size = beforeValues.length;
  for (const [, , value] of values) size += 8 + evenLength(value);
  const bytes = Buffer.alloc(size);
  beforeValues.copy(bytes);
  bytes.writeUInt32LE(size - groupStart, groupLengthAt);
  let at = beforeValues.length;
  for (const [element, vr, value] of values) {
    if (!plainText.test(value)) {
      throw new DataSetError('unencodable', 'Not ASCII, or with a backslash', {
        tag: `0002${element.toString(16).padStart(4, '0').toUpperCase()}`,
      });
    }
    bytes.writeUInt16LE(0x0002, at);
    bytes.writeUInt16LE(element, at + 2);
    bytes.write(vr, at + 4, 'latin1');
    bytes.writeUInt16LE(evenLength(value), at + 6);
    bytes.write(value, at + 8, 'latin1');
    at += 8 + evenLength(value);
    if (vr !== 'UI' && value.length % 2 === 1) bytes.write(' ', at - 1, 'latin1');
  }
  return bytes;
}

/** ASCII without the backslash, which separates values. */
const plainText = /^[\p{ASCII}--[\\]]*$/v;
const groupLengthAt = preambleBytes + prefix.length + 8;
/** Where the bytes begin that the group's length counts. */
const groupStart = groupLengthAt + 4;

/** Preamble, prefix, the group's length (to be filled in) and (0002,0001). */
const beforeValues = Buffer.concat([
  Buffer.alloc(preambleBytes),
  Buffer.from(prefix, 'latin1'),
  Buffer.from('02000000', 'hex'),
  Buffer.from('UL', 'latin1'),
  Buffer.from('040000000000', 'hex'),
  Buffer.from('02000100', 'hex'),
  Buffer.from('OB', 'latin1'),
  Buffer.from('0000020000000001', 'hex'),
]);

function evenLength(value: string): number {
  return value.length + (value.length % 2);
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
