import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { characterSetOf } from './character-sets.ts';
import type { CharacterSet } from './character-sets.ts';
import { isPrivateCreatorTag, valueRepresentations, vrOf } from './dictionary.ts';
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
import { InflateStream } from './inflate-stream.ts';
import { readValue, toLittleEndian } from './read-value.ts';
import { transferSyntaxOf } from './transfer-syntaxes.ts';

/** A value as it stands in the data set, in little endian; longer ones are known by their hash. */
export interface ValuePart {
  readonly kind: 'value';
  readonly tag: number;
  /** Of the data, or of the dictionary where the data names none or `UN`. */
  readonly vr: string;
  readonly length: number;
  readonly bytes?: Buffer;
  /** SHA-256 in hex. */
  readonly sha256?: string;
  readonly characterSet: CharacterSet;
}

/** One step through a data set, in the order of its bytes. An `end` is that of the item or sequence begun last. */
export type ContentPart =
  | ValuePart
  /** Encapsulated pixel data; the hash is over its fragments and their lengths, without the offset table. */
  | { readonly kind: 'fragments'; readonly tag: number; readonly sha256: string }
  | { readonly kind: 'sequence'; readonly tag: number }
  | { readonly kind: 'item' | 'end' };

/** A data set, a sequence, an item, or encapsulated pixel data that is open. */
interface Frame {
  readonly kind: 'elements' | 'sequence' | 'fragments';
  readonly coding: Coding;
  /** Position at which it ends; Infinity when a delimiter ends it. */
  readonly endsAt: number;
  characterSet: CharacterSet;
  lastTag: number;
  /** Group and block (6 hex digits) to private creator, of this data set or item. */
  readonly creators: Map<string, string>;
}

interface ValueUnderWay {
  readonly tag: number;
  readonly vr: string;
  readonly length: number;
  readonly coding: Coding;
  left: number;
  readonly collected: Buffer | undefined;
  readonly digest: ValueDigest | undefined;
}

const specificCharacterSetTag = 0x00080005;
const lengthToEndTag = 0x00080001;
const dataSetTrailingPaddingTag = 0xfffcfffc;
/** Longer values are hashed while they pass. */
const keptBytesMax = 128 * 1024;
/** Private blocks of one data set; the sender must not fill memory. */
const creatorsMax = 512;
const partsMaxDefault = 1_000_000;

/**
 * Reads a data set piece by piece into what it says, without how it is written: lengths, byte order, group lengths
 * (gggg,0000), Length to End (0008,0001), Specific Character Set (0008,0005; values carry theirs) and trailing padding are
 * left out. Memory is bounded: by one piece and one value of 128 KiB. Where VRs are not named, the dictionary decides;
 * an unknown value that begins as an item does is taken for a sequence, which others name.
 *
 * Throws rather than guesses: elements out of order or twice are not read.
 */
export class ContentParts {
  /** What has been read and not been taken yet. */
  readonly parts: ContentPart[] = [];
  readonly #header = new ElementHeader();
  readonly #stack: Frame[] = [];
  readonly #inflate: InflateStream | undefined;
  readonly #partsMax: number;
  #count = 0;
  #rest: Buffer = Buffer.alloc(0);
  #position = 0;
  #value: ValueUnderWay | undefined;
  #fragments: { readonly tag: number; readonly hash: Hash; seen: number } | undefined;
  #padding = false;

  /** @throws DataSetError `unknown-transfer-syntax` */
  constructor(transferSyntaxUid: string, options: { readonly partsMax?: number } = {}) {
    const syntax = transferSyntaxOf(transferSyntaxUid);
    if (syntax === undefined) {
      throw new DataSetError('unknown-transfer-syntax', 'The transfer syntax is not one of PS3.6');
    }
    this.#partsMax = options.partsMax ?? partsMaxDefault;
    this.#open('elements', syntax, Infinity, characterSetOf([]));
    if (syntax.deflated) this.#inflate = new InflateStream((bytes) => this.#take(bytes), 1024 ** 3);
  }

  /** Bytes of a value that are still to come and only pass: larger pieces are as good as small ones now. */
  get passing(): number {
    return this.#value?.left ?? 0;
  }

