import { element, tags } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { patientKey, patientOf, studyView } from '@isthmus/domain';
import type { RegisterMap, StudyView } from '@isthmus/domain';
import { unfoldHeader } from './header-fold.ts';
import type { FoldedHeader } from './header-fold.ts';
import { linkedElements } from './linked-row.ts';
import type { RowHolder } from './linked-row.ts';
import type { HeaderJson } from './tables.ts';

/** A study as the tables hold it. */
export interface StudyRecord {
  readonly studyInstanceUid: string;
  readonly registers: RegisterMap;
  readonly patientRegisters: RegisterMap;
  /** Greatest stamp of study and patient together. */
  readonly stamp: string;
  readonly instanceCount: number;
  readonly imageCount: number;
  readonly seriesCount: number;
  readonly modalities: readonly string[];
  readonly sopClasses: readonly string[];
  readonly header: FoldedHeader;
}

/** This cluster, as rows name it. */
export interface Here {
  readonly cluster: string;
  readonly aeTitle: string;
}

/** Interpretation Status ID (4008,0212), retired (PS3.3-2003 C.4.3), by report status; UNKNOWN is an empty element. */
export const interpretationStatus: { readonly [reportStatus: string]: string } = {
  NEW: 'CREATED',
  DICTATED: 'RECORDED',
  TRANSCRIBED: 'TRANSCRIBED',
  APPROVED: 'APPROVED',
};

/** The state of a record as every interface shows it. */
export function viewOf(record: Pick<StudyRecord, 'registers' | 'patientRegisters'>): StudyView {
  const reference = patientOf(record.registers);
  if (!reference) return studyView(record.registers, {});
  return studyView(record.registers, {
    [patientKey(reference.id, reference.issuer)]: record.patientRegisters,
  });
}

/**
 * The values that state decides, as elements: what a cluster knows newer than headers or another cluster's row. Only
 * those that are known, empty ones that somebody cleared among them; the rest of a row stays as it was.
 */
export function stateElements(
  state: Pick<StudyRecord, 'registers' | 'patientRegisters'>,
  view: StudyView,
): DataSetJson {
  const { registers, patientRegisters } = state;
  const known: [string, DataSetJson[string]][] = [];
  const put = (from: RegisterMap, name: string, tag: string, vr: string, value: string): void => {
    if (Object.hasOwn(from, name)) known.push([tag, element(vr, value)]);
  };
  if (view.patient.id !== '') {
    put(registers, 'patient', tags.PatientID, 'LO', view.patient.id);
    put(registers, 'patient', tags.IssuerOfPatientID, 'LO', view.patient.issuer);
  }
  put(patientRegisters, 'name', tags.PatientName, 'PN', view.patient.name);
  put(patientRegisters, 'birthDate', tags.PatientBirthDate, 'DA', view.patient.birthDate);
  put(patientRegisters, 'sex', tags.PatientSex, 'CS', view.patient.sex);
  put(registers, 'accessionNumber', tags.AccessionNumber, 'SH', view.accessionNumber);
  put(registers, 'studyDate', tags.StudyDate, 'DA', view.studyDate);
  put(registers, 'studyTime', tags.StudyTime, 'TM', view.studyTime);
  put(registers, 'studyDescription', tags.StudyDescription, 'LO', view.studyDescription);
  put(registers, 'studyId', tags.StudyID, 'SH', view.studyId);
  put(registers, 'referringPhysicianName', tags.ReferringPhysicianName, 'PN', view.referringPhysicianName);
  put(registers, 'studyStatus', tags.StudyStatusID, 'CS', view.studyStatus);
  put(registers, 'patientLocation', tags.CurrentPatientLocation, 'LO', view.patientLocation);
  put(registers, 'comments', tags.StudyComments, 'LT', commentsText(view));
  put(registers, 'reports', tags.InterpretationStatusID, 'CS', interpretationStatus[view.reportStatus] ?? '');
  return Object.fromEntries(known);
}

/** LT holds 10240 characters (PS3.5 6.2). */
const longTextCharactersMax = 10_240;

function commentsText(view: StudyView): string {
  return view.comments
    .map(({ text }) => text)
    .join('\r\n')
    .slice(0, longTextCharactersMax);
}

/** The private elements that state decides. `holders` are given by the caller, who knows what is here. */
export function linkedStateElements(
  view: StudyView,
  holders: readonly RowHolder[],
  imageCount: number | undefined,
): DataSetJson {
  return linkedElements({
    reportStatus: view.reportStatus,
    subStatus: view.reports[0]?.subStatus ?? '',
    imageCount,
    globalPatientId: view.patient.globalId,
    homeCluster: view.homeCluster ?? '',
    holders,
    reports: view.reports,
    comments: view.comments,
    stateAsOf: view.stateAsOf ?? '',
  });
}

