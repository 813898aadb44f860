import { element, isPrivateTag, tags } from '@isthmus/dicom';
import type { DataElement, DataSetJson } from '@isthmus/dicom';

/**
 * Keys that any Query/Retrieve SCP has to know: unique and required ones of PS3.4 Tables C.6-1 to C.6-5, and the level.
 * Orthanc answers 0 rows and success to a single key that it does not know, dcmqrscp ignores keys and still says FF00:
 * what is not here is filtered by query-federator, on our side.
 */
const knownEverywhere: ReadonlySet<string> = new Set([
  tags.SpecificCharacterSet,
  tags.QueryRetrieveLevel,
  tags.PatientName,
  tags.PatientID,
  tags.StudyDate,
  tags.StudyTime,
  tags.AccessionNumber,
  tags.StudyID,
  tags.StudyInstanceUID,
  tags.Modality,
  tags.SeriesNumber,
  tags.SeriesInstanceUID,
  tags.InstanceNumber,
  tags.SOPInstanceUID,
]);

/** Optional keys that archives commonly return; asked for without a value, so that they can narrow nothing. */
const askedWithoutValue: ReadonlySet<string> = new Set([
  tags.PatientBirthDate,
  tags.PatientSex,
  tags.StudyDescription,
  tags.ReferringPhysicianName,
  tags.ModalitiesInStudy,
  tags.NumberOfStudyRelatedSeries,
  tags.NumberOfStudyRelatedInstances,
  tags.NumberOfSeriesRelatedInstances,
  tags.SeriesDescription,
  tags.SOPClassUID,
]);

/**
 * An identifier as a third party gets it: never private elements, retired 0032 and 4008 ones, Issuer,
 * Timezone or Availability; values only for keys that every peer has to match.
 */
export function thirdPartyIdentifier(identifier: DataSetJson): DataSetJson {
  const sent: { [tag: string]: DataElement } = {};
  for (const [tag, key] of Object.entries(identifier)) {
    if (isPrivateTag(tag)) continue;
    if (knownEverywhere.has(tag)) sent[tag] = key;
    else if (askedWithoutValue.has(tag)) sent[tag] = element(key.vr);
  }
  return sent;
}
