import { newUuid } from '@isthmus/service-kit';
import { sql } from 'kysely';
import type { BatchItem } from '../batch.ts';
import type { LinkStateEntry } from '../link-map.ts';
import { columnText } from '../tables.ts';
import type { RelayDatabase, RelayTransaction } from '../tables.ts';
import type { NextHops, ParkedItem, ParkReason, ReadableRows, RelayRows, StateDebt } from './rows.ts';

/** What peers are owed, how far they are, and the ways to them. */
export function readableDelivery(
  db: RelayDatabase | RelayTransaction,
): Pick<ReadableRows, 'nextHops' | 'statesDue' | 'replays' | 'positions' | 'linkMap' | 'incarnations'> {
  return {
    nextHops: async () => hopsOf(await sql<HopsRow>`select next_hop from routes`.execute(db)),
    statesDue: async (peer, limit) => {
      const due = await sql<StateDebt>`select study, version from state_due
        where peer = ${peer} order by version limit ${limit}`.execute(db);
      return due.rows;
    },
    replays: async (peer, limit) => {
      const found = await sql<ParkedItem>`select id, item from parked
        where peer = ${peer} and replay order by parked_at limit ${limit}`.execute(db);
      return found.rows;
    },
    positions: async () => {
      const rows = await db.selectFrom('positions').select(['peer', 'live_sequence']).execute();
      return new Map(rows.map((row) => [row.peer, row.live_sequence]));
    },
    linkMap: async () => {
      const rows = await db.selectFrom('link_map').select(['cluster', 'entry']).execute();
      return Object.fromEntries(rows.map((row) => [row.cluster, row.entry]));
    },
    incarnations: async () => {
      const rows = await db.selectFrom('peers').selectAll().execute();
      return new Map(rows.map((row) => [row.peer, row.incarnation]));
    },
  };
}

interface HopsRow {
  readonly next_hop: NextHops;
}

function hopsOf(found: { readonly rows: readonly HopsRow[] }): NextHops {
  return found.rows[0]?.next_hop ?? {};
}

export function writableDelivery(
  tx: RelayTransaction,
): Pick<
  RelayRows,
  | 'holdNextHops'
  | 'setNextHops'
  | 'oweStates'
  | 'oweStatesHeldBy'
  | 'settleStates'
  | 'setPosition'
  | 'setLinkEntries'
  | 'setIncarnation'
  | 'park'
  | 'parkAgain'
  | 'unpark'
> {
  return {
    holdNextHops: async (mode) =>
      hopsOf(
        mode === 'share'
          ? await sql<HopsRow>`select next_hop from routes for share`.execute(tx)
          : await sql<HopsRow>`select next_hop from routes for update`.execute(tx),
      ),
    setNextHops: async (nextHop) => {
      await sql`update routes set next_hop = ${JSON.stringify(nextHop)}::json`.execute(tx);
    },
    oweStates: (debts) => oweStates(tx, debts),
    oweStatesHeldBy: async (peer, clusters) => {
      await sql`insert into state_due (peer, study)
        select ${peer}, uid from study_state where holders && ${[...clusters]}::text[] order by uid
        on conflict (peer, study) do update set version = nextval('due_version')`.execute(tx);
    },
    settleStates: (peer, debts) => settleStates(tx, peer, debts),
    setPosition: async (peer, sequence) => {
      await sql`insert into positions (peer, live_sequence) values (${peer}, ${sequence})
        on conflict (peer) do update set live_sequence = excluded.live_sequence, updated_at = now()`.execute(
        tx,
      );
    },
    setLinkEntries: async (entries) => {
      for (const [cluster, entry] of entries) await setLinkEntry(tx, cluster, entry);
    },
    setIncarnation: async (peer, incarnation) => {
      await sql`insert into peers (peer, incarnation) values (${peer}, ${incarnation})
        on conflict (peer) do update set incarnation = excluded.incarnation`.execute(tx);
    },
    park: (peer, subject, item, why) => park(tx, peer, subject, item, why),
    parkAgain: async (id, why) => {
      await sql`update parked set replay = false, reason = ${why.reason}, status = ${why.status},
        refusals = refusals + ${why.refusals} where id = ${id}`.execute(tx);
    },
    unpark: async (id) => {
      await sql`delete from parked where id = ${id}`.execute(tx);
    },
  };
}

/** In order, so that writers meet in one order. */
async function oweStates(
  tx: RelayTransaction,
  debts: readonly { readonly peer: string; readonly study: string }[],
): Promise<void> {
  if (debts.length === 0) return;
  const unique = new Map(debts.map((row) => [`${row.peer}\n${row.study}`, row]));
  const rows = [...unique.values()].sort((a, b) => (a.peer + a.study < b.peer + b.study ? -1 : 1));
  await sql`insert into state_due (peer, study)
    select peer, study from unnest(${rows.map((row) => row.peer)}::text[],
      ${rows.map((row) => row.study)}::text[]) as n (peer, study)
    on conflict (peer, study) do update set version = nextval('due_version')`.execute(tx);
}

async function settleStates(tx: RelayTransaction, peer: string, debts: readonly StateDebt[]): Promise<void> {
  if (debts.length === 0) return;
  const studies = sql`${debts.map(({ study }) => study)}::text[]`;
  // Locked in the order in which they are written.
  await sql`select from state_due where peer = ${peer} and study = any(${studies}) order by study for update`.execute(
    tx,
  );
  await sql`delete from state_due d
    using unnest(${studies}, ${debts.map(({ version }) => version)}::bigint[]) as n (study, version)
    where d.peer = ${peer} and d.study = n.study and d.version = n.version`.execute(tx);
}

async function setLinkEntry(tx: RelayTransaction, cluster: string, entry: LinkStateEntry): Promise<void> {
  const { version } = entry;
  const value = sql<LinkStateEntry>`${JSON.stringify(entry)}::json`;
  await tx
    .insertInto('link_map')
    .values({ cluster, version, entry: value })
    .onConflict((conflict) => conflict.column('cluster').doUpdateSet({ version, entry: value }))
    .execute();
}

async function park(
  tx: RelayTransaction,
  peer: string,
  subject: string,
  item: BatchItem,
  { reason, status, refusals }: ParkReason,
): Promise<void> {
  await sql`insert into parked (id, peer, subject, item, reason, status, refusals)
    values (${newUuid()}, ${peer}, ${columnText(subject)}, ${JSON.stringify(item)}::json, ${reason}, ${status},
      ${refusals})`.execute(tx);
}
