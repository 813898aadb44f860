import type { RelayDatabase, RelayTransaction } from '../tables.ts';
import { readableDelivery, writableDelivery } from './postgres-delivery.ts';
import { readableObjects, writableObjects } from './postgres-objects.ts';
import { readableStates, writableStates } from './postgres-states.ts';
import type { ReadableRows, RelayRows, RelayStore } from './rows.ts';

/** What the relay keeps, in PostgreSQL. */
export function postgresStore(db: RelayDatabase): RelayStore {
  return {
    ...readable(db),
    snapshot: (work) =>
      db
        .transaction()
        .setIsolationLevel('repeatable read')
        .setAccessMode('read only')
        .execute((tx) => work(readable(tx))),
    write: (work) => db.transaction().execute((tx) => work(postgresRows(tx))),
  };
}

/** The rows as a transaction that somebody else has begun sees them. */
export function postgresRows(tx: RelayTransaction): RelayRows {
  return { ...readable(tx), ...writableStates(tx), ...writableDelivery(tx), ...writableObjects(tx) };
}

function readable(db: RelayDatabase | RelayTransaction): ReadableRows {
  return { ...readableStates(db), ...readableDelivery(db), ...readableObjects(db) };
}
