import { dimseStatus, isWarning, readFileMeta } from '@isthmus/dicom';
import type { DataSetSource, ResponseOutcome } from '@isthmus/dimse';
import type { LocatedInstance } from '@isthmus/domain';
import type { Log } from '@isthmus/service-kit';
import type { EdgeMetrics } from './metrics.ts';
import type { ObjectStore } from './object-store.ts';
import type { WorkQueue } from './work-queue.ts';

/** What became of one object. `warning`: taken, with something to know. */
export interface Sent {
  readonly outcome: 'sent' | 'warning' | 'failed';
  readonly status?: number;
  readonly why?: string;
}

/** The objects of one delivery. */
export interface Feed {
  readonly queue: WorkQueue<LocatedInstance>;
  /** Hears once of each object that was taken from the queue. */
  readonly told: (instance: LocatedInstance, sent: Sent) => void;
  /** Nothing more is taken from the queue; what is under way comes to its end. */
  readonly signal: AbortSignal;
}

/** Who takes the objects of deliveries. */
export interface Sender {
  /**
   * Sends what is in the queue and what comes, until it is closed or the signal is aborted; resolves when nothing is
   * under way any more. What cannot be sent fails object by object.
   * @throws {TooMuchWaitingError} As many deliveries as may wait for associations do; nothing was sent.
   */
  sendAll(feed: Feed): Promise<void>;
}

/** As many waits as it takes: the queue wakes its takers. */
const waitMs = 60_000;

/** Sends with so many objects under way at once, each by `send`, which never throws. */
export async function sendEach(
  { queue, told, signal }: Feed,
  underWayMax: number,
  send: (instance: LocatedInstance) => Promise<Sent>,
): Promise<void> {
  const sendInTurn = async (): Promise<void> => {
    for (;;) {
      const next = await queue.take({ waitMs, signal });
      if (next === 'closed' || next === 'aborted') return;
      if (next !== 'nothing') told(next, await send(next));
    }
  };
  await Promise.all(Array.from({ length: underWayMax }, sendInTurn));
}

/** A stored file as it is: its data set begins where its own file meta information says. */
export function storedDataSet(store: Pick<ObjectStore, 'absolute'>, file: string): DataSetSource {
  return { file: store.absolute(file), offset: (head) => readFileMeta(head).dataSetOffset };
}

/** What a status of C-STORE means for the object (PS3.4 B.2.3). */
export function sentBy({ status, errorComment }: ResponseOutcome): Sent {
  if (status === dimseStatus.Success) return { outcome: 'sent', status };
  return { outcome: isWarning(status) ? 'warning' : 'failed', status, why: errorComment };
}

/** Counts and logs one object. */
export function note(
  peer: string,
  { sopInstanceUid, fileBytes }: LocatedInstance,
  { outcome, status, why }: Sent,
  { metrics, log }: { readonly metrics: EdgeMetrics; readonly log: Log },
): void {
  const isTaken = outcome !== 'failed';
  metrics.sent(isTaken ? 'sent' : 'failed', isTaken ? fileBytes : 0);
  log[isTaken ? 'debug' : 'warn']({ peer, sopInstanceUid, status, why }, 'c-store sent');
}
