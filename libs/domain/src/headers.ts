import type { HeaderAttributes, InstanceStored } from './events.ts';
import { personNameText } from './person-name.ts';
import type { JsonValue, LwwRegister, RegisterMap } from './registers.ts';
import { patientKey } from './subjects.ts';

/** What one object's header says about its study and its patient. */
export interface HeaderRegisters {
  /** Which patient aggregate `patient` belongs to. */
  readonly patientKey: string;
  readonly study: RegisterMap;
  readonly patient: RegisterMap;
}

/** Value of a study's register `patient`. */
export interface PatientReference {
  readonly id: string;
  readonly issuer: string;
}

/**
 * Issuer that stands in for objects without a Patient ID: each such study is a patient of its own, or the
 * demographics of strangers would merge.
 */
export function unidentifiedIssuer(studyInstanceUid: string): string {
  return `study:${studyInstanceUid}`;
}

/** The patient that a header names. */
export function headerPatient(fact: InstanceStored): PatientReference {
  const id = textOf(fact.header, '00100020');
  return id === ''
    ? { id: '', issuer: unidentifiedIssuer(fact.studyInstanceUid) }
    : { id, issuer: textOf(fact.header, '00100021') || fact.issuer };
}

/**
 * Registers of rank 0 from an object's header. They carry no stamp and the SOP Instance UID as origin:
 * neither time nor cluster decides between two objects, so any order of arrival anywhere gives the same
 * state. Empty elements say nothing. A provisional fact (a copy from a linked cluster) says nothing about
 * who the patient is: that comes with the sender's state.
 */
export function headerRegisters(fact: InstanceStored): HeaderRegisters {
  const patient = headerPatient(fact);
  const register = (value: JsonValue): LwwRegister => ({
    t: 'lww',
    value,
    rank: 0,
    hlc: '',
    origin: fact.sopInstanceUid,
  });
  const known = (texts: { readonly [name: string]: string }): RegisterMap =>
    Object.fromEntries(
      Object.entries(texts).flatMap(([name, text]) => (text === '' ? [] : [[name, register(text)]])),
    );
  const study = known({
    accessionNumber: textOf(fact.header, '00080050'),
    studyDate: textOf(fact.header, '00080020'),
    studyTime: textOf(fact.header, '00080030'),
    studyDescription: textOf(fact.header, '00081030'),
    studyId: textOf(fact.header, '00200010'),
    referringPhysicianName: personNameText(valueOf(fact.header, '00080090')),
  });
  if (fact.provisional) return { patientKey: patientKey(patient.id, patient.issuer), study, patient: {} };
  return {
    patientKey: patientKey(patient.id, patient.issuer),
    study: { ...study, patient: register({ id: patient.id, issuer: patient.issuer }) },
    patient: {
      ...known({
        name: personNameText(valueOf(fact.header, '00100010')),
        birthDate: textOf(fact.header, '00100030'),
        sex: textOf(fact.header, '00100040'),
        globalId: globalPatientId(fact.header),
      }),
      id: register(patient.id),
      issuer: register(patient.issuer),
    },
  };
}

function valueOf(header: HeaderAttributes, tag: string): unknown {
  return Object.hasOwn(header, tag) ? header[tag]?.Value?.[0] : undefined;
}

function textOf(header: HeaderAttributes, tag: string): string {
  const value = valueOf(header, tag);
  return typeof value === 'string' ? value.trim() : typeof value === 'number' ? String(value) : '';
}

const linkedAttributesCreator = 'MITRA LINKED ATTRIBUTES 1.0';

/**
 * (0031,xx20) Global Patient ID in the block of its creator, wherever that lies; creators occur in both
 * cases.
 */
function globalPatientId(header: HeaderAttributes): string {
  for (const tag of Object.keys(header)) {
    if (!/^003100[1-9A-F][0-9A-F]$/.test(tag)) continue;
    if (textOf(header, tag).toUpperCase() === linkedAttributesCreator)
      return textOf(header, `0031${tag.slice(6)}20`);
  }
  return '';
}
