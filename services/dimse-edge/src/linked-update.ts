import { dimseStatus } from '@isthmus/dicom';
import type { StoreAnswer, StoreRequest } from '@isthmus/dimse';
import { requestSubjects } from '@isthmus/domain';
import type { LinkedUpdateAnswer, LinkedUpdateReceived } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import type { Log } from '@isthmus/service-kit';
import { logFailure, statusOfService } from './dimse-status.ts';

/** What fits beside a request between services. */
export const linkedUpdateBytesMax = 480 * 1024;
/** The relay answers when the update is durable; a peer waits no longer than this for us. */
const relayTimeoutMs = 30_000;

/**
 * A C-STORE of the Linked Update class: kept in memory, given to update-relay, and answered with the relay's own
 * status.
 * It is no object: nothing goes to disk here, and what is durable is the relay's to say.
 * Whatever keeps the relay from answering becomes A700: the peer keeps the update and sends it again.
 */
export async function handleLinkedUpdate(
  request: StoreRequest,
  parts: { readonly eventLog: Pick<EventLog, 'requests'>; readonly log: Log },
): Promise<StoreAnswer> {
  const bytes = await readWhole(request.data, linkedUpdateBytesMax);
  if (bytes === undefined) {
    return { status: dimseStatus.CannotUnderstand, errorComment: 'Linked update is larger than 480 KiB' };
  }
  const facts = {
    associationId: request.association.id,
    sopInstanceUid: request.sopInstanceUid,
    peer: request.association.callingAeTitle,
    bytes: bytes.length,
  };
  try {
    const answer = statusOfService(
      await askRelay(request, bytes, parts.eventLog),
      'the answer of update-relay',
    );
    parts.log.info({ ...facts, status: answer.status, why: answer.errorComment }, 'linked update received');
    return answer;
  } catch (error) {
    const status = dimseStatus.OutOfResources;
    logFailure(parts.log, { ...facts, status }, error, 'linked update not taken');
    return { status, errorComment: 'update-relay could not take it' };
  }
}

function askRelay(
  request: StoreRequest,
  attachment: Buffer,
  eventLog: Pick<EventLog, 'requests'>,
): Promise<LinkedUpdateAnswer> {
  return eventLog.requests.ask<LinkedUpdateReceived, LinkedUpdateAnswer>(
    requestSubjects.linkedUpdate,
    {
      callingAeTitle: request.association.callingAeTitle,
      sopInstanceUid: request.sopInstanceUid,
      transferSyntaxUid: request.transferSyntaxUid,
    },
    { timeoutMs: relayTimeoutMs, attachment },
  );
}

/** All bytes, or undefined when there are more than `bytesMax`; what is too much is read and dropped. */
async function readWhole(data: AsyncIterable<Buffer>, bytesMax: number): Promise<Buffer | undefined> {
  let slices: Buffer[] = [];
  let bytes = 0;
  for await (const slice of data) {
    bytes += slice.length;
    if (bytes <= bytesMax) slices.push(slice);
    else slices = [];
  }
  return bytes <= bytesMax ? Buffer.concat(slices) : undefined;
}
