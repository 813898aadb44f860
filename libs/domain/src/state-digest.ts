import { canonicalJson, compareText } from './canonical.ts';
import { sha256 } from './digest.ts';
import { classOfRegister } from './event-classes.ts';
import type { EventClass } from './event-classes.ts';
import type { Change } from './events.ts';
import type { Register, RegisterMap } from './registers.ts';

/** What clusters that hold one study must agree on. */
export interface DigestedState {
  readonly study: RegisterMap;
  /** By patient key: the patients of the study's component, those that it was merged from and into among them. */
  readonly patients: { readonly [patientKey: string]: RegisterMap };
  /** The objects that are known of the study, here or not: how many, and the digest of their manifest. */
  readonly objects?: { readonly count: number; readonly digest: string };
}

/**
 * Registers that differ between clusters and may: renewals of a lease are worth nothing once it has ended, and what
 * local tables make of a study is never replicated.
 */
const outside: ReadonlySet<string> = new Set(['claimRenewals', 'specialty', 'bodyPart']);

/**
 * SHA-256 (hex) that two clusters give equally exactly when they know the same of a study: every register with its
 * stamp, those that this version does not know included, the patients of its component, and the object set by count and
 * hash. Not the timeline, renewals of leases, availability, specialty and body part.
 */
export function stateDigest(state: DigestedState): string {
  return sha256(canonicalJson(parts(state, () => true)));
}

/**
 * The same for each event class by itself, so that a link compares only what it carries at once. A class of which
 * nothing is known is left out.
 */
export function classDigests(state: DigestedState): { readonly [Class in EventClass]?: string } {
  const classes = new Set<EventClass>();
  const note = (aggregate: Change['aggregate'], registers: RegisterMap): void => {
    for (const name of Object.keys(registers))
      if (!outside.has(name)) classes.add(classOfRegister(aggregate, name));
  };
  note('study', state.study);
  Object.values(state.patients).forEach((patient) => note('patient', patient));
  if (state.objects) classes.add('objects');
  return Object.fromEntries(
    [...classes].sort(compareText).map((wanted) => {
      const members = parts(state, (aggregate, name) => classOfRegister(aggregate, name) === wanted);
      const objects = wanted === 'objects' ? members : { ...members, objects: null };
      return [wanted, sha256(canonicalJson(objects))];
    }),
  );
}

/** What is hashed: registers that are wanted, patients of whom any is, the object set. */
function parts(
  state: DigestedState,
  wanted: (aggregate: Change['aggregate'], name: string) => boolean,
): { readonly [part: string]: unknown } {
  const chosen = (aggregate: Change['aggregate'], registers: RegisterMap): [string, Register][] =>
    Object.entries(registers).filter(([name]) => !outside.has(name) && wanted(aggregate, name));
  const patients = Object.entries(state.patients).flatMap(([key, registers]) => {
    const members = chosen('patient', registers);
    return members.length === 0 ? [] : [[key, Object.fromEntries(members)] as const];
  });
  return {
    study: Object.fromEntries(chosen('study', state.study)),
    patients: Object.fromEntries(patients),
    objects: state.objects ? { count: state.objects.count, digest: state.objects.digest } : null,
  };
}

/**
 * SHA-256 (hex) of what one cluster says of its copy, with its stamp: the side that holds and the side that believes
 * compare it. Empty when it never said anything.
 */
export function holdingDigest(study: RegisterMap, cluster: string): string {
  const holders = study['holders'];
  const entry =
    holders?.t === 'map' && Object.hasOwn(holders.entries, cluster) ? holders.entries[cluster] : undefined;
  return entry === undefined ? '' : sha256(canonicalJson(entry));
}
