import { holdersOf } from '@isthmus/domain';
import type { BatchItem } from '../src/batch.ts';
import type { LinkStateEntry } from '../src/link-map.ts';
import { patientsOf } from '../src/state.ts';
import { identityKey } from '../src/store/rows.ts';
import type {
  EntryRow,
  Folded,
  HeldRow,
  NamedObject,
  NextHops,
  ObjectRow,
  ParkReason,
  RelayRows,
  StoredObject,
} from '../src/store/rows.ts';
import { columnText } from '../src/tables.ts';

/** What PostgreSQL keeps, as maps. Rows are never changed in place, so that copies can share them. */
export interface Tables {
  studies: Map<string, Folded>;
  patients: Map<string, Folded>;
  /** By `identityKey`, in order of arrival. */
  entries: Map<string, EntryRow & { readonly effective: boolean }>;
  /** By study and SOP Instance UID. */
  objects: Map<string, ObjectRow>;
  dirty: Map<string, { readonly headerChanged: boolean; readonly version: number }>;
  /** By peer, then study: version of the debt. */
  due: Map<string, ReadonlyMap<string, number>>;
  positions: Map<string, number>;
  links: Map<string, LinkStateEntry>;
  incarnations: Map<string, string>;
  nextHops: NextHops;
  pulls: Map<string, { readonly peer: string; readonly attempts: number }>;
  parked: Map<string, { readonly peer: string; readonly item: BatchItem; readonly why: ParkReason }>;
  /** Of the projections, by stream. */
  checkpoints: Map<string, number>;
  /** Last version that was given to a debt or a dirty study. */
  version: number;
}

export function emptyTables(): Tables {
  return {
    studies: new Map(),
    patients: new Map(),
    entries: new Map(),
    objects: new Map(),
    dirty: new Map(),
    due: new Map(),
    positions: new Map(),
    links: new Map(),
    incarnations: new Map(),
    nextHops: {},
    pulls: new Map(),
    parked: new Map(),
    checkpoints: new Map(),
    version: 0,
  };
}

export function copyTables(tables: Tables): Tables {
  const copy = { ...tables };
  for (const [name, table] of Object.entries(tables))
    if (table instanceof Map) Object.assign(copy, { [name]: new Map(table) });
  return copy;
}

/** The rows of one simulated cluster, with the semantics of `src/store/postgres-*.ts`. */
export function memoryRows(tables: Tables): RelayRows {
  return { ...states(tables), ...delivery(tables), ...objects(tables) };
}

type States = Pick<
  RelayRows,
  | 'studies'
  | 'patients'
  | 'knownEvents'
  | 'effectiveEntries'
  | 'holdersOfStudies'
  | 'holdersOfPatients'
  | 'holdStates'
  | 'writeStudies'
  | 'writePatients'
  | 'addEntries'
>;

function states(tables: Tables): States {
  const holders = (uid: string): readonly string[] => holdersOf(tables.studies.get(uid)?.registers ?? {});
  return {
    studies: async (uids) => selected(tables.studies, uids),
    patients: async (keys) =>
      new Map(
        keys.flatMap((key) => {
          const row = tables.patients.get(columnText(key));
          return row ? [[key, row] as const] : [];
        }),
      ),
    knownEvents: async (events) => new Set(events.map(identityKey).filter((key) => tables.entries.has(key))),
    effectiveEntries: async (after, upto, limit) =>
      [...tables.entries.values()]
        .filter(({ effective, sequence }) => effective && sequence > after && sequence <= upto)
        .sort((a, b) => a.sequence - b.sequence)
        .slice(0, limit),
    holdersOfStudies: async (uids) => new Map(uids.map((uid) => [uid, holders(uid)])),
    holdersOfPatients: async (keys) =>
      new Map(
        keys.map((key) => {
          const theirs = [...tables.studies].filter(([, { registers }]) =>
            patientsOf(registers).map(columnText).includes(key),
          );
          return [key, [...new Set(theirs.flatMap(([uid]) => holders(uid)))]];
        }),
      ),
    holdStates: async (studyUids, patientKeys) => ({
      studies: held(tables.studies, studyUids),
      patients: held(tables.patients, patientKeys),
    }),
    writeStudies: async (rows) => {
      for (const [uid, row] of rows) tables.studies.set(uid, { ...row });
    },
    writePatients: async (rows) => {
      for (const [key, row] of rows) tables.patients.set(key, { ...row });
    },
    addEntries: async (entries) => {
      for (const { identity, sequence, aggregate, effective, event } of entries) {
        const { subject } = identity;
        const { type, path } = event;
        const row = { sequence, aggregate, subject, type, path, event, effective };
        tables.entries.set(identityKey(identity), row);
      }
    },
  };
}

function selected<Row>(table: ReadonlyMap<string, Row>, keys: readonly string[]): Map<string, Row> {
  return new Map(
    keys.flatMap((key) => {
      const row = table.get(key);
      return row === undefined ? [] : [[key, row] as const];
    }),
  );
}

function held(table: ReadonlyMap<string, Folded>, keys: Iterable<string>): Map<string, HeldRow> {
  return new Map(
    [...new Set(keys)].map((key) => [key, { registers: {}, lastSequence: 0, ...table.get(key) }]),
  );
}

