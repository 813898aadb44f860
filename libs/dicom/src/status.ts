/**
 * Status words of DIMSE responses (PS3.7 Annex C, PS3.4 B.2.3, C.4). Names are ours, numbers the standard's. The
 * `Link…` ones are answers of our private Linked Update class (docs/CONFORMANCE.md).
 */
export const dimseStatus = {
  Success: 0x0000,
  Pending: 0xff00,
  /** Pending, and some optional keys were not supported. */
  PendingWarning: 0xff01,
  Cancel: 0xfe00,

  AttributeListError: 0x0107,
  SopClassNotSupported: 0x0122,
  ClassInstanceConflict: 0x0119,
  DuplicateSopInstance: 0x0111,
  DuplicateInvocation: 0x0210,
  InvalidAttributeValue: 0x0106,
  InvalidArgumentValue: 0x0115,
  InvalidSopInstance: 0x0117,
  MissingAttribute: 0x0120,
  MissingAttributeValue: 0x0121,
  MistypedArgument: 0x0212,
  NoSuchActionType: 0x0123,
  NoSuchAttribute: 0x0105,
  NoSuchEventType: 0x0113,
  NoSuchSopInstance: 0x0112,
  NoSuchSopClass: 0x0118,
  NotAuthorised: 0x0124,
  ProcessingFailure: 0x0110,
  ResourceLimitation: 0x0213,
  UnrecognisedOperation: 0x0211,

  OutOfResources: 0xa700,
  /** C-MOVE and C-GET: the number of matches cannot be determined. */
  UnableToCountMatches: 0xa701,
  /** C-MOVE and C-GET: sub-operations cannot be performed. */
  UnableToPerformSubOperations: 0xa702,
  MoveDestinationUnknown: 0xa801,
  /** C-STORE: data set does not match SOP class. C-FIND, C-MOVE, C-GET: identifier does not match SOP class. */
  DataSetDoesNotMatchSopClass: 0xa900,
  IdentifierDoesNotMatch: 0xa900,
  CannotUnderstand: 0xc000,
  UnableToProcess: 0xc001,
  LinkFormatUnknown: 0xc102,
  LinkIncarnationUnknown: 0xc103,
  LinkOff: 0xc104,

  CoercionOfDataElements: 0xb000,
  /** C-MOVE and C-GET: sub-operations complete, one or more failures or warnings. Same number as coercion. */
  SubOperationsWarning: 0xb000,
  ElementsDiscarded: 0xb006,
  DataSetDoesNotMatchSopClassWarning: 0xb007,
} as const;

/** `FF00` and `FF01`: more responses follow. */
export function isPending(status: number): boolean {
  return status === dimseStatus.Pending || status === dimseStatus.PendingWarning;
}

/** `Bxxx`, 0001, 0107 and 0116: done, with something to know (PS3.7 C.3). */
export function isWarning(status: number): boolean {
  return (status & 0xf000) === 0xb000 || status === 0x0001 || status === 0x0107 || status === 0x0116;
}

/** Neither success, pending, warning nor cancel. */
export function isFailure(status: number): boolean {
  return (
    status !== dimseStatus.Success &&
    status !== dimseStatus.Cancel &&
    !isPending(status) &&
    !isWarning(status)
  );
}
