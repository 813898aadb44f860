import { buildManifest } from '@isthmus/domain';
import type { ObjectManifest, RegisterMap } from '@isthmus/domain';
import { audienceOf, onwardPath } from './audience.ts';
import type { RoutingFacts } from './audience.ts';
import type { BatchItem } from './batch.ts';
import { patientsOf } from './state.ts';
import type { EntryRow, ReadableRows, RelayStore } from './store/rows.ts';

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

/**
 * Reads what a peer is to get, filter and states as of one moment (a snapshot), at or after the checkpoint:
 * an entry that is passed over now because nobody behind the peer holds its study is made good by `state_due`
 * when somebody does.
 */
export async function readWork(store: RelayStore, options: ReadOptions): Promise<Work> {
  return store.snapshot(async (rows) => {
    const facts: RoutingFacts = { ...options.facts, nextHop: await rows.nextHops() };
    const live = await readEntries(rows, options, facts);
    const room = options.itemsMax - live.units.length;
    const states = room > 0 ? await readStates(rows, options, facts, Math.min(room, statesMax)) : [];
    const replays = room > states.length ? await readReplays(rows, options.peer) : [];
    const units = await withManifests(rows, [...live.units, ...states, ...replays]);
    return { units, upto: live.upto };
  });
}

async function readEntries(rows: ReadableRows, options: ReadOptions, facts: RoutingFacts): Promise<Work> {
  const { peer, after, checkpoint, itemsMax } = options;
  if (checkpoint <= after) return { units: [], upto: after };
  const entries = await rows.effectiveEntries(after, checkpoint, scanMax);
  const holders = await holdersOfEntries(rows, entries);
  const units: Unit[] = [];
  for (const entry of entries) {
    const audience = audienceOf(addressed(entry, holders), facts);
    if (!audience.includes(peer)) continue;
    if (units.length === itemsMax) return { units, upto: entry.sequence - 1 };
    const path = onwardPath(entry.path, facts.self, audience, peer);
    const item: BatchItem = { kind: 'event', event: { ...entry.event, path } };
    units.push({ item, manifest: undefined, source: { kind: 'entry', sequence: entry.sequence } });
  }
  return { units, upto: entries.length === scanMax ? (entries.at(-1)?.sequence ?? after) : checkpoint };
}

/** Holders by study, and of any study by patient. */
interface HolderIndex {
  readonly study: ReadonlyMap<string, readonly string[]>;
  readonly patient: ReadonlyMap<string, readonly string[]>;
}

async function holdersOfEntries(rows: ReadableRows, entries: readonly EntryRow[]): Promise<HolderIndex> {
  const subjects = (aggregate: string): string[] => [
    ...new Set(entries.filter((entry) => entry.aggregate === aggregate).map((entry) => entry.subject)),
  ];
  return {
    study: await rows.holdersOfStudies(subjects('study')),
    patient: await rows.holdersOfPatients(subjects('patient')),
  };
}

function addressed(row: EntryRow, holders: HolderIndex): Parameters<typeof audienceOf>[0] {
  return {
    holders: holders[row.aggregate].get(row.subject) ?? [],
    announcement: row.type === 'HolderChanged',
    path: row.path,
  };
}

async function readStates(
  rows: ReadableRows,
  options: ReadOptions,
  facts: RoutingFacts,
  limit: number,
): Promise<Unit[]> {
  const due = await rows.statesDue(options.peer, limit);
  const studies = await rows.studies(due.map(({ study }) => study));
  const keys = [...studies.values()].flatMap(({ registers }) => patientsOf(registers));
  const patients = await rows.patients([...new Set(keys)]);
  return due.map(({ study, version }) => {
    const registers: RegisterMap = studies.get(study)?.registers ?? {};
    const known = patientsOf(registers).flatMap((key) => {
      const patient = patients.get(key);
      return patient ? [[key, patient.registers] as const] : [];
    });
    const item: BatchItem = {
      kind: 'state',
      study,
      registers,
      patients: Object.fromEntries(known),
      path: [facts.self],
    };
    return { item, manifest: undefined, source: { kind: 'due', study, version } };
  });
}

async function readReplays(rows: ReadableRows, peer: string): Promise<Unit[]> {
  const parked = await rows.replays(peer, statesMax);
  return parked.map(({ id, item }) => ({ item, manifest: undefined, source: { kind: 'parked', id } }));
}

/**
 * Gives everything that names an object set the set itself: all objects known of the study, here and
 * elsewhere.
 */
async function withManifests(rows: ReadableRows, units: readonly Unit[]): Promise<Unit[]> {
  const studies = new Set(units.flatMap((unit) => announcingStudy(unit.item) ?? []));
  if (studies.size === 0) return [...units];
  const byStudy = Map.groupBy(await rows.objects([...studies]), (row) => row.study);
  const given = new Set<string>();
  return units.map((unit) => {
    const study = announcingStudy(unit.item);
    const objects = study === undefined || given.has(study) ? undefined : byStudy.get(study);
    if (study === undefined || !objects) return unit;
    given.add(study);
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
  store: RelayStore,
  options: Omit<ReadOptions, 'itemsMax'>,
  limit: number,
): Promise<readonly Pending[]> {
  return store.snapshot(async (rows) => {
    // Also what waits behind a link that is off: it is what will be sent when it is on again.
    const { peer } = options;
    const served = [...new Set([...options.facts.served, peer])];
    const nextHop = { [peer]: peer, ...(await rows.nextHops()) };
    const facts: RoutingFacts = { self: options.facts.self, served, nextHop };
    const entries = await rows.effectiveEntries(options.after, options.checkpoint, scanMax);
    const holders = await holdersOfEntries(rows, entries);
    const events = entries
      .filter((entry) => audienceOf(addressed(entry, holders), facts).includes(peer))
      .map((entry): Pending => ({
        kind: 'event',
        study: entry.aggregate === 'study' ? entry.subject : null,
        type: entry.type,
        id: entry.event.id,
        sequence: entry.sequence,
        since: entry.event.time,
      }));
    const due = await rows.statesDue(peer, limit);
    const states = due.map(({ study }): Pending => {
      return { kind: 'state', study, type: 'State', id: null, sequence: null, since: null };
    });
    return [...events, ...states].slice(0, limit);
  });
}
