import type { DataSetJson } from './data-set-json.ts';
import { decodeElements } from './decode.ts';
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
import { tags } from './tags.ts';
import { transferSyntaxOf } from './transfer-syntaxes.ts';

export interface HeaderWalkerOptions {
  /**
   * Tags to keep (8 hex digits); all before pixel data when absent. A private tag stands for its element in whatever
   * block its creator has. Specific Character Set, Pixel Representation and private creators of wanted groups are
   * kept too.
   */
  readonly wanted?: ReadonlySet<string>;
  /** What is kept takes no more; elements that do not fit any more are left out. Bytes, default 256 KiB. */
  readonly headBytesMax?: number;
  /** A deflated data set that is larger is an error. Bytes, default 1 GiB. */
  readonly inflatedBytesMax?: number;
  /**
   * A deflated data set with more elements, items and delimiters is an error: a thousand of them may come in ten bytes,
   * and each takes time. Default 1,000,000.
   */
  readonly inflatedHeadersMax?: number;
}

/** What is open: items expected, elements expected, or fragments of pixel data expected. */
interface Frame {
  readonly kind: 'sequence' | 'item' | 'fragments';
  readonly coding: Coding;
}

/**
 * Looks at a data set while its bytes pass, in pieces of any size: keeps some elements of its top level from before
 * pixel data and follows the structure to the end, so that a data set that was cut off is noticed. Values of other
 * elements are counted, not kept; memory is bounded. Never throws: what is wrong is in `error`, after which nothing
 * more is looked at.
 *
 * What is inside items of defined length is not followed, so `complete` does not say that every byte makes sense.
 */
export class HeaderWalker {
  readonly #coding: Coding;
  readonly #wanted: Wanted | undefined;
  readonly #headBytesMax: number;
  readonly #inflate: InflateStream | undefined;
  readonly #header = new ElementHeader();
  readonly #headersMax: number;
  #headers = 0;
  readonly #stack: Frame[] = [];
  /** Bytes of a header that a piece ended inside of. */
  readonly #partial = Buffer.alloc(12);
  #partialBytes = 0;
  /** Bytes of the current value that are still to come. */
  #left = 0;
  #head: Buffer = Buffer.alloc(4096);
  #headBytes = 0;
  /** Where kept elements begin in `#head`. */
  readonly #starts: number[] = [];
  #keeping = false;
  #pastHead = false;
  #padding = false;
  #error: DataSetError | undefined;
  #attributes: DataSetJson | undefined;

  constructor(transferSyntaxUid: string, options: HeaderWalkerOptions = {}) {
    const syntax = transferSyntaxOf(transferSyntaxUid);
    this.#headersMax = syntax?.deflated ? (options.inflatedHeadersMax ?? 1_000_000) : Infinity;
    this.#coding = syntax ?? implicitLittleEndian;
    this.#wanted = options.wanted === undefined ? undefined : wantedOf(options.wanted);
    this.#headBytesMax = options.headBytesMax ?? 256 * 1024;
    if (syntax === undefined) {
      this.#error = new DataSetError('unknown-transfer-syntax', 'The transfer syntax is not one of PS3.6');
    } else if (syntax.deflated) {
      this.#inflate = new InflateStream((bytes) => this.#walk(bytes), options.inflatedBytesMax ?? 1024 ** 3);
    }
  }

  /** What was found wrong in the structure; a data set that just ends is not an error, see `end`. */
  get error(): DataSetError | undefined {
    return this.#error;
  }

  /** Pixel data or what comes after has begun: `attributes` are all that there will be. */
  get isPastHead(): boolean {
    return this.#pastHead;
  }

  /** Elements kept so far. A kept sequence that cannot be read is left out. */
  get attributes(): DataSetJson {
    this.#attributes ??= this.#readHead();
    return this.#attributes;
  }

