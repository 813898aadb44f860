/** What group 0002 says of a file, and where its data set begins. */
export interface FileMeta {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly transferSyntaxUid: string;
  readonly dataSetOffset: number;
}

/** Reads group 0002 of a file, independently of our own reader (PS3.10 §7.1). @throws {Error} It is no such file. */
export function metaOf(file: Buffer): FileMeta {
  if (file.toString('latin1', 128, 132) !== 'DICM') throw new Error('not a DICOM file');
  const end = 144 + file.readUInt32LE(140);
  const uids = new Map<number, string>();
  for (let offset = 144; offset < end;) {
    const element = file.readUInt16LE(offset + 2);
    const long = ['OB', 'UN', 'OW', 'SQ', 'UT'].includes(file.toString('latin1', offset + 4, offset + 6));
    const length = long ? file.readUInt32LE(offset + 8) : file.readUInt16LE(offset + 6);
    const start = offset + (long ? 12 : 8);
    uids.set(element, file.toString('latin1', start, start + length).replace(/\0+$/, ''));
    offset = start + length;
  }
  const uid = (element: number): string => {
    const found = uids.get(element);
    if (found === undefined)
      throw new Error(`the file has no (0002,${element.toString(16).padStart(4, '0')})`);
    return found;
  };
  return {
    sopClassUid: uid(0x0002),
    sopInstanceUid: uid(0x0003),
    transferSyntaxUid: uid(0x0010),
    dataSetOffset: end,
  };
}
