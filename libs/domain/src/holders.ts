import { compareText, own } from './canonical.ts';
import type { JsonValue, LwwRegister, Register, RegisterMap } from './registers.ts';

/** What one cluster says of its own copy of a study. */
export interface Holding {
  readonly holds: boolean;
  /** Nothing known of the study is missing there. */
  readonly complete: boolean;
  readonly instanceCount: number;
  /** `full`: all objects of the study are wanted there; `listed`: only some. */
  readonly scope: 'full' | 'listed';
}

/** Instance Availability (0008,0056), PS3.3 C.4.23.1.1, as seen from the holder itself. */
export type Availability = 'ONLINE' | 'NEARLINE' | 'OFFLINE' | 'UNAVAILABLE';

/**
 * By cluster id, what the caller knows of copies: of its own from its index, of others from what they answered. It
 * changes with tapes and disks, not with decisions, so it is no part of the replicated state.
 */
export type KnownAvailability = { readonly [cluster: string]: Availability };

/** A holder with its cluster id. */
export interface Holder extends Holding {
  readonly cluster: string;
  /** UNKNOWN when neither the caller nor an older version's register says. */
  readonly availability: Availability | 'UNKNOWN';
}

/** The LWW register of a name, if it is one. */
export function lwwRegister(state: RegisterMap, name: string): LwwRegister | undefined {
  const register = own(state, name);
  return register?.t === 'lww' ? register : undefined;
}

/** Entries of the map register of a name; empty when there is none. */
export function mapEntries(state: RegisterMap, name: string): RegisterMap {
  const register = own(state, name);
  return register?.t === 'map' && typeof register.entries === 'object' && register.entries !== null
    ? register.entries
    : {};
}

/** Text of an LWW register; empty when nothing is known or it holds no text. */
export function registerText(state: RegisterMap, name: string): string {
  const value = lwwRegister(state, name)?.value;
  return typeof value === 'string' ? value : '';
}

/** What every cluster says of its copy, clusters that gave theirs up left out, by cluster id. */
export function holders(study: RegisterMap, known: KnownAvailability = {}): readonly Holder[] {
  return Object.keys(mapEntries(study, 'holders'))
    .sort(compareText)
    .flatMap((cluster) => {
      const holding = holdingOf(study, cluster);
      const availability = own(known, cluster) ?? writtenAvailability(study, cluster) ?? 'UNKNOWN';
      return holding?.holds ? [{ cluster, ...holding, availability }] : [];
    });
}

/** Versions before this one wrote `availability` into the register. */
function writtenAvailability(study: RegisterMap, cluster: string): Availability | undefined {
  const value = readValue(own(mapEntries(study, 'holders'), cluster));
  const written = value && own(value, 'availability');
  return isAvailability(written) ? written : undefined;
}

function isAvailability(text: unknown): text is Availability {
  return text === 'ONLINE' || text === 'NEARLINE' || text === 'OFFLINE' || text === 'UNAVAILABLE';
}

/** Ids of the clusters that hold the study, sorted. */
export function holdersOf(study: RegisterMap): string[] {
  return holders(study).map((holder) => holder.cluster);
}

/** What one cluster says of its copy; undefined when it never said anything (or nothing readable). */
export function holdingOf(study: RegisterMap, cluster: string): Holding | undefined {
  return readHolding(own(mapEntries(study, 'holders'), cluster));
}

/** Key of the patient whose study the cluster says it holds; undefined while it does not know. */
export function patientHeldAt(study: RegisterMap, cluster: string): string | undefined {
  const value = readValue(own(mapEntries(study, 'holders'), cluster));
  const key = value && own(value, 'patient');
  return typeof key === 'string' ? key : undefined;
}

/** Keys of the patients whose study this is, as its holders say: one, unless they have not heard of a move yet. */
export function patientsHeld(study: RegisterMap): readonly string[] {
  const keys = holdersOf(study).map((cluster) => patientHeldAt(study, cluster));
  return [...new Set(keys.filter((key) => key !== undefined))];
}

function readHolding(register: Register | undefined): Holding | undefined {
  const value = readValue(register);
  if (!value) return undefined;
  const { holds, complete, instanceCount, scope } = value;
  return {
    holds: holds === true,
    complete: complete === true,
    instanceCount: typeof instanceCount === 'number' ? instanceCount : 0,
    scope: scope === 'listed' ? 'listed' : 'full',
  };
}

function readValue(register: Register | undefined): { readonly [key: string]: JsonValue } | undefined {
  if (register?.t !== 'lww' || typeof register.value !== 'object' || register.value === null)
    return undefined;
  return register.value as { readonly [key: string]: JsonValue };
}
