import { isAeTitle } from '@isthmus/dicom';
import type { AdmitResult } from './handlers.ts';
import type { DimseLimits } from './limits.ts';
import { dicomApplicationContext } from './pdu.ts';
import type { AnsweredContext, AssociateAccept, AssociateRequest, ProposedContext } from './pdu.ts';

/** Fields of A-ASSOCIATE-RJ (PS3.8 table 9-21). */
export interface Rejection {
  readonly result: number;
  readonly source: number;
  readonly reason: number;
}

export const tooManyAssociations: Rejection = { result: 2, source: 3, reason: 2 };

/**
 * What can be refused before anybody is asked: version, application context, AE titles, a maximum too small
 * to serve.
 */
export function rejectionBefore(
  request: AssociateRequest,
  options: { readonly aeTitles: readonly string[] | (() => readonly string[]) },
  limits: DimseLimits,
): Rejection | undefined {
  if ((request.protocolVersion & 1) === 0) return { result: 1, source: 2, reason: 2 };
  if (request.applicationContextName !== dicomApplicationContext) return { result: 1, source: 1, reason: 2 };
  if (!isAeTitle(request.callingAeTitle)) return { result: 1, source: 1, reason: 3 };
  const ours = typeof options.aeTitles === 'function' ? options.aeTitles() : options.aeTitles;
  const isOurs =
    isAeTitle(request.calledAeTitle) && (ours.length === 0 || ours.includes(request.calledAeTitle));
  if (!isOurs) return { result: 1, source: 1, reason: 7 };
  const max = request.user.maxPduBytes ?? 0;
  if (max !== 0 && max < limits.peerPduBytesMin) return { result: 1, source: 2, reason: 1 };
  return undefined;
}

/** The A-ASSOCIATE-AC for an admission. Every offered context is answered, in the order of the offer. */
export function answerTo(
  request: AssociateRequest,
  admitted: AdmitResult & { readonly accept: true },
  options: { readonly implementationClassUid: string; readonly implementationVersionName: string },
  limits: DimseLimits,
): AssociateAccept {
  const decisions = new Map(admitted.contexts.map((context) => [context.id, context]));
  const contexts = request.contexts.map((offered): AnsweredContext => {
    const decision = decisions.get(offered.id);
    if (decision === undefined) return refused(offered, 3);
    if ('reason' in decision) return refused(offered, decision.reason);
    const { transferSyntaxUid } = decision;
    if (!offered.transferSyntaxUids.includes(transferSyntaxUid)) return refused(offered, 4);
    return { id: offered.id, result: 0, transferSyntaxUid };
  });
  const proposedRoles = new Set(request.user.roles?.map(({ sopClassUid }) => sopClassUid));
  const proposedExtended = new Set(request.user.extendedNegotiations?.map(({ sopClassUid }) => sopClassUid));
  return {
    protocolVersion: 1,
    calledAeTitle: request.calledAeTitle,
    callingAeTitle: request.callingAeTitle,
    applicationContextName: dicomApplicationContext,
    contexts,
    user: {
      maxPduBytes: limits.pduBytesMax,
      implementationClassUid: options.implementationClassUid,
      implementationVersionName: options.implementationVersionName,
      // No 0x53: an asynchronous operations window is never granted, and its absence means one at a time.
      roles: admitted.roles?.filter(({ sopClassUid }) => proposedRoles.has(sopClassUid)),
      extendedNegotiations: admitted.extendedNegotiations?.filter(({ sopClassUid }) =>
        proposedExtended.has(sopClassUid),
      ),
    },
  };
}

function refused(offered: ProposedContext, result: 1 | 2 | 3 | 4): AnsweredContext {
  return { id: offered.id, result, transferSyntaxUid: offered.transferSyntaxUids[0] };
}
