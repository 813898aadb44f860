import { tags } from '@isthmus/dicom';
import type { QueryLevel } from '@isthmus/domain';

/**
 * Keys of the patient level that are answered and matched (PS3.4 Tables C.6-1 and C.6-5, all optional keys that we
 * keep).
 */
export const patientKeys: readonly string[] = [
  tags.PatientName,
  tags.PatientID,
  tags.IssuerOfPatientID,
  tags.IssuerOfPatientIDQualifiersSequence,
  tags.PatientBirthDate,
  tags.PatientBirthTime,
  tags.PatientSex,
  tags.OtherPatientIDs,
  tags.OtherPatientNames,
  tags.OtherPatientIDsSequence,
  tags.PatientBirthName,
  tags.EthnicGroup,
  tags.PatientSpeciesDescription,
  tags.PatientComments,
];

/** Counts of the patient level; only there. */
export const patientCountKeys: readonly string[] = [
  tags.NumberOfPatientRelatedStudies,
  tags.NumberOfPatientRelatedSeries,
  tags.NumberOfPatientRelatedInstances,
];

export const studyKeys: readonly string[] = [
  tags.StudyInstanceUID,
  tags.StudyDate,
  tags.StudyTime,
  tags.AccessionNumber,
  tags.IssuerOfAccessionNumberSequence,
  tags.StudyID,
  tags.StudyDescription,
  tags.ModalitiesInStudy,
  tags.SOPClassesInStudy,
  tags.ReferringPhysicianName,
  tags.NameOfPhysiciansReadingStudy,
  tags.PhysiciansOfRecord,
  tags.ProcedureCodeSequence,
  tags.AdmittingDiagnosesDescription,
  tags.PatientAge,
  tags.PatientSize,
  tags.PatientWeight,
  tags.Occupation,
  tags.AdditionalPatientHistory,
  tags.NumberOfStudyRelatedSeries,
  tags.NumberOfStudyRelatedInstances,
  tags.StudyStatusID,
  tags.StudyComments,
  tags.ReasonForStudy,
  tags.RequestingPhysician,
  tags.RequestingService,
  tags.RequestedProcedureDescription,
  tags.AdmissionID,
  tags.CurrentPatientLocation,
  tags.InterpretationStatusID,
];

export const seriesKeys: readonly string[] = [
  tags.SeriesInstanceUID,
  tags.Modality,
  tags.SeriesNumber,
  tags.SeriesDate,
  tags.SeriesTime,
  tags.SeriesDescription,
  tags.InstitutionName,
  tags.InstitutionalDepartmentName,
  tags.StationName,
  tags.Manufacturer,
  tags.ManufacturerModelName,
  tags.PerformingPhysicianName,
  tags.OperatorsName,
  tags.BodyPartExamined,
  tags.Laterality,
  tags.ProtocolName,
  tags.PatientPosition,
  tags.FrameOfReferenceUID,
  tags.PerformedProcedureStepStartDate,
  tags.PerformedProcedureStepStartTime,
  tags.PerformedProcedureStepID,
  tags.PerformedProcedureStepDescription,
  tags.RequestAttributesSequence,
  tags.NumberOfSeriesRelatedInstances,
];

export const imageKeys: readonly string[] = [
  tags.SOPInstanceUID,
  tags.SOPClassUID,
  tags.InstanceNumber,
  tags.ImageType,
  tags.AcquisitionNumber,
  tags.AcquisitionDate,
  tags.AcquisitionTime,
  tags.AcquisitionDateTime,
  tags.ContentDate,
  tags.ContentTime,
  tags.InstanceCreationDate,
  tags.InstanceCreationTime,
  tags.NumberOfFrames,
  tags.Rows,
  tags.Columns,
  tags.BitsAllocated,
  tags.ContentLabel,
  tags.ContentDescription,
  tags.ContentCreatorName,
  tags.PresentationCreationDate,
  tags.PresentationCreationTime,
  tags.ConceptNameCodeSequence,
  tags.CompletionFlag,
  tags.VerificationFlag,
  tags.ReferencedSeriesSequence,
];

export const headerTags = {
  patient: new Set(patientKeys),
  study: new Set(studyKeys),
  series: new Set(seriesKeys),
};

const keysOfLevel: { readonly [level in QueryLevel]: ReadonlySet<string> } = {
  PATIENT: new Set([...patientKeys, ...patientCountKeys]),
  STUDY: new Set([...patientKeys, ...studyKeys]),
  SERIES: new Set([...patientKeys, ...studyKeys, ...seriesKeys]),
  IMAGE: new Set([...patientKeys, ...studyKeys, ...seriesKeys, ...imageKeys]),
};

/**
 * Standard keys that are kept at a level: its own and those of the levels above (relational queries are always
 * answered).
 */
export function keysKept(level: QueryLevel): ReadonlySet<string> {
  return keysOfLevel[level];
}

/** Never matched: they speak about the answer or the request itself. */
export const unmatchedKeys: ReadonlySet<string> = new Set([
  tags.SpecificCharacterSet,
  tags.QueryRetrieveLevel,
  tags.RetrieveAETitle,
  tags.InstanceAvailability,
  tags.TimezoneOffsetFromUTC,
]);

/** Unique key of each level (PS3.4 C.6.1.1). */
export const uniqueKey: { readonly [level in QueryLevel]: string } = {
  PATIENT: tags.PatientID,
  STUDY: tags.StudyInstanceUID,
  SERIES: tags.SeriesInstanceUID,
  IMAGE: tags.SOPInstanceUID,
};
