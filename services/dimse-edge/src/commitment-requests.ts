import { randomUUID } from 'node:crypto';
import { dimseStatus, isFailure, uids } from '@isthmus/dicom';
import { requestAssociation } from '@isthmus/dimse';
import type { NAnswer, NEventReportRequest } from '@isthmus/dimse';
import type { CommitAnswer, CommitRequest, Configuration } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import { sleep } from '@isthmus/service-kit';
import type { Log } from '@isthmus/service-kit';
import { actionInformation, readCommitmentReport, requestStorageCommitment } from './commitment.ts';
import type { CommitmentReport } from './commitment.ts';
import { StationUnknownError, TooMuchWaitingError } from './errors.ts';
import { addressOf } from './outgoing.ts';
import type { CallingTls } from './outgoing.ts';

/** Requests of ours that wait for their report. */
const waitingMax = 1_000;
/** How long the process that asked may take to take its report. */
const handOnMs = 5_000;

/** Storage commitment, as the one who asks. */
export interface CommitmentRequests {
  /**
   * Asks a station to commit to objects (N-ACTION), and waits for its report (N-EVENT-REPORT), on the same association or
   * on one that the station opens, to whichever process of this edge.
   * @throws {StationUnknownError} {@link TooMuchWaitingError} What `requestAssociation` throws; nothing was asked.
   */
  ask(request: CommitRequest): Promise<CommitAnswer>;
  /** A report that came. @param peer - AE title of who sent it. */
  report(request: NEventReportRequest, peer: string): Promise<NAnswer>;
}

/** A report, as processes hand it on to each other. */
interface Told {
  readonly peer: string;
  readonly report: CommitmentReport;
}

export function createCommitmentRequests(parts: {
  readonly ourAeTitle: () => string;
  readonly configuration: () => Configuration;
  readonly tls: CallingTls;
  readonly eventLog: Pick<EventLog, 'requests'>;
  readonly log: Log;
}): CommitmentRequests {
  const { requests } = parts.eventLog;
  let waiting = 0;

  const report = async (request: NEventReportRequest, peer: string): Promise<NAnswer> => {
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
    try {
      const subject = subjectOf(told.transactionUid);
      const { taken } = await requests.ask<Told, { taken: boolean }>(
        subject,
        { peer, report: told },
        { timeoutMs: handOnMs },
      );
      if (taken) return { status: dimseStatus.Success };
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'no-responder') throw error;
    }
    parts.log.warn(facts, 'storage commitment: a report that was not asked for');
    return { status: dimseStatus.ProcessingFailure, errorComment: 'No such transaction' };
  };

  const ask = async ({ aeTitle, instances, timeoutMs }: CommitRequest): Promise<CommitAnswer> => {
    const station = parts.configuration().stations.get(aeTitle);
    if (!station || station.port === 0) throw new StationUnknownError(aeTitle);
    if (waiting >= waitingMax) throw new TooMuchWaitingError('storage commitments of ours', waitingMax);
    const transactionUid = newUid();
    const reported = Promise.withResolvers<CommitmentReport>();
    const aeTitles = [station.aeTitle, ...station.alsoSendsAs];
    waiting += 1;
    const stopListening = requests.answer<Told, { taken: boolean }>(
      subjectOf(transactionUid),
      async ({ payload }) => {
        const taken = aeTitles.includes(payload.peer);
        if (taken) reported.resolve(payload.report);
        return { taken };
      },
    );
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
      waiting -= 1;
      await stopListening();
    }
  };

  return { ask, report };
}

/** Whoever asked answers to this, in whatever process the report comes in. */
function subjectOf(transactionUid: string): string {
  return `dimse.commitment.${transactionUid.replaceAll('.', '-')}`;
}

/** A UID of its own under 2.25 (PS3.5 B.2). */
export function newUid(): string {
  return `2.25.${BigInt(`0x${randomUUID().replaceAll('-', '')}`)}`;
}
