import { compareText, own } from './canonical.ts';
import { holdersOf, lwwRegister, mapEntries } from './holders.ts';
import { mergeRegisters } from './merge.ts';
import { resolvePatient } from './patients.ts';
import type { JsonValue, LwwRegister, RegisterMap } from './registers.ts';

/** Why objects are rejected: codes of DCM, CID 7011 "Rejected Instances" (PS3.16), as IHE IOCM uses them. */
export const rejectionReasons = {
  '113001': 'Rejected for Quality Reasons',
  '113037': 'Rejected for Patient Safety Reasons',
  '113038': 'Incorrect Modality Worklist Entry',
  '113039': 'Data Retention Policy Expired',
} as const;
export type RejectionReason = keyof typeof rejectionReasons;

export function isRejectionReason(text: unknown): text is RejectionReason {
  return typeof text === 'string' && Object.hasOwn(rejectionReasons, text);
}

/** Rejections that travel before everything else and wait for no window: somebody may treat the wrong patient. */
export function isUrgentRejection(reason: RejectionReason): boolean {
  return reason === '113037' || reason === '113038';
}

/** Studies that are known here, by Study Instance UID. */
export type StudyStates = { readonly [studyInstanceUid: string]: RegisterMap };

/** Why an object is not shown; undefined when it is. */
export function rejectionOf(study: RegisterMap, sopInstanceUid: string): RejectionReason | undefined {
  const reason = memberOf(lwwRegister(mapEntries(study, 'rejections'), sopInstanceUid), 'reason');
  return isRejectionReason(reason) ? reason : undefined;
}

function memberOf(register: LwwRegister | undefined, name: string): JsonValue | undefined {
  const value = register?.value;
  return typeof value === 'object' && value !== null
    ? own(value as { readonly [key: string]: JsonValue }, name)
    : undefined;
}

/** Where a study is found now that was merged into another, through chains; a circle is cut as for patients. */
export function resolveStudy(studyInstanceUid: string, studies: StudyStates): string {
  return resolvePatient(studyInstanceUid, studies).key;
}

/**
 * The study that an object belongs to now. An object that was moved by itself goes its own way; the others go where
 * their study was merged into. Moved on from there, it is followed; of moves in a circle the latest stands.
 *
 * @param cameWith - Study Instance UID in its header: identity of the object's place, whatever became of the study.
 */
export function studyOfObject(sopInstanceUid: string, cameWith: string, studies: StudyStates): string {
  const edges: [string, RegisterMap][] = [];
  const seen = new Set<string>();
  for (let at: string | undefined = cameWith; at !== undefined && !seen.has(at);) {
    seen.add(at);
    const edge: LwwRegister | undefined = edgeOf(own(studies, at) ?? {}, sopInstanceUid);
    if (edge) edges.push([at, { mergedInto: edge }]);
    const next = memberOf(edge, 'key');
    at = typeof next === 'string' ? next : undefined;
  }
  return resolvePatient(cameWith, Object.fromEntries(edges)).key;
}

/** Where one object is led from a study: by itself, else with the whole study. */
function edgeOf(study: RegisterMap, sopInstanceUid: string): LwwRegister | undefined {
  const alone = lwwRegister(mapEntries(study, 'objectTargets'), sopInstanceUid);
  const target = memberOf(alone, 'study');
  if (alone && typeof target === 'string') return { ...alone, value: { key: target } };
  return lwwRegister(study, 'mergedInto');
}

/** An object in the study that it belongs to now. */
export interface PlacedObject {
  readonly sopInstanceUid: string;
  /** The study that it came with: where its rejection is written, and what its file says. */
  readonly cameWith: string;
  readonly rejected?: RejectionReason;
}

/**
 * Every object in its present study.
 * @param objects - SOP Instance UIDs by the study that they came with.
 */
