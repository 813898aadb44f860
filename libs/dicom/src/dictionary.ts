import { elementsByVr } from './dictionary-vrs.ts';

/** VRs of PS3.5 6.2, with what reading and writing them needs. `bytes`: of one value, for VRs of fixed length. */
export interface ValueRepresentation {
  readonly kind: 'text' | 'name' | 'number' | 'tag' | 'binary' | 'sequence';
  /** Explicit VR: 2 reserved bytes and a 32-bit length (PS3.5 7.1.2). */
  readonly longLength: boolean;
  /** Text in the Specific Character Set; other text is ASCII. */
  readonly characterSet: boolean;
  /** Backslash separates values. */
  readonly multiple: boolean;
  /** Leading spaces do not count (trailing ones never do). */
  readonly trimStart: boolean;
  readonly bytes: number;
}

const plain = { longLength: false, characterSet: false, multiple: true, trimStart: false, bytes: 1 } as const;
const ascii = { ...plain, kind: 'text', trimStart: true } as const;
const paragraph = { ...plain, kind: 'text', characterSet: true, multiple: false } as const;

/** By VR code. */
export const valueRepresentations: ReadonlyMap<string, ValueRepresentation> = new Map<
  string,
  ValueRepresentation
>([
  ['AE', ascii],
  ['AS', ascii],
  ['AT', { ...plain, kind: 'tag', bytes: 4 }],
  ['CS', ascii],
  ['DA', ascii],
  ['DS', ascii],
  ['DT', ascii],
  ['FD', { ...plain, kind: 'number', bytes: 8 }],
  ['FL', { ...plain, kind: 'number', bytes: 4 }],
  ['IS', ascii],
  ['LO', { ...ascii, characterSet: true }],
  ['LT', paragraph],
  ['OB', { ...plain, kind: 'binary', longLength: true }],
  ['OD', { ...plain, kind: 'binary', longLength: true, bytes: 8 }],
  ['OF', { ...plain, kind: 'binary', longLength: true, bytes: 4 }],
  ['OL', { ...plain, kind: 'binary', longLength: true, bytes: 4 }],
  ['OV', { ...plain, kind: 'binary', longLength: true, bytes: 8 }],
  ['OW', { ...plain, kind: 'binary', longLength: true, bytes: 2 }],
  ['PN', { ...plain, kind: 'name', characterSet: true }],
  ['SH', { ...ascii, characterSet: true }],
  ['SL', { ...plain, kind: 'number', bytes: 4 }],
  ['SQ', { ...plain, kind: 'sequence', longLength: true }],
  ['SS', { ...plain, kind: 'number', bytes: 2 }],
  ['ST', paragraph],
  ['SV', { ...plain, kind: 'number', longLength: true, bytes: 8 }],
  ['TM', ascii],
  ['UC', { ...plain, kind: 'text', characterSet: true, longLength: true }],
  ['UI', ascii],
  ['UL', { ...plain, kind: 'number', bytes: 4 }],
  ['UN', { ...plain, kind: 'binary', longLength: true }],
  ['UR', { ...plain, kind: 'text', multiple: false, longLength: true }],
  ['US', { ...plain, kind: 'number', bytes: 2 }],
  ['UT', { ...paragraph, longLength: true }],
  ['UV', { ...plain, kind: 'number', longLength: true, bytes: 8 }],
]);

const standard = readStandard();

function readStandard(): ReadonlyMap<string, string> {
  const vrByTag = new Map<string, string>();
  for (const [vr, text] of Object.entries(elementsByVr)) {
    let group = '';
    for (const word of text.trim().split(/\s+/)) {
      const colon = word.indexOf(':');
      if (colon === 4) group = word.slice(0, 4);
      vrByTag.set(group + word.slice(colon + 1), vr);
    }
  }
  return vrByTag;
}

/** Elements of the repeating groups 50xx and 60xx (PS3.6 chapter 6, retired curves and overlays). */
const repeating: { readonly [group: string]: { readonly [element: string]: string } } = {
  '50': repeatingElements({
    US: '0005 0010 0103 0104 0105 0110 0112 0114 2000 2002 2004 2610',
    CS: '0020 1001',
    LO: '0022 2500',
    SH: '0030 0040 0106',
    UL: '2006 2008 200A',
    OW: '200C 3000',
    LT: '200E',
    SQ: '2600',
  }),
  '60': repeatingElements({
    US: '0010 0011 0012 0051 0052 0068 0069 0100 0102 0200 0802 0804 1100 1101 1102 1103 1200 1201 1202 1203',
    IS: '0015 1301',
    LO: '0022 0045 1500',
    CS: '0040 0060 0063 0110 0800 1001',
    SS: '0050',
    SH: '0061 0062',
    AT: '0066 0803',
    DS: '1302 1303',
    OW: '3000',
    LT: '4000',
  }),
};

