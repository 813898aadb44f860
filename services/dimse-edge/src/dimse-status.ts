import { dimseStatus } from '@isthmus/dicom';
import type { StatusAnswer } from '@isthmus/dimse';
import type { Log } from '@isthmus/service-kit';
import { ObjectStoreFailedError, ObjectStoreFullError, ServiceAnswerError } from './errors.ts';

/** Codes of errors after which the same request can succeed later: the peer should keep what it has and try again. */
const tryAgain: ReadonlyMap<string, string> = new Map([
  ['log-full', 'The event log is full'],
  ['log-unavailable', 'The event log cannot be reached'],
  ['no-responder', 'The service that answers this is not running'],
  ['request-timeout', 'The service that answers this was too slow'],
  ['append-refused', 'The event log refused the event'],
  ['INDEX_BEHIND', 'The index is behind the log'],
  ['TOO_MUCH_WAITING', 'Too much work is waiting'],
]);

/**
 * The status word that an error of ours becomes (PS3.7 Annex C, PS3.4 B.2.3 and C.4). One function for all services:
 * A700 when trying again can help, else C000. The comment names no patient data, and fits into 64 characters.
 */
export function statusOfError(error: unknown): StatusAnswer {
  if (error instanceof ObjectStoreFullError) {
    return { status: dimseStatus.OutOfResources, errorComment: 'The object store has no room' };
  }
  if (error instanceof ObjectStoreFailedError) {
    return { status: dimseStatus.OutOfResources, errorComment: 'The object store failed' };
  }
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return { status: dimseStatus.OutOfResources, errorComment: 'It took longer than allowed' };
  }
  const comment = tryAgain.get(String((error as { code?: unknown } | undefined)?.code));
  if (comment !== undefined) return { status: dimseStatus.OutOfResources, errorComment: comment };
  return { status: dimseStatus.CannotUnderstand, errorComment: 'Internal error' };
}

/**
 * The status word and comment that another service gave.
 * @param what - Names the answer, for the log.
 * @throws {ServiceAnswerError} There is no status word in it: a peer must never get a response without one.
 */
export function statusOfService(answer: unknown, what: string): StatusAnswer {
  const { status, errorComment } = (answer ?? {}) as { status?: unknown; errorComment?: unknown };
  const isStatus = typeof status === 'number' && Number.isInteger(status) && status >= 0 && status <= 0xffff;
  if (!isStatus) throw new ServiceAnswerError(what);
  return { status, ...(typeof errorComment === 'string' ? { errorComment } : {}) };
}

/** One line for what will be tried again (a service that starts, a log that is away), the whole error for the rest. */
export function logFailure(
  log: Log,
  facts: { readonly status: number },
  error: unknown,
  message: string,
): void {
  const { code } = error as { code?: unknown };
  if (facts.status === dimseStatus.OutOfResources)
    log.warn({ ...facts, code, why: (error as Error).message }, message);
  else log.error({ ...facts, err: error }, message);
}

/** How a status counts in metrics and logs. */
export function outcomeOf(status: number): 'success' | 'warning' | 'cancel' | 'failure' {
  if (status === dimseStatus.Success) return 'success';
  if (status === dimseStatus.Cancel) return 'cancel';
  return (status & 0xf000) === 0xb000 ? 'warning' : 'failure';
}
