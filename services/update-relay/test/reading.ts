import assert from 'node:assert/strict';
import { studyView } from '@isthmus/domain';
import type { RegisterMap, StudyView } from '@isthmus/domain';
import { eventually } from '@isthmus/testing';
import { sql } from 'kysely';
import type { Static } from 'typebox';
import type { TimelineAnswer, UpdatesAnswer } from '../src/schemas.ts';
import type { Cluster, Federation, LinkStatusBody } from './clusters.ts';
import type { TestObject } from './objects.ts';

/** A study as this cluster's relay has it, from its tables; undefined when it has never heard of it. */
export async function studyAt(cluster: Cluster, uid: string): Promise<StudyView | undefined> {
  const found = await sql<{
    registers: RegisterMap;
  }>`select registers from study_state where uid = ${uid}`.execute(cluster.db);
  const registers = found.rows[0]?.registers;
  if (!registers) return undefined;
  const patients = await sql<{
    key: string;
    registers: RegisterMap;
  }>`select key, registers from patient_state`.execute(cluster.db);
  return studyView(registers, Object.fromEntries(patients.rows.map((row) => [row.key, row.registers])));
}

/** Waits until this cluster's relay shows the study with these values. */
export async function untilShown(
  cluster: Cluster,
  uid: string,
  values: Partial<Pick<StudyView, 'homeCluster' | 'patientLocation' | 'reportStatus' | 'studyStatus'>>,
): Promise<void> {
  await eventually(`${JSON.stringify(values)} of ${uid} at ${cluster.id}`, async () => {
    const study = await studyAt(cluster, uid);
    assert.partialDeepStrictEqual(study, values);
    return study;
  });
}

export async function digestAt(cluster: Cluster, uid: string): Promise<string> {
  const found = await sql<{ digest: string }>`select digest from study_state where uid = ${uid}`.execute(
    cluster.db,
  );
  return found.rows[0]?.digest ?? '';
}

/** Objects of a study that are on disk here and projected. */
export async function localObjects(cluster: Cluster, uid: string): Promise<string[]> {
  const found = await sql<{
    sop: string;
  }>`select sop from objects where study = ${uid} and local order by sop`.execute(cluster.db);
  return found.rows.map((row) => row.sop);
}

export type TimelineBody = Static<typeof TimelineAnswer>;

/** How many entries of this type the timeline of a study has. */
export async function timelineCount(cluster: Cluster, uid: string, type: string): Promise<number> {
  const { body } = await cluster.call<TimelineBody>('GET', `/api/v1/studies/${uid}/timeline?limit=1000`);
  return body.items.filter((item) => item.type === type).length;
}

/** What the relay says of its updates over the link to a peer. */
export async function linkUpdates(cluster: Cluster, peer: string): Promise<LinkStatusBody['updates']> {
  return (await cluster.call<LinkStatusBody>('GET', `/api/v1/links/${peer}/status`)).body.updates;
}

export type UpdatesBody = Static<typeof UpdatesAnswer>;

/** Waits until nothing is queued anywhere and all holders have equal digests of the study. */
export async function untilSettled(
  federation: Federation,
  names: readonly string[],
  uid: string,
): Promise<void> {
  await eventually(`equal state of ${uid} at ${names.join(', ')}`, async () => {
    const digests = await Promise.all(names.map((name) => digestAt(federation.cluster(name), uid)));
    return digests[0] !== '' && new Set(digests).size === 1;
  });
}

/** Makes a study at its home and copies it to other clusters, as by C-MOVE; waits until all of them agree. */
export async function shareStudy(
  federation: Federation,
  uid: string,
  home: string,
  others: readonly string[],
  objects: readonly TestObject[],
): Promise<void> {
  await federation.cluster(home).store(...objects);
  await untilShown(federation.cluster(home), uid, { homeCluster: home });
  for (const other of others) await federation.cluster(other).pull(home, ...objects);
  const all = [home, ...others];
  for (const name of all) {
    await eventually(`${name} to know every holder`, async () => {
      const holders = (await studyAt(federation.cluster(name), uid))?.holders ?? [];
      return all.every((id) =>
        holders.some((one) => one.cluster === id && one.complete && one.instanceCount === objects.length),
      );
    });
  }
  await untilSettled(federation, all, uid);
}

/**
 * Waits until no cluster has anything to fold, to tell, to pull or to send, and it stays so over a few looks.
 */
export async function untilIdle(federation: Federation, names: readonly string[]): Promise<void> {
  let idle = 0;
  let crossings = -1;
  await eventually('silence', async () => {
    const quiet = await Promise.all(names.map((name) => isIdle(federation.cluster(name))));
    const still = crossings === federation.bridge.crossings.length && !quiet.includes(false);
    crossings = federation.bridge.crossings.length;
    idle = still ? idle + 1 : 0;
    return idle >= 5;
  });
}

async function isIdle(cluster: Cluster): Promise<boolean> {
  const open = await sql<{ rows: number; checkpoint: number | null }>`select
      (select count(*) from objects_dirty) + (select count(*) from pulls) + (select count(*) from state_due) as rows,
      (select sequence from projection_checkpoint where name = 'studies') as checkpoint`.execute(cluster.db);
  const { rows = 0, checkpoint = 0 } = open.rows[0] ?? {};
  if (rows > 0 || (checkpoint ?? 0) < (await cluster.eventLog.lastSequence('STUDY'))) return false;
  const { body } = await cluster.call<UpdatesBody>('GET', '/api/v1/updates');
  return body.items.length === 0;
}
