import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { isPrivateCreatorTag, valueRepresentations, vrOf } from './dictionary.ts';
import {
  ElementHeader,
  implicitLittleEndian,
  itemDelimitationTag,
  itemTag,
  sequenceDelimitationTag,
  sequenceDepthMax,
  tagText,
  undefinedLength,
} from './element-header.ts';
import type { Coding } from './element-header.ts';
import { DataSetError } from './errors.ts';
import { transferSyntaxOf } from './transfer-syntaxes.ts';

/** The longest even value of a VR whose length field has 16 bits (PS3.5 7.1.2). */
const shortLengthMax = 0xfffe;
const pixelRepresentationTag = 0x00280103;

/**
 * Whether `transcodeDataSet` converts from one transfer syntax to the other: between Implicit and Explicit VR Little Endian
 * and Deflated Explicit VR Little Endian, and from Explicit VR Big Endian to those. Pixel data is never coded or decoded.
 */
export function canTranscode(from: string, to: string): boolean {
  const [source, target] = [transferSyntaxOf(from), transferSyntaxOf(to)];
  if (source === undefined || target === undefined) return false;
  return !source.encapsulated && !target.encapsulated && target.littleEndian;
}

/**
 * Converts a data set, without file meta information. Values stay as they are, but for the byte order; sequences and items
 * of defined length keep a defined length. Group lengths, which would be wrong, and zero bytes after the end are left
 * out. An element of Implicit VR gets the VR of the dictionary, UN when that does not know it or when the value is too
 * long for its VR (PS3.5 6.2.2).
 *
 * @param options.inflatedBytesMax - A deflated data set that is larger is refused.
 * @throws DataSetError `truncated`, `malformed`, `too-deep`, `deflate` or `unknown-transfer-syntax`; nothing else,
 *   whatever the bytes are
 */
export function transcodeDataSet(
  bytes: Buffer,
  {
    from,
    to,
    inflatedBytesMax,
  }: { readonly from: string; readonly to: string; readonly inflatedBytesMax: number },
): Buffer {
  const [source, target] = [transferSyntaxOf(from), transferSyntaxOf(to)];
  if (source === undefined || target === undefined || !canTranscode(from, to)) {
    throw new DataSetError(
      'unknown-transfer-syntax',
      'There is no conversion between these transfer syntaxes',
    );
  }
  const flat = source.deflated ? inflated(bytes, inflatedBytesMax) : bytes;
  const isSame = source.explicitVr === target.explicitVr && source.littleEndian;
  const converted = isSame ? flat : new Converter(flat).convert(source, target.explicitVr);
  return target.deflated ? deflated(converted) : converted;
}

function inflated(bytes: Buffer, maxOutputLength: number): Buffer {
  try {
    return inflateRawSync(bytes, { maxOutputLength, finishFlush: constants.Z_FINISH });
  } catch (error) {
    throw new DataSetError('deflate', 'The deflated data set cannot be inflated', {}, error);
  }
}

/** Of even length (PS3.5 A.5). */
function deflated(bytes: Buffer): Buffer {
  const whole = deflateRawSync(bytes);
  return whole.length % 2 === 0 ? whole : Buffer.concat([whole, Buffer.alloc(1)]);
}

/** A data set or item, with what the VR of its elements hangs on. */
class Level {
  readonly coding: Coding;
  /** Whether it is written with VRs. */
  readonly explicitVr: boolean;
  readonly depth: number;
  pixelRepresentation: number | undefined;
  readonly #creators = new Map<string, string>();

  constructor(coding: Coding, explicitVr: boolean, outer?: Level) {
    this.coding = coding;
    this.explicitVr = explicitVr;
    this.depth = outer === undefined ? 0 : outer.depth + 1;
    this.pixelRepresentation = outer?.pixelRepresentation;
  }

  vrOf(name: string): string {
    const creator = this.#creators.get(name.slice(0, 6));
    return vrOf(name, { creator, pixelRepresentation: this.pixelRepresentation });
  }

