import { constants, inflateRawSync } from 'node:zlib';
import { characterSetOf } from './character-sets.ts';
import type { CharacterSet } from './character-sets.ts';
import type { DataElement, DataSetJson } from './data-set-json.ts';
import { isPrivateCreatorTag, vrOf } from './dictionary.ts';
import {
  ElementHeader,
  implicitLittleEndian,
  itemDelimitationTag,
  itemTag,
  pixelDataTag,
  sequenceDelimitationTag,
  sequenceDepthMax,
  tagText,
  undefinedLength,
} from './element-header.ts';
import type { Coding } from './element-header.ts';
import { DataSetError } from './errors.ts';
import { readValue } from './read-value.ts';
import { transferSyntaxOf } from './transfer-syntaxes.ts';

export interface DecodeOptions {
  /** Stop before this tag of the data set itself (not of its items), or the first one above it: `0x7FE00010`. */
  readonly untilTag?: number;
  /** Longer values become a `BulkDataURI`. Bytes, default 8 MiB. */
  readonly inlineBytesMax?: number;
  /** A deflated data set that is larger is refused. Bytes, default 64 MiB. */
  readonly inflatedBytesMax?: number;
}

const defaultRepertoire = characterSetOf([]);
const specificCharacterSetTag = 0x00080005;
const pixelRepresentationTag = 0x00280103;
const defaultInlineBytesMax = 8 * 1024 * 1024;
const defaultInflatedBytesMax = 64 * 1024 * 1024;

/** A data set or item while it is read, with what it inherits from around it and hands on to its items. */
class Level {
  readonly coding: Coding;
  readonly depth: number;
  characterSet: CharacterSet;
  pixelRepresentation: number | undefined;
  readonly row: { [tag: string]: DataElement } = {};
  /** Group and block (6 hex digits) to private creator. */
  readonly #creators = new Map<string, string>();

  constructor(coding: Coding, outer?: Level) {
    this.coding = coding;
    this.depth = outer === undefined ? 0 : outer.depth + 1;
    this.characterSet = outer?.characterSet ?? defaultRepertoire;
    this.pixelRepresentation = outer?.pixelRepresentation;
  }

  /** Of an element that names no VR itself. */
  vrOf(name: string, tag: number): string {
    const creator = isOdd(tag) ? this.#creators.get(name.slice(0, 6)) : undefined;
    return vrOf(name, { creator, pixelRepresentation: this.pixelRepresentation });
  }

  /** The first of two elements with one tag counts. */
  add(name: string, tag: number, found: DataElement): void {
    if (this.row[name] !== undefined) return;
    this.row[name] = found;
    const first = found.Value?.[0];
    if (tag === specificCharacterSetTag) this.characterSet = characterSetIn(found);
    else if (tag === pixelRepresentationTag) this.pixelRepresentation = Number(first);
    else if (isOdd(tag) && isPrivateCreatorTag(name)) {
      this.#creators.set(name.slice(0, 4) + name.slice(6), String(first ?? ''));
    }
  }
}

/**
 * Reads a whole data set, without file meta information, into the DICOM JSON Model: Implicit and Explicit VR, either
 * byte order, deflated; sequences of defined and undefined length; text in any character set as Unicode. (0008,0005)
 * keeps what the sender said.
 *
 * Private elements are kept, with the VR of the data, of our private dictionary or UN. A UN whose tag the dictionary
 * knows is read as what it is (PS3.5 6.2.2). Encapsulated pixel data becomes a `BulkDataURI`. Of an element that occurs
 * twice the first counts, as in DCMTK. Odd lengths, zero bytes after the end and single Implicit VR elements among
 * Explicit ones are tolerated. Values are not checked against their VR.
 *
 * @throws DataSetError `truncated`, `malformed`, `too-deep`, `deflate` or `unknown-transfer-syntax`; nothing else,
 * whatever
 *   the bytes are
 */
