import { dimseStatus, uids } from '@isthmus/dicom';
import type { NActionRequest, NAnswer } from '@isthmus/dimse';
import type { Log } from '@isthmus/service-kit';
import { readCommitmentRequest, requestStorageCommitment } from './commitment.ts';
import type { CommitmentReports } from './commitment-reports.ts';
import type { CommitmentRequests } from './commitment-requests.ts';
import { logFailure } from './dimse-status.ts';
import { ObjectStoreFullError, TooMuchWaitingError } from './errors.ts';

export interface CommitmentParts {
  readonly reports: Pick<CommitmentReports, 'accept'>;
  readonly requests: Pick<CommitmentRequests, 'report'>;
  readonly log: Log;
}

/**
 * Answers N-ACTION of the Storage Commitment Push Model (PS3.4 J.3.2). Success means that the request is durable and will
 * be reported on, not that anything is committed. Statuses: PS3.7 10.1.4.1.10.
 */
export async function handleCommitmentAction(
  request: NActionRequest,
  parts: CommitmentParts,
): Promise<NAnswer> {
  const { id: associationId, callingAeTitle: peer } = request.association;
  if (request.sopClassUid !== uids.StorageCommitmentPushModel) return { status: dimseStatus.NoSuchSopClass };
  if (request.sopInstanceUid !== uids.StorageCommitmentPushModelInstance) {
    return { status: dimseStatus.NoSuchSopInstance };
  }
  if (request.actionTypeId !== requestStorageCommitment) return { status: dimseStatus.NoSuchActionType };
  const asked = readCommitmentRequest(request.dataSet, request.transferSyntaxUid);
  if ('status' in asked) {
    parts.log.warn(
      { associationId, peer, status: asked.status, why: asked.errorComment },
      'n-action refused',
    );
    return asked;
  }
  const { transactionUid, instances } = asked;
  const facts = { associationId, peer, transactionUid, instances: instances.length };
  try {
    await parts.reports.accept({ aeTitle: peer, transactionUid, instances }, (report) =>
      request.nEventReport(report),
    );
    parts.log.info({ ...facts, status: dimseStatus.Success }, 'storage commitment: asked for');
    return { status: dimseStatus.Success };
  } catch (error) {
    const isShort = error instanceof TooMuchWaitingError || error instanceof ObjectStoreFullError;
    const status = isShort ? dimseStatus.ResourceLimitation : dimseStatus.ProcessingFailure;
    logFailure(parts.log, { ...facts, status }, error, 'storage commitment: not taken');
    return { status, errorComment: isShort ? 'No room for this request; try again later' : 'Internal error' };
  }
}
