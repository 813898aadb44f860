import type { CharacterSet } from './character-sets.ts';
import { personName } from './data-set-json.ts';
import type { DataElement } from './data-set-json.ts';
import { valueRepresentations } from './dictionary.ts';
import type { ValueRepresentation } from './dictionary.ts';
import { tagText } from './element-header.ts';

/**
 * Makes an element of the JSON model from the bytes of a value, of any VR but SQ. Padding is removed (PS3.5 6.2), and
 * NUL wherever it stands in text: no VR allows it, and databases refuse it. Bytes after the last whole value of a VR of
 * fixed length are left out. Never throws.
 */
export function readValue(
  bytes: Buffer,
  vr: string,
  littleEndian: boolean,
  characterSet: CharacterSet,
): DataElement {
  if (bytes.length === 0) return { vr };
  const representation = valueRepresentations.get(vr)!;
  switch (representation.kind) {
    case 'text':
      return textElement(vr, representation, bytes, characterSet);
    case 'name':
      return withValues(vr, characterSet.decode(bytes, true).split('\\').map(nameOf));
    case 'number':
      return withValues(vr, numbers(bytes, vr, representation.bytes, littleEndian));
    case 'tag':
      return withValues(vr, attributeTags(bytes, littleEndian));
    default:
      return {
        vr,
        InlineBinary: toLittleEndian(bytes, representation.bytes, littleEndian).toString('base64'),
      };
  }
}

/** Bytes of words of `size` in the other byte order; a copy unless nothing changes. */
export function toLittleEndian(bytes: Buffer, size: number, littleEndian: boolean): Buffer {
  if (littleEndian || size === 1) return bytes;
  const whole = bytes.length - (bytes.length % size);
  const swapped = Buffer.from(bytes);
  const words = swapped.subarray(0, whole);
  if (size === 2) words.swap16();
  else if (size === 4) words.swap32();
  else words.swap64();
  return swapped;
}

/** Text of a value without what pads it. */
export function unpadded(text: string, trimStart: boolean): string {
  let value = text.includes('\0') ? text.replaceAll('\0', '') : text;
  if (value.endsWith(' ')) value = trimSpacesEnd(value);
  if (trimStart && value.startsWith(' ')) value = value.replace(/^ +/, '');
  return value;
}

/** Not a regular expression: ` +$` takes quadratic time on text with many spaces inside. */
function trimSpacesEnd(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0x20) end--;
  return text.slice(0, end);
}

function textElement(
  vr: string,
  { characterSet, multiple, trimStart }: ValueRepresentation,
  bytes: Buffer,
  set: CharacterSet,
) {
  const text = characterSet ? set.decode(bytes, false) : bytes.toString('latin1');
  if (!multiple || !text.includes('\\')) return withValues(vr, [textValue(vr, unpadded(text, trimStart))]);
  return withValues(
    vr,
    text.split('\\').map((value) => textValue(vr, unpadded(value, trimStart))),
  );
}

function withValues(vr: string, values: readonly unknown[]): DataElement {
  if (values.length === 0 || (values.length === 1 && values[0] === null)) return { vr };
  return { vr, Value: values };
}

/** DS and IS are numbers in the JSON model only where the text can be made from the number again (`1.0` stays text). */
function textValue(vr: string, text: string): string | number | null {
  if (text === '') return null;
  if ((vr === 'DS' || vr === 'IS') && text.length <= 16) {
    const number = Number(text);
    if (String(number) === text && Number.isFinite(number)) return number;
  }
  return text;
}

function nameOf(text: string) {
  return personName(
    text
      .split('=')
      .map((group) => unpadded(group, false))
      .join('='),
  );
}

function numbers(bytes: Buffer, vr: string, size: number, littleEndian: boolean): unknown[] {
  const ordered = toLittleEndian(bytes, size, littleEndian);
  const values: unknown[] = [];
  for (let at = 0; at + size <= ordered.length; at += size) values.push(numberAt(ordered, at, vr));
  return values;
}

function numberAt(bytes: Buffer, at: number, vr: string): number | string {
  switch (vr) {
    case 'US':
      return bytes.readUInt16LE(at);
    case 'SS':
      return bytes.readInt16LE(at);
    case 'UL':
      return bytes.readUInt32LE(at);
    case 'SL':
      return bytes.readInt32LE(at);
    case 'FL':
      return real(bytes.readFloatLE(at));
    case 'FD':
      return real(bytes.readDoubleLE(at));
    case 'SV':
      return whole(bytes.readBigInt64LE(at));
    default:
      return whole(bytes.readBigUInt64LE(at));
  }
}

/** JSON has no such numbers (PS3.18 F.2.3.1). */
function real(value: number): number | string {
  if (Number.isFinite(value)) return value;
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'inf' : '-inf';
}

function whole(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

function attributeTags(bytes: Buffer, littleEndian: boolean): string[] {
  const ordered = toLittleEndian(bytes, 2, littleEndian);
  const values: string[] = [];
  for (let at = 0; at + 4 <= ordered.length; at += 4) {
    values.push(tagText(ordered.readUInt16LE(at) * 0x10000 + ordered.readUInt16LE(at + 2)));
  }
  return values;
}
