import { compareText, own } from './canonical.ts';
import { patientOf } from './decide-change-study.ts';
import { holders, lwwRegister, mapEntries, registerText } from './holders.ts';
import type { Holder, KnownAvailability } from './holders.ts';
import { stampMilliseconds } from './hlc.ts';
import { homeOf } from './home.ts';
import { greatestStamp } from './greatest-stamp.ts';
import type { PatientReference } from './headers.ts';
import type { JsonValue, RegisterMap } from './registers.ts';
import { reportsOf, studyReportStatus } from './reports.ts';
import { stateDigest } from './state-digest.ts';
import type { Report, ReportStatus } from './reports.ts';
import { resolvePatient } from './patients.ts';
import type { PatientStates } from './patients.ts';
import { patientKey, readPatientKey } from './subjects.ts';
import { verificationOf } from './verification.ts';
import type { Verification } from './verification.ts';

/** A comment on a study. */
export interface StudyComment {
  readonly id: string;
  readonly text: string;
  readonly author: string;
  /** RFC 3339. */
  readonly at: string;
}

/** A study as every interface gives it, minus what only an index of its objects knows. Unknown text is ''. */
export interface StudyView {
  readonly patient: {
    readonly id: string;
    readonly issuer: string;
    readonly name: string;
    readonly birthDate: string;
    readonly sex: string;
    readonly globalId: string;
  };
  readonly accessionNumber: string;
  readonly studyDate: string;
  readonly studyTime: string;
  readonly studyDescription: string;
  readonly studyId: string;
  readonly referringPhysicianName: string;
  readonly reportStatus: ReportStatus;
  readonly reports: readonly Report[];
  readonly studyStatus: string;
  readonly verification: Verification;
  readonly patientLocation: string;
  readonly comments: readonly StudyComment[];
  readonly homeCluster: string | null;
  readonly holders: readonly Holder[];
  /** Wall clock of the newest edit, RFC 3339; null when only headers spoke. For people. */
  readonly stateAsOf: string | null;
}

/**
 * What the registers of a study and its patient say.
 * @param patients - By patient key: the study's own patient, and those that it was merged into.
 * @param availability - What the caller knows of the holders' copies: of its own at least.
 */
export function studyView(
  study: RegisterMap,
  patients: PatientStates,
  availability: KnownAvailability = {},
): StudyView {
  const { reference, patient } = shownPatient(study, patients);
  const newest = stampMilliseconds(greatestStamp(study, greatestStamp(patient)));
  return {
    patient: {
      id: reference?.id ?? '',
      // The issuer of a study without Patient ID is ours, made so that strangers stay apart: nobody issued
      // it.
      issuer: reference && reference.id !== '' ? reference.issuer : '',
      name: registerText(patient, 'name'),
      birthDate: registerText(patient, 'birthDate'),
      sex: registerText(patient, 'sex'),
      globalId: registerText(patient, 'globalId'),
    },
    accessionNumber: registerText(study, 'accessionNumber'),
    studyDate: registerText(study, 'studyDate'),
    studyTime: registerText(study, 'studyTime'),
    studyDescription: registerText(study, 'studyDescription'),
    studyId: registerText(study, 'studyId'),
    referringPhysicianName: registerText(study, 'referringPhysicianName'),
    reportStatus: studyReportStatus(study),
    reports: reportsOf(study),
    studyStatus: registerText(study, 'studyStatus'),
    verification: verificationOf(study),
    patientLocation: registerText(study, 'patientLocation'),
    comments: commentsOf(study),
    homeCluster: homeOf(study) ?? null,
    holders: holders(study, availability),
    // A home alone carries the stamp 0, which is no time.
    stateAsOf: newest ? new Date(newest).toISOString() : null,
  };
}

/** Who the study's patient is now: the one that its own was merged into, else its own. */
function shownPatient(
  study: RegisterMap,
  patients: PatientStates,
): { readonly reference: PatientReference | undefined; readonly patient: RegisterMap } {
  const reference = patientOf(study);
  if (!reference) return { reference, patient: {} };
  const ownKey = patientKey(reference.id, reference.issuer);
  const { key } = resolvePatient(ownKey, patients);
  const patient = own(patients, key) ?? {};
  return { reference: key === ownKey ? reference : (readPatientKey(key) ?? reference), patient };
}

/** Comments, oldest first. */
export function commentsOf(study: RegisterMap): readonly StudyComment[] {
  const comments = mapEntries(study, 'comments');
  return Object.keys(comments)
    .flatMap((id) => {
      const register = lwwRegister(comments, id);
      const value = register?.value;
      if (!register || typeof value !== 'object' || value === null) return [];
      const record = value as { readonly [key: string]: JsonValue };
      const text = (name: string): string => {
        const member = own(record, name);
        return typeof member === 'string' ? member : '';
      };
      return [{ hlc: register.hlc, id, text: text('text'), author: text('author'), at: text('at') }];
    })
    .sort((a, b) => compareText(a.hlc, b.hlc) || compareText(a.id, b.id))
    .map(({ id, text, author, at }) => ({ id, text, author, at }));
}

/**
 * What an ETag of a study says, the same from every service that shows one: the greatest stamp in it, which an edit made
 * after seeing it must beat, and a digest of what was seen. Without the quotation marks.
 */
export function studyStamp(study: RegisterMap, patient: RegisterMap): string {
  const stamp = greatestStamp(study, greatestStamp(patient));
  // A renewed claim is no change of what was seen, or nobody could write while somebody is at work.
  return `${stamp === '' ? '0' : stamp}-${stateDigest({ study, patients: { patient } }).slice(0, 16)}`;
}
