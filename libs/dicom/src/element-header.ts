import { valueRepresentations } from './dictionary.ts';
import type { ValueRepresentation } from './dictionary.ts';

/** Length field of sequences, items and encapsulated pixel data that end with a delimiter (PS3.5 7.5). */
export const undefinedLength = 0xffffffff;
export const itemTag = 0xfffee000;
export const itemDelimitationTag = 0xfffee00d;
export const sequenceDelimitationTag = 0xfffee0dd;
export const pixelDataTag = 0x7fe00010;

/** Nothing real nests deeper; a walk of the stack must not be driven by the sender. */
export const sequenceDepthMax = 64;

/**
 * Of a data set, or of the items of one of undefined length with VR UN, which are Implicit Little Endian (PS3.5 6.2.2).
 */
export interface Coding {
  readonly explicitVr: boolean;
  readonly littleEndian: boolean;
}

export const implicitLittleEndian: Coding = { explicitVr: false, littleEndian: true };

interface KnownVr {
  readonly name: string;
  readonly representation: ValueRepresentation;
}

const vrByCode: ReadonlyMap<number, KnownVr> = new Map(
  [...valueRepresentations].map(([name, representation]): [number, KnownVr] => [
    (name.charCodeAt(0) << 8) | name.charCodeAt(1),
    { name, representation },
  ]),
);

/**
 * Tag, VR and length of one element or item (PS3.5 7.1), read into fields that are used again, for speed. `vr` is
 * undefined when the bytes do not name one: Implicit VR, items and delimiters. A VR of two capital letters that is not
 * known is read as UN with a 32-bit length, as every VR to come will have (PS3.5 6.2.2). Where no letters stand in the
 * place of the VR, the element is taken to be Implicit VR: some writers mix both.
 */
export class ElementHeader {
  tag = 0;
  vr: string | undefined = undefined;
  length = 0;
  headerBytes = 0;

  /** Reads at `at`; false when more than the bytes up to `end` are needed. */
  read(bytes: Buffer, at: number, end: number, { explicitVr, littleEndian }: Coding): boolean {
    if (end - at < 8) return false;
    const group = littleEndian ? bytes[at]! | (bytes[at + 1]! << 8) : (bytes[at]! << 8) | bytes[at + 1]!;
    const element = littleEndian
      ? bytes[at + 2]! | (bytes[at + 3]! << 8)
      : (bytes[at + 2]! << 8) | bytes[at + 3]!;
    this.tag = group * 0x10000 + element;
    this.vr = undefined;
    this.headerBytes = 8;
    const first = bytes[at + 4]!;
    const second = bytes[at + 5]!;
    if (!explicitVr || group === 0xfffe || !isCapital(first) || !isCapital(second)) {
      this.length = littleEndian ? bytes.readUInt32LE(at + 4) : bytes.readUInt32BE(at + 4);
      return true;
    }
    const known = vrByCode.get((first << 8) | second);
    this.vr = known === undefined ? 'UN' : known.name;
    if (known !== undefined && !known.representation.longLength) {
      this.length = littleEndian ? bytes.readUInt16LE(at + 6) : bytes.readUInt16BE(at + 6);
      return true;
    }
    if (end - at < 12) return false;
    this.headerBytes = 12;
    this.length = littleEndian ? bytes.readUInt32LE(at + 8) : bytes.readUInt32BE(at + 8);
    return true;
  }
}

const texts = new Map<number, string>();
/** More tags than a few modalities use; the sender must not fill memory. */
const textsMax = 8192;

/** 8 upper-case hex digits. */
export function tagText(tag: number): string {
  const known = texts.get(tag);
  if (known !== undefined) return known;
  const text = tag.toString(16).toUpperCase().padStart(8, '0');
  if (texts.size < textsMax) texts.set(tag, text);
  return text;
}

function isCapital(byte: number): boolean {
  return byte >= 0x41 && byte <= 0x5a;
}