  /** A piece of a deflated data set may become a thousand times as large. */
  get isDeflated(): boolean {
    return this.#inflate !== undefined;
  }

  /**
   * Adds the parts of the next piece, whose memory may be used again then.
   * @throws DataSetError `malformed`, `too-deep`, `too-large` or `deflate`; useless from then on
   */
  push(piece: Buffer): void {
    if (this.#inflate === undefined) this.#take(piece);
    else this.#inflate.push(piece);
  }

  /** To be called after the last piece. @throws DataSetError `truncated` */
  end(): void {
    this.#closeEnded();
    const isWhole =
      this.#value === undefined &&
      this.#stack.length === 1 &&
      this.#rest.every((byte) => byte === 0) &&
      this.#inflate?.finished !== false;
    if (!isWhole) throw new DataSetError('truncated', 'The data set ends inside an element');
  }

  #take(piece: Buffer): void {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, piece]) : piece;
    this.#rest = Buffer.alloc(0);
    let at = 0;
    for (;;) {
      if (this.#value !== undefined) at = this.#passValue(this.#value, bytes, at);
      if (this.#value === undefined) this.#closeEnded();
      if (at >= bytes.length) return;
      if (this.#padding) {
        if (bytes[at++] !== 0) throw this.#malformed('A command element stands in a data set', 0);
        continue;
      }
      const used = this.#enter(bytes, at);
      if (used === 0) {
        this.#rest = Buffer.from(bytes.subarray(at));
        return;
      }
      at += used;
    }
  }

  get #top(): Frame {
    return this.#stack[this.#stack.length - 1]!;
  }

  #add(part: ContentPart): void {
    if (++this.#count > this.#partsMax) {
      throw new DataSetError('too-large', 'The data set has more elements than are compared');
    }
    this.parts.push(part);
  }

