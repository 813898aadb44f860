import { canonicalJson, compareText, own } from './canonical.ts';
import type { LwwRegister, MapRegister, MaxRegister, Register, RegisterMap } from './registers.ts';

/**
 * Merges two states (or a state and a change). Commutative, associative and idempotent for every input:
 * registers of unknown type or broken shape are kept, the one with the greater canonical bytes winning, so
 * that clusters of different versions agree and pass on what they do not know. Neither argument is changed.
 *
 * @returns `a` itself (the same reference) when `b` brings nothing new: the test for "effective".
 */
export function mergeRegisters(a: RegisterMap, b: RegisterMap): RegisterMap {
  if (a === b) return a;
  const changes: [string, Register][] = [];
  for (const [name, theirs] of Object.entries(b)) {
    const ours = own(a, name);
    const merged = ours === undefined ? theirs : mergeRegister(ours, theirs);
    if (merged !== ours) changes.push([name, merged]);
  }
  if (changes.length === 0) return a;
  // fromEntries and spread define members; assigning would let a member called __proto__ set the prototype.
  return { ...a, ...Object.fromEntries(changes) };
}

/** Merges two registers of one name. @returns `a` itself when nothing changed. */
export function mergeRegister(a: Register, b: Register): Register {
  if (a === b) return a;
  const classOfA = registerClass(a);
  const classOfB = registerClass(b);
  // A writer that changed a register's type: the greater class wins whole, which keeps the laws.
  if (classOfA !== classOfB) return classOfA > classOfB ? a : b;
  switch (classOfA) {
    case 'e-map':
      return mergeMap(a as MapRegister, b as MapRegister);
    case 'd-lww':
      return compareLww(a as LwwRegister, b as LwwRegister) >= 0 ? a : b;
    case 'b-max-number':
    case 'c-max-text':
      return compareMax(a as MaxRegister, b as MaxRegister) >= 0 ? a : b;
    default:
      return compareBytes(a, b) >= 0 ? a : b;
  }
}

type RegisterClass = 'a-opaque' | 'b-max-number' | 'c-max-text' | 'd-lww' | 'e-map';

/** How a register is merged; what is of no known type, or not well formed, is `a-opaque`. */
export function registerClass(register: unknown): RegisterClass {
  if (typeof register !== 'object' || register === null) return 'a-opaque';
  const { t } = register as { t?: unknown };
  if (t === 'lww') return isLww(register) ? 'd-lww' : 'a-opaque';
  if (t === 'map') return isMap(register) ? 'e-map' : 'a-opaque';
  if (t === 'max') {
    const { value } = register as { value?: unknown };
    if (typeof value === 'number' && Number.isFinite(value)) return 'b-max-number';
    return typeof value === 'string' ? 'c-max-text' : 'a-opaque';
  }
  return 'a-opaque';
}

function isLww(register: object): register is LwwRegister {
  const { rank, hlc, origin, value } = register as Partial<LwwRegister>;
  return (
    Number.isFinite(rank) && typeof hlc === 'string' && typeof origin === 'string' && value !== undefined
  );
}

function isMap(register: object): register is MapRegister {
  const { entries } = register as { entries?: unknown };
  return typeof entries === 'object' && entries !== null && !Array.isArray(entries);
}

/** Order of last-writer-wins registers: rank, stamp, origin, then bytes. Zero only for equal registers. */
export function compareLww(a: LwwRegister, b: LwwRegister): number {
  if (a.rank !== b.rank) return a.rank < b.rank ? -1 : 1;
  return (
    compareText(a.hlc, b.hlc) ||
    compareText(a.origin, b.origin) ||
    compareText(canonicalJson(a.value), canonicalJson(b.value)) ||
    compareBytes(a, b)
  );
}

function compareMax(a: MaxRegister, b: MaxRegister): number {
  if (a.value !== b.value) return a.value < b.value ? -1 : 1;
  return compareBytes(a, b);
}

function compareBytes(a: unknown, b: unknown): number {
  return compareText(canonicalJson(a), canonicalJson(b));
}

function mergeMap(a: MapRegister, b: MapRegister): MapRegister {
  const entries = mergeRegisters(a.entries, b.entries);
  const extras = newerMembers(a, b);
  if (entries === a.entries && extras.length === 0) return a;
  return { ...a, ...Object.fromEntries(extras), t: 'map', entries };
}

/** Members that a later version may add beside `entries`: kept, the greater bytes winning. */
function newerMembers(a: object, b: object): [string, unknown][] {
  const ours = a as { readonly [key: string]: unknown };
  return Object.entries(b).filter(
    ([name, theirs]) =>
      name !== 't' &&
      name !== 'entries' &&
      (own(ours, name) === undefined || compareBytes(ours[name], theirs) < 0),
  );
}