  /** Looks at the next piece; the bytes may be used for something else afterwards. */
  push(chunk: Buffer): void {
    if (this.#error !== undefined) return;
    try {
      if (this.#inflate === undefined) this.#walk(chunk);
      else this.#inflate.push(chunk);
    } catch (error) {
      if (!(error instanceof DataSetError)) throw error;
      this.#error = error;
    }
  }

  /** To be called after the last piece. `complete`: no error, and the data set ended where an element ended. */
  end(): { readonly complete: boolean } {
    const tail = this.#partial.subarray(0, this.#partialBytes);
    const complete =
      this.#error === undefined &&
      this.#left === 0 &&
      this.#stack.length === 0 &&
      tail.every((byte) => byte === 0) &&
      this.#inflate?.finished !== false;
    return { complete };
  }

  #walk(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#padding) {
        if (chunk[at++] !== 0) throw malformed('A command element stands in a data set', 0);
      } else if (this.#left > 0) {
        at = this.#passValue(chunk, at);
      } else if (
        this.#partialBytes === 0 &&
        this.#header.read(chunk, at, chunk.length, this.#currentCoding())
      ) {
        const start = at;
        at += this.#header.headerBytes;
        this.#enter(chunk, start);
      } else {
        at = this.#fillPartial(chunk, at);
      }
    }
  }

  #passValue(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#left);
    if (this.#keeping) this.#keep(chunk, at, end);
    this.#left -= end - at;
    if (this.#left === 0) this.#valueEnded();
    return end;
  }

  /** Collects a header that lies across pieces: 8 bytes, then 12 when the VR asks for them. */
  #fillPartial(chunk: Buffer, at: number): number {
    const needed = this.#partialBytes < 8 ? 8 : 12;
    const end = Math.min(chunk.length, at + needed - this.#partialBytes);
    chunk.copy(this.#partial, this.#partialBytes, at, end);
    this.#partialBytes += end - at;
    if (this.#header.read(this.#partial, 0, this.#partialBytes, this.#currentCoding())) {
      this.#partialBytes = 0;
      this.#enter(this.#partial, 0);
    }
    return end;
  }

  #currentCoding(): Coding {
    return this.#stack.length === 0 ? this.#coding : this.#stack[this.#stack.length - 1]!.coding;
  }

  /** Deals with the header in `#header`, whose bytes are in `bytes` at `at`. */
  #enter(bytes: Buffer, at: number): void {
    const { tag, length, headerBytes } = this.#header;
    if (++this.#headers > this.#headersMax) {
      throw new DataSetError('too-large', 'The deflated data set has more elements than allowed');
    }
    const open = this.#stack[this.#stack.length - 1];
    if (open === undefined) this.#decideKeeping(tag, length, headerBytes);
    if (this.#keeping) this.#keep(bytes, at, at + headerBytes);
    if (open !== undefined && open.kind !== 'item') this.#enterItem(open, tag, length);
    else if (tag >= 0xfffe0000 && tag <= 0xfffeffff) this.#leaveItem(open, tag);
    else if (tag === 0 && open === undefined) this.#enterPadding();
    else if (length === undefinedLength) this.#enterUndefinedLength(tag);
    else this.#left = length;
    if (this.#left === 0) this.#valueEnded();
  }

  #enterItem({ kind, coding }: Frame, tag: number, length: number): void {
    if (tag === sequenceDelimitationTag) this.#stack.pop();
    else if (tag !== itemTag) throw malformed('An element stands among items', tag);
    else if (length !== undefinedLength) this.#left = length;
    else if (kind === 'sequence') this.#open({ kind: 'item', coding });
    else throw malformed('A fragment of pixel data has no length', tag);
  }

  #leaveItem(open: Frame | undefined, tag: number): void {
    if (open === undefined || tag !== itemDelimitationTag)
      throw malformed('An item stands among elements', tag);
    this.#stack.pop();
  }

  /** Zero bytes after the last element are padding; anything else with tag (0000,0000) is not part of a data set. */
  #enterPadding(): void {
    if (this.#header.vr !== undefined || this.#header.length !== 0) {
      throw malformed('A command element stands in a data set', 0);
    }
    this.#padding = true;
  }

  #enterUndefinedLength(tag: number): void {
    const { vr } = this.#header;
    const coding = this.#currentCoding();
    if (vr === 'SQ') this.#open({ kind: 'sequence', coding });
    else if (vr === 'UN') this.#open({ kind: 'sequence', coding: implicitLittleEndian });
    else if (vr === undefined && tag !== pixelDataTag) this.#open({ kind: 'sequence', coding });
    else if (vr === undefined || /^O[BWLVFD]$/.test(vr)) this.#open({ kind: 'fragments', coding });
    else throw malformed('Only sequences and pixel data end with a delimiter', tag);
  }

  #open(frame: Frame): void {
    // Two frames, sequence and item, are one level.
    if (this.#stack.length >= 2 * sequenceDepthMax)
      throw new DataSetError('too-deep', 'Sequences are nested too deep');
    this.#stack.push(frame);
  }

  #decideKeeping(tag: number, length: number, headerBytes: number): void {
    if (tag >= 0x7fe00000) this.#pastHead = true;
    const size = headerBytes + (length === undefinedLength ? 0 : length);
    this.#keeping =
      !this.#pastHead &&
      tag > 0xffff &&
      this.#headBytes + size <= this.#headBytesMax &&
      (this.#wanted === undefined || isWanted(this.#wanted, tag));
    if (this.#keeping) this.#starts.push(this.#headBytes);
  }

  #keep(bytes: Buffer, from: number, to: number): void {
    const total = this.#headBytes + to - from;
    if (total > this.#headBytesMax) {
      this.#headBytes = this.#starts.pop()!;
      this.#keeping = false;
      return;
    }
    if (total > this.#head.length) {
      const larger = Buffer.alloc(Math.min(Math.max(total, 2 * this.#head.length), this.#headBytesMax));
      this.#head.copy(larger, 0, 0, this.#headBytes);
      this.#head = larger;
    }
    bytes.copy(this.#head, this.#headBytes, from, to);
    this.#headBytes = total;
  }

  #valueEnded(): void {
    if (this.#stack.length > 0 || !this.#keeping) return;
    this.#keeping = false;
    this.#attributes = undefined;
  }

  #readHead(): DataSetJson {
    const starts = [...this.#starts];
    // The element that is still coming in is not whole yet.
    const end = this.#keeping ? starts.pop()! : this.#headBytes;
    return decodeElements(this.#head.subarray(0, end), starts, this.#coding);
  }
}

interface Wanted {
  readonly tags: ReadonlySet<number>;
  /** Group and last byte of private elements. */
  readonly privateElements: ReadonlySet<number>;
  readonly privateGroups: ReadonlySet<number>;
}

const knownWanted = new WeakMap<ReadonlySet<string>, Wanted>();

/** The same few sets are asked for again and again; a set that is changed afterwards is not looked at anew. */
function wantedOf(names: ReadonlySet<string>): Wanted {
  const known = knownWanted.get(names);
  if (known !== undefined) return known;
  const all = [...names, tags.SpecificCharacterSet, tags.PixelRepresentation].map((name) =>
    Number.parseInt(name, 16),
  );
  const ofPrivate = all.filter((tag) => isOdd(tag));
  const wanted = {
    tags: new Set(all),
    privateElements: new Set(ofPrivate.map((tag) => groupOf(tag) * 0x100 + (tag & 0xff))),
    privateGroups: new Set(ofPrivate.map(groupOf)),
  };
  knownWanted.set(names, wanted);
  return wanted;
}

function isWanted({ tags: wanted, privateElements, privateGroups }: Wanted, tag: number): boolean {
  if (wanted.has(tag)) return true;
  if (!isOdd(tag) || !privateGroups.has(groupOf(tag))) return false;
  const element = tag & 0xffff;
  return element <= 0xff ? element >= 0x10 : privateElements.has(groupOf(tag) * 0x100 + (tag & 0xff));
}

function groupOf(tag: number): number {
  return Math.floor(tag / 0x10000);
}

function isOdd(tag: number): boolean {
  return (tag & 0x10000) !== 0;
}

function malformed(message: string, tag: number): DataSetError {
  return new DataSetError('malformed', message, { tag: tagText(tag) });
}
