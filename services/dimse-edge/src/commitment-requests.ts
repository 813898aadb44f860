import { randomUUID } from 'node:crypto';
import { dimseStatus, isFailure, uids } from '@isthmus/dicom';
import { requestAssociation } from '@isthmus/dimse';
import type { NAnswer, NEventReportRequest } from '@isthmus/dimse';
import type { CommitAnswer, CommitRequest, Configuration } from '@isthmus/domain';
import { sleep } from '@isthmus/service-kit';
import type { Log } from '@isthmus/service-kit';
import { actionInformation, readCommitmentReport, requestStorageCommitment } from './commitment.ts';
import type { CommitmentReport } from './commitment.ts';
import { StationUnknownError, TooMuchWaitingError } from './errors.ts';
import { addressOf } from './outgoing.ts';
import type { CallingTls } from './outgoing.ts';

/** Requests of ours that wait for their report. */
const waitingMax = 1_000;

/** Storage commitment, as the one who asks. */
export interface CommitmentRequests {
  /**
   * Asks a station to commit to objects (N-ACTION), and waits for its report (N-EVENT-REPORT), on the same association or
   * on one that the station opens to this process.
   * @throws {StationUnknownError} {@link TooMuchWaitingError} What `requestAssociation` throws; nothing was asked.
   */
  ask(request: CommitRequest): Promise<CommitAnswer>;
  /** A report that came. @param peer - AE title of who sent it. */
  report(request: NEventReportRequest, peer: string): NAnswer;
}

interface Waiting {
  /** Station that was asked, by all its AE titles. */
  readonly aeTitles: readonly string[];
  readonly resolve: (report: CommitmentReport) => void;
}

export function createCommitmentRequests(parts: {
  readonly ourAeTitle: () => string;
  readonly configuration: () => Configuration;
  readonly tls: CallingTls;
  readonly log: Log;
}): CommitmentRequests {
  const waiting = new Map<string, Waiting>();

  const report = (request: NEventReportRequest, peer: string): NAnswer => {
    if (request.sopClassUid !== uids.StorageCommitmentPushModel)
      return { status: dimseStatus.NoSuchSopClass };
    const told = readCommitmentReport(request.dataSet, request.transferSyntaxUid);
    const facts = { peer, transactionUid: told?.transactionUid };
    if (told === undefined) {
      parts.log.warn(facts, 'storage commitment: a report that cannot be read');
      return {
        status: dimseStatus.InvalidArgumentValue,
        errorComment: 'The event information cannot be read',
      };
    }
    const asker = waiting.get(told.transactionUid);
    if (asker === undefined || !asker.aeTitles.includes(peer)) {
      parts.log.warn(facts, 'storage commitment: a report that was not asked for');
      return { status: dimseStatus.ProcessingFailure, errorComment: 'No such transaction' };
    }
    asker.resolve(told);
    return { status: dimseStatus.Success };
  };

  const ask = async ({ aeTitle, instances, timeoutMs }: CommitRequest): Promise<CommitAnswer> => {
    const station = parts.configuration().stations.get(aeTitle);
    if (!station || station.port === 0) throw new StationUnknownError(aeTitle);
    if (waiting.size >= waitingMax) throw new TooMuchWaitingError('storage commitments of ours', waitingMax);
    const transactionUid = newUid();
    const reported = Promise.withResolvers<CommitmentReport>();
    waiting.set(transactionUid, {
      aeTitles: [station.aeTitle, ...station.alsoSendsAs],
      resolve: reported.resolve,
    });
    const overdue = new AbortController();
    try {
      const association = await requestAssociation({
        ...addressOf(station, parts.tls),
        callingAeTitle: parts.ourAeTitle(),
        contexts: [
          {
            sopClassUid: uids.StorageCommitmentPushModel,
            transferSyntaxUids: [uids.ExplicitVrLittleEndian, uids.ImplicitVrLittleEndian],
          },
        ],
        handlers: { nEventReport: async (request) => report(request, station.aeTitle) },
      });
      try {
        const { status, errorComment } = await association.nAction({
          sopClassUid: uids.StorageCommitmentPushModel,
          sopInstanceUid: uids.StorageCommitmentPushModelInstance,
          actionTypeId: requestStorageCommitment,
          dataSet: actionInformation({ transactionUid, instances }),
        });
        const comment = errorComment === undefined ? {} : { errorComment };
        if (isFailure(status)) return { outcome: 'refused', status, ...comment, committed: [], failed: [] };
        const late = sleep(timeoutMs, overdue.signal).then(() => undefined);
        const told = await Promise.race([reported.promise, late]);
        if (told === undefined) return { outcome: 'no-report', status, committed: [], failed: [] };
        return { outcome: 'reported', status, committed: told.committed, failed: told.failed };
      } finally {
        await association.release();
      }
    } finally {
      overdue.abort();
      waiting.delete(transactionUid);
    }
  };

  return { ask, report };
}

/** A UID of its own under 2.25 (PS3.5 B.2). */
export function newUid(): string {
  return `2.25.${BigInt(`0x${randomUUID().replaceAll('-', '')}`)}`;
}