/** How many objects the study has as far as anybody told us. */
export function expectedInstances(
  record: Pick<StudyRecord, 'registers' | 'instanceCount'>,
  view: StudyView,
): number {
  const objects = record.registers['objects'];
  const announced = objects?.t === 'lww' ? (objects.value as { count?: unknown } | null)?.count : undefined;
  return Math.max(
    record.instanceCount,
    typeof announced === 'number' ? announced : 0,
    ...view.holders.map((holder) => holder.instanceCount),
  );
}

/** Holders as known here. Of our own copy the index knows better than what was last announced. */
export function holdersKnown(record: StudyRecord, view: StudyView, here: Here): readonly RowHolder[] {
  const others: RowHolder[] = view.holders
    .filter(({ cluster }) => cluster !== here.cluster)
    .map(({ cluster, complete, availability, instanceCount }) => ({
      cluster,
      complete,
      // Only the holder itself knows; it says so in its own row.
      availability: availability === 'UNKNOWN' ? '' : availability,
      instanceCount,
    }));
  if (record.instanceCount === 0) return others;
  const ours: RowHolder = {
    cluster: here.cluster,
    complete: record.instanceCount >= expectedInstances(record, view),
    availability: 'ONLINE',
    instanceCount: record.instanceCount,
  };
  return [...others, ours].sort((a, b) => (a.cluster < b.cluster ? -1 : 1));
}

/**
 * All that is known of a study that is here, as one row: standard keys of patient and study level, and the private
 * block unless the row is for an asker that gets none (it is half of the work).
 */
export function studyRow(record: StudyRecord, here: Here, privateBlock = true): DataSetJson {
  const view = viewOf(record);
  const holders = holdersKnown(record, view, here);
  const complete = holders.some((holder) => holder.cluster === here.cluster && holder.complete);
  return {
    ...unfoldHeader(record.header),
    ...stateElements(record, view),
    [tags.StudyInstanceUID]: element('UI', record.studyInstanceUid),
    [tags.ModalitiesInStudy]: element('CS', ...record.modalities),
    [tags.SOPClassesInStudy]: element('UI', ...record.sopClasses),
    [tags.NumberOfStudyRelatedSeries]: element('IS', record.seriesCount),
    [tags.NumberOfStudyRelatedInstances]: element('IS', record.instanceCount),
    [tags.RetrieveAETitle]: element('AE', here.aeTitle),
    // The least available instance decides (PS3.4 C.4.1.1.3.2); what is elsewhere has to be fetched first.
    [tags.InstanceAvailability]: element('CS', complete ? 'ONLINE' : 'NEARLINE'),
    ...(privateBlock ? linkedStateElements(view, holders, record.imageCount) : {}),
  };
}

/** A series, with everything of its study. */
export function seriesRow(
  study: DataSetJson,
  series: { readonly uid: string; readonly instanceCount: number; readonly header: FoldedHeader },
): DataSetJson {
  return {
    ...study,
    ...unfoldHeader(series.header),
    [tags.SeriesInstanceUID]: element('UI', series.uid),
    [tags.NumberOfSeriesRelatedInstances]: element('IS', series.instanceCount),
  };
}

/** One object, with everything of its study and series. */
export function imageRow(
  study: DataSetJson,
  series: { readonly uid: string; readonly instanceCount: number; readonly header: FoldedHeader },
  image: { readonly sopInstanceUid: string; readonly sopClassUid: string; readonly header: HeaderJson },
): DataSetJson {
  return {
    ...image.header,
    ...seriesRow(study, series),
    [tags.SOPInstanceUID]: element('UI', image.sopInstanceUid),
    [tags.SOPClassUID]: element('UI', image.sopClassUid),
    [tags.InstanceAvailability]: element('CS', 'ONLINE'),
  };
}

/**
 * A patient with the counts of what is here. `state` is of the patient alone: of a study only the register `patient`.
 */
export function patientRow(
  state: Pick<StudyRecord, 'registers' | 'patientRegisters'>,
  header: FoldedHeader,
  counts: { readonly studies: number; readonly series: number; readonly instances: number },
  here: Here,
): DataSetJson {
  return {
    ...unfoldHeader(header),
    ...stateElements(state, viewOf(state)),
    [tags.NumberOfPatientRelatedStudies]: element('IS', counts.studies),
    [tags.NumberOfPatientRelatedSeries]: element('IS', counts.series),
    [tags.NumberOfPatientRelatedInstances]: element('IS', counts.instances),
    [tags.RetrieveAETitle]: element('AE', here.aeTitle),
    [tags.InstanceAvailability]: element('CS', 'ONLINE'),
  };
}
