import { DataSetError } from './errors.ts';

/** Base value and extra bits of match lengths (symbols 257 to 285) and distances (RFC 1951 3.2.5). */
const lengthBase = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
  227, 258,
];
const lengthExtra = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const distanceBase = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097,
  6145, 8193, 12289, 16385, 24577,
];
const distanceExtra = [
  0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
];
const codeLengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

const windowBytes = 32 * 1024;
/** Answer of a reader when the input ends before what it reads. */
const needsMore = -1;

/** Codes by length and symbols in order of code: all that decoding a canonical Huffman code needs. */
interface Huffman {
  readonly counts: Uint16Array;
  readonly symbols: Uint16Array;
}

const fixedLiterals = huffman(
  Array.from({ length: 288 }, (_, symbol) => (symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8)),
);
const fixedDistances = huffman(Array.from({ length: 30 }, () => 5));

type Step = 'header' | 'stored' | 'codes' | 'end';

/**
 * Inflates a raw deflate stream (RFC 1951) piece by piece, at once, in 64 KB of memory, for looking at a data set
 * while it passes. Node's zlib is faster, but waits for the event loop between pieces, or wants the whole stream.
 */
export class InflateStream {
  /** The final block has ended; bytes after it (PS3.5 A.5 pads to even length) are ignored. */
  finished = false;
  readonly #sink: (bytes: Buffer) => void;
  readonly #inflatedBytesMax: number;
  #input: Buffer = Buffer.alloc(0);
  #at = 0;
  #bits = 0;
  #bitCount = 0;
  #step: Step = 'header';
  #final = false;
  #storedLeft = 0;
  #literals = fixedLiterals;
  #distances = fixedDistances;
  readonly #out = Buffer.alloc(2 * windowBytes);
  #outAt = 0;
  #flushedAt = 0;
  #total = 0;

  /** @param sink takes what was inflated; the bytes are overwritten after it returns */
  constructor(sink: (bytes: Buffer) => void, inflatedBytesMax: number) {
    this.#sink = sink;
    this.#inflatedBytesMax = inflatedBytesMax;
  }

  /** @throws DataSetError `deflate` when the stream is damaged or inflates beyond the bound; useless from then on */
  push(chunk: Buffer): void {
    if (this.finished) return;
    const left = this.#input.subarray(this.#at);
    this.#input = left.length === 0 ? chunk : Buffer.concat([left, chunk]);
    this.#at = 0;
    try {
      this.#inflate();
    } catch (error) {
      // What was good before the damage is seen whatever the pieces were.
      this.#flush();
      throw error;
    }
    this.finished = this.#step === 'end';
    this.#input = Buffer.from(this.#input.subarray(this.#at));
    this.#at = 0;
    this.#flush();
  }

  #inflate(): void {
    while (this.#step !== 'end') {
      const at = this.#at;
      const bits = this.#bits;
      const bitCount = this.#bitCount;
      if (this.#stepOnce()) continue;
      this.#at = at;
      this.#bits = bits;
      this.#bitCount = bitCount;
      break;
    }
  }

