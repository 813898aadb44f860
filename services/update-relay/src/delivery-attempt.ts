import { dimseStatus } from '@isthmus/dicom';

/** What a peer's answer to one linked update means for the queue. */
export type Verdict =
  /** Durable there. */
  | 'delivered'
  /** The peer, or the way to it, does not take updates now: wait, then send the same again. */
  | 'later'
  /** The peer will not take this content: find the item, and after enough refusals park it. */
  | 'refused';

const later: ReadonlySet<number> = new Set<number>([
  dimseStatus.OutOfResources,
  dimseStatus.ProcessingFailure,
  dimseStatus.SopClassNotSupported,
  dimseStatus.NotAuthorised,
  dimseStatus.LinkFormatUnknown,
  dimseStatus.LinkIncarnationUnknown,
  dimseStatus.LinkOff,
]);

/**
 * Judges a status word. Only 0000 says durable; a warning does not. What concerns the peer as a whole (full,
 * not allowed, another format, link off) holds the queue back; everything else concerns the content.
 */
export function judge(status: number): Verdict {
  if (status === dimseStatus.Success) return 'delivered';
  // A7xx: out of resources, in all its dialects (PS3.4 B.2.3).
  return later.has(status) || (status & 0xff00) === 0xa700 ? 'later' : 'refused';
}

/**
 * Finds the item that a peer refuses. A refused batch is sent again item by item; an item refused alone is
 * counted, and given up after `refusalsMax` times.
 */
export interface Isolation {
  /** How many units the next batch may have. */
  unitsMax(normal: number): number;
  /** These many units were acknowledged. */
  delivered(units: number): void;
  /** @returns `park` when the one unit that was sent has been refused often enough. */
  refused(units: number, key: string): 'again' | 'park';
  /** Refusals of an item so far. */
  refusalsOf(key: string): number;
}

export function createIsolation(refusalsMax: number): Isolation {
  let single = 0;
  let suspect: { key: string; refusals: number } | undefined;
  return {
    unitsMax: (normal) => (single > 0 ? 1 : normal),
    delivered: (units) => {
      single = Math.max(0, single - units);
      suspect = undefined;
    },
    refused: (units, key) => {
      if (units > 1) {
        single = units;
        return 'again';
      }
      suspect = { key, refusals: (suspect?.key === key ? suspect.refusals : 0) + 1 };
      if (suspect.refusals < refusalsMax) return 'again';
      single = Math.max(0, single - 1);
      return 'park';
    },
    refusalsOf: (key) => (suspect?.key === key ? suspect.refusals : 0),
  };
}
