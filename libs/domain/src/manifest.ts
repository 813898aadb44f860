import { canonicalJson, compareText } from './canonical.ts';
import { sha256 } from './digest.ts';
import type { ObjectManifest } from './events.ts';

/** One object of a study, as a manifest names it. */
export interface ManifestObject {
  readonly seriesInstanceUid: string;
  readonly modality: string;
  readonly sopInstanceUid: string;
  readonly sopClassUid: string;
}

/**
 * The manifest of these objects in its one canonical order; an object named twice counts once (greatest
 * bytes).
 */
export function buildManifest(studyInstanceUid: string, objects: Iterable<ManifestObject>): ObjectManifest {
  const byUid = new Map<string, ManifestObject>();
  for (const object of objects) {
    const present = byUid.get(object.sopInstanceUid);
    if (!present || compareText(canonicalJson(present), canonicalJson(object)) < 0)
      byUid.set(object.sopInstanceUid, object);
  }
  const series = new Map<string, ManifestObject[]>();
  for (const object of byUid.values()) {
    const members = series.get(object.seriesInstanceUid);
    if (members) members.push(object);
    else series.set(object.seriesInstanceUid, [object]);
  }
  return {
    studyInstanceUid,
    series: [...series]
      .sort(([a], [b]) => compareText(a, b))
      .map(([seriesInstanceUid, members]) => ({
        seriesInstanceUid,
        modality:
          members
            .map(({ modality }) => modality)
            .sort(compareText)
            .at(-1) ?? '',
        instances: members
          .sort((a, b) => compareText(a.sopInstanceUid, b.sopInstanceUid))
          .map(({ sopInstanceUid, sopClassUid }) => [sopInstanceUid, sopClassUid] as const),
      })),
  };
}

/** The objects that a manifest names. */
export function manifestObjects(manifest: ObjectManifest): readonly ManifestObject[] {
  return manifest.series.flatMap(({ seriesInstanceUid, modality, instances }) =>
    instances.map(([sopInstanceUid, sopClassUid]) => ({
      seriesInstanceUid,
      modality,
      sopInstanceUid,
      sopClassUid,
    })),
  );
}

/** SHA-256 (hex) of the manifest's canonical bytes; the order of its series and objects does not matter. */
export function manifestDigest(manifest: ObjectManifest): string {
  return sha256(canonicalJson(buildManifest(manifest.studyInstanceUid, manifestObjects(manifest))));
}

/** Modality (0008,0060) of objects that say something about images and are none. */
const withoutPixels: ReadonlySet<string> = new Set(['PR', 'KO', 'SR']);

/** Whether an object of this modality counts as an image: presentation states, key objects and reports do not. */
export function isImageModality(modality: string): boolean {
  return !withoutPixels.has(modality);
}

/** What a manifest names and we do not have, by series, in the form that `dimse.retrieve` takes. */
export function missingObjects(
  manifest: ObjectManifest,
  have: { has(sopInstanceUid: string): boolean },
): readonly { readonly seriesInstanceUid: string; readonly sopInstanceUids: readonly string[] }[] {
  return manifest.series.flatMap(({ seriesInstanceUid, instances }) => {
    const sopInstanceUids = instances.map(([uid]) => uid).filter((uid) => !have.has(uid));
    return sopInstanceUids.length === 0 ? [] : [{ seriesInstanceUid, sopInstanceUids }];
  });
}
