import { DataSetSourceError } from '@isthmus/dimse';
import type { GetAnswer, GetRequest, SubOperationCounts } from '@isthmus/dimse';
import { stationOfAeTitle } from '@isthmus/domain';
import type { LocatedInstance } from '@isthmus/domain';
import { answerRetrieve } from './c-move.ts';
import type { CMoveParts } from './c-move.ts';
import { outgoingObject } from './outgoing-object.ts';
import { note, sendEach, sentBy } from './send.ts';
import type { Sender, Sent } from './send.ts';

/**
 * Answers a C-GET: the same objects as for a C-MOVE, those that linked clusters bring included, on the association that
 * asked. An object whose class the peer does not take as SCP, or not in the transfer syntax that it came in, fails;
 * unless its station is configured for a conversion to one that it takes.
 */
export async function* handleCGet(
  request: GetRequest,
  parts: CMoveParts,
): AsyncGenerator<SubOperationCounts, GetAnswer, undefined> {
  const asker = stationOfAeTitle(parts.configuration(), request.association.callingAeTitle);
  return yield* answerRetrieve(request, parts, {
    operation: 'c-get',
    sender: senderTo(request, asker?.transcodeTo ?? [], parts),
    notFrom: [asker?.cluster, asker?.aeTitle],
  });
}

/** One is sent and answered while the next is read; the association does the rest in its order. */
const underWayMax = 2;

function senderTo(
  request: GetRequest,
  transcodeTo: readonly string[],
  { store, transcoder, metrics, log }: CMoveParts,
): Sender {
  const { callingAeTitle } = request.association;
  const trySend = async (instance: LocatedInstance): Promise<Sent> => {
    const { sopClassUid, sopInstanceUid } = instance;
    try {
      const accepted = request.accepted(sopClassUid);
      const outgoing = await outgoingObject(instance, accepted, transcodeTo, { store, transcoder });
      const { transferSyntaxUid, dataSet, done } = outgoing;
      try {
        return sentBy(await request.store({ sopClassUid, sopInstanceUid, transferSyntaxUid, dataSet }));
      } finally {
        await done();
      }
    } catch (error) {
      if (error instanceof DataSetSourceError)
        return { outcome: 'failed', why: 'The stored object cannot be read' };
      // Also when the association is lost: its signal ends the delivery then.
      return { outcome: 'failed', why: (error as Error).message };
    }
  };
  const send = async (instance: LocatedInstance): Promise<Sent> => {
    const sent = await trySend(instance);
    note(callingAeTitle, instance, sent, { metrics, log });
    return sent;
  };
  return { sendAll: (feed) => sendEach(feed, underWayMax, send) };
}
