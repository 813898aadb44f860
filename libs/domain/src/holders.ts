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
  /** As seen from that cluster (PS3.3 C.4.23.1.1). */
  readonly availability: 'ONLINE' | 'NEARLINE' | 'OFFLINE' | 'UNAVAILABLE';
}

/** A holder with its cluster id. */
export interface Holder extends Holding {
  readonly cluster: string;
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
export function holders(study: RegisterMap): readonly Holder[] {
  return Object.keys(mapEntries(study, 'holders'))
    .sort(compareText)
    .flatMap((cluster) => {
      const holding = holdingOf(study, cluster);
      return holding?.holds ? [{ cluster, ...holding }] : [];
    });
}

/** Ids of the clusters that hold the study, sorted. */
export function holdersOf(study: RegisterMap): string[] {
  return holders(study).map((holder) => holder.cluster);
}

/** What one cluster says of its copy; undefined when it never said anything (or nothing readable). */
export function holdingOf(study: RegisterMap, cluster: string): Holding | undefined {
  return readHolding(own(mapEntries(study, 'holders'), cluster));
}

function readHolding(register: Register | undefined): Holding | undefined {
  if (register?.t !== 'lww' || typeof register.value !== 'object' || register.value === null)
    return undefined;
  const value = register.value as { readonly [key: string]: JsonValue };
  const { holds, complete, instanceCount, scope, availability } = value;
  return {
    holds: holds === true,
    complete: complete === true,
    instanceCount: typeof instanceCount === 'number' ? instanceCount : 0,
    scope: scope === 'listed' ? 'listed' : 'full',
    availability:
      availability === 'NEARLINE' || availability === 'OFFLINE' || availability === 'UNAVAILABLE'
        ? availability
        : 'ONLINE',
  };
}
