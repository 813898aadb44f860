/**
 * Unique identifiers that the code names (PS3.6 Annex A), and our own (docs/CONFORMANCE.md). UIDs under 2.25 are
 * derived from UUIDs (PS3.5 B.2) and fixed for good. Storage classes and transfer syntaxes have tables of their own.
 */
export const uids = {
  ApplicationContext: '1.2.840.10008.3.1.1.1',

  VerificationSopClass: '1.2.840.10008.1.1',
  StorageCommitmentPushModel: '1.2.840.10008.1.20.1',
  StorageCommitmentPushModelInstance: '1.2.840.10008.1.20.1.1',
  ModalityPerformedProcedureStep: '1.2.840.10008.3.1.2.3.3',
  InstanceAvailabilityNotification: '1.2.840.10008.5.1.4.33',
  ModalityWorklistFind: '1.2.840.10008.5.1.4.31',

  PatientRootFind: '1.2.840.10008.5.1.4.1.2.1.1',
  PatientRootMove: '1.2.840.10008.5.1.4.1.2.1.2',
  PatientRootGet: '1.2.840.10008.5.1.4.1.2.1.3',
  StudyRootFind: '1.2.840.10008.5.1.4.1.2.2.1',
  StudyRootMove: '1.2.840.10008.5.1.4.1.2.2.2',
  StudyRootGet: '1.2.840.10008.5.1.4.1.2.2.3',

  ComputedRadiographyImageStorage: '1.2.840.10008.5.1.4.1.1.1',
  CTImageStorage: '1.2.840.10008.5.1.4.1.1.2',
  MRImageStorage: '1.2.840.10008.5.1.4.1.1.4',
  SecondaryCaptureImageStorage: '1.2.840.10008.5.1.4.1.1.7',
  GrayscaleSoftcopyPresentationStateStorage: '1.2.840.10008.5.1.4.1.1.11.1',
  BasicTextSRStorage: '1.2.840.10008.5.1.4.1.1.88.11',
  EnhancedSRStorage: '1.2.840.10008.5.1.4.1.1.88.22',
  KeyObjectSelectionDocumentStorage: '1.2.840.10008.5.1.4.1.1.88.59',
  MediaStorageDirectoryStorage: '1.2.840.10008.1.3.10',

  ImplicitVrLittleEndian: '1.2.840.10008.1.2',
  ExplicitVrLittleEndian: '1.2.840.10008.1.2.1',
  DeflatedExplicitVrLittleEndian: '1.2.840.10008.1.2.1.99',
  ExplicitVrBigEndian: '1.2.840.10008.1.2.2',

  /** C-STORE: a batch of linked updates. */
  IsthmusLinkedUpdateStorage: '2.25.22636134716226779298477430378341154241',
  /** C-FIND: specialises Study Root Query/Retrieve - FIND. */
  IsthmusLinkedQueryFind: '2.25.66707304599610652474660014869859581768',
  /** C-FIND: what two linked clusters tell each other about themselves. */
  IsthmusLinkStateFind: '2.25.315999470220272608173751444463038764288',
  IsthmusImplementationClass: '2.25.16791369519289775005394481436304133636',
} as const;

/** Tells whether `text` is a UID: digits in components without leading zeros, 64 characters at most (PS3.5 9.1). */
export function isUid(text: unknown): text is string {
  return typeof text === 'string' && text.length <= 64 && /^(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))*$/.test(text);
}

/**
 * A UID as it is met on the wire, and taken: components of digits, 64 characters at most. Leading zeros, which PS3.5 9.1
 * forbids, are common in old objects; empty components are not, and `..` must not become part of a name.
 */
export const uidPattern = /^(?=.{1,64}$)\d+(?:\.\d+)*$/;
