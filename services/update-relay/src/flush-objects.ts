import {
  announcedObjects,
  buildManifest,
  compareText,
  holdersOf,
  holdingOf,
  homeOf,
  isImageModality,
  manifestDigest,
  patientOf,
  peersTowards,
} from '@isthmus/domain';
import type { RegisterMap } from '@isthmus/domain';
import type { Log } from '@isthmus/service-kit';
import type { Commands } from './commands.ts';
import { patientsOf } from './state.ts';
import type { DirtyStudy, RelayRows, RelayStore } from './store/rows.ts';
import { columnText } from './tables.ts';

/** What telling of a study's objects needs of its cluster. */
export interface FlushParts {
  readonly cluster: string;
  readonly store: RelayStore;
  readonly commands: Commands;
  readonly log: Log;
  nextHop(): { readonly [cluster: string]: string };
  /** Whether the STUDY projection has the sequence within a moment. */
  projected(sequence: number): Promise<unknown>;
}

/** What is known of a study's objects, here and elsewhere. */
interface ObjectSet {
  readonly sops: readonly string[];
  readonly digest: string;
  readonly images: number;
  readonly local: number;
  readonly missing: number;
  /** Local objects that did not come as copies from a linked cluster. */
  readonly originals: number;
  readonly unannounced: number;
}

async function readObjects(store: RelayStore, study: string): Promise<ObjectSet> {
  const rows = await store.objects([study]);
  const manifest = buildManifest(study, rows);
  const count = (matches: (row: (typeof rows)[number]) => boolean): number => rows.filter(matches).length;
  return {
    sops: rows.map((row) => row.sopInstanceUid).sort(compareText),
    digest: manifestDigest(manifest),
    images: count((row) => isImageModality(row.modality)),
    local: count((row) => row.local),
    missing: count((row) => !row.local),
    originals: count((row) => row.local && !row.pulled),
    unannounced: count((row) => row.local && !row.announced),
  };
}

/**
 * Tells the federation what this cluster has of one study: `HolderChanged` when our copy changed,
 * `StudyObjectsChanged` when objects of ours are in no manifest yet. The to-do row goes last: whatever stops
 * this in the middle, it is done again.
 */
export async function flushStudy(parts: FlushParts, row: DirtyStudy): Promise<void> {
  const { store, commands, cluster, log } = parts;
  const { study } = row;
  const objects = await readObjects(store, study);
  const before = (await store.studies([study])).get(study)?.registers ?? {};
  const held = objects.local > 0;
  if (held || holdingOf(before, cluster) !== undefined) {
    const outcome = await commands.execute({
      type: 'RecordHolding',
      studyInstanceUid: study,
      holds: held,
      complete: held && isComplete(objects, before),
      instanceCount: objects.local,
      scope: 'full',
      mayBecomeHome: objects.originals > 0,
    });
    if ('sequence' in outcome) await parts.projected(outcome.sequence);
  }
  if (held && mustAnnounce(objects, before, cluster)) {
    const { digest, images, sops } = objects;
    const outcome = await commands.execute({
      type: 'AnnounceObjects',
      studyInstanceUid: study,
      count: sops.length,
      images,
      digest,
    });
    if ('sequence' in outcome) await parts.projected(outcome.sequence);
    await store.write((rows) => rows.markAnnounced(study, sops));
    log.info({ study, count: sops.length }, 'objects: told of the object set');
  }
  await store.write(async (rows) => {
    if (row.headerChanged) {
      // Registers from headers are in no event: whoever holds this study or another of the patient, and hubs on
      // the way, get the state.
      const ofPatients = await rows.holdersOfPatients(patientsOf(before).map(columnText));
      const holders = [...holdersOf(before), ...[...ofPatients.values()].flat()];
      const elsewhere = holders.filter((holder) => holder !== cluster);
      const due = peersTowards(parts.nextHop(), elsewhere, []).map((peer) => ({ peer, study }));
      await rows.oweStates(due);
    }
    await rows.clearDirty(study, row.version);
    await queuePull(rows, study, cluster, objects, before);
  });
}

/** A copy whose sender has not told yet what the study has may lack anything. */
function isComplete(objects: ObjectSet, study: RegisterMap): boolean {
  return objects.missing === 0 && (objects.originals > 0 || announcedObjects(study) !== undefined);
}

/**
 * An object of ours that is in no manifest is told of by us. A union of manifests that nobody announced as a
 * whole (two clusters added objects at once) is told of by the home, or by any holder when the home holds
 * nothing.
 */
function mustAnnounce(objects: ObjectSet, study: RegisterMap, cluster: string): boolean {
  if (objects.unannounced > 0) return true;
  const announced = announcedObjects(study);
  if (!announced || announced.digest === objects.digest) return false;
  // A copy that is still short of its sender's manifest knows less than what was announced, not more.
  if (patientOf(study) === undefined || objects.sops.length < announced.count) return false;
  const home = homeOf(study);
  return home === undefined || home === cluster || !holdersOf(study).includes(home);
}

/** Something is missing here and nobody is after it yet: ask the nearest other holder. */
async function queuePull(
  rows: RelayRows,
  study: string,
  cluster: string,
  objects: ObjectSet,
  state: RegisterMap,
): Promise<void> {
  if (objects.local === 0 || objects.missing === 0) return;
  const [peer] = holdersOf(state).filter((holder) => holder !== cluster);
  if (peer === undefined) return;
  await rows.pullUnlessQueued(peer, study);
}
