/**
 * Hybrid logical clock: 48 bits of wall-clock milliseconds and a 16-bit counter as 16 lower-case hex
 * digits, so that text order is time order. The empty text is older than every stamp (facts from headers
 * carry it).
 */

/** A stamp that somebody made: 16 hex digits below `stampLimit`. */
const stampPattern = /^[0-9a-f]{16}$/;

/**
 * Stamps at or above this (year 10 333) are refused on entry: a stamp near the end of the scale could never
 * be beaten by a later edit.
 */
export const stampLimit = 'f000000000000000';

export function isStamp(text: unknown): text is string {
  return typeof text === 'string' && stampPattern.test(text) && text < stampLimit;
}

/** The greatest of the stamps; what is not a stamp is passed over. Empty when there is none. */
export function observe(...seen: readonly (string | undefined)[]): string {
  let greatest = '';
  for (const stamp of seen) if (isStamp(stamp) && stamp > greatest) greatest = stamp;
  return greatest;
}

/**
 * The next stamp after `last`: the wall clock when it is ahead, else `last` + 1 (a full counter carries
 * into the milliseconds).
 * @param last - Last stamp made or seen; empty at the very start.
 * @param nowMs - Wall clock, milliseconds since 1970.
 */
export function tick(last: string, nowMs: number): string {
  const wall = BigInt(Math.max(0, Math.trunc(Number.isFinite(nowMs) ? nowMs : 0))) << 16n;
  const next = isStamp(last) ? BigInt(`0x${last}`) + 1n : 0n;
  return (wall > next ? wall : next).toString(16).padStart(16, '0').slice(-16);
}

/**
 * Stamp of an edit: greater than our clock, than the value that it replaces, and than everything its author
 * had seen, whatever the clocks say.
 */
export function nextStamp(parts: {
  readonly clock: string;
  readonly nowMs: number;
  readonly register?: string | undefined;
  readonly seen?: string | undefined;
}): string {
  return tick(observe(parts.clock, parts.register, parts.seen), parts.nowMs);
}

/** Wall-clock part of a stamp, milliseconds since 1970; undefined when it is no stamp. */
export function stampMilliseconds(stamp: string): number | undefined {
  return isStamp(stamp) ? Number(BigInt(`0x${stamp}`) >> 16n) : undefined;
}
