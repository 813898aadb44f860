import { isDeepStrictEqual } from 'node:util';
import { DataSetError, decodeDataSet, encodeDataSet, HeaderWalker, uids } from '@isthmus/dicom';
import type { DataSetJson, DecodeOptions, HeaderWalkerOptions } from '@isthmus/dicom';
import { dataSetDictionary, dataSetSeeds, layouts } from './data-set-seeds.ts';
import { chunkings } from './pieces.ts';
import { Failure, magnitude, promised, words } from './target.ts';
import type { Target } from './target.ts';

/** Tests look at what happens at the bound, so it is within reach of an input. */
const inflatedBytesMax = 100_000;
const wanted = new Set(['00080018', '00100010', '00100020', '00081115', '0020000D', '00731001']);
const walkerOptions: readonly HeaderWalkerOptions[] = [
  { inflatedBytesMax },
  { inflatedBytesMax, wanted },
  { inflatedBytesMax, headBytesMax: 64, inflatedHeadersMax: 200 },
  { inflatedBytesMax, headBytesMax: 300, wanted },
];
const decodeOptions: readonly DecodeOptions[] = [
  { inflatedBytesMax },
  { inflatedBytesMax, untilTag: 0x7fe00010 },
  { inflatedBytesMax, inlineBytesMax: 8 },
  { inflatedBytesMax, untilTag: 0x00100020 },
];

/**
 * HeaderWalker: never throws, says the same whatever pieces the bytes come in, and where `decodeDataSet` reads the whole
 * data set, both agree on what they have read.
 */
export const walkerTarget: Target = {
  name: 'walker',
  seeds: dataSetSeeds(),
  dictionary: dataSetDictionary,
  run(input) {
    const { uid, options, bytes } = chosen(input, walkerOptions);
    const whole = walked(uid, options, [bytes]);
    for (const pieces of chunkings(bytes)) {
      const other = walked(uid, options, pieces);
      if (!isDeepStrictEqual(whole, other)) {
        throw new Failure('chunking', `${JSON.stringify(other)}, whole: ${JSON.stringify(whole)}`);
      }
    }
    checkAgreement(bytes, uid, whole);
    const kept = magnitude(Object.keys(whole.attributes).length);
    return `${uid} ${(whole.error ?? '').slice(0, 40)} ${String(whole.complete)} ${kept}`;
  },
};

/** `decodeDataSet`: DataSetError and nothing else; so does `encodeDataSet` with what was read. */
export const decodeTarget: Target = {
  name: 'decode',
  seeds: dataSetSeeds(),
  dictionary: dataSetDictionary,
  run(input) {
    const { uid, options, bytes } = chosen(input, decodeOptions);
    const outcome = promised(DataSetError, () => decodeDataSet(bytes, uid, options));
    if ('refused' in outcome) return `${uid} ${words(outcome.refused)}`;
    checkRoundTrip(outcome.answer);
    return `${uid} ${shapeOf(outcome.answer)}`;
  },
};

interface Walked {
  readonly attributes: DataSetJson;
  readonly error: string | undefined;
  readonly complete: boolean;
}

function chosen<Options>(input: Buffer, all: readonly Options[]) {
  const uid = layouts[(input[0] ?? 0) & 3] as string;
  return { uid, options: all[(input[1] ?? 0) & 3] as Options, bytes: input.subarray(2) };
}

function walked(uid: string, options: HeaderWalkerOptions, pieces: readonly Buffer[]): Walked {
  const outcome = promised(NeverThrown, () => {
    const walker = new HeaderWalker(uid, options);
    // Each piece in the same buffer: a walker that kept a view of one would read something else later.
    const buffer = Buffer.alloc(pieces.reduce((most, piece) => Math.max(most, piece.length), 0));
    for (const piece of pieces) {
      piece.copy(buffer);
      walker.push(buffer.subarray(0, piece.length));
      buffer.fill(0xa5);
    }
    const { complete } = walker.end();
    const error =
      walker.error && `${walker.error.code} ${walker.error.message} ${walker.error.facts.tag ?? ''}`;
    return { attributes: walker.attributes, error, complete };
  });
  if ('refused' in outcome) throw new Error(outcome.refused);
  return outcome.answer;
}

class NeverThrown extends Error {}

/** Elements that both have read are the same. Bulk data is told by offset, which differs. */
function checkAgreement(bytes: Buffer, uid: string, { attributes, error, complete }: Walked): void {
  if (error !== undefined) return;
  const outcome = promised(DataSetError, () => decodeDataSet(bytes, uid, { inflatedBytesMax }));
  if ('refused' in outcome) return;
  if (!complete)
    throw new Failure('disagreement', 'decodeDataSet reads it, the walker says that it is cut off');
  for (const [tag, found] of Object.entries(attributes)) {
    if (JSON.stringify(found).includes('"BulkDataURI"')) continue;
    const expected = outcome.answer[tag];
    if (isDeepStrictEqual(found, expected)) continue;
    // With some elements left out, the character set and pixel representation of others may be among them.
    if (attributes['00080005'] === undefined && outcome.answer['00080005'] !== undefined) continue;
    if (attributes['00280103'] === undefined && outcome.answer['00280103'] !== undefined) continue;
    throw new Failure('disagreement', `${tag} ${JSON.stringify(found)}, decoder ${JSON.stringify(expected)}`);
  }
}

/** What can be written is the same when it was read and written once more. */
function checkRoundTrip(row: DataSetJson): void {
  const written = promised(DataSetError, () => encodeDataSet(row, uids.ExplicitVrLittleEndian));
  if ('refused' in written) return;
  const read = promised(DataSetError, () => decodeDataSet(written.answer, uids.ExplicitVrLittleEndian));
  if ('refused' in read) throw new Failure('round trip', `what was written cannot be read: ${read.refused}`);
}

/** Number of elements and depth, as coverage. */
function shapeOf(row: DataSetJson): string {
  let elements = 0;
  let depth = 0;
  const look = (one: DataSetJson, level: number): void => {
    depth = Math.max(depth, level);
    for (const { vr, Value } of Object.values(one)) {
      elements += 1;
      if (vr === 'SQ') for (const item of Value ?? []) look(item as DataSetJson, level + 1);
    }
  };
  look(row, 0);
  return `${magnitude(elements)} ${magnitude(depth)}`;
}
