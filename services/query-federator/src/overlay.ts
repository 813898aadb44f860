import { element, stringOf, tags } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { lwwRegister, patientKey } from '@isthmus/domain';
import type { RegisterMap } from '@isthmus/domain';
import { hasLinkedFacts, linkedElements, readLinkedFacts } from './linked-row.ts';
import { holdersKnown, interpretationStatus, stateElements, viewOf } from './rows.ts';
import type { Here, StudyRecord } from './rows.ts';

/**
 * Lays what is known here over a row of a peer: a corrected name or a newer status never comes back stale. Nothing is
 * laid over a row whose sender knows a newer state, nor over one of another patient, unless somebody here moved the
 * study to the patient that we know (then the row is the stale one).
 */
export function overlayRow(row: DataSetJson, record: StudyRecord | undefined, here: Here): DataSetJson {
  if (!record || record.stamp === '') return row;
  const view = viewOf(record);
  const facts = readLinkedFacts(row);
  if (facts.stateAsOf !== '' && (view.stateAsOf ?? '') < facts.stateAsOf) return row;
  if (!samePatient(row, view.patient) && (lwwRegister(record.registers, 'patient')?.rank ?? 0) === 0)
    return row;
  const known = { ...row, ...stateElements(record, view) };
  if (!hasLinkedFacts(row)) return known;
  const named = new Set(facts.holders.map((holder) => holder.cluster));
  const others = holdersKnown(record, view, here).filter((holder) => !named.has(holder.cluster));
  return {
    ...known,
    ...linkedElements({
      ...facts,
      reportStatus: view.reportStatus,
      subStatus: view.reports[0]?.subStatus ?? '',
      globalPatientId: view.patient.globalId === '' ? facts.globalPatientId : view.patient.globalId,
      homeCluster: view.homeCluster ?? facts.homeCluster,
      holders: [...facts.holders, ...others],
      reports: view.reports,
      comments: view.comments,
      stateAsOf: view.stateAsOf ?? '',
    }),
  };
}

function samePatient(row: DataSetJson, patient: { readonly id: string; readonly issuer: string }): boolean {
  const id = stringOf(row, tags.PatientID);
  if (id === undefined || patient.id === '') return true;
  return (
    patientKey(id, stringOf(row, tags.IssuerOfPatientID) ?? '') === patientKey(patient.id, patient.issuer)
  );
}

/** The same for a row of the patient level, which names a patient and no study. */
export function overlayPatientRow(row: DataSetJson, registers: RegisterMap | undefined): DataSetJson {
  if (!registers) return row;
  const id = stringOf(row, tags.PatientID) ?? '';
  const issuer = stringOf(row, tags.IssuerOfPatientID) ?? '';
  const reference = { t: 'lww', value: { id, issuer }, rank: 0, hlc: '', origin: '' } as const;
  const state = { registers: { patient: reference }, patientRegisters: registers };
  return { ...row, ...stateElements(state, viewOf(state)) };
}

/**
 * A row of a third party in our terms: it keeps no report status, so that is UNKNOWN, an empty element in DICOM,
 * whatever it sent.
 */
export function withoutStatus(row: DataSetJson): DataSetJson {
  return { ...row, [tags.InterpretationStatusID]: element('CS', interpretationStatus['UNKNOWN'] ?? '') };
}

/** Names the issuer of a Patient ID that came without one. */
export function withIssuer(row: DataSetJson, patientDomain: string): DataSetJson {
  if (stringOf(row, tags.PatientID) === undefined || stringOf(row, tags.IssuerOfPatientID) !== undefined)
    return row;
  return { ...row, [tags.IssuerOfPatientID]: element('LO', patientDomain) };
}
