/**
 * Data sets made byte by byte, so that nothing of ours writes what ours has to keep: private elements, sequences of both
 * lengths, group lengths, padding, every layout, fragments, and names in the character sets of PS3.5.
 */
import { deflateRawSync } from 'node:zlib';
import { fileMetaInformation } from '@isthmus/dicom';
import { uidFrom } from '@isthmus/testing/synthetic';
import { proposals, uncompressed } from './transfer-syntaxes.ts';

/** An object to send. */
export interface SentObject {
  /** For messages. */
  readonly name: string;
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly studyInstanceUid: string;
  readonly transferSyntaxUid: string;
  readonly dataSet: Buffer;
}

/** A name in a character set: its bytes, and the text that they stand for. */
export interface NameInCharacterSet {
  /** Specific Character Set (0008,0005). */
  readonly characterSet: string;
  readonly bytes: Buffer;
  readonly text: string;
}

type Layout = 'implicit' | 'explicit' | 'big';

const secondaryCapture = '1.2.840.10008.5.1.4.1.1.7';
const explicitLittleEndian = '1.2.840.10008.1.2.1';
const deflated = '1.2.840.10008.1.2.1.99';
const layouts: ReadonlyMap<string, Layout> = new Map([
  ['1.2.840.10008.1.2', 'implicit'],
  ['1.2.840.10008.1.2.2', 'big'],
]);
const undefinedLength = 0xffffffff;
const longHeaders: ReadonlySet<string> = new Set(['OB', 'OW', 'SQ', 'UN', 'UT']);
const itemTag = 0xfffee000;
const itemEndTag = 0xfffee00d;
const sequenceEndTag = 0xfffee0dd;
const nothing = Buffer.alloc(0);

/** A header and a value as they stand in the bytes; items and delimiters have no VR. */
function written(layout: Layout, tag: number, vr: string | undefined, length: number, value: Buffer): Buffer {
  const explicit = vr !== undefined && layout !== 'implicit';
  const long = explicit && longHeaders.has(vr);
  const header = Buffer.alloc(long ? 12 : 8);
  const number16 = (number: number, at: number) =>
    layout === 'big' ? header.writeUInt16BE(number, at) : header.writeUInt16LE(number, at);
  number16(tag >>> 16, 0);
  number16(tag & 0xffff, 2);
  if (explicit) header.write(vr, 4, 'latin1');
  if (explicit && !long) number16(length, 6);
  else if (layout === 'big') header.writeUInt32BE(length, long ? 8 : 4);
  else header.writeUInt32LE(length, long ? 8 : 4);
  return Buffer.concat([header, value]);
}

function element(layout: Layout, tag: number, vr: string, value: Buffer | string): Buffer {
  const bytes = Buffer.from(value as string, 'latin1');
  const pad = Buffer.from(['UI', 'OB', 'OW', 'UN'].includes(vr) ? '\0' : ' ');
  const even = bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, pad]);
  return written(layout, tag, vr, even.length, even);
}

/** A sequence with one item, both ended by delimiters or both by their lengths. */
function sequence(layout: Layout, tag: number, content: Buffer, ends: 'delimited' | 'by length'): Buffer {
  if (ends === 'by length') {
    const item = written(layout, itemTag, undefined, content.length, content);
    return written(layout, tag, 'SQ', item.length, item);
  }
  const item = written(layout, itemTag, undefined, undefinedLength, content);
  const itemEnd = written(layout, itemEndTag, undefined, 0, nothing);
  const end = written(layout, sequenceEndTag, undefined, 0, nothing);
  return written(layout, tag, 'SQ', undefinedLength, Buffer.concat([item, itemEnd, end]));
}

/** Pixel Data in fragments behind an empty offset table (PS3.5 A.4). Nobody here looks into them. */
function fragments(content: Buffer): Buffer {
  const table = written('explicit', itemTag, undefined, 0, nothing);
  const parts = [content, content.subarray(0, 64)].map((part) =>
    written('explicit', itemTag, undefined, part.length, part),
  );
  const end = written('explicit', sequenceEndTag, undefined, 0, nothing);
  return written('explicit', 0x7fe00010, 'OB', undefinedLength, Buffer.concat([table, ...parts, end]));
}

