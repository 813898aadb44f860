import { canonicalJson, own } from './canonical.ts';
import { sha256 } from './digest.ts';
import { stampMilliseconds } from './hlc.ts';
import { compareLww, registerClass } from './merge.ts';
import type { JsonValue, LwwRegister, MapRegister, Register, RegisterMap } from './registers.ts';

/** One of the two values of a conflict. */
export interface ConflictSide {
  readonly value: JsonValue;
  /** User, station or system; empty when it did not say. */
  readonly by: string;
  /** Cluster where it was written. */
  readonly origin: string;
  readonly hlc: string;
  /** RFC 3339, the wall clock of the stamp; for people. */
  readonly at: string;
}

/** A value that somebody wrote and that lost against one whose author had not seen it. */
export interface Conflict {
  /** The same at every cluster that finds it. */
  readonly id: string;
  /** Names of the register and, inside maps, of the entries on the way to it. */
  readonly path: readonly string[];
  readonly winner: ConflictSide;
  readonly loser: ConflictSide;
  /** Why the winner won: it ranks higher, is later, or, at one instant, by cluster id or by value. */
  readonly because: 'rank' | 'later' | 'origin' | 'value';
}

/** Written by one cluster about itself, or with a rule of its own who wins: nobody's edit is lost there. */
const withoutConflicts: ReadonlySet<string> = new Set([
  'holders',
  'home',
  'objects',
  'claim',
  'claimRenewals',
]);

/**
 * What is lost when `b` is merged into `a` (or `a` into `b`): the values that lose although the author of the winner had
 * not seen them (`basis` < loser < winner). Values that an older version wrote without a basis raise none, nor do facts
 * from headers. Only the two values at hand are compared: whether a value that comes late lost against one before the
 * present one, `lostTo` tells.
 */
export function conflictsBetween(a: RegisterMap, b: RegisterMap): readonly Conflict[] {
  return conflictsWithin(a, b, []);
}

function conflictsWithin(a: RegisterMap, b: RegisterMap, path: readonly string[]): readonly Conflict[] {
  return Object.keys(b).flatMap((name) => {
    const ours = own(a, name);
    const theirs = own(b, name);
    if (!ours || !theirs || (path.length === 0 && withoutConflicts.has(name))) return [];
    return conflictsOf(ours, theirs, [...path, name]);
  });
}

function conflictsOf(a: Register, b: Register, path: readonly string[]): readonly Conflict[] {
  // A register of unknown type or broken shape loses whole, and is nobody's edit.
  const [classOfA, classOfB] = [registerClass(a), registerClass(b)];
  if (classOfA !== classOfB) return [];
  if (classOfA === 'e-map')
    return conflictsWithin((a as MapRegister).entries, (b as MapRegister).entries, path);
  if (classOfA !== 'd-lww') return [];
  const [ours, theirs] = [a as LwwRegister, b as LwwRegister];
  const conflict =
    compareLww(ours, theirs) >= 0 ? conflictBetween(ours, theirs, path) : conflictBetween(theirs, ours, path);
  return conflict ? [conflict] : [];
}

/**
 * The value of a field's history that beat a late one without having seen it: the value that comes first of those that
 * win against it. Undefined when that one's author had seen it.
 *
 * @param history - Values that the field had, in any order, the present one among them.
 */
export function lostTo(
  loser: LwwRegister,
  history: readonly LwwRegister[],
  path: readonly string[],
): Conflict | undefined {
  const [winner] = history.filter((one) => compareLww(one, loser) > 0).sort(compareLww);
  return winner && conflictBetween(winner, loser, path);
}

function conflictBetween(
  winner: LwwRegister,
  loser: LwwRegister,
  path: readonly string[],
): Conflict | undefined {
  const { basis } = winner;
  if (typeof basis !== 'string' || loser.hlc === '' || basis >= loser.hlc) return undefined;
  // What ranks lower may have been written after it was seen that a higher rank was there.
  if (typeof loser.basis === 'string' && loser.basis >= winner.hlc) return undefined;
  if (canonicalJson(winner.value) === canonicalJson(loser.value)) return undefined;
  const id = sha256(canonicalJson([path, winner.hlc, winner.origin, loser.hlc, loser.origin])).slice(0, 32);
  return { id, path, winner: side(winner), loser: side(loser), because: reason(winner, loser) };
}

function side({ value, by, origin, hlc }: LwwRegister): ConflictSide {
  const at = new Date(stampMilliseconds(hlc) ?? 0).toISOString();
  return { value, by: typeof by === 'string' ? by : '', origin, hlc, at };
}

function reason(winner: LwwRegister, loser: LwwRegister): Conflict['because'] {
  if (winner.rank !== loser.rank) return 'rank';
  if (winner.hlc !== loser.hlc) return 'later';
  return winner.origin === loser.origin ? 'value' : 'origin';
}