export function decodeDataSet(
  bytes: Buffer,
  transferSyntaxUid: string,
  options: DecodeOptions = {},
): DataSetJson {
  const syntax = transferSyntaxOf(transferSyntaxUid);
  if (syntax === undefined) {
    throw new DataSetError('unknown-transfer-syntax', 'The transfer syntax is not one of PS3.6');
  }
  const source = syntax.deflated
    ? inflate(bytes, options.inflatedBytesMax ?? defaultInflatedBytesMax)
    : bytes;
  const decoder = new Decoder(
    source,
    options.untilTag ?? Infinity,
    options.inlineBytesMax ?? defaultInlineBytesMax,
  );
  const level = new Level(syntax);
  decoder.elements(0, source.length, level, false);
  return level.row;
}

/**
 * Reads elements that stand one after another, one beginning at each of `starts`, as if they were a data set. One that
 * cannot be read is left out. Not deflated. Never throws.
 */
export function decodeElements(bytes: Buffer, starts: readonly number[], coding: Coding): DataSetJson {
  const decoder = new Decoder(bytes, Infinity, defaultInlineBytesMax);
  const level = new Level(coding);
  for (const [index, start] of starts.entries()) {
    try {
      decoder.elements(start, starts[index + 1] ?? bytes.length, level, false);
    } catch (error) {
      if (!(error instanceof DataSetError)) throw error;
    }
  }
  return level.row;
}

/** Deflated Explicit VR Little Endian (PS3.5 A.5): no zlib header. */
function inflate(bytes: Buffer, maxOutputLength: number): Buffer {
  try {
    return inflateRawSync(bytes, { maxOutputLength, finishFlush: constants.Z_FINISH });
  } catch (error) {
    throw new DataSetError('deflate', 'The deflated data set cannot be inflated', {}, error);
  }
}

class Decoder {
  readonly #bytes: Buffer;
  readonly #untilTag: number;
  readonly #inlineBytesMax: number;
  /** Where the last sequence, item or data set ended. */
  #next = 0;

  constructor(bytes: Buffer, untilTag: number, inlineBytesMax: number) {
    this.#bytes = bytes;
    this.#untilTag = untilTag;
    this.#inlineBytesMax = inlineBytesMax;
  }

