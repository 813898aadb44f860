import type { Random } from './random.ts';

/** Lengths and numbers at which code changes its mind. */
const interesting = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 17, 63, 64, 65, 67, 68, 127, 128, 129, 255, 256, 512, 1024, 4096, 0x7ffe,
  0x7fff, 0x8000, 0xfffe, 0xffff, 0x10000, 0x20000, 0x7fffffff, 0x80000000, 0xfffffff0, 0xfffffffe,
  0xffffffff,
];

/** A mutated input is not longer than this … */
const bytesMax = 1024;
/** … but a known one that is longer stays so, and once in a while one is made very long: what grows faster than it? */
const longBytesMax = 192 * 1024;
const longOneIn = 4_000;

/** Makes new inputs from known ones; the same random numbers make the same input. */
export class Mutator {
  readonly #random: Random;
  readonly #dictionary: readonly Buffer[];

  constructor(random: Random, dictionary: readonly Buffer[]) {
    this.#random = random;
    this.#dictionary = dictionary;
  }

  /** `parent` with one to sixteen changes; `other` lends bytes. */
  mutate(parent: Buffer, other: Buffer): Buffer {
    const random = this.#random;
    let bytes: Buffer = Buffer.from(parent);
    for (let rounds = 1 << random.below(5); rounds > 0; rounds -= 1) bytes = this.#change(bytes, other);
    if (random.oneIn(longOneIn)) return this.#lengthen(bytes);
    const most = Math.max(bytesMax, parent.length);
    return bytes.length > most ? bytes.subarray(0, most) : bytes;
  }

  #change(bytes: Buffer, other: Buffer): Buffer {
    const random = this.#random;
    const at = random.below(bytes.length + 1);
    switch (random.below(12)) {
      case 0:
        return this.#edit(bytes, 1, (place) => (bytes[place]! ^= 1 << random.below(8)));
      case 1:
        return this.#edit(bytes, 1, (place) => (bytes[place] = random.below(256)));
      case 2:
        return this.#edit(bytes, 1, (place) => (bytes[place] = bytes[place]! + random.below(33) - 16));
      case 3:
        return this.#setNumber(bytes, random.pick(interesting));
      case 4:
        // Lengths that reach exactly to the end of the input, or one beyond.
        return this.#setNumber(bytes, Math.max(0, bytes.length - at + random.below(13) - 8));
      case 5:
        return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(16))]);
      case 6:
        return bytes.subarray(0, at);
      case 7:
        return this.#insert(bytes, at, this.#sliceOf(bytes));
      case 8:
        return this.#insert(bytes, at, this.#sliceOf(other));
      case 9:
        return Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.length + 1))]);
      case 10:
        return this.#insert(bytes, at, random.pick(this.#dictionary));
      default: {
        const word = random.pick(this.#dictionary);
        return this.#edit(bytes, word.length, (place) => word.copy(bytes, place));
      }
    }
  }

  /** The same few bytes over and over: many elements, deep nesting, many fragments. */
  #lengthen(bytes: Buffer): Buffer {
    const random = this.#random;
    const at = random.below(bytes.length + 1);
    const unit = random.oneIn(2) ? this.#sliceOf(bytes) : random.pick(this.#dictionary);
    if (unit.length === 0) return bytes;
    const times = Math.floor(random.below(longBytesMax) / unit.length);
    return this.#insert(bytes, at, Buffer.concat(Array.from({ length: times }, () => unit)));
  }

  #sliceOf(bytes: Buffer): Buffer {
    const start = this.#random.below(bytes.length + 1);
    return bytes.subarray(start, start + 1 + this.#random.below(64));
  }

  #insert(bytes: Buffer, at: number, more: Buffer): Buffer {
    return Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]);
  }

  #edit(bytes: Buffer, width: number, change: (place: number) => unknown): Buffer {
    if (bytes.length >= width) change(this.#random.below(bytes.length - width + 1));
    return bytes;
  }

  #setNumber(bytes: Buffer, value: number): Buffer {
    const width = this.#random.oneIn(2) ? 2 : 4;
    const little = this.#random.oneIn(2);
    return this.#edit(bytes, width, (place) => {
      if (width === 2 && little) bytes.writeUInt16LE(value & 0xffff, place);
      else if (width === 2) bytes.writeUInt16BE(value & 0xffff, place);
      else if (little) bytes.writeUInt32LE(value >>> 0, place);
      else bytes.writeUInt32BE(value >>> 0, place);
    });
  }
}
