import { buildManifest } from '@isthmus/domain';
import type { EventEnvelope, ObjectManifest, RegisterMap } from '@isthmus/domain';
import { sql } from 'kysely';
import { audienceOf, onwardPath } from './audience.ts';
import type { RoutingFacts } from './audience.ts';
import type { BatchItem } from './batch.ts';
import { patientKeyOf, readPatients, readStudies } from './state.ts';
import type { RelayDatabase, RelayTransaction } from './tables.ts';

/** One thing to send, with what must travel before it, and what to note once it is acknowledged. */
export interface Unit {
  readonly item: BatchItem;
  readonly manifest: ObjectManifest | undefined;
  readonly source:
    /** An entry of the timeline. */
    | { readonly kind: 'entry'; readonly sequence: number }
    /** A whole state that the peer is owed, as of this version of the debt. */
    | { readonly kind: 'due'; readonly study: string; readonly version: number }
    /** A parked update that an operator wants sent again. */
    | { readonly kind: 'parked'; readonly id: string };
}

/** What a peer has to get now, in order: entries, then states, then replays. */
export interface Work {
  readonly units: readonly Unit[];
  /** The position that holds once all entries among the units are acknowledged. */
  readonly upto: number;
}

export interface ReadOptions {
  readonly peer: string;
  readonly facts: Omit<RoutingFacts, 'nextHop'>;
  /** Position of the peer. */
  readonly after: number;
  /** Checkpoint of the STUDY projection, read before this call: nothing beyond it is looked at. */
  readonly checkpoint: number;
  readonly itemsMax: number;
}

/** Entries looked at in one go; most concern other peers. */
const scanMax = 1_000;
/** Whole states in one go: each can be large. */
const statesMax = 32;

interface EntryRow {
  sequence: number;
  aggregate: 'study' | 'patient';
  subject: string;
  type: string;
  path: string[];
  event: EventEnvelope;
}

/**
 * Reads what a peer is to get, filter and states as of one moment (a snapshot), at or after the checkpoint:
 * an entry that is passed over now because nobody behind the peer holds its study is made good by `state_due`
 * when somebody does.
 */
export async function readWork(db: RelayDatabase, options: ReadOptions): Promise<Work> {
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (tx) => {
      const routes = await sql<{ next_hop: RoutingFacts['nextHop'] }>`select next_hop from routes`.execute(
        tx,
      );
      const facts: RoutingFacts = { ...options.facts, nextHop: routes.rows[0]?.next_hop ?? {} };
      const live = await readEntries(tx, options, facts);
      const room = options.itemsMax - live.units.length;
      const states = room > 0 ? await readStates(tx, options, facts, Math.min(room, statesMax)) : [];
      const replays = room > states.length ? await readReplays(tx, options.peer) : [];
      const units = await withManifests(tx, [...live.units, ...states, ...replays]);
      return { units, upto: live.upto };
    });
}

async function readEntries(tx: RelayTransaction, options: ReadOptions, facts: RoutingFacts): Promise<Work> {
  const { peer, after, checkpoint, itemsMax } = options;
  if (checkpoint <= after) return { units: [], upto: after };
  const rows = await entriesAfter(tx, after, checkpoint, scanMax);
  const holders = await holdersOfEntries(tx, rows);
  const units: Unit[] = [];
  for (const row of rows) {
    const audience = audienceOf(addressed(row, holders), facts);
    if (!audience.includes(peer)) continue;
    if (units.length === itemsMax) return { units, upto: row.sequence - 1 };
    const path = onwardPath(row.path, facts.self, audience, peer);
    const item: BatchItem = { kind: 'event', event: { ...row.event, path } };
    units.push({ item, manifest: undefined, source: { kind: 'entry', sequence: row.sequence } });
  }
  return { units, upto: rows.length === scanMax ? (rows.at(-1)?.sequence ?? after) : checkpoint };
}

async function entriesAfter(
  tx: RelayTransaction,
  after: number,
  upto: number,
  limit: number,
): Promise<readonly EntryRow[]> {
  const found = await sql<EntryRow>`select sequence, aggregate, subject, type, path, event from entries
    where effective and sequence > ${after} and sequence <= ${upto} order by sequence limit ${limit}`.execute(
    tx,
  );
  return found.rows;
}

type HolderIndex = ReadonlyMap<string, readonly string[]>;

function indexKey(aggregate: 'study' | 'patient', subject: string): string {
  return `${aggregate} ${subject}`;
}

/** Who holds the studies, and any study of the patients, that these entries are about. */
async function holdersOfEntries(tx: RelayTransaction, rows: readonly EntryRow[]): Promise<HolderIndex> {
  const subjects = (aggregate: string): string[] => [
    ...new Set(rows.filter((row) => row.aggregate === aggregate).map((row) => row.subject)),
  ];
  const index = new Map<string, readonly string[]>();
  const studies = subjects('study');
  if (studies.length > 0) {
    const found = await sql<{ uid: string; holders: string[] }>`
      select uid, holders from study_state where uid = any(${studies}::text[])`.execute(tx);
    for (const row of found.rows) index.set(indexKey('study', row.uid), row.holders);
  }
  const patients = subjects('patient');
  if (patients.length > 0) {
    const found = await sql<{ key: string; holders: string[] }>`
      select patient_key as key, array_agg(distinct holder) as holders
      from study_state cross join unnest(holders) as holder
      where patient_key = any(${patients}::text[]) group by patient_key`.execute(tx);
    for (const row of found.rows) index.set(indexKey('patient', row.key), row.holders);
  }
  return index;
}