  #open(kind: Frame['kind'], coding: Coding, endsAt: number, characterSet = this.#top.characterSet): void {
    if (this.#stack.length > 2 * sequenceDepthMax) {
      throw new DataSetError('too-deep', 'Sequences are nested too deep');
    }
    if (this.#stack.length > 0 && endsAt > this.#top.endsAt && endsAt !== Infinity) {
      throw this.#malformed('Something ends behind what it stands in', 0);
    }
    this.#stack.push({ kind, coding, endsAt, characterSet, lastTag: -1, creators: new Map() });
  }

  /** Sequences and items whose length is used up. */
  #closeEnded(): void {
    while (this.#stack.length > 1 && this.#position >= this.#top.endsAt) {
      if (this.#position > this.#top.endsAt) throw this.#malformed('Something ends inside an element', 0);
      this.#stack.pop();
      this.#add({ kind: 'end' });
    }
  }

  /** Deals with the header at `at`; answers how many bytes that took, 0 when more are needed. */
  #enter(bytes: Buffer, at: number): number {
    const frame = this.#top;
    const header = this.#header;
    if (!header.read(bytes, at, bytes.length, frame.coding)) return 0;
    const { tag, length, headerBytes } = header;
    if (frame.kind !== 'elements') this.#enterItem(frame, tag, length, headerBytes);
    else if (tag >= 0xfffe0000 && tag <= 0xfffeffff) this.#leaveItem(frame, tag, headerBytes);
    else if (tag === 0 && this.#stack.length === 1 && header.vr === undefined && length === 0) {
      this.#padding = true;
      this.#position += headerBytes;
    } else {
      const next = at + headerBytes;
      const couldBeSequence = this.#isUnknown(frame, tag) && length !== undefinedLength && length >= 8;
      if (couldBeSequence && bytes.length - next < 8) return 0;
      const isSequence = couldBeSequence && beginsAsItem(bytes, next, length);
      this.#enterElement(frame, tag, length, headerBytes, isSequence);
    }
    return headerBytes;
  }

  #isUnknown(frame: Frame, tag: number): boolean {
    const { vr } = this.#header;
    return (vr === undefined || vr === 'UN') && this.#vrOf(frame, tag) === 'UN';
  }

  #vrOf(frame: Frame, tag: number): string {
    const name = tagText(tag);
    const creator = (tag & 0x10000) !== 0 ? frame.creators.get(name.slice(0, 6)) : undefined;
    return vrOf(name, { creator });
  }

  #enterItem(frame: Frame, tag: number, length: number, headerBytes: number): void {
    this.#position += headerBytes;
    if (tag === sequenceDelimitationTag && frame.endsAt === Infinity) this.#leave();
    else if (tag !== itemTag) throw this.#malformed('An element stands among items', tag);
    else if (frame.kind === 'fragments') this.#enterFragment(tag, length);
    else {
      this.#add({ kind: 'item' });
      this.#open('elements', frame.coding, length === undefinedLength ? Infinity : this.#position + length);
    }
  }

  #enterFragment(tag: number, length: number): void {
    if (length === undefinedLength) throw this.#malformed('A fragment of pixel data has no length', tag);
    const fragments = this.#fragments!;
    fragments.seen += 1;
    const isOffsetTable = fragments.seen === 1;
    if (!isOffsetTable) fragments.hash.update(`${length};`);
    const into = isOffsetTable ? createHash('sha256') : fragments.hash;
    const digest = new ValueDigest(into, 1);
    this.#value = {
      tag: itemTag,
      vr: 'OB',
      length,
      coding: implicitLittleEndian,
      left: length,
      collected: undefined,
      digest,
    };
  }

  #leave(): void {
    const { kind } = this.#stack.pop()!;
    if (kind !== 'fragments') this.#add({ kind: 'end' });
    else this.#add({ kind, tag: this.#fragments!.tag, sha256: this.#fragments!.hash.digest('hex') });
  }

  #leaveItem(frame: Frame, tag: number, headerBytes: number): void {
    this.#position += headerBytes;
    if (tag !== itemDelimitationTag || this.#stack.length === 1 || frame.endsAt !== Infinity) {
      throw this.#malformed('An item stands among elements', tag);
    }
    this.#leave();
  }

  #enterElement(
    frame: Frame,
    tag: number,
    length: number,
    headerBytes: number,
    isUnnamedSequence: boolean,
  ): void {
    if (tag <= frame.lastTag) throw this.#malformed('Elements are not in order', tag);
    frame.lastTag = tag;
    this.#position += headerBytes;
    const named = this.#header.vr;
    const known = named === undefined || named === 'UN' ? this.#vrOf(frame, tag) : named;
    // What came as UN is Implicit VR Little Endian inside (PS3.5 6.2.2).
    const coding = named === 'UN' ? implicitLittleEndian : frame.coding;
    const isEncapsulated =
      length === undefinedLength &&
      (/^O[BWLVFD]$/.test(named ?? '') || (named === undefined && tag === pixelDataTag));
    if (isEncapsulated) {
      this.#fragments = { tag, hash: createHash('sha256'), seen: 0 };
      this.#open('fragments', coding, Infinity);
    } else if (length === undefinedLength && (known === 'SQ' || named === undefined || named === 'UN')) {
      this.#openSequence(tag, coding, Infinity);
    } else if (length === undefinedLength) {
      throw this.#malformed('Only sequences and pixel data end with a delimiter', tag);
    } else if (isUnnamedSequence || (known === 'SQ' && length > 0)) {
      this.#openSequence(tag, isUnnamedSequence ? implicitLittleEndian : coding, this.#position + length);
    } else this.#beginValue(tag, known, length, coding);
  }

  #openSequence(tag: number, coding: Coding, endsAt: number): void {
    this.#add({ kind: 'sequence', tag });
    this.#open('sequence', coding, endsAt);
  }

  #beginValue(tag: number, vr: string, length: number, coding: Coding): void {
    if (length > this.#top.endsAt - this.#position) {
      throw this.#malformed('An element ends behind its item', tag);
    }
    const isKept = length <= keptBytesMax;
    this.#value = {
      tag,
      vr,
      length,
      coding,
      left: length,
      collected: isKept ? Buffer.allocUnsafe(length) : undefined,
      digest: isKept
        ? undefined
        : new ValueDigest(createHash('sha256'), coding.littleEndian ? 1 : wordBytes(vr)),
    };
  }

  #passValue(value: ValueUnderWay, bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + value.left);
    if (value.collected) bytes.copy(value.collected, value.length - value.left, at, end);
    value.digest?.update(bytes.subarray(at, end));
    value.left -= end - at;
    this.#position += end - at;
    if (value.left === 0) {
      this.#value = undefined;
      this.#valueEnded(value);
    }
    return end;
  }

  #valueEnded(value: ValueUnderWay): void {
    const { tag, vr, length, coding, collected, digest } = value;
    const frame = this.#top;
    if (frame.kind === 'fragments') return digest!.flush();
    if (tag === specificCharacterSetTag && collected) {
      const { Value: values = [] } = readValue(collected, 'CS', true, frame.characterSet);
      frame.characterSet = characterSetOf(values.map((one) => (typeof one === 'string' ? one : '')));
    }
    if (isOnlyEncoding(tag)) return;
    if ((tag & 0x10000) !== 0 && collected) this.#rememberCreator(frame, tag, collected);
    const bytes = collected && toLittleEndian(collected, wordBytes(vr), coding.littleEndian);
    const { characterSet } = frame;
    if (bytes) this.#add({ kind: 'value', tag, vr, length, bytes, characterSet });
    else this.#add({ kind: 'value', tag, vr, length, sha256: digest!.end(), characterSet });
  }

  #rememberCreator(frame: Frame, tag: number, value: Buffer): void {
    const name = tagText(tag);
    if (!isPrivateCreatorTag(name) || frame.creators.size >= creatorsMax) return;
    frame.creators.set(name.slice(0, 4) + name.slice(6), value.toString('latin1').replace(/[ \0]+$/, ''));
  }

  #malformed(message: string, tag: number): DataSetError {
    return new DataSetError('malformed', message, { offset: this.#position, tag: tagText(tag) });
  }
}

