import {
  announcedObjects,
  buildManifest,
  compareText,
  holdingOf,
  homeOf,
  manifestDigest,
  patientOf,
  peersTowards,
  holdersOf,
} from '@isthmus/domain';
import type { RegisterMap } from '@isthmus/domain';
import type { Log } from '@isthmus/service-kit';
import { backoff } from '@isthmus/service-kit';
import { createBell } from './bell.ts';
import type { Commands } from './commands.ts';
import { createFlushTimes } from './flush-time.ts';
import type { FlushLimits, FlushTimes } from './flush-time.ts';
import type { DirtyStudy, RelayRows, RelayStore } from './store/rows.ts';

export interface Objects {
  /** Objects or holders of some study may have changed. */
  wake(): void;
  /** Whether no object of the study has come for a while: a pull now would not race one that runs. */
  isQuiet(study: string): boolean;
  stop(): Promise<void>;
}

export interface ObjectsParts {
  readonly cluster: string;
  readonly store: RelayStore;
  readonly commands: Commands;
  readonly log: Log;
  readonly limits: FlushLimits;
  nextHop(): { readonly [cluster: string]: string };
  /** Whether the STUDY projection has the sequence within a moment. */
  projected(sequence: number): Promise<unknown>;
  /** After a flush: states may be due, and objects may be missing. */
  onFlushed(): void;
}

/** Dirty studies looked at in one round. */
const roundMax = 500;
const idleMs = 30_000;

/**
 * Tells the federation what this cluster has of each study: `HolderChanged` when our copy changed,
 * `StudyObjectsChanged` when objects of ours are in no manifest yet. `objects_dirty` rows, written by the
 * projections, are the durable to-do list.
 */
export function startObjects(parts: ObjectsParts): Objects {
  const { log } = parts;
  const times = createFlushTimes(parts.limits);
  const bell = createBell();
  const stopping = new AbortController();

  const round = async (): Promise<number> => {
    const dirty = await parts.store.dirtyStudies(roundMax);
    const now = performance.now();
    for (const row of dirty) times.changed(row.study, row.version, now);
    let next = now + idleMs;
    for (const row of dirty) {
      if (stopping.signal.aborted) return next;
      const dueAt = times.dueAt(row.study);
      if (dueAt > performance.now()) {
        next = Math.min(next, dueAt);
        continue;
      }
      await flush(parts, row);
      times.flushed(row.study, performance.now());
      parts.onFlushed();
    }
    times.forget(now);
    return next;
  };

  const run = async (): Promise<void> => {
    const pause = backoff({ baseMs: 100, maxMs: 5_000 });
    while (!stopping.signal.aborted) {
      try {
        const next = await round();
        pause.reset();
        await bell.wait(Math.max(1, next - performance.now()), stopping.signal);
      } catch (error) {
        if (stopping.signal.aborted) return;
        log.warn({ err: error }, 'objects: could not tell of changed studies; trying again');
        await pause.wait(stopping.signal);
      }
    }
  };
  const done = run();

  return {
    wake: () => bell.ring(),
    isQuiet: (study) => isQuiet(times, study),
    stop: async () => {
      stopping.abort();
      await done;
    },
  };
}

function isQuiet(times: FlushTimes, study: string): boolean {
  return times.isQuiet(study, performance.now());
}

/** What is known of a study's objects, here and elsewhere. */
interface ObjectSet {
  readonly sops: readonly string[];
  readonly digest: string;
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
    local: count((row) => row.local),
    missing: count((row) => !row.local),
    originals: count((row) => row.local && !row.pulled),
    unannounced: count((row) => row.local && !row.announced),
  };
}

async function flush(parts: ObjectsParts, row: DirtyStudy): Promise<void> {
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
    const { digest, sops } = objects;
    const command = { type: 'AnnounceObjects', studyInstanceUid: study, count: sops.length, digest } as const;
    const outcome = await commands.execute(command);
    if ('sequence' in outcome) await parts.projected(outcome.sequence);
    await store.write((rows) => rows.markAnnounced(study, sops));
    log.info({ study, count: sops.length }, 'objects: told of the object set');
  }
  await store.write(async (rows) => {
    if (row.headerChanged) {
      // Registers from headers are in no event: holders elsewhere, and hubs on the way, get the state.
      const elsewhere = holdersOf(before).filter((holder) => holder !== cluster);
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
