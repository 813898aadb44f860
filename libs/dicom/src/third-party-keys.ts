import { tags } from './tags.ts';

/**
 * Keys that any Query/Retrieve SCP has to know: unique and required ones of the level (PS3.4 Tables C.6-1 to C.6-5).
 * What a peer that publishes nothing may be asked with values: Orthanc answers no rows and Success to one key that it
 * does not know.
 */
export const thirdPartyKeys = {
  PATIENT: [tags.PatientName, tags.PatientID],
  STUDY: [
    tags.StudyDate,
    tags.StudyTime,
    tags.AccessionNumber,
    tags.PatientName,
    tags.PatientID,
    tags.StudyID,
    tags.StudyInstanceUID,
  ],
  SERIES: [tags.StudyInstanceUID, tags.Modality, tags.SeriesNumber, tags.SeriesInstanceUID],
  IMAGE: [tags.StudyInstanceUID, tags.SeriesInstanceUID, tags.InstanceNumber, tags.SOPInstanceUID],
} as const satisfies { readonly [level: string]: readonly string[] };

/**
 * Optional keys that archives commonly return: asked of third parties without a value, so that they can narrow nothing.
 */
export const thirdPartyReturnKeys = {
  PATIENT: [tags.PatientBirthDate, tags.PatientSex],
  STUDY: [
    tags.PatientBirthDate,
    tags.PatientSex,
    tags.StudyDescription,
    tags.ReferringPhysicianName,
    tags.ModalitiesInStudy,
    tags.NumberOfStudyRelatedSeries,
    tags.NumberOfStudyRelatedInstances,
  ],
  SERIES: [tags.SeriesDescription, tags.NumberOfSeriesRelatedInstances],
  IMAGE: [tags.SOPClassUID],
} as const satisfies { readonly [level in keyof typeof thirdPartyKeys]: readonly string[] };
