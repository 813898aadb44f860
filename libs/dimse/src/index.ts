export { acceptAssociations } from './acceptor.ts';
export type { AcceptAssociationsOptions, Acceptor } from './acceptor.ts';
export { failureStatus } from './answers.ts';
export { commandField, decodeCommandSet, encodeCommandSet } from './command-set.ts';
export type { CommandSet, SubOperationCounts } from './command-set.ts';
export type { DataSetSource } from './data-set-sender.ts';
export {
  AssociationAbortedError,
  AssociationLostError,
  AssociationRejectedError,
  DataSetSourceError,
  DimseError,
  NoPresentationContextError,
  PoolExhaustedError,
  ResponseTimeoutError,
} from './errors.ts';
export { FindResponses } from './find-responses.ts';
export type { FindOutcome } from './find-responses.ts';
export type {
  AdmitRequest,
  AdmitResult,
  AdmittedContext,
  AssociationEvent,
  AssociationHandlers,
  AssociationInfo,
  CertificateFacts,
  ContextRejection,
  EchoRequest,
  FindRequest,
  FindRow,
  GetAnswer,
  GetRequest,
  MoveAnswer,
  MoveRequest,
  NActionRequest,
  NAnswer,
  NCreateRequest,
  NDeleteRequest,
  NEventReportRequest,
  NGetRequest,
  NSetRequest,
  OfferedContext,
  RequestorHandlers,
  ServiceName,
  StatusAnswer,
  StoreAnswer,
  StoreData,
  StoreRequest,
  TlsFacts,
} from './handlers.ts';
export { defaultLimits, dimseLimits } from './limits.ts';
export type { DimseLimits } from './limits.ts';
export { Occupancy } from './occupancy.ts';
export type { CommonExtendedNegotiation, ExtendedNegotiation, RoleSelection, UserIdentity } from './pdu.ts';
export { associationPool } from './pool.ts';
export type { AssociationPool, AssociationPoolOptions } from './pool.ts';
export { RequestedAssociation } from './requested-association.ts';
export type {
  AcceptedContext,
  EventReport,
  FindQuery,
  GetQuery,
  MoveOutcome,
  MoveQuery,
  NInstance,
  NOutcome,
  PeerInfo,
  ResponseOutcome,
  StoreObject,
} from './outcomes.ts';
export { defaultTimeouts, requestAssociation } from './requestor.ts';
export type { ContextProposal, RequestAssociationOptions, RequestTimeouts } from './requestor.ts';
export { bcp195, certificateFacts } from './tls.ts';
