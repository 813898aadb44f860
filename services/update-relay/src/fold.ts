import {
  canonicalJson,
  holdersOf,
  holdingOf,
  lwwRegister,
  patientHeldAt,
  mergeRegisters,
  peersTowards,
} from '@isthmus/domain';
import type { ChangeEvent, EventEnvelope, RegisterMap } from '@isthmus/domain';

/**
 * Where an event belongs, when it is a change to a study or a patient; other events of the log are not ours.
 */
export function changeOf(event: EventEnvelope): ChangeEvent | undefined {
  const data = event.data as { aggregate?: unknown; registers?: unknown } | null;
  if (typeof data !== 'object' || data === null) return undefined;
  if (data.aggregate !== 'study' && data.aggregate !== 'patient') return undefined;
  if (typeof data.registers !== 'object' || data.registers === null) return undefined;
  return event as ChangeEvent;
}

/**
 * Merges one log entry whose id is new to its aggregate. An event is effective because it is the first with
 * its id; a whole state only when merging it changed something.
 */
export function foldEntry(
  state: RegisterMap,
  event: ChangeEvent,
): { readonly state: RegisterMap; readonly effective: boolean } {
  const merged = mergeRegisters(state, event.data.registers);
  return { state: merged, effective: event.type === 'StateMerged' ? merged !== state : true };
}

/** What a change to a study obliges us to. */
export interface Consequences {
  /** Peers that are owed the whole state. */
  readonly due: readonly string[];
  /** Our own objects and holders entry must be looked at. */
  readonly dirty: boolean;
}

/**
 * Compares a study before and after one entry. Somebody who became a holder is owed the state by way of the
 * next hop; so is every holder when the study became another patient's, who may never have heard of that
 * patient. An entry of ours in `holders` that came back from outside and contradicts the disk must be said
 * anew; a changed object set must be compared with what we have.
 */
export function consequencesOf(
  before: RegisterMap,
  after: RegisterMap,
  facts: {
    readonly self: string;
    readonly nextHop: { readonly [cluster: string]: string };
    readonly foreign: boolean;
  },
): Consequences {
  if (before === after) return { due: [], dirty: false };
  const elsewhere = holdersOf(after).filter((cluster) => cluster !== facts.self);
  const held = new Set(holdersOf(before));
  const rehomed = changed(before, after, 'patient');
  const owed = elsewhere.filter(
    (cluster) =>
      rehomed || !held.has(cluster) || patientHeldAt(before, cluster) !== patientHeldAt(after, cluster),
  );
  const ownEntry =
    facts.foreign &&
    canonicalJson(holdingOf(before, facts.self) ?? null) !==
      canonicalJson(holdingOf(after, facts.self) ?? null);
  return {
    due: peersTowards(facts.nextHop, owed, []),
    // Whose study we hold is part of what we say of our copy.
    dirty: ownEntry || rehomed || (facts.foreign && changed(before, after, 'objects')),
  };
}

function changed(before: RegisterMap, after: RegisterMap, name: string): boolean {
  const was = lwwRegister(before, name)?.value ?? null;
  const is = lwwRegister(after, name)?.value ?? null;
  return canonicalJson(was) !== canonicalJson(is);
}