/** Hashes words in little endian, whatever the pieces. */
class ValueDigest {
  readonly #hash: Hash;
  /** 1: bytes stay as they are. */
  readonly #wordBytes: number;
  #partial: Buffer = Buffer.alloc(0);
  #bytes = 0;

  constructor(hash: Hash, wordBytesToSwap: number) {
    this.#hash = hash;
    this.#wordBytes = wordBytesToSwap;
  }

  update(bytes: Buffer): void {
    this.#bytes += bytes.length;
    if (this.#wordBytes === 1) {
      this.#hash.update(bytes);
      return;
    }
    const all = Buffer.concat([this.#partial, bytes]);
    const whole = all.length - (all.length % this.#wordBytes);
    this.#hash.update(toLittleEndian(all.subarray(0, whole), this.#wordBytes, false));
    this.#partial = Buffer.from(all.subarray(whole));
  }

  /** What does not fill a word is hashed as it is. */
  flush(): void {
    this.#hash.update(this.#partial);
    this.#partial = Buffer.alloc(0);
  }

  /** A value of odd length is hashed as if it had been padded (PS3.5 7.1.1). */
  end(): string {
    this.flush();
    if (this.#bytes % 2 === 1) this.#hash.update(Buffer.alloc(1));
    return this.#hash.digest('hex');
  }
}

/** Words of a value that change with the byte order; 1 for text. */
function wordBytes(vr: string): number {
  if (vr === 'AT') return 2;
  const representation = valueRepresentations.get(vr);
  return representation?.kind === 'number' || representation?.kind === 'binary' ? representation.bytes : 1;
}

/** Says how the data set is written rather than what it says. */
function isOnlyEncoding(tag: number): boolean {
  return (
    (tag & 0xffff) === 0 ||
    tag === specificCharacterSetTag ||
    tag === lengthToEndTag ||
    tag === dataSetTrailingPaddingTag
  );
}

/** (FFFE,E000) in little endian, with a length that has room. */
function beginsAsItem(bytes: Buffer, at: number, length: number): boolean {
  if (bytes.readUInt32LE(at) !== 0xe000fffe) return false;
  const itemLength = bytes.readUInt32LE(at + 4);
  return itemLength === undefinedLength || itemLength <= length - 8;
}
