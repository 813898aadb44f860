import { ContentParts } from './content-parts.ts';
import type { ContentPart, ValuePart } from './content-parts.ts';
import { valueRepresentations } from './dictionary.ts';
import { tagText } from './element-header.ts';
import { readValue } from './read-value.ts';
import { transferSyntaxOf } from './transfer-syntaxes.ts';

/** A data set to be read once, from its beginning. */
export interface ContentSource {
  readonly transferSyntaxUid: string;
  /** The next bytes, at most so many; empty at the end. Memory of the call before may be used again. */
  read(bytesMax: number): Promise<Buffer>;
}

export interface CompareOptions {
  /** Looking ends when so many differences are known. */
  readonly differencesMax: number;
  /** Parts of one data set. @default 1,000,000 */
  readonly partsMax?: number;
  /** Checked between pieces; its reason is thrown. */
  readonly signal?: AbortSignal;
}

/**
 * Paths of attributes that differ, in order: tags (8 hex digits), items of sequences counted from 1, as in
 * `00081140[1].00081155`. Empty: the same content. No values.
 */
export type ContentDifferences = readonly string[];

const pieceBytes = 32 * 1024;
const passingBytes = 512 * 1024;
/** Inflates to 1 MiB at most. */
const deflatedPieceBytes = 1024;
/** So many elements are compared before others get their turn. */
const turnElements = 1_000;

/**
 * Whether two data sets say the same, however each is written: Implicit or Explicit VR, either byte order, deflated,
 * sequences with or without lengths, group lengths, padding, other character sets for the same text. Every attribute of
 * every item counts, private ones too. Text is compared as Unicode, where it can be decoded; numbers and binary values by
 * their bytes in little endian. `DS` and `IS` are text: `1.0` is not `1`. Compressed pixel data is the same only in one
 * transfer syntax and with the same fragments; pixels are never decoded.
 *
 * Both are read in step, once, in pieces; memory stays flat.
 *
 * @throws DataSetError One of them cannot be read to its end, or has elements out of order.
 * @throws Whatever `read` throws, and the reason of `signal`.
 */
export async function compareContent(
  one: ContentSource,
  other: ContentSource,
  options: CompareOptions,
): Promise<ContentDifferences> {
  const comparison = new Comparison(one, other, options);
  await comparison.elements('');
  return comparison.differences;
}

class Comparison {
  readonly differences: string[] = [];
  readonly #one: Cursor;
  readonly #other: Cursor;
  readonly #sameCompression: boolean;
  readonly #differencesMax: number;
  #elements = 0;

  constructor(one: ContentSource, other: ContentSource, options: CompareOptions) {
    this.#one = new Cursor(one, options);
    this.#other = new Cursor(other, options);
    this.#differencesMax = options.differencesMax;
    const isEncapsulated = [one, other].some(
      ({ transferSyntaxUid }) => transferSyntaxOf(transferSyntaxUid)?.encapsulated,
    );
    this.#sameCompression = !isEncapsulated || one.transferSyntaxUid === other.transferSyntaxUid;
  }