function addressed(row: EntryRow, holders: HolderIndex): Parameters<typeof audienceOf>[0] {
  return {
    holders: holders.get(indexKey(row.aggregate, row.subject)) ?? [],
    announcement: row.type === 'HolderChanged',
    path: row.path,
  };
}

async function readStates(
  tx: RelayTransaction,
  options: ReadOptions,
  facts: RoutingFacts,
  limit: number,
): Promise<Unit[]> {
  const due = await sql<{ study: string; version: number }>`select study, version from state_due
    where peer = ${options.peer} order by version limit ${limit}`.execute(tx);
  if (due.rows.length === 0) return [];
  const studies = await readStudies(
    tx,
    due.rows.map((row) => row.study),
  );
  const keys = [...studies.values()].flatMap(({ registers }) => patientKeyOf(registers) ?? []);
  const patients = await readPatients(tx, [...new Set(keys)]);
  return due.rows.map(({ study, version }) => {
    const registers: RegisterMap = studies.get(study)?.registers ?? {};
    const key = patientKeyOf(registers);
    const patient = key === undefined ? undefined : patients.get(key);
    const item: BatchItem = {
      kind: 'state',
      study,
      registers,
      patients: key !== undefined && patient ? Object.fromEntries([[key, patient.registers]]) : {},
      path: [facts.self],
    };
    return { item, manifest: undefined, source: { kind: 'due', study, version } };
  });
}

async function readReplays(tx: RelayTransaction, peer: string): Promise<Unit[]> {
  const found = await sql<{ id: string; item: BatchItem }>`select id, item from parked
    where peer = ${peer} and replay order by parked_at limit ${statesMax}`.execute(tx);
  return found.rows.map(({ id, item }) => ({ item, manifest: undefined, source: { kind: 'parked', id } }));
}

/**
 * Gives everything that names an object set the set itself: all objects known of the study, here and
 * elsewhere.
 */
async function withManifests(tx: RelayTransaction, units: readonly Unit[]): Promise<Unit[]> {
  const studies = new Set(units.flatMap((unit) => announcingStudy(unit.item) ?? []));
  if (studies.size === 0) return [...units];
  const found = await sql<{ study: string; sop: string; series: string; class: string; modality: string }>`
    select study, sop, series, sop_class as class, modality from objects
    where study = any(${[...studies]}::text[])`.execute(tx);
  const byStudy = Map.groupBy(found.rows, (row) => row.study);
  const given = new Set<string>();
  return units.map((unit) => {
    const study = announcingStudy(unit.item);
    const rows = study === undefined || given.has(study) ? undefined : byStudy.get(study);
    if (study === undefined || !rows) return unit;
    given.add(study);
    const objects = rows.map((row) => ({
      seriesInstanceUid: row.series,
      modality: row.modality,
      sopInstanceUid: row.sop,
      sopClassUid: row.class,
    }));
    return { ...unit, manifest: buildManifest(study, objects) };
  });
}

function announcingStudy(item: BatchItem): string | undefined {
  if (item.kind === 'state') return Object.hasOwn(item.registers, 'objects') ? item.study : undefined;
  if (item.kind === 'manifest') return undefined;
  const { aggregate, registers } = item.event.data as { aggregate?: unknown; registers?: object };
  const announces = aggregate === 'study' && Object.hasOwn(registers ?? {}, 'objects');
  return announces ? item.event.subject : undefined;
}

/** One line of a peer's queue, without values. */
export interface Pending {
  readonly kind: 'event' | 'state';
  readonly study: string | null;
  readonly type: string;
  readonly id: string | null;
  readonly sequence: number | null;
  readonly since: string | null;
}

/** The first entries and states that a peer has not got, in order of sending. */
export async function readPending(
  db: RelayDatabase,
  options: Omit<ReadOptions, 'itemsMax'>,
  limit: number,
): Promise<readonly Pending[]> {
  return db.transaction().execute(async (tx) => {
    const routes = await sql<{ next_hop: RoutingFacts['nextHop'] }>`select next_hop from routes`.execute(tx);
    // Also what waits behind a link that is off: it is what will be sent when it is on again.
    const { peer } = options;
    const served = [...new Set([...options.facts.served, peer])];
    const nextHop = { [peer]: peer, ...routes.rows[0]?.next_hop };
    const facts: RoutingFacts = { self: options.facts.self, served, nextHop };
    const rows = await entriesAfter(tx, options.after, options.checkpoint, scanMax);
    const holders = await holdersOfEntries(tx, rows);
    const events = rows
      .filter((row) => audienceOf(addressed(row, holders), facts).includes(options.peer))
      .map((row): Pending => ({
        kind: 'event',
        study: row.aggregate === 'study' ? row.subject : null,
        type: row.type,
        id: row.event.id,
        sequence: row.sequence,
        since: row.event.time,
      }));
    const due = await sql<{ study: string }>`select study from state_due
      where peer = ${options.peer} order by version limit ${limit}`.execute(tx);
    const states = due.rows.map(({ study }): Pending => {
      return { kind: 'state', study, type: 'State', id: null, sequence: null, since: null };
    });
    return [...events, ...states].slice(0, limit);
  });
}