  /** Reads elements from `start` to `end`, or to the item delimiter when `delimited`, into `level`. */
  elements(start: number, end: number, level: Level, delimited: boolean): void {
    const header = new ElementHeader();
    let at = start;
    while (at < end) {
      if (level.depth === 0 && this.#startsWithZeros(at, end)) {
        this.#checkPadding(at, end);
        break;
      }
      if (!header.read(this.#bytes, at, end, level.coding)) throw truncated(at);
      const { tag, length } = header;
      if (level.depth === 0 && tag >= this.#untilTag) break;
      const valueAt = at + header.headerBytes;
      if (tag >= 0xfffe0000 && tag <= 0xfffeffff) {
        if (tag !== itemDelimitationTag || level.depth === 0) {
          throw malformed('An item stands among elements', at, tag);
        }
        at = valueAt;
        if (!delimited) continue;
        this.#next = at;
        return;
      }
      if (length !== undefinedLength && length > end - valueAt) throw truncated(at, tag);
      const name = tagText(tag);
      const vr = header.vr ?? level.vrOf(name, tag);
      const found =
        length === undefinedLength
          ? this.#undefinedLengthElement(tag, vr, valueAt, end, level)
          : this.#element(name, tag, vr, valueAt, length, level);
      level.add(name, tag, found);
      at = this.#next;
    }
    if (delimited) throw truncated(at);
    this.#next = end;
  }

  #element(name: string, tag: number, vr: string, at: number, length: number, level: Level): DataElement {
    const end = at + length;
    this.#next = end;
    if (vr === 'SQ') return this.#sequence(at, end, level, level.coding, false);
    if (length > this.#inlineBytesMax) return bulkData(vr, at, length);
    const known = vr === 'UN' ? level.vrOf(name, tag) : vr;
    if (vr === 'UN' && known !== 'UN') return this.#asKnown(known, at, end, level);
    const value = this.#bytes.subarray(at, end);
    return readValue(value, vr, level.coding.littleEndian, level.characterSet);
  }

  /** A value that came as UN: Implicit VR Little Endian inside, unless it turns out to be something else. */
  #asKnown(vr: string, at: number, end: number, level: Level): DataElement {
    const value = this.#bytes.subarray(at, end);
    if (vr !== 'SQ') return readValue(value, vr, true, level.characterSet);
    try {
      return this.#sequence(at, end, level, implicitLittleEndian, false);
    } catch (error) {
      if (!(error instanceof DataSetError)) throw error;
      return readValue(value, 'UN', true, level.characterSet);
    } finally {
      this.#next = end;
    }
  }

  #undefinedLengthElement(tag: number, vr: string, at: number, end: number, level: Level): DataElement {
    const { coding } = level;
    if (vr === 'SQ' || (!coding.explicitVr && tag !== pixelDataTag)) {
      return this.#sequence(at, end, level, coding, true);
    }
    if (vr === 'UN') return this.#sequence(at, end, level, implicitLittleEndian, true);
    if (!/^O[BWLVFD]$/.test(vr))
      throw malformed('Only sequences and pixel data end with a delimiter', at, tag);
    this.#skipFragments(at, end, coding);
    return bulkData(vr, at, this.#next - at);
  }

  #sequence(start: number, end: number, outer: Level, coding: Coding, delimited: boolean): DataElement {
    if (outer.depth >= sequenceDepthMax) {
      throw new DataSetError('too-deep', 'Sequences are nested too deep', { offset: start });
    }
    const header = new ElementHeader();
    const items: DataSetJson[] = [];
    let at = start;
    while (at < end) {
      if (!header.read(this.#bytes, at, end, coding)) throw truncated(at);
      const { tag, length, headerBytes } = header;
      at += headerBytes;
      if (tag === sequenceDelimitationTag) {
        if (!delimited && at < end) throw malformed('A sequence ends before its length', at, tag);
        this.#next = at;
        return sequenceOf(items);
      }
      if (tag !== itemTag) throw malformed('An element stands among items', at, tag);
      if (length !== undefinedLength && length > end - at) throw truncated(at, tag);
      const itemEnd = length === undefinedLength ? end : at + length;
      const level = new Level(coding, outer);
      this.elements(at, itemEnd, level, length === undefinedLength);
      items.push(level.row);
      at = this.#next;
    }
    if (delimited) throw truncated(at);
    this.#next = end;
    return sequenceOf(items);
  }

  /** Fragments of encapsulated pixel data (PS3.5 A.4). */
  #skipFragments(start: number, end: number, coding: Coding): void {
    const header = new ElementHeader();
    let at = start;
    while (header.read(this.#bytes, at, end, coding)) {
      at += header.headerBytes;
      if (header.tag === sequenceDelimitationTag) {
        this.#next = at;
        return;
      }
      if (header.tag !== itemTag || header.length === undefinedLength) {
        throw malformed('Something else stands among the fragments of pixel data', at, header.tag);
      }
      if (header.length > end - at) throw truncated(at);
      at += header.length;
    }
    throw truncated(at);
  }

  #startsWithZeros(at: number, end: number): boolean {
    const bytes = this.#bytes;
    for (let index = at; index < Math.min(at + 4, end); index++) if (bytes[index] !== 0) return false;
    return true;
  }

  /** Zero bytes after the last element are padding that some writers add; (0000,0000) itself is for commands only. */
  #checkPadding(at: number, end: number): void {
    for (let index = at; index < end; index++) {
      if (this.#bytes[index] !== 0) throw malformed('A command element stands in a data set', at, 0);
    }
  }
}

/** By number, as it is asked for every element. */
function isOdd(tag: number): boolean {
  return (tag & 0x10000) !== 0;
}

function characterSetIn({ Value }: DataElement): CharacterSet {
  return characterSetOf((Value ?? []).map((value) => (typeof value === 'string' ? value : '')));
}

function sequenceOf(items: readonly DataSetJson[]): DataElement {
  return items.length === 0 ? { vr: 'SQ' } : { vr: 'SQ', Value: items };
}

function bulkData(vr: string, offset: number, length: number): DataElement {
  return { vr, BulkDataURI: `#offset=${offset}&length=${length}` };
}

function truncated(offset: number, tag?: number): DataSetError {
  return new DataSetError('truncated', 'The data set ends inside an element', factsAt(offset, tag));
}

function malformed(message: string, offset: number, tag: number): DataSetError {
  return new DataSetError('malformed', message, factsAt(offset, tag));
}

function factsAt(offset: number, tag: number | undefined) {
  return tag === undefined ? { offset } : { offset, tag: tagText(tag) };
}