  get #isEnough(): boolean {
    return this.differences.length >= this.#differencesMax;
  }

  #differs(path: string): void {
    this.differences.push(path);
  }

  /** Elements of a data set or item, whose tags rise, up to its end. */
  async elements(path: string): Promise<void> {
    const [one, other] = [this.#one, this.#other];
    while (!this.#isEnough) {
      if (one.isEmpty) await one.fill();
      if (other.isEmpty) await other.fill();
      if (++this.#elements % turnElements === 0) await new Promise((resolve) => setImmediate(resolve));
      const mine = tagOf(one.head);
      const theirs = tagOf(other.head);
      if (mine === Infinity && theirs === Infinity) return;
      const tag = Math.min(mine, theirs);
      const at = path + tagText(tag);
      if (mine !== theirs) {
        this.#differs(at);
        await (mine < theirs ? one : other).skip();
      } else await this.#element(at);
    }
  }

  async #element(at: string): Promise<void> {
    const [mine, theirs] = [this.#one.head!, this.#other.head!];
    if (mine.kind === 'sequence' && theirs.kind === 'sequence') {
      this.#one.next();
      this.#other.next();
      return this.#items(at);
    }
    const same =
      mine.kind === 'value' && theirs.kind === 'value'
        ? sameValue(mine, theirs)
        : mine.kind === 'fragments' && theirs.kind === 'fragments'
          ? this.#sameCompression && mine.sha256 === theirs.sha256
          : await this.#areBothEmpty(mine, theirs);
    if (!same) this.#differs(at);
    await this.#one.skip();
    await this.#other.skip();
  }

  /** A sequence without items, and an element that nobody knew to be one. */
  async #areBothEmpty(mine: ContentPart, theirs: ContentPart): Promise<boolean> {
    const isEmpty = async (part: ContentPart, cursor: Cursor): Promise<boolean> =>
      part.kind === 'value'
        ? part.length === 0
        : part.kind === 'sequence' && (await cursor.isEmptySequence());
    return (await isEmpty(mine, this.#one)) && (await isEmpty(theirs, this.#other));
  }

  async #items(path: string): Promise<void> {
    const [one, other] = [this.#one, this.#other];
    for (let item = 1; !this.#isEnough; item++) {
      if (one.isEmpty) await one.fill();
      if (other.isEmpty) await other.fill();
      const ends = [one, other].filter(({ head }) => head?.kind !== 'item').length;
      if (ends === 1) {
        this.#differs(`${path}[${item}]`);
        await one.leave();
        await other.leave();
        return;
      }
      one.next();
      other.next();
      if (ends === 2) return;
      await this.elements(`${path}[${item}].`);
      if (this.#isEnough) return;
      // The ends of the two items.
      one.next();
      other.next();
    }
  }
}

/** The parts of a data set, read as they are wanted. */
class Cursor {
  readonly #source: ContentSource;
  readonly #signal: AbortSignal | undefined;
  readonly #reading: ContentParts;
  #at = 0;
  #isOver = false;

  constructor(source: ContentSource, { partsMax, signal }: CompareOptions) {
    this.#source = source;
    this.#signal = signal;
    this.#reading = new ContentParts(source.transferSyntaxUid, partsMax === undefined ? {} : { partsMax });
  }

  /** Undefined behind the last part, and when `isEmpty`. */
  get head(): ContentPart | undefined {
    return this.#reading.parts[this.#at];
  }

  /** `fill` first. */
  get isEmpty(): boolean {
    return this.#at >= this.#reading.parts.length && !this.#isOver;
  }

  next(): void {
    this.#at += 1;
  }

  async fill(): Promise<void> {
    const reading = this.#reading;
    reading.parts.length = 0;
    this.#at = 0;
    while (this.isEmpty) {
      this.#signal?.throwIfAborted();
      const bytes = await this.#source.read(this.#wanted());
      if (bytes.length > 0) reading.push(bytes);
      else {
        reading.end();
        this.#isOver = true;
      }
    }
  }

  #wanted(): number {
    if (this.#reading.isDeflated) return deflatedPieceBytes;
    return this.#reading.passing > passingBytes ? passingBytes : pieceBytes;
  }

  /** Passes by the element at the head, with all that is in it. */
  async skip(): Promise<void> {
    const isSequence = this.head?.kind === 'sequence';
    this.next();
    if (isSequence) await this.leave();
  }

  /** Passes by what is left of the sequence, its end included. */
  async leave(): Promise<void> {
    for (let depth = 1; depth > 0; this.next()) {
      if (this.isEmpty) await this.fill();
      const kind = this.head?.kind;
      if (kind === undefined) return;
      if (kind === 'end') depth -= 1;
      else if (kind === 'sequence' || kind === 'item') depth += 1;
    }
  }

  /** The head is a sequence; whether its end comes next. */
  async isEmptySequence(): Promise<boolean> {
    const sequence = this.head!;
    if (this.#at + 1 < this.#reading.parts.length) return this.#reading.parts[this.#at + 1]!.kind === 'end';
    this.next();
    await this.fill();
    const isEmpty = this.head?.kind === 'end';
    this.#reading.parts.unshift(sequence);
    return isEmpty;
  }
}

/** Infinity at the end of the data set or item. */
function tagOf(part: ContentPart | undefined): number {
  return part !== undefined && 'tag' in part ? part.tag : Infinity;
}

function sameValue(one: ValuePart, other: ValuePart): boolean {
  if (one.bytes === undefined || other.bytes === undefined) return one.sha256 === other.sha256;
  const areSame = samePadded(one.bytes, other.bytes);
  const texts = [one, other].filter(({ vr }) => isText(vr)).length;
  // Nobody knows the character set of a value that may be text; its bytes are all there is.
  if (texts === 1 && [one, other].some(({ vr }) => vr === 'UN'))
    return areSame || unpadded(one.bytes).equals(unpadded(other.bytes));
  if (texts < 2) return areSame;
  const mine = textOf(one);
  if (mine !== textOf(other)) return false;
  // What cannot be decoded all looks alike.
  return !mine.includes('\ufffd') || unpadded(one.bytes).equals(unpadded(other.bytes));
}

function isText(vr: string): boolean {
  const kind = valueRepresentations.get(vr)?.kind;
  return kind === 'text' || kind === 'name';
}

function textOf({ bytes, vr, characterSet }: ValuePart): string {
  return JSON.stringify(readValue(bytes!, vr, true, characterSet).Value ?? []);
}

/** The same, except that one of odd length lacks the byte that the other is padded with (PS3.5 7.1.1). */
function samePadded(one: Buffer, other: Buffer): boolean {
  if (one.length === other.length) return one.equals(other);
  const [short, long] = one.length < other.length ? [one, other] : [other, one];
  return short.length % 2 === 1 && long.length === short.length + 1 && long.at(-1) === 0
    ? short.equals(long.subarray(0, -1))
    : false;
}

function unpadded(bytes: Buffer): Buffer {
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === 0x20 || bytes[end - 1] === 0)) end--;
  return bytes.subarray(0, end);
}
