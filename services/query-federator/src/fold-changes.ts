import { sql } from 'kysely';
import { mergeRegisters, uidPattern } from '@isthmus/domain';
import type { Change, RegisterMap, StoredEvent } from '@isthmus/domain';
import { deriveStates, keyColumn, lockStates } from './state-rows.ts';
import type { Tx } from './state-rows.ts';
import { storable } from './stored-json.ts';

/** Tables that this projection alone writes; emptied when it is rebuilt. */
export const changeTables = ['study_log', 'patient_log'] as const;

/**
 * Folds STUDY into the state of studies and patients: every event with registers is merged, its type known or not.
 * Merging again what was merged before changes nothing, so the order of the two projections does not matter.
 */
export async function foldChanges(tx: Tx, events: readonly StoredEvent[]): Promise<void> {
  const studies = new Map<string, RegisterMap>();
  const patients = new Map<string, RegisterMap>();
  for (const { event } of events) {
    const change = event.data as Partial<Change> | null;
    if (typeof change?.registers !== 'object' || change.registers === null) continue;
    const registers = storable(change.registers);
    if (change.aggregate === 'study' && uidPattern.test(event.subject)) {
      studies.set(event.subject, mergeRegisters(studies.get(event.subject) ?? {}, registers));
    } else if (change.aggregate === 'patient' && typeof event.subject === 'string') {
      const key = keyColumn(storable(event.subject));
      patients.set(key, mergeRegisters(patients.get(key) ?? {}, registers));
    }
  }
  if (studies.size === 0 && patients.size === 0) return;
  await lockStates(tx, studies.keys(), patients.keys());
  await mergeInto(tx, 'study_log', 'study_instance_uid', studies);
  await mergeInto(tx, 'patient_log', 'patient_key', patients);
  await deriveStates(tx, studies.keys(), patients.keys());
}

async function mergeInto(
  tx: Tx,
  table: (typeof changeTables)[number],
  keyName: 'study_instance_uid' | 'patient_key',
  changes: ReadonlyMap<string, RegisterMap>,
): Promise<void> {
  if (changes.size === 0) return;
  const keys = [...changes.keys()];
  const known = await sql<{ key: string; registers: RegisterMap }>`
    select ${sql.ref(keyName)} as key, registers from ${sql.table(table)}
    where ${sql.ref(keyName)} = any(${keys}::text[])`.execute(tx);
  const before = new Map(known.rows.map((row) => [row.key, row.registers]));
  const rows = keys.map((key) => ({
    key,
    registers: mergeRegisters(before.get(key) ?? {}, changes.get(key) ?? {}),
  }));
  await sql`insert into ${sql.table(table)} (${sql.ref(keyName)}, registers)
    select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as n(key text, registers jsonb)
    on conflict (${sql.ref(keyName)}) do update set registers = excluded.registers`.execute(tx);
}
