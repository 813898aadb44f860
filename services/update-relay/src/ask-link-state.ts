import { dimseStatus, uids } from '@isthmus/dicom';
import { requestSubjects } from '@isthmus/domain';
import type { DimseFindAnswer, DimseFindRequest } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import { decodeLinkState, encodeLinkState } from './link-map.ts';
import type { LinkStateMessage } from './link-map.ts';

/** Link State rows that one answer may have; we write one. */
const rowsMax = 4;

/**
 * One Link State query to a peer, by way of our edge.
 *
 * @throws When the peer cannot be reached, refuses, or answers what cannot be read; the message says which.
 */
export async function askLinkState(
  to: {
    readonly aeTitle: string;
    readonly eventLog: { readonly requests: Pick<EventLog['requests'], 'askStream'> };
    readonly timeoutMs: number;
  },
  message: LinkStateMessage,
  signal: AbortSignal,
): Promise<LinkStateMessage> {
  const request: DimseFindRequest = {
    aeTitle: to.aeTitle,
    sopClassUids: [uids.IsthmusLinkStateFind],
    identifier: encodeLinkState(message),
    timeoutMs: to.timeoutMs,
    rowsMax,
  };
  const answers = to.eventLog.requests.askStream<DimseFindRequest, DimseFindAnswer>(
    requestSubjects.dimseFind,
    request,
    // The edge keeps the deadline; a little more here lets its own, better reason arrive.
    { timeoutMs: to.timeoutMs + 1_000, signal },
  );
  let answered: LinkStateMessage | undefined;
  for await (const answer of answers) {
    if ('row' in answer) {
      const read = decodeLinkState(answer.row);
      if (typeof read === 'string') throw new Error(`the answer cannot be read: ${read}`);
      answered = read;
    } else if (answer.done.status !== dimseStatus.Success) {
      const status = answer.done.status.toString(16).padStart(4, '0').toUpperCase();
      throw new Error(`status ${status}${answer.done.errorComment ? `: ${answer.done.errorComment}` : ''}`);
    }
  }
  if (!answered) throw new Error('no row in the answer');
  return answered;
}