/** A private block with a value of unknown VR and a sequence that holds a private block of its own. */
function privateBlock(layout: Layout): Buffer {
  const creator = element(layout, 0x00290010, 'LO', 'INSIDE');
  const unknown = element(layout, 0x00291077, 'UN', Buffer.from('value with an odd length.'));
  const inner = Buffer.concat([creator, unknown]);
  const nested = sequence(layout, 0x00291004, inner, 'delimited');
  return Buffer.concat([
    element(layout, 0x00290010, 'LO', 'INTEROPERABILITY'),
    element(layout, 0x00290011, 'LO', 'ANOTHER CREATOR'),
    element(layout, 0x00291001, 'UN', Buffer.from([0, 255, 27, 36, 66, 1])),
    sequence(layout, 0x00291002, Buffer.concat([creator, nested, unknown]), 'by length'),
    sequence(layout, 0x00291003, inner, 'delimited'),
    element(layout, 0x00291101, 'LO', 'kept to the last space   '),
  ]);
}

/** A retired (0008,0000), which does not tell the truth about the group: it is kept all the same. */
function groupLength(layout: Layout): Buffer {
  return element(layout, 0x00080000, 'UL', Buffer.from([78, 0, 0, 0]));
}

/** What differs between the objects. */
interface Facts {
  readonly name: string;
  readonly patientId: string;
  readonly transferSyntaxUid?: string;
  readonly patientName?: NameInCharacterSet;
  /** Objects of one study have the same. */
  readonly study: string;
}

function handmade(facts: Facts): SentObject {
  const transferSyntaxUid = facts.transferSyntaxUid ?? explicitLittleEndian;
  const layout = layouts.get(transferSyntaxUid) ?? 'explicit';
  const isNative = uncompressed.some(({ uid }) => uid === transferSyntaxUid);
  const uids = {
    sopInstanceUid: uidFrom(facts.study, facts.name),
    seriesInstanceUid: uidFrom(facts.study, 'series'),
    studyInstanceUid: uidFrom(facts.study),
  };
  const name = facts.patientName ?? { characterSet: 'ISO_IR 100', bytes: Buffer.from('Hand^Made') };
  const pixels = Buffer.alloc(4_096, facts.name);
  const of = (tag: number, vr: string, value: Buffer | string) => element(layout, tag, vr, value);
  const content = Buffer.concat([
    groupLength(layout),
    of(0x00080005, 'CS', name.characterSet),
    of(0x00080016, 'UI', secondaryCapture),
    of(0x00080018, 'UI', uids.sopInstanceUid),
    of(0x00080020, 'DA', '20260102'),
    of(0x00080060, 'CS', 'OT'),
    of(0x00081030, 'LO', 'interoperability'),
    of(0x00100010, 'PN', name.bytes),
    of(0x00100020, 'LO', facts.patientId),
    of(0x0020000d, 'UI', uids.studyInstanceUid),
    of(0x0020000e, 'UI', uids.seriesInstanceUid),
    privateBlock(layout),
    isNative ? of(0x7fe00010, 'OW', pixels) : fragments(pixels),
    of(0xfffcfffc, 'OB', Buffer.alloc(30)),
  ]);
  const dataSet = transferSyntaxUid === deflated ? evenly(deflateRawSync(content)) : content;
  return { name: facts.name, sopClassUid: secondaryCapture, transferSyntaxUid, dataSet, ...uids };
}

/** PS3.5 A.5: a deflated data set of odd length has a NUL behind it. */
function evenly(bytes: Buffer): Buffer {
  return bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(1)]);
}

