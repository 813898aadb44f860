import { deflateRawSync } from 'node:zlib';
import { personNameText } from './data-set-json.ts';
import type { DataElement, DataSetJson } from './data-set-json.ts';
import { valueRepresentations, vrOf } from './dictionary.ts';
import { sequenceDepthMax } from './element-header.ts';
import type { Coding } from './element-header.ts';
import { DataSetError } from './errors.ts';
import { tags } from './tags.ts';
import { transferSyntaxOf } from './transfer-syntaxes.ts';
import { unencodable, valuesOf, writeValue } from './write-value.ts';
import type { Place } from './write-value.ts';

/** The longest even value of a VR whose length field has 16 bits (PS3.5 7.1.2). */
const shortLengthMax = 0xfffe;
const item = Buffer.of(0xfe, 0xff, 0x00, 0xe0);

interface Writing {
  readonly coding: Coding;
  /** (0008,0005) is written once, at the top: ISO_IR 192. */
  readonly unicode: boolean;
  readonly depth: number;
}

/**
 * Writes a data set, without file meta information: elements in order of tag, sequences and items with defined length,
 * group lengths left out. When any text is beyond ASCII, (0008,0005) becomes ISO_IR 192 and all text is UTF-8; else it
 * stays what the data set says. The VR is the one of the JSON, or the dictionary's when that is missing. A value too
 * long for a VR with a short length, such as a long list of UIDs, goes out as UN (PS3.5 6.2.2); `decodeDataSet`
 * reads it back as what it is.
 *
 * It does not check that values obey their VR further than writing them needs: a date can be any text.
 *
 * @throws DataSetError `unencodable` (with the tag) when a value does not fit its VR, would fall into two values, or
 * is a
 *   `BulkDataURI`; `too-deep`; `unknown-transfer-syntax`
 */
export function encodeDataSet(json: DataSetJson, transferSyntaxUid: string): Buffer {
  const syntax = transferSyntaxOf(transferSyntaxUid);
  if (syntax === undefined) {
    throw new DataSetError('unknown-transfer-syntax', 'The transfer syntax is not one of PS3.6');
  }
  const unicode = needsUnicode(json, false, 0);
  const row = unicode ? { ...json, [tags.SpecificCharacterSet]: { vr: 'CS', Value: ['ISO_IR 192'] } } : json;
  const bytes = Buffer.concat(elements(row, { coding: syntax, unicode, depth: 0 }));
  if (!syntax.deflated) return bytes;
  const deflated = deflateRawSync(bytes);
  return deflated.length % 2 === 0 ? deflated : Buffer.concat([deflated, Buffer.alloc(1)]);
}

/**
 * Text that the character set of the data set would not read back: anything beyond ASCII, the escape character, and
 * where ISO_IR 13 is said also what romaji has other letters for.
 */
function needsUnicode(row: DataSetJson, inheritsRomaji: boolean, depth: number): boolean {
  if (depth > sequenceDepthMax) return false;
  const said = row[tags.SpecificCharacterSet]?.Value?.[0];
  const romaji = said === undefined ? inheritsRomaji : String(said).endsWith('13');
  return Object.values(row).some(
    (found) =>
      Array.isArray(found?.Value) &&
      found.Value.some((value: unknown) => {
        if (found.vr === 'SQ')
          return isObject(value) && needsUnicode(value as DataSetJson, romaji, depth + 1);
        if (valueRepresentations.get(found.vr)?.characterSet !== true) return false;
        return !isPlain(personNameText(value), romaji);
      }),
  );
}

function isPlain(text: string, romaji: boolean): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= 0x80 || code === 0x1b || (romaji && (code === 0x5c || code === 0x7e))) return false;
  }
  return true;
}

