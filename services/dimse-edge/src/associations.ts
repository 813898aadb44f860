import { dimseStatus, uids } from '@isthmus/dicom';
import type { AssociationEvent, AssociationHandlers, StatusAnswer, StoreRequest } from '@isthmus/dimse';
import type { Log } from '@isthmus/service-kit';
import { dutyOf } from './admission.ts';
import { takeAvailability } from './availability.ts';
import { handleCFind } from './c-find.ts';
import type { CFindParts } from './c-find.ts';
import { handleCGet } from './c-get.ts';
import { handleCMove } from './c-move.ts';
import type { CMoveParts } from './c-move.ts';
import { handleCStore } from './c-store.ts';
import type { CStoreParts } from './c-store.ts';
import { handleCommitmentAction } from './commitment-action.ts';
import type { CommitmentParts } from './commitment-action.ts';
import { logFailure, outcomeOf, statusOfError } from './dimse-status.ts';
import { handleLinkedUpdate } from './linked-update.ts';

export interface AssociationParts {
  readonly store: CStoreParts;
  readonly find: CFindParts;
  readonly move: CMoveParts;
  readonly commitment: CommitmentParts;
}

/** Which handler serves which DIMSE service, with counting and the one mapping of errors to statuses around it. */
export function associationHandlers(parts: AssociationParts): AssociationHandlers {
  const { log, metrics, eventLog } = parts.move;
  const counted = <Answer extends { readonly status: number }>(service: string, answer: Answer): Answer => {
    metrics.answered(service, outcomeOf(answer.status));
    return answer;
  };
  return {
    cEcho: async () => counted('c-echo', { status: dimseStatus.Success }).status,
    cStore: async (request) => {
      if (request.sopClassUid !== uids.IsthmusLinkedUpdateStorage) {
        return counted('c-store', await answerCStore(request, parts.store));
      }
      try {
        return counted('linked-update', await handleLinkedUpdate(request, { eventLog, log }));
      } catch (error) {
        return counted('linked-update', storeFailed(request, error, parts.store));
      }
    },
    cFind: async function* (request) {
      const { sopClassUid } = request;
      const isFind = dutyOf(sopClassUid) === 'find' || findClassesOfOurs.has(sopClassUid);
      return counted('c-find', isFind ? yield* handleCFind(request, parts.find) : notServed);
    },
    cMove: async function* (request) {
      if (dutyOf(request.sopClassUid) !== 'move') {
        return counted('c-move', { ...notServed, counts: { completed: 0, failed: 0, warning: 0 } });
      }
      return counted('c-move', yield* handleCMove(request, parts.move));
    },
    cGet: async function* (request) {
      if (dutyOf(request.sopClassUid) !== 'get') {
        return counted('c-get', { ...notServed, counts: { completed: 0, failed: 0, warning: 0 } });
      }
      return counted('c-get', yield* handleCGet(request, parts.move));
    },
    nAction: async (request) => counted('n-action', await handleCommitmentAction(request, parts.commitment)),
    nEventReport: async (request) => {
      const peer = request.association.callingAeTitle;
      return counted('n-event-report', await parts.commitment.requests.report(request, peer));
    },
    nCreate: async (request) => {
      const isServed = dutyOf(request.sopClassUid) === 'availability';
      return counted('n-create', isServed ? takeAvailability(request, log) : notServed);
    },
  };
}

const notServed: StatusAnswer = { status: dimseStatus.SopClassNotSupported };
const findClassesOfOurs: ReadonlySet<string> = new Set([
  uids.IsthmusLinkedQueryFind,
  uids.IsthmusLinkStateFind,
]);

/** C-STORE of an object, from whoever opened the association. Errors are statuses, unless the association is lost. */
export async function answerCStore(request: StoreRequest, parts: CStoreParts): Promise<StatusAnswer> {
  if (dutyOf(request.sopClassUid) !== 'storage') return notServed;
  try {
    return await handleCStore(request, parts);
  } catch (error) {
    return storeFailed(request, error, parts);
  }
}

function storeFailed(request: StoreRequest, error: unknown, parts: CStoreParts): StatusAnswer {
  const { log, metrics } = parts;
  const { id: associationId, callingAeTitle: peer } = request.association;
  const facts = { associationId, sopInstanceUid: request.sopInstanceUid, peer };
  metrics.received('failed', 0);
  if (request.signal.aborted) {
    // Nobody is left to be told; nothing of the object is left either.
    log.warn({ ...facts, why: (error as Error).message }, 'c-store: the association ended inside the object');
    throw error;
  }
  const answer = statusOfError(error);
  logFailure(log, { ...facts, status: answer.status }, error, 'c-store failed');
  return answer;
}

/** Log lines and the gauge of open associations. */
export function associationEvents(
  log: Log,
  openNow: (count: number) => void,
): (event: AssociationEvent) => void {
  let open = 0;
  return (event) => {
    switch (event.type) {
      case 'accepted': {
        const { id, callingAeTitle, remoteAddress } = event.association;
        openNow((open += 1));
        const facts = {
          associationId: id,
          peer: callingAeTitle,
          remoteAddress,
          contexts: event.acceptedContexts,
        };
        return log.debug(facts, 'association accepted');
      }
      case 'rejected': {
        const { callingAeTitle: peer, calledAeTitle, remoteAddress, result, source, reason, why } = event;
        return log.warn(
          { peer, calledAeTitle, remoteAddress, result, source, reason, why },
          'association rejected',
        );
      }
      case 'turned-away':
        return log.warn({ remoteAddress: event.remoteAddress }, 'connection turned away: too many');
      case 'released':
        openNow((open -= 1));
        return log.debug({ associationId: event.association.id }, 'association released');
      case 'ended': {
        if (event.association) openNow((open -= 1));
        const facts = { associationId: event.association?.id, peer: event.association?.callingAeTitle };
        const { code, message } = event.error;
        return log.warn(
          { ...facts, remoteAddress: event.remoteAddress, code, why: message },
          'association ended',
        );
      }
      case 'handler-failed':
        return log.error(
          { associationId: event.association?.id, service: event.service, err: event.error },
          'handler failed',
        );
      case 'tls-failed':
        return log.warn(
          { remoteAddress: event.remoteAddress, why: event.error.message },
          'TLS handshake failed',
        );
      case 'listener-failed':
        return log.error({ err: event.error }, 'the DICOM listener failed');
    }
  };
}
