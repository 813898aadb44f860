/** Plain JSON. */
export type JsonValue =
  null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/**
 * Last-writer-wins register, ordered by rank, then hlc, then origin, then the canonical bytes of the value.
 *
 * Rank 2: the RIS (or a fixup) of the domain that owns the fact. Rank 1: any other person or system. Rank 0: read from
 * an object's header; there `hlc` is empty and `origin` is the SOP Instance UID of the object that carried it, so that
 * neither time nor cluster decides. Inside a report, rank is the status itself (see `reports.ts`).
 */
export interface LwwRegister {
  readonly t: 'lww';
  readonly value: JsonValue;
  readonly rank: number;
  readonly hlc: string;
  readonly origin: string;
  /**
   * Stamp of the value that its author saw and replaced, empty when there was none. Absent: a fact of a cluster or of a
   * header, or written by an older version. Tells a lost conflict from an ordinary correction (see `conflicts.ts`).
   */
  readonly basis?: string;
  /** Who asked for it: user, station or system. */
  readonly by?: string;
}

/** Keeps the greatest value: numbers by size, strings by code unit. */
export interface MaxRegister {
  readonly t: 'max';
  readonly value: number | string;
}

/** A register per key; merging merges key by key. */
export interface MapRegister {
  readonly t: 'map';
  readonly entries: RegisterMap;
}

export type Register = LwwRegister | MaxRegister | MapRegister;

/**
 * State of an aggregate, and equally a change to it: a change is a small state, merging is the only operation. The
 * merge type travels with the value, so that a cluster merges and passes on fields that it does not know.
 */
export interface RegisterMap {
  readonly [name: string]: Register;
}
