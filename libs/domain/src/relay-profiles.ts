import { classesOf, classOfObject, classOfRegister, eventClasses } from './event-classes.ts';
import type { EventClass } from './event-classes.ts';
import type { Change, ObjectManifest } from './events.ts';
import type { RegisterMap } from './registers.ts';

/**
 * When a change of a class crosses a link. `immediate`: at once. `piggyback`: it does not make an update, and is part of the
 * next one of the same study. `never`: it stays here.
 */
export type Timing = 'immediate' | 'piggyback' | 'never';

/** How one direction of a link treats each class of changes. */
export interface RelayProfile {
  readonly name: string;
  readonly timings: { readonly [Class in EventClass]: Timing };
}

const everything = Object.fromEntries(eventClasses.map((one) => [one, 'immediate'])) as {
  readonly [Class in EventClass]: Timing;
};

/** The built-in profiles. */
export const relayProfiles: { readonly full: RelayProfile; readonly impax: RelayProfile } = {
  /** All of it, at once. The default. */
  full: { name: 'full', timings: everything },
  /**
   * As IMPAX 6.5.1 synchronizes linked clusters (its Server Knowledge Base, topic 10713). What the topic does not name as
   * making an update (comments, and what later versions add) rides along; claims did not exist there.
   */
  impax: {
    name: 'impax',
    timings: {
      ...everything,
      identity: 'piggyback',
      verification: 'piggyback',
      fixup: 'piggyback',
      comments: 'piggyback',
      other: 'piggyback',
      'key-images': 'never',
      structure: 'never',
      claims: 'never',
    },
  },
};

/**
 * A profile with some classes treated otherwise, as a link may ask. `holders` stays immediate whatever is asked: without
 * it nobody knows who is owed what.
 */
export function profileWith(
  base: RelayProfile,
  changes: { readonly [Class in EventClass]?: Timing },
): RelayProfile {
  return { ...base, timings: { ...base.timings, ...changes, holders: 'immediate' } };
}

const urgency: readonly Timing[] = ['never', 'piggyback', 'immediate'];

/**
 * When a change crosses a link: as the most urgent class that it touches.
 * @param newObjects - SOP Class UIDs of the objects that the register `objects` tells of for the first time; when they
 *   are not known it counts as images.
 */
export function timingOf(
  profile: RelayProfile,
  change: Pick<Change, 'aggregate' | 'registers'>,
  newObjects?: Iterable<string>,
): Timing {
  const classes = new Set(classesOf(change.aggregate, change.registers));
  if (newObjects && classes.delete('objects'))
    for (const sopClassUid of newObjects) classes.add(classOfObject(sopClassUid));
  const urgencies = [...classes].map((one) => urgency.indexOf(profile.timings[one]));
  return urgency[Math.max(0, ...urgencies)] ?? 'never';
}

/**
 * The registers of a change (or a state) that a link carries at all.
 * @returns The registers themselves when nothing is left out.
 */
export function carriedRegisters(
  profile: RelayProfile,
  aggregate: Change['aggregate'],
  registers: RegisterMap,
): RegisterMap {
  const names = Object.keys(registers);
  const carried = names.filter((name) => profile.timings[classOfCarried(aggregate, name)] !== 'never');
  if (carried.length === names.length) return registers;
  return Object.fromEntries(Object.entries(registers).filter(([name]) => carried.includes(name)));
}

/** One register announces all objects: which of them a link carries, `carriedManifest` says. */
function classOfCarried(aggregate: Change['aggregate'], name: string): EventClass {
  const found = classOfRegister(aggregate, name);
  return found === 'objects' ? 'holders' : found;
}

/** The objects of a study that a link carries: without those of a class that never crosses it. */
export function carriedManifest(profile: RelayProfile, manifest: ObjectManifest): ObjectManifest {
  const series = manifest.series.flatMap((one) => {
    const instances = one.instances.filter(
      ([, sopClassUid]) => profile.timings[classOfObject(sopClassUid)] !== 'never',
    );
    return instances.length === 0 ? [] : [{ ...one, instances }];
  });
  return { ...manifest, series };
}

/** One change that waits for a peer. */
export interface WaitingChange {
  /** The study; for a change of a patient all of his studies. */
  readonly studies: readonly string[];
  readonly timing: Timing;
}

/**
 * Which of the changes that wait for a peer go now, in their order: the immediate ones, and of those that ride along the
 * ones of a study that has an immediate one.
 */
export function dueNow<Waiting extends WaitingChange>(waiting: readonly Waiting[]): readonly Waiting[] {
  const makesUpdate = new Set(
    waiting.filter(({ timing }) => timing === 'immediate').flatMap(({ studies }) => studies),
  );
  return waiting.filter(
    ({ timing, studies }) =>
      timing === 'immediate' || (timing === 'piggyback' && studies.some((study) => makesUpdate.has(study))),
  );
}

/**
 * The classes whose digests the two sides of a link compare: those that cross it at once in that direction. What rides
 * along differs until the next update, and is no divergence.
 */
export function comparedClasses(profile: RelayProfile): readonly EventClass[] {
  return eventClasses.filter((one) => profile.timings[one] === 'immediate');
}
