import { dimseStatus, stringOf, stringsOf, tags, uids } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { uidPattern } from '@isthmus/domain';
import type { LocateRequest, QueryLevel } from '@isthmus/domain';

/** Why an identifier is refused. The comment fits into Error Comment (64 characters). */
export interface IdentifierRefusal {
  readonly status: number;
  readonly errorComment: string;
}

export type QueryModel = 'PATIENT_ROOT' | 'STUDY_ROOT';

const patientRoot: ReadonlySet<string> = new Set([
  uids.PatientRootFind,
  uids.PatientRootMove,
  uids.PatientRootGet,
]);
const levels: readonly QueryLevel[] = ['PATIENT', 'STUDY', 'SERIES', 'IMAGE'];

/** The information model of a Query/Retrieve SOP class; our linked query specialises Study Root. */
export function modelOf(sopClassUid: string): QueryModel {
  return patientRoot.has(sopClassUid) ? 'PATIENT_ROOT' : 'STUDY_ROOT';
}

/** Query/Retrieve Level of an identifier (PS3.4 C.2.2.2): required, and one of the model's. */
export function levelOf(identifier: DataSetJson, model: QueryModel): QueryLevel | IdentifierRefusal {
  const text = stringOf(identifier, tags.QueryRetrieveLevel)?.trim();
  if (text === undefined || text === '') return mismatch('Query/Retrieve Level (0008,0052) is missing');
  const level = levels.find((one) => one === text);
  if (level === undefined) return mismatch('Query/Retrieve Level (0008,0052) is not known');
  if (level === 'PATIENT' && model === 'STUDY_ROOT') return mismatch('Study Root has no PATIENT level');
  return level;
}

/**
 * What a C-MOVE or C-GET asks for (PS3.4 C.4.2.1.4): the unique keys of its level, lists allowed at STUDY, SERIES and IMAGE; a
 * single study above them. Other keys are passed by: a retrieve has no matching keys.
 */
export function scopeOfMove(identifier: DataSetJson, model: QueryModel): LocateRequest | IdentifierRefusal {
  const level = levelOf(identifier, model);
  if (typeof level !== 'string') return level;
  const patientId = stringOf(identifier, tags.PatientID);
  if (level === 'PATIENT') {
    if (patientId === undefined) return mismatch('Patient ID (0010,0020) is missing');
    return { level, patientId, studyInstanceUids: [] };
  }
  const studyInstanceUids = uidsOf(identifier, tags.StudyInstanceUID);
  if (!studyInstanceUids) return mismatch('Study Instance UID (0020,000D) is missing or not a UID');
  if (level === 'STUDY') return { level, studyInstanceUids };
  if (studyInstanceUids.length > 1) return mismatch('One Study Instance UID is allowed at this level');
  const seriesInstanceUids = uidsOf(identifier, tags.SeriesInstanceUID);
  if (level === 'SERIES') {
    if (!seriesInstanceUids) return mismatch('Series Instance UID (0020,000E) is missing or not a UID');
    return { level, studyInstanceUids, seriesInstanceUids };
  }
  const sopInstanceUids = uidsOf(identifier, tags.SOPInstanceUID);
  if (!sopInstanceUids) return mismatch('SOP Instance UID (0008,0018) is missing or not a UID');
  return { level, studyInstanceUids, ...(seriesInstanceUids ? { seriesInstanceUids } : {}), sopInstanceUids };
}

export function isRefusal(value: object | string): value is IdentifierRefusal {
  return typeof value === 'object' && 'errorComment' in value;
}

/** Undefined when there is none, or one of them is no UID (a wildcard, for instance). */
function uidsOf(identifier: DataSetJson, tag: string): readonly string[] | undefined {
  const values = stringsOf(identifier, tag);
  return values.length > 0 && values.every((uid) => uidPattern.test(uid)) ? [...new Set(values)] : undefined;
}

function mismatch(errorComment: string): IdentifierRefusal {
  return { status: dimseStatus.IdentifierDoesNotMatch, errorComment };
}
