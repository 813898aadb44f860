export { uidPattern } from '@isthmus/dicom';
export { annotationOf, replacedBy } from './annotations.ts';
export type { Annotation } from './annotations.ts';
export {
  bucketDigests,
  bucketDigitsMax,
  bucketOf,
  changedBuckets,
  differences,
  lastingDifferences,
} from './bucket-digests.ts';
export type { BucketDigests, DigestExchange } from './bucket-digests.ts';
export { canonicalJson, compareText, own } from './canonical.ts';
export type {
  AnnounceObjects,
  ChangeReportStatus,
  ChangeStudy,
  DecideContext,
  Decision,
  RecordHolding,
  RecordVerification,
  Refusal,
  RefusalCode,
  RestoreValue,
  StudyCommand,
  StudyState,
  TransferHome,
} from './commands.ts';
export {
  certificateMismatch,
  emptyConfiguration,
  evolveConfiguration,
  isCertificateOf,
  linkAllows,
  linkOfStation,
  stationOfAeTitle,
  stationOfPeer,
} from './configuration.ts';
export type {
  CertificateName,
  ClusterConfiguration,
  Configuration,
  ConfigurationChange,
  ConfigurationChangedEvent,
  ConfigurationKind,
  Link,
  LinkOption,
  LinkSwitch,
  Station,
  StationKind,
} from './configuration.ts';
export { claimOf, lostClaims, mayCountOn } from './claims.ts';
export type { Claim, LostClaim } from './claims.ts';
export { conflictsBetween, lostTo } from './conflicts.ts';
export type { Conflict, ConflictSide } from './conflicts.ts';
export { decide } from './decide.ts';
export { patientKeysOf, patientOf } from './decide-change-study.ts';
export { decideClaim } from './decide-claim.ts';
export type {
  ClaimCommand,
  ClaimContext,
  ClaimDecision,
  ClaimRefusal,
  ClaimStudy,
  ExpireClaim,
  ReleaseClaim,
  RenewClaim,
  TakeOverClaim,
} from './decide-claim.ts';
export { announcedObjects } from './decide-holding.ts';
export { decidePatient } from './decide-patient.ts';
export type {
  ChangePatientIdentifier,
  MergePatients,
  PatientCommand,
  UnmergePatient,
} from './decide-patient.ts';
export { decideStructure, objectsPerCommandMax } from './decide-structure.ts';
export type {
  MergeStudies,
  MoveObjects,
  RejectObjects,
  RestoreObjects,
  StructureCommand,
  UnmergeStudies,
} from './decide-structure.ts';
export { digest, sha256 } from './digest.ts';
export type { EventEnvelope, StoredEvent } from './envelope.ts';
export {
  classesOf,
  classOfObject,
  classOfRegister,
  eventClasses,
  eventClassesVersion,
} from './event-classes.ts';
export type { EventClass } from './event-classes.ts';
export { lwwValue } from './events.ts';
export type {
  Change,
  ChangeEvent,
  ChangeType,
  HeaderAttributes,
  InstanceStored,
  InstanceStoredEvent,
  ObjectManifest,
  OrderPlaced,
  OrderPlacedEvent,
  VisitBooked,
  VisitBookedEvent,
} from './events.ts';
export { greatestStamp } from './greatest-stamp.ts';
export { headerPatient, headerRegisters, unidentifiedIssuer } from './headers.ts';
export type { HeaderRegisters, PatientReference } from './headers.ts';
export { isStamp, nextStamp, observe, stampLimit, stampMilliseconds, tick } from './hlc.ts';
export {
  holders,
  holdersOf,
  holdingOf,
  lwwRegister,
  mapEntries,
  patientHeldAt,
  patientsHeld,
  registerText,
} from './holders.ts';
export type { Availability, Holder, Holding, KnownAvailability } from './holders.ts';
export { homeOf, homeTerm } from './home.ts';
export {
  buildManifest,
  isImageModality,
  manifestDigest,
  manifestObjects,
  missingObjects,
} from './manifest.ts';
export type { ManifestObject } from './manifest.ts';
export { mergeRegister, mergeRegisters } from './merge.ts';
export { incomingLimits, isMalformed, parseEvent, parseManifest, parseRegisters } from './parse.ts';
export type { Malformed } from './parse.ts';
export { connectedKeys, mergeEdge, patientComponent, resolvePatient } from './patients.ts';
export type { MergeEdge, MergeKind, PatientStates, ResolvedPatient } from './patients.ts';
export { personNameJson, personNameText } from './person-name.ts';
export type { PersonNameJson } from './person-name.ts';
export type { JsonValue, LwwRegister, MapRegister, MaxRegister, Register, RegisterMap } from './registers.ts';
export {
  carriedManifest,
  carriedRegisters,
  comparedClasses,
  dueNow,
  profileWith,
  relayProfiles,
  timingOf,
} from './relay-profiles.ts';
export type { RelayProfile, Timing, WaitingChange } from './relay-profiles.ts';
export {
  firstOpener,
  isReportStatus,
  objectsSinceApproval,
  reportKey,
  reportStatuses,
  reportsOf,
  statusRank,
  studyReportStatus,
} from './reports.ts';
export type { Approval, KnownObjects, Report, ReportEntry, ReportStatus } from './reports.ts';
export { requestSubjects } from './requests.ts';
export type {
  ClusterOutcome,
  CommitAnswer,
  CommitRequest,
  DataSetJson,
  DimseFindAnswer,
  DimseFindRequest,
  DimseStoreAnswer,
  DimseStoreRequest,
  EchoAnswer,
  EchoRequest,
  FindAnswer,
  FindRequest,
  LinkedUpdateAnswer,
  LinkedUpdateReceived,
  LinkStateAnswer,
  LinkStateRequest,
  LocateAnswer,
  LocatedInstance,
  LocateRequest,
  NotifyAnswer,
  NotifyRequest,
  QueryLevel,
  RetrieveAnswer,
  RetrieveRequest,
  RoutesAnswer,
  SendAnswer,
  SendRequest,
} from './requests.ts';
export { mergeLinkMaps, nextHops, peersTowards } from './routes.ts';
export type { LinkMap, NeighbourList } from './routes.ts';
export { classDigests, holdingDigest, stateDigest } from './state-digest.ts';
export type { DigestedState } from './state-digest.ts';
export {
  derivedStudy,
  dividedReferences,
  isRejectionReason,
  isUrgentRejection,
  placeObjects,
  rejectionOf,
  rejectionReasons,
  resolveStudy,
  sourcesOf,
  structuralHolders,
  studyOfObject,
} from './structure.ts';
export type { PlacedObject, RejectionReason, StudyStates } from './structure.ts';
export { commentsOf, studyStamp, studyView } from './study-view.ts';
export type { StudyComment, StudyView } from './study-view.ts';
export {
  configSubject,
  instanceSubject,
  orderSubject,
  patientKey,
  patientSubject,
  readPatientKey,
  studySubject,
} from './subjects.ts';
export { fixupOf, verificationOf, verificationStates } from './verification.ts';
export type { Fixup, Verification, VerificationState } from './verification.ts';
