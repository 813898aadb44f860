import { Random, seedOf } from './random.ts';

/** Beyond this an input is no longer fed byte by byte. */
const byteWiseBytesMax = 200;

/**
 * The ways in which the same bytes may come in besides whole: byte by byte (larger pieces when they are many), and
 * cut at places that depend on the bytes alone. Pieces may be empty.
 */
export function chunkings(bytes: Buffer): readonly (readonly Buffer[])[] {
  const step = bytes.length <= byteWiseBytesMax ? 1 : 11 + (bytes.length >> 6);
  const regular: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += step) regular.push(bytes.subarray(at, at + step));
  const random = new Random(seedOf(bytes));
  const cuts = Array.from({ length: 1 + random.below(8) }, () => random.below(bytes.length + 1));
  cuts.sort((a, b) => a - b);
  const irregular = [0, ...cuts].map((start, index) => bytes.subarray(start, cuts[index] ?? bytes.length));
  return [regular, irregular];
}
