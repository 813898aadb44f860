import { instanceSubject, uidPattern } from '@isthmus/domain';
import type { LocateRequest } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import type { Projection } from '@isthmus/service-kit';

/** Studies whose newest object is looked up each; for more of them, and for a patient, the whole log counts. */
const studiesEachMax = 50;

/** The index does not have what the log has, and did not catch up in time. */
export class IndexBehindError extends Error {
  readonly code = 'INDEX_BEHIND';
  readonly remedy = 'Ask again; when it stays so, look at the projection `instances` of query-federator.';
  constructor(sequence: number, checkpoint: number) {
    super(`the index is at ${checkpoint} of the log, objects that are asked for at ${sequence}`);
  }
}

export interface UpToDateParts {
  readonly eventLog: Pick<EventLog, 'lastOf' | 'lastSequence'>;
  /** The projection of INSTANCES. */
  readonly instances: Pick<Projection, 'waitFor' | 'checkpoint'>;
  /** Longest wait, in ms. */
  readonly timeoutMs: number;
}

/**
 * Waits until the index has every object of the studies that the log has now. C-STORE is answered when the object is in
 * the log, so a retrieve that comes after it would else succeed without the object. Objects of other studies are
 * not waited for.
 * @throws {IndexBehindError}
 */
export async function upToDate(request: LocateRequest, parts: UpToDateParts): Promise<void> {
  const { eventLog, instances, timeoutMs } = parts;
  const studies = new Set(request.studyInstanceUids.filter((uid) => uidPattern.test(uid)));
  let sequence = 0;
  if (studies.size === 0 || studies.size > studiesEachMax)
    sequence = await eventLog.lastSequence('INSTANCES');
  else {
    const newest = [...studies].map((uid) => eventLog.lastOf('INSTANCES', instanceSubject(uid)));
    for (const event of await Promise.all(newest)) sequence = Math.max(sequence, event?.sequence ?? 0);
  }
  if (await instances.waitFor(sequence, timeoutMs)) return;
  throw new IndexBehindError(sequence, instances.checkpoint());
}
