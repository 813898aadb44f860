import { headerRegisters, mergeRegisters } from '@isthmus/domain';
import type { ChangeEvent, InstanceStored, StoredEvent } from '@isthmus/domain';
import { sql } from 'kysely';
import { changeOf, consequencesOf, foldEntry } from './fold.ts';
import { holdRows, writeDirty, writePatients, writeStateDue, writeStudies } from './study-rows.ts';
import { columnText } from './tables.ts';
import type { RelayTransaction } from './tables.ts';

/**
 * Tables that a rebuild of the STUDY projection empties. What peers told (`objects`) and positions are no
 * fold of the log.
 */
export const studyProjectionTables = ['study_state', 'patient_state', 'entries'] as const;

interface Entry {
  readonly sequence: number;
  readonly event: ChangeEvent;
  /** As the columns have it. */
  readonly subject: string;
  readonly id: string;
}

/**
 * Folds a batch of the STUDY log: states, timeline, and what follows from them (states that peers are owed,
 * studies to look at). All in the caller's transaction, which holds the checkpoint too.
 */
export async function applyStudyEvents(
  tx: RelayTransaction,
  stored: readonly StoredEvent[],
  self: string,
): Promise<void> {
  const entries = stored.flatMap(entryOf);
  if (entries.length === 0) return;
  const routes = await sql<{
    next_hop: { [cluster: string]: string };
  }>`select next_hop from routes for share`.execute(tx);
  const nextHop = routes.rows[0]?.next_hop ?? {};
  const held = await holdRows(tx, subjectsOf(entries, 'study'), subjectsOf(entries, 'patient'));
  const known = await knownIds(tx, entries);

  const rows: { entry: Entry; effective: boolean }[] = [];
  const due: { peer: string; study: string }[] = [];
  const dirty = new Map<string, { headerChanged: boolean }>();
  for (const entry of entries) {
    const { event, subject, sequence } = entry;
    const { aggregate } = event.data;
    const row = (aggregate === 'study' ? held.studies : held.patients).get(subject);
    if (!row) continue;
    row.lastSequence = Math.max(row.lastSequence, sequence);
    const key = identityOf(entry);
    if (known.has(key)) continue;
    known.add(key);
    const before = row.registers;
    const { state, effective } = foldEntry(before, event);
    row.registers = state;
    rows.push({ entry, effective });
    if (aggregate !== 'study') continue;
    const foreign = event.origin !== self || event.type === 'StateMerged';
    const consequences = consequencesOf(before, state, { self, nextHop, foreign });
    for (const peer of consequences.due) due.push({ peer, study: subject });
    if (consequences.dirty) dirty.set(subject, { headerChanged: false });
  }
  await writeStudies(tx, held.studies);
  await writePatients(tx, held.patients);
  await writeEntries(tx, rows);
  await writeStateDue(tx, due);
  await writeDirty(tx, dirty);
}

function entryOf(stored: StoredEvent): Entry[] {
  const event = changeOf(stored.event);
  if (!event) return [];
  const { sequence } = stored;
  return [{ sequence, event, subject: columnText(event.subject), id: columnText(event.id) }];
}

function subjectsOf(entries: readonly Entry[], aggregate: 'study' | 'patient'): string[] {
  return entries.filter(({ event }) => event.data.aggregate === aggregate).map(({ subject }) => subject);
}

function identityOf(entry: { readonly subject: string; readonly id: string }): string {
  return JSON.stringify([entry.subject, entry.id]);
}

async function knownIds(tx: RelayTransaction, entries: readonly Entry[]): Promise<Set<string>> {
  const found = await sql<{ subject: string; id: string }>`
    select e.subject, e.event_id as id from entries e
    join unnest(${entries.map(({ subject }) => subject)}::text[], ${entries.map(({ id }) => id)}::text[])
      as n (subject, id) on n.subject = e.subject and n.id = e.event_id`.execute(tx);
  return new Set(found.rows.map(identityOf));
}

async function writeEntries(
  tx: RelayTransaction,
  rows: readonly { readonly entry: Entry; readonly effective: boolean }[],
): Promise<void> {
  if (rows.length === 0) return;
  const column = <Value>(of: (row: (typeof rows)[number]) => Value): Value[] => rows.map(of);
  await sql`insert into entries (sequence, aggregate, subject, event_id, type, effective, path, event)
    select sequence, aggregate, subject, id, type, effective,
      array(select json_array_elements_text(path::json)), event::json
    from unnest(${column(({ entry }) => entry.sequence)}::bigint[],
      ${column(({ entry }) => entry.event.data.aggregate)}::text[],
      ${column(({ entry }) => entry.subject)}::text[], ${column(({ entry }) => entry.id)}::text[],
      ${column(({ entry }) => columnText(entry.event.type))}::text[],
      ${column(({ effective }) => effective)}::boolean[],
      ${column(({ entry }) => JSON.stringify(entry.event.path.map(columnText)))}::text[],
      ${column(({ entry }) => JSON.stringify(entry.event))}::text[])
      as n (sequence, aggregate, subject, id, type, effective, path, event)`.execute(tx);
}

/**
 * Folds a batch of the INSTANCES log: the study's object set, and the registers of rank 0 that headers give.
 * A copy from a linked cluster counts as announced: who had the object first has told of it.
 */
export async function applyInstanceEvents(
  tx: RelayTransaction,
  stored: readonly StoredEvent[],
): Promise<void> {
  const facts = stored
    .filter(({ event }) => event.type === 'InstanceStored')
    .map(({ event }) => event.data as InstanceStored);
  if (facts.length === 0) return;
  const headers = facts.map((fact) => ({ fact, registers: headerRegisters(fact) }));
  const speaking = headers.filter(({ registers }) => Object.keys(registers.patient).length > 0);
  const held = await holdRows(
    tx,
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
  await writeStudies(tx, held.studies);
  await writePatients(tx, held.patients);
  await writeObjects(tx, facts);
  await writeDirty(tx, dirty);
}

async function writeObjects(tx: RelayTransaction, facts: readonly InstanceStored[]): Promise<void> {
  const byUid = new Map(facts.map((fact) => [`${fact.studyInstanceUid} ${fact.sopInstanceUid}`, fact]));
  const unique = [...byUid].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, fact]) => fact);
  const column = <Value>(of: (fact: InstanceStored) => Value): Value[] => unique.map(of);
  await sql`insert into objects (study, sop, series, sop_class, modality, local, pulled, announced)
    select study, sop, series, class, modality, true, pulled, pulled
    from unnest(${column((fact) => fact.studyInstanceUid)}::text[],
      ${column((fact) => fact.sopInstanceUid)}::text[], ${column((fact) => fact.seriesInstanceUid)}::text[],
      ${column((fact) => fact.sopClassUid)}::text[], ${column(modalityOf)}::text[],
      ${column(isCopy)}::boolean[]) as n (study, sop, series, class, modality, pulled)
    on conflict (study, sop) do update set local = true,
      pulled = case when objects.local then objects.pulled else excluded.pulled end`.execute(tx);
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