export function placeObjects(
  objects: { readonly [studyInstanceUid: string]: Iterable<string> },
  studies: StudyStates,
): ReadonlyMap<string, readonly PlacedObject[]> {
  const placed = new Map<string, PlacedObject[]>();
  for (const [cameWith, uids] of Object.entries(objects)) {
    for (const sopInstanceUid of uids) {
      const study = studyOfObject(sopInstanceUid, cameWith, studies);
      const rejected = rejectionOf(own(studies, cameWith) ?? {}, sopInstanceUid);
      const object = { sopInstanceUid, cameWith, ...(rejected ? { rejected } : {}) };
      placed.set(study, [...(placed.get(study) ?? []), object]);
    }
  }
  return placed;
}

/** Studies from which objects were led to this one, by themselves or as a whole, sorted. */
export function sourcesOf(target: string, studies: StudyStates): readonly string[] {
  return Object.keys(studies)
    .filter((uid) => uid !== target && leadsTo(own(studies, uid) ?? {}, target))
    .sort(compareText);
}

function leadsTo(study: RegisterMap, target: string): boolean {
  if (memberOf(lwwRegister(study, 'mergedInto'), 'key') === target) return true;
  const targets = mapEntries(study, 'objectTargets');
  return Object.keys(targets).some((sop) => memberOf(lwwRegister(targets, sop), 'study') === target);
}

/** What a new study has from the one that it was taken out of, below everything that is said of it by itself. */
const inherited = ['patient', 'studyDate', 'studyTime', 'referringPhysicianName'];

/**
 * Registers of a study that objects were moved into: its own, over those that whoever moved them gave it, over those
 * that it inherits. Never a report: nobody has approved what is in it now.
 */
export function derivedStudy(target: string, studies: StudyStates): RegisterMap {
  return sourcesOf(target, studies).reduce<RegisterMap>(
    (merged, source) => mergeRegisters(merged, givenBy(own(studies, source) ?? {}, target)),
    own(studies, target) ?? {},
  );
}

function givenBy(source: RegisterMap, target: string): RegisterMap {
  const given = lwwRegister(mapEntries(source, 'targets'), target);
  // A merge into a study that is there gives it nothing; only a new study inherits.
  if (!given) return {};
  const below = inherited.flatMap((name) => {
    const value = lwwRegister(source, name)?.value;
    return value === undefined
      ? []
      : [[name, { t: 'lww', value, rank: 0, hlc: '', origin: '' } as LwwRegister] as const];
  });
  const said = ['patient', 'accessionNumber', 'studyDescription'].flatMap((name) => {
    const value = memberOf(given, name);
    return value === undefined ? [] : [[name, { ...given, value }] as const];
  });
  return { ...Object.fromEntries(below), ...Object.fromEntries(said) };
}

/** Clusters that hold a study or any that objects of it came with: holders of the source are holders of the target. */
export function structuralHolders(target: string, studies: StudyStates): readonly string[] {
  const uids = [target, ...allSources(target, studies)];
  return [...new Set(uids.flatMap((uid) => holdersOf(own(studies, uid) ?? {})))].sort(compareText);
}

function allSources(target: string, studies: StudyStates): readonly string[] {
  const found = new Set([target]);
  for (const one of found) for (const source of sourcesOf(one, studies)) found.add(source);
  found.delete(target);
  return [...found];
}

/**
 * Presentation states, key objects and reports that refer to objects which are in several studies now: they cannot be
 * shown whole in any, and somebody has to look at them.
 */
export function dividedReferences(
  references: Iterable<{ readonly sopInstanceUid: string; readonly refersTo: Iterable<string> }>,
  placeOf: (sopInstanceUid: string) => string | undefined,
): readonly { readonly sopInstanceUid: string; readonly studies: readonly string[] }[] {
  return [...references].flatMap(({ sopInstanceUid, refersTo }) => {
    const places = new Set([...refersTo].flatMap((uid) => placeOf(uid) ?? []));
    return places.size < 2 ? [] : [{ sopInstanceUid, studies: [...places].sort(compareText) }];
  });
}