  look(tag: number, name: string, value: Buffer): void {
    if (tag === pixelRepresentationTag && value.length >= 2) {
      this.pixelRepresentation = this.coding.littleEndian ? value.readUInt16LE() : value.readUInt16BE();
    } else if (isPrivateCreatorTag(name)) {
      this.#creators.set(name.slice(0, 4) + name.slice(6), value.toString('latin1').trim());
    }
  }
}

/** To Little Endian with or without VRs. */
class Converter {
  readonly #bytes: Buffer;
  #out: Buffer;
  #filled = 0;
  /** Where the last sequence, item or data set ended. */
  #next = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#out = Buffer.allocUnsafeSlow(bytes.length + (bytes.length >> 4) + 1_024);
  }

  convert(coding: Coding, explicitVr: boolean): Buffer {
    this.#elements(0, this.#bytes.length, new Level(coding, explicitVr), false);
    return this.#out.subarray(0, this.#filled);
  }

  #elements(start: number, end: number, level: Level, delimited: boolean): void {
    const header = new ElementHeader();
    let at = start;
    while (at < end) {
      if (level.depth === 0 && this.#isPadding(at, end)) break;
      if (!header.read(this.#bytes, at, end, level.coding)) throw faultAt('truncated', at);
      const { tag, length } = header;
      const valueAt = at + header.headerBytes;
      if (tag >= 0xfffe0000 && tag <= 0xfffeffff) {
        if (tag !== itemDelimitationTag || level.depth === 0) throw faultAt('malformed', at, tag);
        this.#next = valueAt;
        if (delimited) return;
        at = valueAt;
        continue;
      }
      if (length !== undefinedLength && length > end - valueAt) throw faultAt('truncated', at, tag);
      const name = tagText(tag);
      // A sequence is the only thing of undefined length that has no VR, or UN.
      const vr = header.vr ?? (length === undefinedLength ? 'SQ' : level.vrOf(name));
      this.#element(tag, name, vr, valueAt, length, end, level);
      at = this.#next;
    }
    if (delimited) throw faultAt('truncated', at);
    this.#next = end;
  }

  #element(
    tag: number,
    name: string,
    vr: string,
    at: number,
    length: number,
    end: number,
    level: Level,
  ): void {
    if (vr === 'SQ' || length === undefinedLength) return this.#sequence(tag, vr, at, length, end, level);
    this.#next = at + length;
    const value = this.#bytes.subarray(at, this.#next);
    level.look(tag, name, value);
    if ((tag & 0xffff) === 0) return; // A group length would be wrong.
    const isShort = valueRepresentations.get(vr)?.longLength === false;
    this.#header(tag, isShort && length > shortLengthMax ? 'UN' : vr, length, level.explicitVr);
    const copied = this.#copy(value);
    if (!level.coding.littleEndian) swap(copied, vr);
  }

  #sequence(tag: number, vr: string, start: number, length: number, outerEnd: number, outer: Level): void {
    if (vr !== 'SQ' && vr !== 'UN') throw faultAt('malformed', start, tag);
    if (outer.depth >= sequenceDepthMax) {
      throw new DataSetError('too-deep', 'Sequences are nested too deep', { offset: start });
    }
    // What came as UN is Implicit VR inside, and stays so (PS3.5 6.2.2).
    const coding = vr === 'UN' ? implicitLittleEndian : outer.coding;
    const explicitVr = vr !== 'UN' && outer.explicitVr;
    const isDelimited = length === undefinedLength;
    const end = isDelimited ? outerEnd : start + length;
    const lengthAt = this.#header(tag, vr, undefinedLength, outer.explicitVr);
    const header = new ElementHeader();
    let at = start;
    for (;;) {
      if (at >= end) {
        if (isDelimited) throw faultAt('truncated', at, tag);
        break;
      }
      if (!header.read(this.#bytes, at, end, coding)) throw faultAt('truncated', at);
      at += header.headerBytes;
      if (header.tag === sequenceDelimitationTag) {
        if (!isDelimited && at < end) throw faultAt('malformed', at, header.tag);
        break;
      }
      if (header.tag !== itemTag) throw faultAt('malformed', at, header.tag);
      at = this.#item(at, header.length, end, new Level(coding, explicitVr, outer));
    }
    if (isDelimited) this.#delimiter(sequenceDelimitationTag);
    else this.#out.writeUInt32LE(this.#filled - lengthAt - 4, lengthAt);
    this.#next = isDelimited ? at : end;
  }

  /** Answers where it ended. */
  #item(at: number, length: number, end: number, level: Level): number {
    const isDelimited = length === undefinedLength;
    if (!isDelimited && length > end - at) throw faultAt('truncated', at, itemTag);
    const lengthAt = this.#delimiter(itemTag, undefinedLength);
    this.#elements(at, isDelimited ? end : at + length, level, isDelimited);
    if (isDelimited) this.#delimiter(itemDelimitationTag);
    else this.#out.writeUInt32LE(this.#filled - lengthAt - 4, lengthAt);
    return this.#next;
  }

  /** Writes tag, VR and length; answers where the length of a sequence stands. */
  #header(tag: number, vr: string, length: number, explicitVr: boolean): number {
    const isLong = explicitVr && valueRepresentations.get(vr)?.longLength !== false;
    const bytes = isLong ? 12 : 8;
    const at = this.#room(bytes);
    const out = this.#out;
    out.writeUInt16LE(tag >>> 16, at);
    out.writeUInt16LE(tag & 0xffff, at + 2);
    if (!explicitVr) {
      out.writeUInt32LE(length, at + 4);
      return at + 4;
    }
    out.write(vr, at + 4, 'latin1');
    if (!isLong) {
      out.writeUInt16LE(length, at + 6);
      return at + 6;
    }
    out.writeUInt16LE(0, at + 6);
    out.writeUInt32LE(length, at + 8);
    return at + 8;
  }

  /** An item or a delimiter; answers where its length stands. */
  #delimiter(tag: number, length = 0): number {
    const at = this.#room(8);
    this.#out.writeUInt16LE(tag >>> 16, at);
    this.#out.writeUInt16LE(tag & 0xffff, at + 2);
    this.#out.writeUInt32LE(length, at + 4);
    return at + 4;
  }

  #copy(value: Buffer): Buffer {
    const at = this.#room(value.length);
    value.copy(this.#out, at);
    return this.#out.subarray(at, at + value.length);
  }

  #room(bytes: number): number {
    const at = this.#filled;
    this.#filled += bytes;
    if (this.#filled > this.#out.length) {
      const grown = Buffer.allocUnsafeSlow(this.#filled + (this.#filled >> 2));
      this.#out.copy(grown, 0, 0, at);
      this.#out = grown;
    }
    return at;
  }

  #isPadding(at: number, end: number): boolean {
    for (let index = at; index < end; index++) {
      if (this.#bytes[index] !== 0) {
        if (index - at < 4) return false;
        throw faultAt('malformed', at, 0);
      }
    }
    return true;
  }
}

/** To the other byte order, in place. */
function swap(value: Buffer, vr: string): void {
  const known = valueRepresentations.get(vr);
  const bytes = known?.kind === 'tag' ? 2 : (known?.bytes ?? 1);
  const whole = value.subarray(0, value.length - (value.length % bytes));
  if (bytes === 2) whole.swap16();
  else if (bytes === 4) whole.swap32();
  else if (bytes === 8) whole.swap64();
}

function faultAt(code: 'truncated' | 'malformed', offset: number, tag?: number): DataSetError {
  const message =
    code === 'truncated' ? 'The data set ends inside an element' : 'Something stands where it may not';
  return new DataSetError(code, message, tag === undefined ? { offset } : { offset, tag: tagText(tag) });
}
