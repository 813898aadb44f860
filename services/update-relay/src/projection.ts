import { headerRegisters, mergeRegisters } from '@isthmus/domain';
import type { ChangeEvent, InstanceStored, StoredEvent } from '@isthmus/domain';
import { changeOf, consequencesOf, foldEntry } from './fold.ts';
import { identityKey } from './store/rows.ts';
import type { EventIdentity, RelayRows, StoredObject } from './store/rows.ts';
import { columnText } from './tables.ts';

/**
 * Tables that a rebuild of the STUDY projection empties. What peers told (`objects`) and positions are no
 * fold of the log.
 */
export const studyProjectionTables = ['study_state', 'patient_state', 'entries'] as const;

interface Entry {
  readonly sequence: number;
  readonly event: ChangeEvent;
  /** As the store has it. */
  readonly identity: EventIdentity;
}

/**
 * Folds a batch of the STUDY log: states, timeline, and what follows from them (states that peers are owed,
 * studies to look at). All in the caller's transaction, which holds the checkpoint too.
 */
export async function applyStudyEvents(
  rows: RelayRows,
  stored: readonly StoredEvent[],
  self: string,
): Promise<void> {
  const entries = stored.flatMap(entryOf);
  if (entries.length === 0) return;
  const nextHop = await rows.holdNextHops('share');
  const held = await rows.holdStates(subjectsOf(entries, 'study'), subjectsOf(entries, 'patient'));
  const known = await rows.knownEvents(entries.map(({ identity }) => identity));

  const added: Parameters<RelayRows['addEntries']>[0][number][] = [];
  const due: { peer: string; study: string }[] = [];
  const dirty = new Map<string, { headerChanged: boolean }>();
  for (const entry of entries) {
    const { event, identity, sequence } = entry;
    const { subject } = identity;
    const { aggregate } = event.data;
    const row = (aggregate === 'study' ? held.studies : held.patients).get(subject);
    if (!row) continue;
    row.lastSequence = Math.max(row.lastSequence, sequence);
    const key = identityKey(identity);
    if (known.has(key)) continue;
    known.add(key);
    const before = row.registers;
    const { state, effective } = foldEntry(before, event);
    row.registers = state;
    added.push({ sequence, effective, identity, event, aggregate });
    if (aggregate !== 'study') continue;
    const foreign = event.origin !== self || event.type === 'StateMerged';
    const consequences = consequencesOf(before, state, { self, nextHop, foreign });
    for (const peer of consequences.due) due.push({ peer, study: subject });
    if (consequences.dirty) dirty.set(subject, { headerChanged: false });
  }
  await rows.writeStudies(held.studies);
  await rows.writePatients(held.patients);
  await rows.addEntries(added);
  await rows.oweStates(due);
  await rows.markDirty(dirty);
}

function entryOf(stored: StoredEvent): Entry[] {
  const event = changeOf(stored.event);
  if (!event) return [];
  const { sequence } = stored;
  const identity = { subject: columnText(event.subject), id: columnText(event.id) };
  return [{ sequence, event, identity }];
}

function subjectsOf(entries: readonly Entry[], aggregate: 'study' | 'patient'): string[] {
  return entries
    .filter(({ event }) => event.data.aggregate === aggregate)
    .map(({ identity }) => identity.subject);
}

/**
 * Folds a batch of the INSTANCES log: the study's object set, and the registers of rank 0 that headers give.
 * A copy from a linked cluster counts as announced: who had the object first has told of it.
 */
export async function applyInstanceEvents(rows: RelayRows, stored: readonly StoredEvent[]): Promise<void> {
  const facts = stored
    .filter(({ event }) => event.type === 'InstanceStored')
    .map(({ event }) => event.data as InstanceStored);
  if (facts.length === 0) return;
  const headers = facts.map((fact) => ({ fact, registers: headerRegisters(fact) }));
  const speaking = headers.filter(({ registers }) => Object.keys(registers.patient).length > 0);
  const held = await rows.holdStates(
    facts.map((fact) => fact.studyInstanceUid),
    speaking.map(({ registers }) => columnText(registers.patientKey)),
  );
  const dirty = new Map<string, { headerChanged: boolean }>();
  for (const { fact, registers } of headers) {
    const study = held.studies.get(fact.studyInstanceUid);
    const patient = held.patients.get(columnText(registers.patientKey));
    if (!study) continue;
    const before = { study: study.registers, patient: patient?.registers };
    study.registers = mergeRegisters(study.registers, registers.study);
    if (patient) patient.registers = mergeRegisters(patient.registers, registers.patient);
    const changed = before.study !== study.registers || before.patient !== patient?.registers;
    // A copy makes no new fact: its sender has read the same header.
    const news = changed && !fact.provisional;
    const headerChanged = news || (dirty.get(fact.studyInstanceUid)?.headerChanged ?? false);
    dirty.set(fact.studyInstanceUid, { headerChanged });
  }
  await rows.writeStudies(held.studies);
  await rows.writePatients(held.patients);
  await rows.addStoredObjects(facts.map(storedObject));
  await rows.markDirty(dirty);
}

function storedObject(fact: InstanceStored): StoredObject {
  return {
    study: fact.studyInstanceUid,
    seriesInstanceUid: fact.seriesInstanceUid,
    sopInstanceUid: fact.sopInstanceUid,
    sopClassUid: fact.sopClassUid,
    modality: modalityOf(fact),
    pulled: isCopy(fact),
  };
}

/**
 * Whether an object is a copy from a linked cluster, also from one whose updates we do not take: it makes no home here, and
 * its manifest is told by others. Clusters are named by id, third parties by the AE title that they send as.
 */
function isCopy(fact: InstanceStored): boolean {
  const { provisional, pulledFrom, callingAeTitle } = fact;
  if (provisional) return true;
  return (
    pulledFrom !== undefined && pulledFrom !== callingAeTitle && /^[a-z][a-z0-9-]{0,31}$/.test(pulledFrom)
  );
}

function modalityOf(fact: InstanceStored): string {
  const modality = Object.hasOwn(fact.header, '00080060') ? fact.header['00080060']?.Value?.[0] : undefined;
  return typeof modality === 'string' ? columnText(modality.trim().slice(0, 16)) : '';
}