function repeatingElements(byVr: { readonly [vr: string]: string }): { readonly [element: string]: string } {
  return Object.fromEntries(
    Object.entries(byVr).flatMap(([vr, elements]) => elements.split(' ').map((element) => [element, vr])),
  );
}

/** Private elements that we write or read: creator in upper case, group, then `xx` byte to VR. */
const privateCreators: ReadonlyMap<
  string,
  { readonly group: string; readonly vrs: ReadonlyMap<number, string> }
> = new Map([
  creator('ISTHMUS STUDY 1.0', '0073', {
    CS: [0x01, 0x03, 0x0b, 0x31],
    LO: [0x02, 0x04, 0x05, 0x07, 0x08, 0x0a, 0x0d, 0x0e, 0x13, 0x21, 0x33],
    IS: [0x06],
    SQ: [0x09, 0x0c, 0x0f, 0x10, 0x30],
    DT: [0x11, 0x14],
    UT: [0x12],
    UI: [0x20],
    UL: [0x22, 0x32],
    AT: [0x34],
  }),
  creator('ISTHMUS LINK 1.0', '0071', {
    US: [0x01],
    LO: [0x02, 0x04, 0x05, 0x08, 0x09, 0x0e],
    UI: [0x03],
    UL: [0x06, 0x0d],
    SQ: [0x07],
    CS: [0x0a],
    UT: [0x0b],
    OB: [0x0c],
  }),
  creator('MITRA LINKED ATTRIBUTES 1.0', '0031', { LO: [0x20] }),
  creator('AGFA PACS ARCHIVE MIRRORING 1.0', '0031', { CS: [0x00], UL: [0x01] }),
  creator('AGFA STUDY COMMENTS 1.0', '0035', { LT: [0x00] }),
  creator('MITRA OBJECT ATTRIBUTES 1.0', '0033', { LO: [0x02, 0x04, 0x06, 0x08, 0x0a] }),
  creator('MITRA OBJECT UTF8 ATTRIBUTES 1.0', '0033', {
    PN: [0x02, 0x06, 0x08, 0x0a, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e],
    CS: [0x04],
    LO: [0x0c],
    LT: [0x0e],
  }),
  creator('MITRA PRESENTATION 1.0', '0029', {
    CS: [0x00, 0x05, 0x10, 0x11, 0x12, 0x13],
    LO: [0x01, 0x02],
    IS: [0x03, 0x04],
  }),
  creator('MITRA MARKUP 1.0', '0029', {
    OB: [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x10, 0x11, 0x12, 0x13, 0x14],
  }),
  creator('MITRA OBJECT DOCUMENT 1.0', '0029', { OB: [0x00, 0x01, 0x10] }),
]);

function creator(name: string, group: string, byVr: { readonly [vr: string]: readonly number[] }) {
  const vrs = new Map(
    Object.entries(byVr).flatMap(([vr, bytes]) => bytes.map((byte): [number, string] => [byte, vr])),
  );
  return [name, { group, vrs }] as const;
}

/** Group (4 hex digits) in which we know elements of this private creator; letter case does not matter. */
export function groupOfCreator(creatorName: string): string | undefined {
  return privateCreators.get(creatorName.trim().toUpperCase())?.group;
}

/**
 * Value representation of a tag (8 hex digits), of the standard or, with the name of its private creator, of ours and
 * of the AGFA/MITRA blocks that we read. `UN` when it is not known; group length is UL and a private creator LO
 * (PS3.5 7.8.1). What the standard leaves open is answered as in Implicit VR: OW for "OB or OW", and US or SS by
 * `pixelRepresentation` (1 is signed).
 */
export function vrOf(tag: string, options: { creator?: string; pixelRepresentation?: number } = {}): string {
  const known = standard.get(tag);
  if (known !== undefined) return known !== 'XS' ? known : options.pixelRepresentation === 1 ? 'SS' : 'US';
  const element = tag.slice(4);
  if (element === '0000') return 'UL';
  if (isPrivateTag(tag)) {
    if (isPrivateCreatorTag(tag)) return 'LO';
    const block =
      options.creator === undefined ? undefined : privateCreators.get(options.creator.trim().toUpperCase());
    if (block === undefined || block.group !== tag.slice(0, 4)) return 'UN';
    return block.vrs.get(Number.parseInt(tag.slice(6), 16)) ?? 'UN';
  }
  const family = repeating[tag.slice(0, 2)];
  if (family !== undefined) return family[element] ?? 'UN';
  return tag.startsWith('002031') ? 'CS' : 'UN';
}

/** Odd group. */
export function isPrivateTag(tag: string): boolean {
  return (Number.parseInt(tag.slice(0, 4), 16) & 1) === 1;
}

/** (gggg,0010-00FF) of an odd group: reserves a block for the creator that it names. */
export function isPrivateCreatorTag(tag: string): boolean {
  return isPrivateTag(tag) && tag.startsWith('00', 4) && tag >= `${tag.slice(0, 4)}0010`;
}
