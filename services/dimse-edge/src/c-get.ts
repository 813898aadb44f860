import { dimseStatus, isWarning } from '@isthmus/dicom';
import type { GetAnswer, GetRequest, SubOperationCounts } from '@isthmus/dimse';
import { stationOfAeTitle } from '@isthmus/domain';
import type { LocatedInstance } from '@isthmus/domain';
import { answerRetrieve } from './c-move.ts';
import type { CMoveParts } from './c-move.ts';
import type { Sender, Sent } from './send.ts';

/**
 * Answers a C-GET: the same objects as for a C-MOVE, those that linked clusters bring included, on the association that
 * asked. An object whose class the peer does not take as SCP, or not in the transfer syntax that it came in, fails.
 */
export async function* handleCGet(
  request: GetRequest,
  parts: CMoveParts,
): AsyncGenerator<SubOperationCounts, GetAnswer, undefined> {
  const asker = stationOfAeTitle(parts.configuration(), request.association.callingAeTitle);
  return yield* answerRetrieve(request, parts, {
    operation: 'c-get',
    sender: senderTo(request, parts),
    notFrom: [asker?.cluster, asker?.aeTitle],
  });
}

function senderTo(request: GetRequest, parts: CMoveParts): Sender {
  const { store, metrics, log } = parts;
  const trySend = async (instance: LocatedInstance): Promise<Sent> => {
    const { sopClassUid, sopInstanceUid, transferSyntaxUid, file } = instance;
    const offset = await store.dataSetOffset(file).catch(() => undefined);
    if (offset === undefined) return { outcome: 'failed', why: 'The stored object cannot be read' };
    try {
      const dataSet = { file: store.absolute(file), offset };
      const answer = await request.store({ sopClassUid, sopInstanceUid, transferSyntaxUid, dataSet });
      if (answer.status === dimseStatus.Success) return { outcome: 'sent', status: answer.status };
      const outcome = isWarning(answer.status) ? 'warning' : 'failed';
      return { outcome, status: answer.status, why: answer.errorComment };
    } catch (error) {
      // Also when the association is lost: its signal ends the delivery then.
      return { outcome: 'failed', why: (error as Error).message };
    }
  };
  return {
    send: async (instance) => {
      const sent = await trySend(instance);
      const ok = sent.outcome !== 'failed';
      metrics.sent(ok ? 'sent' : 'failed', ok ? instance.fileBytes : 0);
      const { sopInstanceUid } = instance;
      const facts = {
        peer: request.association.callingAeTitle,
        sopInstanceUid,
        status: sent.status,
        why: sent.why,
      };
      log[ok ? 'debug' : 'warn'](facts, 'c-store sent');
      return sent;
    },
    end: async () => {},
  };
}
