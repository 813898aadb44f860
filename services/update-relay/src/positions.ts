import type { Unit } from './outbox.ts';
import type { ParkReason, RelayRows, RelayStore } from './store/rows.ts';

/**
 * Notes, in one transaction, that a peer is done with these units: acknowledged, or parked for the reason
 * given. Debts that grew meanwhile stay.
 */
export async function settle(
  store: RelayStore,
  peer: string,
  position: number,
  units: readonly Unit[],
  parked?: ParkReason,
): Promise<void> {
  await store.write(async (rows) => {
    await rows.setPosition(peer, position);
    await rows.settleStates(
      peer,
      units.flatMap(({ source }) => (source.kind === 'due' ? [source] : [])),
    );
    for (const unit of units) {
      if (parked) await park(rows, peer, unit, parked);
      else if (unit.source.kind === 'parked') await rows.unpark(unit.source.id);
    }
  });
}

async function park(rows: RelayRows, peer: string, unit: Unit, why: ParkReason): Promise<void> {
  const { item, source } = unit;
  if (source.kind === 'parked') return rows.parkAgain(source.id, why);
  const subject =
    item.kind === 'event'
      ? item.event.subject
      : item.kind === 'state'
        ? item.study
        : item.manifest.studyInstanceUid;
  return rows.park(peer, subject, item, why);
}