function elements(row: DataSetJson, writing: Writing): Buffer[] {
  const out: Buffer[] = [];
  for (const [name, found] of inOrder(row)) {
    if (name.endsWith('0000') || (writing.unicode && writing.depth > 0 && name === tags.SpecificCharacterSet))
      continue;
    if (!isObject(found)) throw unencodable('The element is not an object', { tag: name, vr: '' });
    const vr = typeof found.vr === 'string' && valueRepresentations.has(found.vr) ? found.vr : vrOf(name);
    writeElement(out, found, { tag: name, vr }, writing);
  }
  return out;
}

function writeElement(out: Buffer[], found: DataElement, place: Place, writing: Writing): void {
  const { coding } = writing;
  const representation = valueRepresentations.get(place.vr)!;
  if (representation.kind === 'sequence') {
    const content = sequence(found, place, writing);
    out.push(header(place, lengthOf(content), coding), ...content);
    return;
  }
  const value = writeValue(found, place, representation, coding.littleEndian);
  if (!coding.explicitVr || representation.longLength || value.length <= shortLengthMax) {
    out.push(header(place, value.length, coding), value);
    return;
  }
  const asUnknown = coding.littleEndian ? value : writeValue(found, place, representation, true);
  out.push(header({ ...place, vr: 'UN' }, value.length, coding), asUnknown);
}

function sequence(found: DataElement, place: Place, writing: Writing): Buffer[] {
  const depth = writing.depth + 1;
  if (depth > sequenceDepthMax)
    throw new DataSetError('too-deep', 'Sequences are nested too deep', { tag: place.tag });
  return valuesOf(found, place).flatMap((value) => {
    if (!isObject(value) || Array.isArray(value)) throw unencodable('An item is not a data set', place);
    const content = elements(value as DataSetJson, { ...writing, depth });
    return [itemHeader(lengthOf(content), writing.coding), ...content];
  });
}

function header({ tag, vr }: Place, length: number, { explicitVr, littleEndian }: Coding): Buffer {
  if (length >= 0xffffffff) throw unencodable('The value is too long for any element', { tag, vr });
  const long = explicitVr && valueRepresentations.get(vr)!.longLength;
  const bytes = Buffer.alloc(long ? 12 : 8);
  const group = Number.parseInt(tag.slice(0, 4), 16);
  const number = Number.parseInt(tag.slice(4), 16);
  if (littleEndian) {
    bytes.writeUInt16LE(group, 0);
    bytes.writeUInt16LE(number, 2);
  } else {
    bytes.writeUInt16BE(group, 0);
    bytes.writeUInt16BE(number, 2);
  }
  if (explicitVr) bytes.write(vr, 4, 'latin1');
  if (!explicitVr || long) writeLength(bytes, length, long ? 8 : 4, littleEndian);
  else if (littleEndian) bytes.writeUInt16LE(length, 6);
  else bytes.writeUInt16BE(length, 6);
  return bytes;
}

function itemHeader(length: number, { littleEndian }: Coding): Buffer {
  const bytes = Buffer.alloc(8);
  if (littleEndian) item.copy(bytes);
  else bytes.writeUInt32BE(0xfffee000, 0);
  writeLength(bytes, length, 4, littleEndian);
  return bytes;
}

function writeLength(bytes: Buffer, length: number, at: number, littleEndian: boolean): void {
  if (littleEndian) bytes.writeUInt32LE(length, at);
  else bytes.writeUInt32BE(length, at);
}

function inOrder(row: DataSetJson): [string, DataElement][] {
  const named = Object.entries(row).map(([tag, found]): [string, DataElement] => [tag.toUpperCase(), found]);
  for (const [tag] of named) {
    if (!/^[0-9A-F]{8}$/.test(tag) || tag.startsWith('FFFE') || tag.startsWith('0000')) {
      throw new DataSetError('unencodable', 'The data set names an element that cannot be written', {});
    }
  }
  return named.sort(([a], [b]) => (a < b ? -1 : 1));
}

function lengthOf(parts: readonly Buffer[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

function isObject(value: unknown): value is object & DataElement {
  return typeof value === 'object' && value !== null;
}
