import { deflateRawSync } from 'node:zlib';
import { element, encodeDataSet, uids } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';

/** Transfer syntaxes that differ in how bytes are laid out; an input's first byte chooses one. */
export const layouts = [
  uids.ImplicitVrLittleEndian,
  uids.ExplicitVrLittleEndian,
  uids.ExplicitVrBigEndian,
  uids.DeflatedExplicitVrLittleEndian,
] as const;

const row: DataSetJson = {
  '00080005': element('CS', 'ISO_IR 100'),
  '00080016': element('UI', '1.2.840.10008.5.1.4.1.1.2'),
  '00080018': element('UI', '1.2.3.4'),
  '00081115': element('SQ', {
    '0020000E': element('UI', '1.2.3'),
    '00081199': element('SQ', { '00081155': element('UI', '1.2.3.4') }, {}),
  }),
  '00100010': element('PN', { Alphabetic: 'Bruegel^Pieter' }),
  '00100020': element('LO', 'ID 1'),
  '00181063': element('DS', '1.50'),
  '0020000D': element('UI', '1.2.3.9'),
  '00280009': element('AT', '00181063'),
  '00280010': element('US', 3),
  '00280103': element('US', 1),
  '00280106': element('SS', -7),
  '00730010': element('LO', 'ISTHMUS STUDY 1.0'),
  '00731001': element('CS', 'APPROVED'),
  '7FE00010': { vr: 'OW', InlineBinary: Buffer.alloc(18, 5).toString('base64') },
};

/** Text in several character sets: the escape sequences of ISO 2022 and UTF-8. */
const texts = [
  ['ISO_IR 192', Buffer.from('山田^太郎=やまだ')],
  ['\\ISO 2022 IR 87', Buffer.from('Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B', 'latin1')],
  ['\\ISO 2022 IR 149', Buffer.from('Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7', 'latin1')],
  ['GB18030', Buffer.from('Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab', 'latin1')],
] as const;

function explicit(tag: string, vr: string, value: Buffer): Buffer {
  const header = Buffer.concat([Buffer.from(tag, 'hex'), Buffer.from(vr), Buffer.alloc(2)]);
  header.writeUInt16LE(value.length, 6);
  return Buffer.concat([header, value]);
}

/** Undefined lengths, nested; UN of undefined length; encapsulated pixel data. */
const delimited = Buffer.concat([
  explicit('10002000', 'LO', Buffer.from('ID 1')),
  Buffer.from('080015115351' + '0000ffffffff' + 'feff00e0ffffffff' + '08001811' + '4c4f0200' + '4f4b', 'hex'),
  Buffer.from('feff0de000000000' + 'feffdde000000000', 'hex'),
  Buffer.from('09001010554e' + '0000ffffffff' + 'feff00e0ffffffff' + '1000200004000000' + '49443120', 'hex'),
  Buffer.from('feff0de000000000' + 'feffdde000000000', 'hex'),
  Buffer.from('e07f10004f42' + '0000ffffffff' + 'feff00e000000000' + 'feff00e004000000' + 'ffd8ffd9', 'hex'),
  Buffer.from('feffdde000000000', 'hex'),
]);

/** Inputs: one byte that chooses the layout, one that chooses options, then a valid data set. */
export function dataSetSeeds(): Buffer[] {
  const inputs = layouts.map((uid, index) => Buffer.concat([Buffer.of(index, 0), encodeDataSet(row, uid)]));
  for (const [set, name] of texts) {
    const bytes = Buffer.concat([
      explicit('08000500', 'CS', Buffer.from(set.length % 2 === 0 ? set : `${set} `)),
      explicit('10001000', 'PN', name),
      explicit('10002101', 'LO', Buffer.concat([name, Buffer.from('\\'), name])),
    ]);
    inputs.push(Buffer.concat([Buffer.of(1, 4), bytes]));
  }
  inputs.push(Buffer.concat([Buffer.of(1, 1), delimited]));
  for (const [level, strategy] of [
    [9, 0],
    [0, 0],
    [6, 4],
  ] as const) {
    inputs.push(Buffer.concat([Buffer.of(3, 2), deflateRawSync(delimited, { level, strategy })]));
  }
  return inputs;
}

/** Headers, delimiters, VRs and lengths in either byte order. */
export const dataSetDictionary: readonly Buffer[] = [
  ...[
    'feff00e0ffffffff',
    'feff00e000000000',
    'feff0de000000000',
    'feffdde000000000',
    'fffee000ffffffff',
    'fffee00d00000000',
    'fffee0dd00000000',
    '080005004353',
    '0800051153510000ffffffff',
    '08001511ffffffff',
    '00080005',
    '00081115',
    '09001010554e0000ffffffff',
    '1000100050 4e'.replace(' ', ''),
    '100020004c4f',
    '280003015553020001 00'.replace(' ', ''),
    '28000601',
    'e07f10004f420000ffffffff',
    'e07f10004f57000008000000',
    '7fe00010',
    'e07f1000ffffffff',
    '0000000000000000',
    'ffffffff',
    '73001000',
    '73000110',
    '1b2442',
    '1b2842',
    '1b242943',
    '030000000000',
    '0100faff',
  ].map((hex) => Buffer.from(hex, 'hex')),
  ...[
    'AE',
    'AS',
    'AT',
    'CS',
    'DA',
    'DS',
    'FD',
    'FL',
    'IS',
    'LO',
    'LT',
    'OB',
    'OD',
    'OF',
    'OL',
    'OV',
    'OW',
    'PN',
    'SH',
    'SL',
    'SQ',
    'SS',
    'ST',
    'SV',
    'TM',
    'UC',
    'UI',
    'UL',
    'UN',
    'UR',
    'US',
    'UT',
    'UV',
    'ZZ',
  ].map((vr) => Buffer.from(vr)),
  ...['ISO_IR 192', 'ISO 2022 IR 87', 'ISO_IR 13', 'GB18030', 'ISO 2022 IR 149\\'].map((set) =>
    Buffer.from(set),
  ),
];
