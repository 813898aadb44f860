import {
  decodeDataSet,
  dimseStatus,
  element,
  itemsOf,
  stringOf,
  stringsOf,
  tags,
  uidPattern,
} from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import type { StatusAnswer } from '@isthmus/dimse';

/** One object, as storage commitment names it. */
export interface InstanceReference {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
}

/** What is asked for by N-ACTION (PS3.4 J.3.2.1.2). */
export interface CommitmentRequest {
  readonly transactionUid: string;
  readonly instances: readonly InstanceReference[];
}

/** What is told by N-EVENT-REPORT (PS3.4 J.3.3.1.2). */
export interface CommitmentReport {
  readonly transactionUid: string;
  readonly committed: readonly InstanceReference[];
  /** `reason`: Failure Reason (0008,1197), a status word; 0 when the peer gave none. */
  readonly failed: readonly (InstanceReference & { readonly reason: number })[];
}

/** Action Type: Request Storage Commitment (PS3.4 J.3.2.1.1). */
export const requestStorageCommitment = 1;
/** Event Types (PS3.4 J.3.3.1.1). */
export const storageCommitmentSuccessful = 1;
export const storageCommitmentFailuresExist = 2;
/** Objects of one request. */
export const instancesMax = 20_000;

/** Reads Action Information. @returns Why it is refused, when it is not what PS3.4 J.3.2.1.2 asks for. */
export function readCommitmentRequest(
  dataSet: Buffer | undefined,
  transferSyntaxUid: string,
): CommitmentRequest | StatusAnswer {
  const row = readRow(dataSet, transferSyntaxUid);
  if (row === undefined) return invalid('The action information cannot be read');
  const transactionUid = uidOf(row, tags.TransactionUID);
  if (transactionUid === undefined) return invalid('Transaction UID (0008,1195) is missing or not a UID');
  const items = itemsOf(row, tags.ReferencedSOPSequence);
  if (items.length === 0) return invalid('Referenced SOP Sequence (0008,1199) is missing or empty');
  if (items.length > instancesMax) {
    return { status: dimseStatus.ResourceLimitation, errorComment: `More than ${instancesMax} objects` };
  }
  const instances = items.map(referenceOf);
  if (instances.includes(undefined)) return invalid('A referenced SOP Class or Instance UID is no UID');
  return { transactionUid, instances: instances as InstanceReference[] };
}

/** Action Information of a request of ours. */
export function actionInformation({ transactionUid, instances }: CommitmentRequest): DataSetJson {
  return {
    [tags.TransactionUID]: element('UI', transactionUid),
    [tags.ReferencedSOPSequence]: { vr: 'SQ', Value: instances.map(referenceItem) },
  };
}

/** Event type and Event Information of a report of ours. */
export function eventInformation(
  { transactionUid, committed, failed }: CommitmentReport,
  retrieveAeTitle: string,
): { readonly eventTypeId: number; readonly dataSet: DataSetJson } {
  const dataSet: DataSetJson = {
    [tags.RetrieveAETitle]: element('AE', retrieveAeTitle),
    [tags.TransactionUID]: element('UI', transactionUid),
    ...(committed.length > 0 && {
      [tags.ReferencedSOPSequence]: { vr: 'SQ', Value: committed.map(referenceItem) },
    }),
    ...(failed.length > 0 && {
      [tags.FailedSOPSequence]: {
        vr: 'SQ',
        Value: failed.map((one) => ({
          ...referenceItem(one),
          [tags.FailureReason]: { vr: 'US', Value: [one.reason] },
        })),
      },
    }),
  };
  const eventTypeId = failed.length > 0 ? storageCommitmentFailuresExist : storageCommitmentSuccessful;
  return { eventTypeId, dataSet };
}

/** Reads Event Information of a peer. Objects that it does not name are neither committed nor failed. */
export function readCommitmentReport(
  dataSet: Buffer | undefined,
  transferSyntaxUid: string,
): CommitmentReport | undefined {
  const row = readRow(dataSet, transferSyntaxUid);
  const transactionUid = row && uidOf(row, tags.TransactionUID);
  if (row === undefined || transactionUid === undefined) return undefined;
  const named = (tag: string) =>
    itemsOf(row, tag).flatMap((item) => {
      const reference = referenceOf(item);
      const reason = Number(stringOf(item, tags.FailureReason) ?? 0);
      return reference === undefined ? [] : [{ ...reference, reason }];
    });
  return {
    transactionUid,
    committed: named(tags.ReferencedSOPSequence).map(({ reason: _none, ...reference }) => reference),
    failed: named(tags.FailedSOPSequence),
  };
}

function referenceItem({ sopClassUid, sopInstanceUid }: InstanceReference): DataSetJson {
  return {
    [tags.ReferencedSOPClassUID]: element('UI', sopClassUid),
    [tags.ReferencedSOPInstanceUID]: element('UI', sopInstanceUid),
  };
}

function referenceOf(item: DataSetJson): InstanceReference | undefined {
  const sopClassUid = uidOf(item, tags.ReferencedSOPClassUID);
  const sopInstanceUid = uidOf(item, tags.ReferencedSOPInstanceUID);
  return sopClassUid === undefined || sopInstanceUid === undefined
    ? undefined
    : { sopClassUid, sopInstanceUid };
}

function uidOf(row: DataSetJson, tag: string): string | undefined {
  const [uid, ...more] = stringsOf(row, tag);
  return uid !== undefined && more.length === 0 && uidPattern.test(uid) ? uid : undefined;
}

function readRow(dataSet: Buffer | undefined, transferSyntaxUid: string): DataSetJson | undefined {
  try {
    return dataSet && decodeDataSet(dataSet, transferSyntaxUid);
  } catch {
    return undefined;
  }
}

function invalid(errorComment: string): StatusAnswer {
  return { status: dimseStatus.InvalidArgumentValue, errorComment };
}
