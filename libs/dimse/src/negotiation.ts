import { isAeTitle } from '@isthmus/dicom';
import type { AdmitResult } from './handlers.ts';
import type { DimseLimits } from './limits.ts';
import { dicomApplicationContext } from './pdu.ts';
import type {
  AnsweredContext,
  AssociateAccept,
  AssociateRequest,
  ProposedContext,
  RoleSelection,
} from './pdu.ts';

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
  options: {
    readonly implementationClassUid: string;
    readonly implementationVersionName: string;
    readonly operationsPerformedMax?: number;
  },
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
      asyncOperations: windowFor(request, options.operationsPerformedMax ?? 1),
      roles: rolesOfBoth(request, admitted.roles),
      extendedNegotiations: admitted.extendedNegotiations?.filter(({ sopClassUid }) =>
        proposedExtended.has(sopClassUid),
      ),
    },
  };
}

/**
 * Asynchronous operations (PS3.7 D.3.3.3): no answer means one at a time, which is all that a peer gets
 * unless we are told to grant more. We never ask for more than one ourselves.
 */
function windowFor(
  { user }: AssociateRequest,
  performedMax: number,
): { invoked: number; performed: number } | undefined {
  if (user.asyncOperations === undefined || performedMax <= 1) return undefined;
  const asked = user.asyncOperations.invoked;
  return { invoked: asked === 0 ? performedMax : Math.min(asked, performedMax), performed: 1 };
}

/** Roles that were both proposed and given (PS3.7 D.3.3.4). */
function rolesOfBoth(
  { user }: AssociateRequest,
  given: readonly RoleSelection[] | undefined,
): readonly RoleSelection[] | undefined {
  return given?.flatMap((role) => {
    const proposed = user.roles?.find(({ sopClassUid }) => sopClassUid === role.sopClassUid);
    if (proposed === undefined) return [];
    return [{ ...role, scu: role.scu && proposed.scu, scp: role.scp && proposed.scp }];
  });
}

/** As requestor: the roles that we have. One that was not proposed cannot be given. */
export function grantedRoles(request: AssociateRequest, { user }: AssociateAccept): readonly RoleSelection[] {
  return rolesOfBoth(request, user.roles) ?? [];
}

/** As requestor: no answer means one at a time; 0 means any number, so that ours holds (PS3.7 D.3.3.3). */
export function grantedWindow(request: AssociateRequest, { user }: AssociateAccept): number {
  const asked = request.user.asyncOperations?.invoked ?? 1;
  const granted = user.asyncOperations?.invoked ?? 1;
  return granted === 0 ? asked : Math.min(asked, granted);
}

function refused(offered: ProposedContext, result: 1 | 2 | 3 | 4): AnsweredContext {
  return { id: offered.id, result, transferSyntaxUid: offered.transferSyntaxUids[0] };
}
