import { compareText, own } from './canonical.ts';
import type { PatientReference } from './headers.ts';
import { lwwRegister } from './holders.ts';
import { compareLww } from './merge.ts';
import type { JsonValue, LwwRegister, RegisterMap } from './registers.ts';

/** Registers of patients by patient key. */
export type PatientStates = { readonly [patientKey: string]: RegisterMap };

/** Why one patient key leads to another. */
export type MergeKind = 'merge' | 'identifier';

/** Value of a patient's register `mergedInto`, when it is not null. */
export interface MergeEdge {
  /** Patient key that stands for this one from now on. */
  readonly key: string;
  /**
   * `merge`: two records turned out to be one person. `identifier`: the same record under another ID; this key is what is
   * left of the old one.
   */
  readonly kind: MergeKind;
}

/** Who a patient key stands for. */
export interface ResolvedPatient {
  /** The key that survives; the given one when it was not merged. */
  readonly key: string;
  /** The keys on the way, the given one first, the survivor left out. */
  readonly through: readonly string[];
  /** Keys that were merged into each other in a circle, sorted: a conflict that somebody has to solve. */
  readonly cycle?: readonly string[];
}

/** Where a patient was merged into; undefined when it was not, or the merge was taken back. */
export function mergeEdge(patient: RegisterMap | undefined): MergeEdge | undefined {
  const value = patient && lwwRegister(patient, 'mergedInto')?.value;
  if (typeof value !== 'object' || value === null) return undefined;
  const record = value as { readonly [key: string]: JsonValue };
  const key = own(record, 'key');
  if (typeof key !== 'string') return undefined;
  return { key, kind: own(record, 'kind') === 'identifier' ? 'identifier' : 'merge' };
}

/**
 * Follows merges from a patient key to the one that stands for it now. Computed whenever it is read: nothing is
 * re-keyed, so that a merge can be taken back. Merges made apart may form a circle; it is cut at its lowest stamp, which
 * is the same everywhere, and reported. Never fails; a key of which nothing is known stands for itself.
 */
export function resolvePatient(key: string, patients: PatientStates): ResolvedPatient {
  const path: string[] = [];
  let at = key;
  for (;;) {
    const edge = mergeEdge(own(patients, at));
    if (!edge) return { key: at, through: path };
    const back = path.indexOf(at);
    if (back >= 0) {
      const cycle = path.slice(back);
      const survivor = cycle.reduce((lowest, one) =>
        compareEdges(patients, one, lowest) < 0 ? one : lowest,
      );
      const through = [...path.slice(0, back), ...turned(cycle, survivor)];
      return { key: survivor, through, cycle: [...cycle].sort(compareText) };
    }
    path.push(at);
    at = edge.key;
  }
}

/** The part of a cycle that leads from where it was entered to the survivor. */
function turned(cycle: readonly string[], survivor: string): readonly string[] {
  return cycle.slice(0, cycle.indexOf(survivor));
}

function compareEdges(patients: PatientStates, a: string, b: string): number {
  return compareLww(edgeRegister(patients, a), edgeRegister(patients, b)) || compareText(a, b);
}

function edgeRegister(patients: PatientStates, key: string): LwwRegister {
  return lwwRegister(own(patients, key) ?? {}, 'mergedInto') as LwwRegister;
}

/**
 * All keys that merges, taken back or not, connect with this one, itself included, sorted: what a holder of one side has
 * to know of the other. A merge that was taken back still connects, so that the news of it arrives.
 *
 * @param patients - All that are known, or at least those around the key.
 */
export function patientComponent(key: string, patients: PatientStates): readonly string[] {
  const neighbours = new Map<string, string[]>();
  const connect = (a: string, b: string): void => {
    neighbours.set(a, [...(neighbours.get(a) ?? []), b]);
  };
  for (const one of Object.keys(patients)) {
    for (const other of connectedKeys(own(patients, one) ?? {})) {
      connect(one, other);
      connect(other, one);
    }
  }
  const found = new Set([key]);
  // A set gives members that are added while it is walked, too.
  for (const one of found) for (const other of neighbours.get(one) ?? []) found.add(other);
  return [...found].sort(compareText);
}

/** Keys that a patient's own registers connect it with: where it was merged into, now or before. */
export function connectedKeys(patient: RegisterMap): readonly string[] {
  const value = lwwRegister(patient, 'mergedInto')?.value;
  if (typeof value !== 'object' || value === null) return [];
  const record = value as { readonly [key: string]: JsonValue };
  return ['key', 'was'].flatMap((name) => {
    const other = own(record, name);
    return typeof other === 'string' ? [other] : [];
  });
}

/** Demographics of one patient as a start for another: below everything that will ever be said of that one. */
export function carriedDemographics(from: RegisterMap, to: PatientReference): RegisterMap {
  const register = (value: JsonValue): LwwRegister => ({ t: 'lww', value, rank: 0, hlc: '', origin: '' });
  const carried = ['name', 'birthDate', 'sex', 'globalId'].flatMap((name) => {
    const value = lwwRegister(from, name)?.value;
    return value === undefined ? [] : [[name, register(value)] as const];
  });
  return { ...Object.fromEntries(carried), id: register(to.id), issuer: register(to.issuer) };
}
