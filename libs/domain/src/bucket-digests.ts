import { compareText, own } from './canonical.ts';
import { sha256 } from './digest.ts';

/**
 * Digest of each bucket of studies, by bucket name (the first hex digits of SHA-256 of the Study Instance UID). Empty
 * buckets are left out. Two sides that agree on every study of a bucket give the same digest; a longer name is a part
 * of the bucket with the shorter one, so that a difference is narrowed by asking for one digit more.
 */
export type BucketDigests = { readonly [bucket: string]: string };

/** Longest bucket name: 16^4 buckets. */
export const bucketDigitsMax = 4;

const modulus = 1n << 256n;

/**
 * The bucket that a study is in.
 * @param digits - Length of the name, 0 (one bucket for all) to `bucketDigitsMax`.
 */
export function bucketOf(studyInstanceUid: string, digits: number): string {
  if (!Number.isInteger(digits) || digits < 0 || digits > bucketDigitsMax)
    throw new RangeError(`bucket names have 0 to ${bucketDigitsMax} digits`);
  return sha256(studyInstanceUid).slice(0, digits);
}

/**
 * Digests of all buckets over (study, digest). A study counts once: the last entry of it.
 * @param within - Only studies of this bucket, whose name is at most `digits` long.
 */
export function bucketDigests(
  entries: Iterable<readonly [studyInstanceUid: string, digest: string]>,
  digits: number,
  within = '',
): BucketDigests {
  const sums = new Map<string, bigint>();
  for (const [study, digest] of new Map(entries)) {
    const bucket = bucketOf(study, digits);
    if (!bucket.startsWith(within)) continue;
    sums.set(bucket, ((sums.get(bucket) ?? 0n) + term(study, digest)) % modulus);
  }
  return written(sums);
}

/**
 * The digests after one study changed, without reading the others: sums, from which a term can be taken and to which
 * one can be added.
 * @param before - Its digest so far; undefined when it was not in.
 * @param after - Its digest now; undefined when it is no longer in.
 */
export function changedBuckets(
  buckets: BucketDigests,
  digits: number,
  study: string,
  before: string | undefined,
  after: string | undefined,
): BucketDigests {
  const bucket = bucketOf(study, digits);
  const sum =
    BigInt(`0x${own(buckets, bucket) ?? '0'}`) +
    (before === undefined ? 0n : modulus - term(study, before)) +
    (after === undefined ? 0n : term(study, after));
  const sums = new Map(Object.entries(buckets).map(([name, digest]) => [name, BigInt(`0x${digest}`)]));
  return written(sums.set(bucket, sum % modulus));
}

/** A study's share of its bucket's sum. */
function term(study: string, digest: string): bigint {
  return BigInt(`0x${sha256(`${study} ${digest}`)}`);
}

function written(sums: ReadonlyMap<string, bigint>): BucketDigests {
  return Object.fromEntries(
    [...sums]
      .filter(([, sum]) => sum !== 0n)
      .sort(([a], [b]) => compareText(a, b))
      .map(([bucket, sum]) => [bucket, sum.toString(16).padStart(64, '0')]),
  );
}

/** Names that the two sides give different digests, or that only one has, sorted. Buckets and studies alike. */
export function differences(
  ours: { readonly [name: string]: string },
  theirs: { readonly [name: string]: string },
): readonly string[] {
  return [...new Set([...Object.keys(ours), ...Object.keys(theirs)])]
    .filter((name) => own(ours, name) !== own(theirs, name))
    .sort(compareText);
}

/** What one exchange of digests showed, at one moment. */
export interface DigestExchange {
  readonly ours: { readonly [name: string]: string };
  readonly theirs: { readonly [name: string]: string };
}

/**
 * Names that differ now exactly as they differed in the exchange before. A difference that is only on its way (an update
 * between the two sides) moves at least one of the values, and does not count.
 */
export function lastingDifferences(before: DigestExchange, now: DigestExchange): readonly string[] {
  return differences(now.ours, now.theirs).filter(
    (name) =>
      own(before.ours, name) === own(now.ours, name) && own(before.theirs, name) === own(now.theirs, name),
  );
}
