import { own } from './canonical.ts';
import type { Change } from './events.ts';
import type { RegisterMap } from './registers.ts';

/**
 * What a change is about, as far as links treat it alike. The class of a register follows from its name alone, so that
 * two clusters can compare digests class by class; a register that is not known is `other`.
 */
export const eventClasses = [
  /** Who has a copy, and the home. Links cannot do without it. */
  'holders',
  'report-status',
  /** Patient ID and issuer, Patient's Name, Accession Number; merged and renumbered patients. */
  'identity',
  /** The rest of what a RIS says of patient and study. */
  'demographics',
  'patient-location',
  'study-status',
  'comments',
  /** Images and all other objects that no class below names. */
  'objects',
  /** Presentation states, which carry markup and annotations. */
  'presentation-states',
  /** Key Object Selection documents. */
  'key-images',
  /** Split, segment, move, merge, reject and restore. */
  'structure',
  'verification',
  'fixup',
  'claims',
  'other',
] as const;
export type EventClass = (typeof eventClasses)[number];

/**
 * Version of the placing below. Class digests are compared only between equal versions: a register that moved to another
 * class would differ in both for ever.
 */
export const eventClassesVersion = 1;

const ofStudy: { readonly [register: string]: EventClass } = {
  holders: 'holders',
  home: 'holders',
  reports: 'report-status',
  patient: 'identity',
  accessionNumber: 'identity',
  reportMoves: 'identity',
  studyDate: 'demographics',
  studyTime: 'demographics',
  studyDescription: 'demographics',
  studyId: 'demographics',
  referringPhysicianName: 'demographics',
  patientLocation: 'patient-location',
  studyStatus: 'study-status',
  comments: 'comments',
  objects: 'objects',
  rejections: 'structure',
  objectTargets: 'structure',
  targets: 'structure',
  mergedInto: 'structure',
  verification: 'verification',
  fixup: 'fixup',
  claim: 'claims',
  claimRenewals: 'claims',
};

const ofPatient: { readonly [register: string]: EventClass } = {
  id: 'identity',
  issuer: 'identity',
  name: 'identity',
  globalId: 'identity',
  mergedInto: 'identity',
  birthDate: 'demographics',
  sex: 'demographics',
};

/** The class of one register. */
export function classOfRegister(aggregate: Change['aggregate'], name: string): EventClass {
  return own(aggregate === 'study' ? ofStudy : ofPatient, name) ?? 'other';
}

/** The classes that a change (or a state) touches. */
export function classesOf(aggregate: Change['aggregate'], registers: RegisterMap): ReadonlySet<EventClass> {
  return new Set(Object.keys(registers).map((name) => classOfRegister(aggregate, name)));
}

const keyObjectSelection = '1.2.840.10008.5.1.4.1.1.88.59';
/** Softcopy Presentation State Storage SOP Classes (PS3.4 §B.5, N.2) share this root; 11.1 is the greyscale one. */
const presentationStates = /^1\.2\.840\.10008\.5\.1\.4\.1\.1\.11\.[0-9]+$/;

/** The class of an object that came to a study, by its SOP Class UID. */
export function classOfObject(sopClassUid: string): 'objects' | 'presentation-states' | 'key-images' {
  if (sopClassUid === keyObjectSelection) return 'key-images';
  return presentationStates.test(sopClassUid) ? 'presentation-states' : 'objects';
}