/** An object in each transfer syntax that DCMTK can propose, a study each. */
export function oneOfEachTransferSyntax(seed: string): readonly SentObject[] {
  return proposals.map(({ name, uid }) =>
    handmade({ name, study: `${seed}/${uid}`, transferSyntaxUid: uid, patientId: 'INTEROP-TS' }),
  );
}

/** An object as a file (PS3.10). */
export function fileOf(object: SentObject): Buffer {
  return Buffer.concat([fileMetaInformation({ ...object, sourceAeTitle: 'HANDMADE' }), object.dataSet]);
}

/** One object: Explicit VR Little Endian unless said otherwise. */
export function oneObject(study: string, name: string, transferSyntaxUid?: string): SentObject {
  return handmade({ name, study, transferSyntaxUid, patientId: 'INTEROP-ONE' });
}

const inLatin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

/** PS3.5 Annexes H, I, J and K have those with code extensions, and the Chinese ones. */
export const namesInCharacterSets: readonly NameInCharacterSet[] = [
  { characterSet: 'ISO_IR 100', bytes: inLatin1('Buc^J\xe9r\xf4me'), text: 'Buc^Jérôme' },
  { characterSet: 'ISO_IR 101', bytes: inLatin1('Wa\xb3\xeasa'), text: 'Wałęsa' },
  { characterSet: 'ISO_IR 109', bytes: inLatin1('\xc6apek'), text: 'Ĉapek' },
  { characterSet: 'ISO_IR 110', bytes: inLatin1('\xd3\xe0rlis'), text: 'Ķārlis' },
  { characterSet: 'ISO_IR 144', bytes: inLatin1('\xbb\xee\xda'), text: 'Люк' },
  { characterSet: 'ISO_IR 127', bytes: inLatin1('\xe2\xc8\xc7\xe6\xea'), text: 'قباني' },
  { characterSet: 'ISO_IR 126', bytes: inLatin1('\xc4\xe9\xef\xed\xf5\xf3'), text: 'Διονυσ' },
  { characterSet: 'ISO_IR 138', bytes: inLatin1('\xf9\xf8\xe5\xef'), text: 'שרון' },
  { characterSet: 'ISO_IR 148', bytes: inLatin1('\xc7avu\xfeo\xf0lu'), text: 'Çavuşoğlu' },
  { characterSet: 'ISO_IR 166', bytes: inLatin1('\xca\xc1\xaa\xd2\xc2'), text: 'สมชาย' },
  { characterSet: 'ISO_IR 13', bytes: inLatin1('\xd4\xcf\xc0\xde^\xc0\xdb\xb3'), text: 'ﾔﾏﾀﾞ^ﾀﾛｳ' },
  { characterSet: 'ISO_IR 192', bytes: Buffer.from('Wang^XiaoDong=王^小東'), text: 'Wang^XiaoDong=王^小東' },
  {
    characterSet: 'GB18030',
    bytes: inLatin1('Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab'),
    text: 'Wang^XiaoDong=王^小东',
  },
  {
    characterSet: '\\ISO 2022 IR 58',
    bytes: inLatin1('Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab'),
    text: 'Zhang^XiaoDong=张^小东',
  },
  {
    characterSet: '\\ISO 2022 IR 87',
    bytes: inLatin1('Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B'),
    text: 'Yamada^Tarou=山田^太郎=やまだ^たろう',
  },
  {
    characterSet: 'ISO 2022 IR 13\\ISO 2022 IR 87',
    bytes: inLatin1('\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J'),
    text: 'ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎',
  },
  {
    characterSet: '\\ISO 2022 IR 149',
    bytes: inLatin1(
      'Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf',
    ),
    text: 'Hong^Gildong=洪^吉洞=홍^길동',
  },
];

/** A study of a patient for each name, `INTEROP-CS-<n>`. */
export function oneOfEachCharacterSet(study: string): readonly SentObject[] {
  return namesInCharacterSets.map((patientName, index) =>
    handmade({
      name: patientName.characterSet,
      patientName,
      patientId: `INTEROP-CS-${index}`,
      study: `${study}/${index}`,
    }),
  );
}
