import { canonicalJson, mergeRegisters, patientKey, patientOf } from '@isthmus/domain';
import type { JsonValue, RegisterMap } from '@isthmus/domain';
import { columnText } from '../src/tables.ts';
import type { World } from './world.ts';

/** How much of a value a failure shows. */
const valueCharactersMax = 200;

/** What must hold once everything has been said. @returns What does not. */
export function checkConverged(world: World, studies: readonly string[]): readonly string[] {
  return studies.flatMap((study) => {
    const holders = world.plan.clusters.filter((id) => sopsAt(world, id, study).length > 0);
    return [
      ...differences(`state of ${study}`, holders, (id) => stateAt(world, id, study).study),
      ...differences(`patient of ${study}`, holders, (id) => decided(stateAt(world, id, study).patient)),
      ...differences(`objects of ${study}`, holders, (id) => objectsAt(world, id, study)),
      ...lost(world, study, holders),
    ];
  });
}

function stateAt(world: World, id: string, study: string): { study: RegisterMap; patient: RegisterMap } {
  const { studies, patients } = world.disk(id).tables;
  const state = studies.get(study)?.registers ?? {};
  const reference = patientOf(state);
  const key = reference && columnText(patientKey(reference.id, reference.issuer));
  return { study: state, patient: (key === undefined ? undefined : patients.get(key)?.registers) ?? {} };
}

/**
 * Without what only headers say (rank 0): that reaches who holds the same study, but not yet who holds another
 * study of a patient that the first one was moved away from.
 */
function decided(patient: RegisterMap): RegisterMap {
  return Object.fromEntries(
    Object.entries(patient).filter(([, register]) => register.t !== 'lww' || register.rank > 0),
  );
}

function objectsAt(world: World, id: string, study: string): { readonly [sop: string]: true } {
  return Object.fromEntries(sopsAt(world, id, study).map((sop) => [sop, true]));
}

function sopsAt(world: World, id: string, study: string): readonly string[] {
  const stored = world.objectsAt(id, study);
  return [...new Set(stored.map(({ sop }) => sop))].sort();
}

/** Names each register that is not the same at all holders, with what each says. */
function differences(
  what: string,
  holders: readonly string[],
  of: (id: string) => { readonly [name: string]: unknown },
): readonly string[] {
  const names = new Set(holders.flatMap((id) => Object.keys(of(id))));
  return [...names].flatMap((name) => {
    const sides = Map.groupBy(holders, (id) => canonicalJson((of(id)[name] ?? null) as JsonValue));
    if (sides.size <= 1) return [];
    const each = [...sides].map(
      ([value, ids]) => `${ids.join(', ')} = ${value.slice(0, valueCharactersMax)}`,
    );
    return [`DIVERGED: ${name} in the ${what}: ${each.join(' | ')}`];
  });
}

/** A change that was accepted anywhere is in the state of every holder, or was beaten there by a greater one. */
function lost(world: World, study: string, holders: readonly string[]): readonly string[] {
  return world.accepted.flatMap(({ cluster, event }) => {
    const { aggregate, registers } = event.data;
    return holders.flatMap((id) => {
      const { studies, patients } = world.disk(id).tables;
      const table = aggregate === 'study' ? studies : patients;
      if (aggregate === 'study' && event.subject !== study) return [];
      // Demographics of a patient of whom nothing is held here concern nobody here.
      const row = table.get(columnText(event.subject));
      if (aggregate === 'patient' && !isPatientOf(world, id, study, event.subject)) return [];
      const state = row?.registers ?? {};
      if (mergeRegisters(state, registers) === state) return [];
      return [`LOST: ${event.type} of ${event.subject}, accepted at ${cluster}, is not at ${id}`];
    });
  });
}

function isPatientOf(world: World, id: string, study: string, key: string): boolean {
  const reference = patientOf(stateAt(world, id, study).study);
  return reference !== undefined && patientKey(reference.id, reference.issuer) === key;
}
