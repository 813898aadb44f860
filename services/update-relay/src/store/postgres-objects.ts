import { sql } from 'kysely';
import type { RelayDatabase, RelayTransaction } from '../tables.ts';
import type {
  DirtyStudy,
  NamedObject,
  ObjectRow,
  PullRow,
  ReadableRows,
  RelayRows,
  StoredObject,
} from './rows.ts';

/** Object sets of studies, and what is still to be told or fetched of them. */
export function readableObjects(
  db: RelayDatabase | RelayTransaction,
): Pick<ReadableRows, 'objects' | 'dirtyStudies' | 'pulls'> {
  return {
    objects: async (studies) => {
      if (studies.length === 0) return [];
      const found = await sql<ObjectRow>`select study, sop as "sopInstanceUid", series as "seriesInstanceUid",
          sop_class as "sopClassUid", modality, local, pulled, announced
        from objects where study = any(${[...studies]}::text[])`.execute(db);
      return found.rows;
    },
    dirtyStudies: async (limit) => {
      const found = await sql<DirtyStudy>`select study, header_changed as "headerChanged", version
        from objects_dirty order by version limit ${limit}`.execute(db);
      return found.rows;
    },
    pulls: async (limit) => {
      const found = await sql<PullRow>`select study, peer, attempts,
          greatest(0, extract(epoch from not_before - now()) * 1000)::float8 as "waitMs"
        from pulls order by not_before limit ${limit}`.execute(db);
      return found.rows;
    },
  };
}

export function writableObjects(
  tx: RelayTransaction,
): Pick<
  RelayRows,
  | 'markDirty'
  | 'clearDirty'
  | 'addStoredObjects'
  | 'addNamedObjects'
  | 'markAnnounced'
  | 'pullFrom'
  | 'pullUnlessQueued'
  | 'postponePull'
  | 'endPull'
> {
  return {
    markDirty: (studies) => markDirty(tx, studies),
    clearDirty: async (study, version) => {
      await sql`delete from objects_dirty where study = ${study} and version = ${version}`.execute(tx);
    },
    addStoredObjects: (objects) => addStoredObjects(tx, objects),
    addNamedObjects: (objects) => addNamedObjects(tx, objects),
    markAnnounced: async (study, sopInstanceUids) => {
      await sql`update objects set announced = true
        where study = ${study} and sop = any(${[...sopInstanceUids]}::text[]) and not announced`.execute(tx);
    },
    pullFrom: async (peer, studies) => {
      await sql`insert into pulls (study, peer)
        select study, ${peer} from unnest(${[...studies]}::text[]) as n (study)
        where exists (select from objects o where o.study = n.study and o.local)
        on conflict (study) do update set peer = excluded.peer, not_before = now(), attempts = 0`.execute(tx);
    },
    pullUnlessQueued: async (peer, study) => {
      await sql`insert into pulls (study, peer) values (${study}, ${peer})
        on conflict (study) do nothing`.execute(tx);
    },
    postponePull: async (study, waitMs, reason) => {
      await sql`update pulls set attempts = attempts + 1, last_error = ${reason},
        not_before = now() + make_interval(secs => ${waitMs / 1000}) where study = ${study}`.execute(tx);
    },
    endPull: async (study, when) => {
      if (when === 'always') await sql`delete from pulls where study = ${study}`.execute(tx);
      else {
        await sql`delete from pulls p where p.study = ${study}
          and not exists (select from objects o where o.study = p.study and not o.local)`.execute(tx);
      }
    },
  };
}

async function markDirty(
  tx: RelayTransaction,
  studies: ReadonlyMap<string, { readonly headerChanged: boolean }>,
): Promise<void> {
  if (studies.size === 0) return;
  const rows = [...studies].sort(([a], [b]) => (a < b ? -1 : 1));
  await sql`insert into objects_dirty (study, header_changed)
    select study, header_changed from unnest(${rows.map(([study]) => study)}::text[],
      ${rows.map(([, { headerChanged }]) => headerChanged)}::boolean[]) as n (study, header_changed)
    on conflict (study) do update set version = nextval('due_version'),
      header_changed = objects_dirty.header_changed or excluded.header_changed`.execute(tx);
}

/** Each object once, in the one order in which all writers of objects meet. */
function inOrder<Row extends NamedObject>(objects: readonly Row[]): Row[] {
  const key = (row: Row): string => `${row.study} ${row.sopInstanceUid}`;
  const unique = new Map(objects.map((row) => [key(row), row]));
  return [...unique].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

async function addStoredObjects(tx: RelayTransaction, objects: readonly StoredObject[]): Promise<void> {
  const rows = inOrder(objects);
  const column = <Value>(of: (row: StoredObject) => Value): Value[] => rows.map(of);
  await sql`insert into objects (study, sop, series, sop_class, modality, local, pulled, announced)
    select study, sop, series, class, modality, true, pulled, pulled
    from unnest(${column((row) => row.study)}::text[],
      ${column((row) => row.sopInstanceUid)}::text[], ${column((row) => row.seriesInstanceUid)}::text[],
      ${column((row) => row.sopClassUid)}::text[], ${column((row) => row.modality)}::text[],
      ${column((row) => row.pulled)}::boolean[]) as n (study, sop, series, class, modality, pulled)
    on conflict (study, sop) do update set local = true,
      pulled = case when objects.local then objects.pulled else excluded.pulled end`.execute(tx);
}

async function addNamedObjects(
  tx: RelayTransaction,
  objects: readonly NamedObject[],
): Promise<readonly string[]> {
  const rows = inOrder(objects);
  const column = (of: (row: NamedObject) => string): string[] => rows.map(of);
  const stored = await sql<{ study: string; fresh: boolean }>`
    insert into objects (study, sop, series, sop_class, modality, local, pulled, announced)
    select study, sop, series, class, modality, false, false, true
    from unnest(${column((row) => row.study)}::text[], ${column((row) => row.sopInstanceUid)}::text[],
      ${column((row) => row.seriesInstanceUid)}::text[], ${column((row) => row.sopClassUid)}::text[],
      ${column((row) => row.modality)}::text[]) as n (study, sop, series, class, modality)
    on conflict (study, sop) do update set announced = true
      where not objects.announced and not (objects.local and not objects.pulled)
    returning study, (xmax = 0) as fresh`.execute(tx);
  return [...new Set(stored.rows.filter((row) => row.fresh).map((row) => row.study))].sort();
}
