import {
  itemsOf,
  numberOf,
  privateCreator,
  readPrivate,
  stringOf,
  stringsOf,
  studyElements,
  tags,
} from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/domain';

/** A study of a patient, as a query row tells it. */
export interface Prior {
  readonly studyInstanceUid: string;
  /** YYYYMMDD; empty when unknown. */
  readonly studyDate: string;
  readonly studyTime: string;
  readonly studyDescription: string;
  readonly modalities: readonly string[];
  readonly instanceCount: number | undefined;
  readonly patientId: string;
  /** Empty when the row does not say whose ID it is. */
  readonly patientIssuer: string;
  readonly holders: readonly { readonly cluster: string; readonly complete: boolean }[];
}

const creator = privateCreator.study;

/** Reads a row; undefined when it names no study (the outcome row of a linked query). */
export function readPrior(row: DataSetJson): Prior | undefined {
  const studyInstanceUid = stringOf(row, tags.StudyInstanceUID);
  if (studyInstanceUid === undefined) return undefined;
  const holders = readPrivate(row, creator, studyElements.holders);
  return {
    studyInstanceUid,
    studyDate: stringOf(row, tags.StudyDate) ?? '',
    studyTime: stringOf(row, tags.StudyTime) ?? '',
    studyDescription: stringOf(row, tags.StudyDescription) ?? '',
    modalities: stringsOf(row, tags.ModalitiesInStudy),
    instanceCount: numberOf(row, tags.NumberOfStudyRelatedInstances),
    patientId: stringOf(row, tags.PatientID) ?? '',
    patientIssuer: stringOf(row, tags.IssuerOfPatientID) ?? '',
    holders: holders === undefined ? [] : itemsOf({ holders }, 'holders').flatMap(readHolder),
  };
}

function readHolder(item: DataSetJson): Prior['holders'] {
  const cluster = readPrivate(item, creator, studyElements.cluster);
  const complete = readPrivate(item, creator, studyElements.complete);
  const name = cluster === undefined ? undefined : stringOf({ cluster }, 'cluster');
  if (name === undefined) return [];
  return [
    { cluster: name, complete: complete !== undefined && stringOf({ complete }, 'complete') === 'YES' },
  ];
}

/** What the priors are wanted for. */
export interface PriorsWanted {
  readonly patient: { readonly id: string; readonly issuer: string };
  /** The study that is scheduled: never its own prior. */
  readonly studyInstanceUid?: string | undefined;
  readonly priorsMax: number;
}

/** A study that was considered, and why it was or was not chosen. */
export interface Choice {
  readonly prior: Prior;
  readonly chosen: boolean;
  readonly why: string;
}

/**
 * The fixed rule: the newest studies of the same patient, by ID and issuer, wherever they are; by study
 * date and time, then by UID. The same bare ID of another issuer is another person, and a row that does not
 * name an issuer proves nothing.
 */
export function choosePriors(rows: readonly Prior[], wanted: PriorsWanted): readonly Choice[] {
  let chosen = 0;
  return [...rows].sort(newestFirst).map((prior): Choice => {
    const obstacle = obstacleOf(prior, wanted);
    if (obstacle !== undefined) return { prior, chosen: false, why: obstacle };
    if (chosen >= wanted.priorsMax)
      return { prior, chosen: false, why: `older than the ${wanted.priorsMax} newest priors` };
    chosen++;
    return { prior, chosen: true, why: `one of the ${wanted.priorsMax} newest priors` };
  });
}

function obstacleOf(prior: Prior, wanted: PriorsWanted): string | undefined {
  if (prior.studyInstanceUid === wanted.studyInstanceUid) return 'the study that is scheduled itself';
  if (prior.patientId !== wanted.patient.id) return 'of another Patient ID';
  if (prior.patientIssuer === '') return 'its source does not say who issued the Patient ID';
  if (prior.patientIssuer !== wanted.patient.issuer) return 'of the same Patient ID from another issuer';
  return undefined;
}

/** By study date and time, then by UID; studies without a date last. */
export function newestFirst(a: Prior, b: Prior): number {
  const keyOf = (prior: Prior): string => `${prior.studyDate.padEnd(8, '0')}${prior.studyTime}`;
  const [left, right] = [keyOf(a), keyOf(b)];
  if (left !== right) return left < right ? 1 : -1;
  return a.studyInstanceUid < b.studyInstanceUid ? -1 : a.studyInstanceUid > b.studyInstanceUid ? 1 : 0;
}
