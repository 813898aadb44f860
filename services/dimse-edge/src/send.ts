import { dimseStatus, isWarning } from '@isthmus/dicom';
import { NoPresentationContextError, requestAssociation } from '@isthmus/dimse';
import type { RequestedAssociation } from '@isthmus/dimse';
import type { LocatedInstance, Station } from '@isthmus/domain';
import type { Log } from '@isthmus/service-kit';
import type { EdgeMetrics } from './metrics.ts';
import type { ObjectStore } from './object-store.ts';
import { addressOf } from './outgoing.ts';

/** PS3.8 9.3.2.2: presentation context ids are the odd numbers from 1 to 255. */
const contextsMax = 128;

/** What became of one object. `warning`: taken, with something to know. */
export interface Sent {
  readonly outcome: 'sent' | 'warning' | 'failed';
  readonly status?: number;
  readonly why?: string;
}

export interface Sender {
  /**
   * Sends one object as it lies on disk, in the transfer syntax it came in. Never throws: a destination that does not take
   * that syntax, or does not answer, fails this object.
   * @param upcoming - Objects that will follow, so that their contexts are proposed in the same association.
   */
  send(instance: LocatedInstance, upcoming: readonly LocatedInstance[]): Promise<Sent>;
  /** Releases the association. Never throws. */
  end(): Promise<void>;
}

export interface SenderParts {
  readonly ourAeTitle: () => string;
  readonly store: ObjectStore;
  readonly metrics: EdgeMetrics;
  readonly log: Log;
}

/**
 * C-STORE to one destination, one object at a time over one association. A context holds one SOP class with one transfer
 * syntax: the stored one. The association is made anew when an object needs a context that was not proposed, and once
 * more when it is lost.
 *
 * @param options.moveOriginator - Set when this is a sub-operation of a C-MOVE: who asked, and its message id.
 */
export function createSender(
  destination: Station,
  parts: SenderParts,
  options: { readonly moveOriginator?: { readonly aeTitle: string; readonly messageId: number } } = {},
): Sender {
  let association: RequestedAssociation | undefined;
  let proposed = new Map<string, LocatedInstance>();
  /** Once the destination cannot be reached, the objects behind are not tried one by one against its timeout. */
  let unreachable: string | undefined;

  const open = async (instance: LocatedInstance, upcoming: readonly LocatedInstance[]) => {
    const wanted = new Map<string, LocatedInstance>();
    for (const one of [instance, ...upcoming, ...proposed.values()]) {
      if (wanted.size < contextsMax) wanted.set(contextOf(one), one);
    }
    await association?.release().catch(() => {});
    association = undefined;
    proposed = wanted;
    association = await requestAssociation({
      ...addressOf(destination),
      callingAeTitle: parts.ourAeTitle(),
      contexts: [...wanted.values()].map(({ sopClassUid, transferSyntaxUid }) => ({
        sopClassUid,
        transferSyntaxUids: [transferSyntaxUid],
      })),
    });
    return association;
  };

  const attempt = async (instance: LocatedInstance, upcoming: readonly LocatedInstance[]): Promise<Sent> => {
    // Before anything is sent: a file that is gone is no reason to end the association.
    const offset = await parts.store.dataSetOffset(instance.file).catch(() => undefined);
    if (offset === undefined) return { outcome: 'failed', why: 'The stored object cannot be read' };
    const ready = proposed.has(contextOf(instance)) ? association : undefined;
    const current =
      ready ??
      (await open(instance, upcoming).catch((error: Error) => {
        unreachable = error.message;
        throw error;
      }));
    const { status, errorComment } = await current.cStore({
      sopClassUid: instance.sopClassUid,
      sopInstanceUid: instance.sopInstanceUid,
      transferSyntaxUid: instance.transferSyntaxUid,
      dataSet: { file: parts.store.absolute(instance.file), offset },
      ...(options.moveOriginator ? { moveOriginator: options.moveOriginator } : {}),
    });
    if (status === dimseStatus.Success) return { outcome: 'sent', status };
    return { outcome: isWarning(status) ? 'warning' : 'failed', status, why: errorComment };
  };

  const send = async (instance: LocatedInstance, upcoming: readonly LocatedInstance[]): Promise<Sent> => {
    for (let tries = 1; ; tries++) {
      if (unreachable !== undefined) return { outcome: 'failed', why: unreachable };
      try {
        return await attempt(instance, upcoming);
      } catch (error) {
        if (error instanceof NoPresentationContextError) return { outcome: 'failed', why: error.message };
        association?.abort();
        association = undefined;
        if (tries === 2) return { outcome: 'failed', why: (error as Error).message };
      }
    }
  };

  return {
    send: async (instance, upcoming) => {
      const sent = await send(instance, upcoming);
      const ok = sent.outcome !== 'failed';
      parts.metrics.sent(ok ? 'sent' : 'failed', ok ? instance.fileBytes : 0);
      const { sopInstanceUid } = instance;
      const facts = { peer: destination.aeTitle, sopInstanceUid, status: sent.status, why: sent.why };
      parts.log[ok ? 'debug' : 'warn'](facts, 'c-store sent');
      return sent;
    },
    end: async () => {
      await association?.release().catch(() => {});
      association = undefined;
    },
  };
}

function contextOf(instance: LocatedInstance): string {
  return `${instance.sopClassUid} ${instance.transferSyntaxUid}`;
}