  /** Does one block header, stored run or symbol; false when the input ends inside it and it must be begun again. */
  #stepOnce(): boolean {
    if (this.#step === 'header') return this.#readHeader();
    if (this.#step === 'stored') return this.#copyStored();
    return this.#readSymbol();
  }

  #readHeader(): boolean {
    if (this.#final) {
      this.#step = 'end';
      return true;
    }
    const header = this.#read(3);
    if (header === needsMore) return false;
    const type = header >> 1;
    if (type === 3) throw damaged();
    if (type === 0 ? !this.#readStoredHeader() : type === 2 && !this.#readCodes()) return false;
    if (type === 1) {
      this.#literals = fixedLiterals;
      this.#distances = fixedDistances;
    }
    this.#final = (header & 1) === 1;
    this.#step = type === 0 ? 'stored' : 'codes';
    return true;
  }

  #readStoredHeader(): boolean {
    this.#bits = 0;
    this.#bitCount = 0;
    if (this.#input.length - this.#at < 4) return false;
    const length = this.#input.readUInt16LE(this.#at);
    if (this.#input.readUInt16LE(this.#at + 2) !== (~length & 0xffff)) throw damaged();
    this.#at += 4;
    this.#storedLeft = length;
    return true;
  }

  #copyStored(): boolean {
    while (this.#storedLeft > 0) {
      if (this.#at >= this.#input.length) return false;
      this.#emit(this.#input[this.#at++]!);
      this.#storedLeft--;
      // What has been copied must not be copied again when the rest comes: the step ends with the input.
      if (this.#at >= this.#input.length) break;
    }
    if (this.#storedLeft === 0) this.#step = 'header';
    return true;
  }

  /** Code lengths of a block with dynamic codes (RFC 1951 3.2.7). */
  #readCodes(): boolean {
    const counts = this.#read(14);
    if (counts === needsMore) return false;
    const literals = (counts & 31) + 257;
    const distances = ((counts >> 5) & 31) + 1;
    if (literals > 286 || distances > 30) throw damaged();
    const codeLengths: number[] = Array.from({ length: 19 }, () => 0);
    for (let index = 0; index < (counts >> 10) + 4; index++) {
      const length = this.#read(3);
      if (length === needsMore) return false;
      codeLengths[codeLengthOrder[index]!] = length;
    }
    const lengthCode = huffman(codeLengths);
    const lengths: number[] = [];
    while (lengths.length < literals + distances) {
      const symbol = this.#decode(lengthCode);
      if (symbol === needsMore) return false;
      if (symbol < 16) {
        lengths.push(symbol);
        continue;
      }
      const extra = this.#read(symbol === 16 ? 2 : symbol === 17 ? 3 : 7);
      if (extra === needsMore) return false;
      if (symbol === 16 && lengths.length === 0) throw damaged();
      const repeated = symbol === 16 ? lengths.at(-1)! : 0;
      for (let count = extra + (symbol === 18 ? 11 : 3); count > 0; count--) lengths.push(repeated);
    }
    if (lengths.length > literals + distances || lengths[256] === 0) throw damaged();
    this.#literals = huffman(lengths.slice(0, literals));
    this.#distances = huffman(lengths.slice(literals));
    return true;
  }

  #readSymbol(): boolean {
    const symbol = this.#decode(this.#literals);
    if (symbol === needsMore) return false;
    if (symbol < 256) {
      this.#emit(symbol);
      return true;
    }
    if (symbol === 256) {
      this.#step = 'header';
      return true;
    }
    if (symbol > 285) throw damaged();
    const lengthBits = this.#read(lengthExtra[symbol - 257]!);
    if (lengthBits === needsMore) return false;
    const distanceSymbol = this.#decode(this.#distances);
    if (distanceSymbol === needsMore) return false;
    if (distanceSymbol > 29) throw damaged();
    const distanceBits = this.#read(distanceExtra[distanceSymbol]!);
    if (distanceBits === needsMore) return false;
    const distance = distanceBase[distanceSymbol]! + distanceBits;
    if (distance > this.#total) throw damaged();
    this.#repeat(distance, lengthBase[symbol - 257]! + lengthBits);
    return true;
  }

  /** Copies what stands `distance` bytes back, itself included when it is longer than that. */
  #repeat(distance: number, length: number): void {
    this.#count(length);
    for (let left = length; left > 0;) {
      const size = Math.min(left, distance, this.#out.length - this.#outAt);
      const from = this.#outAt - distance;
      if (distance === 1) {
        // A run of one byte, which is what bombs are made of.
        const end = Math.min(this.#outAt + left, this.#out.length);
        left -= end - this.#outAt;
        this.#out.fill(this.#out[from]!, this.#outAt, end);
        this.#outAt = end;
      } else {
        this.#out.copyWithin(this.#outAt, from, from + size);
        this.#outAt += size;
        left -= size;
      }
      if (this.#outAt === this.#out.length) this.#slide();
    }
  }

  #emit(byte: number): void {
    this.#count(1);
    this.#out[this.#outAt++] = byte;
    if (this.#outAt === this.#out.length) this.#slide();
  }

  #count(bytes: number): void {
    this.#total += bytes;
    if (this.#total > this.#inflatedBytesMax) {
      throw new DataSetError('deflate', 'The deflated data set is larger than allowed');
    }
  }

  /** Gives out what is new and keeps the window. */
  #slide(): void {
    this.#flush();
    this.#out.copyWithin(0, windowBytes);
    this.#outAt = windowBytes;
    this.#flushedAt = windowBytes;
  }

  #flush(): void {
    const from = this.#flushedAt;
    if (this.#outAt === from) return;
    // Before the sink is called: what makes it throw is not given to it again.
    this.#flushedAt = this.#outAt;
    this.#sink(this.#out.subarray(from, this.#outAt));
  }

  /** `count` bits (0 to 14), lowest first. */
  #read(count: number): number {
    while (this.#bitCount < count) {
      if (this.#at >= this.#input.length) return needsMore;
      this.#bits |= this.#input[this.#at++]! << this.#bitCount;
      this.#bitCount += 8;
    }
    const value = this.#bits & ((1 << count) - 1);
    this.#bits >>>= count;
    this.#bitCount -= count;
    return value;
  }

  #decode({ counts, symbols }: Huffman): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length <= 15; length++) {
      if (this.#bitCount === 0) {
        if (this.#at >= this.#input.length) return needsMore;
        this.#bits = this.#input[this.#at++]!;
        this.#bitCount = 8;
      }
      code |= this.#bits & 1;
      this.#bits >>>= 1;
      this.#bitCount--;
      const count = counts[length]!;
      if (code - first < count) return symbols[index + code - first]!;
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    throw damaged();
  }
}

/** @throws DataSetError `deflate` when the lengths ask for more codes than there are */
function huffman(lengths: readonly number[]): Huffman {
  const counts = new Uint16Array(16);
  for (const length of lengths) counts[length]!++;
  counts[0] = 0;
  let left = 1;
  for (let length = 1; length <= 15; length++) {
    left = left * 2 - counts[length]!;
    if (left < 0) throw damaged();
  }
  const offsets = new Uint16Array(16);
  for (let length = 1; length < 15; length++) offsets[length + 1] = offsets[length]! + counts[length]!;
  const symbols = new Uint16Array(lengths.length);
  for (const [symbol, length] of lengths.entries()) if (length > 0) symbols[offsets[length]!++] = symbol;
  return { counts, symbols };
}

function damaged(): DataSetError {
  return new DataSetError('deflate', 'The deflated data set is damaged');
}