type Delivery = Pick<
  RelayRows,
  | 'nextHops'
  | 'holdNextHops'
  | 'setNextHops'
  | 'statesDue'
  | 'oweStates'
  | 'oweStatesHeldBy'
  | 'settleStates'
  | 'replays'
  | 'positions'
  | 'setPosition'
  | 'linkMap'
  | 'setLinkEntries'
  | 'incarnations'
  | 'setIncarnation'
  | 'park'
  | 'parkAgain'
  | 'unpark'
>;

function delivery(tables: Tables): Delivery {
  const owe = (peer: string, study: string): void => {
    tables.version += 1;
    tables.due.set(peer, new Map(tables.due.get(peer)).set(study, tables.version));
  };
  return {
    nextHops: async () => tables.nextHops,
    holdNextHops: async () => tables.nextHops,
    setNextHops: async (nextHop) => {
      tables.nextHops = nextHop;
    },
    statesDue: async (peer, limit) =>
      [...(tables.due.get(peer) ?? [])]
        .map(([study, version]) => ({ study, version }))
        .sort((a, b) => a.version - b.version)
        .slice(0, limit),
    oweStates: async (debts) => {
      for (const { peer, study } of debts) owe(peer, study);
    },
    oweStatesHeldBy: async (peer, clusters) => {
      for (const [uid, { registers }] of tables.studies)
        if (holdersOf(registers).some((holder) => clusters.includes(holder))) owe(peer, uid);
    },
    settleStates: async (peer, debts) => {
      const left = new Map(tables.due.get(peer));
      for (const { study, version } of debts) if (left.get(study) === version) left.delete(study);
      tables.due.set(peer, left);
    },
    replays: async () => [],
    positions: async () => new Map(tables.positions),
    setPosition: async (peer, sequence) => void tables.positions.set(peer, sequence),
    linkMap: async () => Object.fromEntries(tables.links),
    setLinkEntries: async (entries) => {
      for (const [cluster, entry] of entries) tables.links.set(cluster, entry);
    },
    incarnations: async () => new Map(tables.incarnations),
    setIncarnation: async (peer, incarnation) => void tables.incarnations.set(peer, incarnation),
    park: async (peer, subject, item, why) =>
      void tables.parked.set(`${peer} ${subject}`, { peer, item, why }),
    parkAgain: async () => undefined,
    unpark: async (id) => void tables.parked.delete(id),
  };
}

type Objects = Pick<
  RelayRows,
  | 'objects'
  | 'addStoredObjects'
  | 'addNamedObjects'
  | 'markAnnounced'
  | 'dirtyStudies'
  | 'markDirty'
  | 'clearDirty'
  | 'pulls'
  | 'pullFrom'
  | 'pullUnlessQueued'
  | 'postponePull'
  | 'endPull'
>;

function objects(tables: Tables): Objects {
  const keyOf = (row: NamedObject): string => `${row.study} ${row.sopInstanceUid}`;
  const ofStudy = (study: string): ObjectRow[] =>
    [...tables.objects.values()].filter((row) => row.study === study);
  const add = (row: StoredObject): void => {
    const before = tables.objects.get(keyOf(row));
    tables.objects.set(keyOf(row), {
      ...(before ?? { ...row, announced: row.pulled }),
      local: true,
      pulled: before?.local ? before.pulled : row.pulled,
    });
  };
  return {
    objects: async (studies) => studies.flatMap(ofStudy),
    addStoredObjects: async (rows) => rows.forEach(add),
    addNamedObjects: async (rows) => {
      const fresh = new Set<string>();
      for (const row of rows) {
        const before = tables.objects.get(keyOf(row));
        if (!before) fresh.add(row.study);
        tables.objects.set(keyOf(row), {
          ...(before ?? { ...row, local: false, pulled: false }),
          announced: before?.local === true && !before.pulled ? before.announced : true,
        });
      }
      return [...fresh].sort();
    },
    markAnnounced: async (study, sops) => {
      for (const row of ofStudy(study))
        if (sops.includes(row.sopInstanceUid)) tables.objects.set(keyOf(row), { ...row, announced: true });
    },
    dirtyStudies: async (limit) =>
      [...tables.dirty]
        .map(([study, row]) => ({ study, ...row }))
        .sort((a, b) => a.version - b.version)
        .slice(0, limit),
    markDirty: async (studies) => {
      for (const [study, { headerChanged }] of studies) {
        tables.version += 1;
        const before = tables.dirty.get(study)?.headerChanged ?? false;
        tables.dirty.set(study, { headerChanged: headerChanged || before, version: tables.version });
      }
    },
    clearDirty: async (study, version) => {
      if (tables.dirty.get(study)?.version === version) tables.dirty.delete(study);
    },
    pulls: async (limit) =>
      [...tables.pulls].slice(0, limit).map(([study, row]) => ({ study, ...row, waitMs: 0 })),
    pullFrom: async (peer, studies) => {
      for (const study of studies)
        if (ofStudy(study).some((row) => row.local)) tables.pulls.set(study, { peer, attempts: 0 });
    },
    pullUnlessQueued: async (peer, study) => {
      if (!tables.pulls.has(study)) tables.pulls.set(study, { peer, attempts: 0 });
    },
    postponePull: async (study) => {
      const row = tables.pulls.get(study);
      if (row) tables.pulls.set(study, { ...row, attempts: row.attempts + 1 });
    },
    endPull: async (study, when) => {
      if (when === 'always' || ofStudy(study).every((row) => row.local)) tables.pulls.delete(study);
    },
  };
}
