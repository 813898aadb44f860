import { dimseStatus, uidPattern } from '@isthmus/dicom';
import { commandField } from './command-set.ts';
import type { CommandSet } from './command-set.ts';
import type { AssociationEvent, AssociationInfo, ServiceName, StatusAnswer } from './handlers.ts';
import type { Operation } from './operation.ts';

/** A final response. */
export interface Response {
  readonly command: CommandSet;
  readonly dataSet?: Buffer;
}

export type OnEvent = (event: AssociationEvent) => void;

/** Status words of PS3.7 Annex C that only the message layer itself gives. */
export const unrecognisedOperation = 0x0211;
export const sopClassNotSupported = 0x0122;
export const invalidSopInstance = 0x0117;

/** It may become part of a name: nothing but a UID. */
export function isInstanceUid(uid: string | undefined): uid is string {
  return uid !== undefined && uidPattern.test(uid);
}

/** What every handler is told. The signal is made when it is asked for: most C-STORE never do. */
export class RequestOf {
  readonly association: AssociationInfo;
  readonly contextId: number;
  readonly messageId: number;
  readonly sopClassUid: string;
  readonly transferSyntaxUid: string;
  readonly #operation: Operation;

  constructor(operation: Operation) {
    const { association, contextId, messageId, context } = operation.facts;
    this.association = association;
    this.contextId = contextId;
    this.messageId = messageId;
    this.sopClassUid = context.sopClassUid;
    this.transferSyntaxUid = context.transferSyntaxUid;
    this.#operation = operation;
  }

  get signal(): AbortSignal {
    return this.#operation.signal;
  }
}

/**
 * Admission is decided per context: a request of another class than its context's would slip past it. (It is
 * also against PS3.7 9.1 and 10.1, Meta SOP Classes aside, which are not served here.)
 */
export function isOfContext({ facts }: Operation): boolean {
  const { affectedSopClassUid, requestedSopClassUid } = facts.command;
  return (affectedSopClassUid ?? requestedSopClassUid) === facts.context.sopClassUid;
}

/**
 * How C-FIND, C-MOVE and C-GET begin: with a handler, of the SOP class of the context, and with an identifier;
 * otherwise they are refused.
 */
export async function withIdentifier<Handler>(
  operation: Operation,
  handler: Handler | undefined,
  serve: (handler: Handler, identifier: Buffer) => Response | Promise<Response>,
): Promise<Response> {
  if (handler === undefined || !isOfContext(operation)) return refuse(operation, sopClassNotSupported);
  const identifier = await operation.wholeDataSet();
  if (identifier === undefined) return refuse(operation, dimseStatus.IdentifierDoesNotMatch, 'no identifier');
  return serve(handler, identifier);
}

/** Takes the data set off the connection, unread, and answers. */
export async function refuse(operation: Operation, status: number, errorComment?: string): Promise<Response> {
  operation.storeData?.discard();
  await operation.received;
  return response(operation, { status, errorComment });
}

/** A response to the request of `operation`, on its context and with its UIDs (PS3.7 9.3, 10.3). */
export function response({ facts }: Operation, answer: StatusAnswer): Response {
  const { command, messageId } = facts;
  return {
    command: {
      commandField: command.commandField | commandField.response,
      hasDataSet: false,
      messageIdBeingRespondedTo: messageId,
      affectedSopClassUid: command.affectedSopClassUid ?? command.requestedSopClassUid,
      affectedSopInstanceUid: command.affectedSopInstanceUid ?? command.requestedSopInstanceUid,
      status: answer.status,
      errorComment: answer.errorComment,
    },
  };
}

/** What a handler threw, as a status. Rethrows when it is only the echo of the association's end. */
export function failure(
  service: ServiceName,
  error: unknown,
  operation: Operation,
  onEvent: OnEvent,
): StatusAnswer {
  if (operation.isEnded) throw error;
  onEvent({ type: 'handler-failed', association: operation.facts.association, service, error });
  return { status: failureStatus(error), errorComment: 'processing failure' };
}

const storageIsFull: ReadonlySet<unknown> = new Set([
  'ENOSPC',
  'EDQUOT',
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'EROFS',
]);

/** Status word for an error: its own `dimseStatus`, A700 for a full store, else C000 (PS3.4 B.2.3, C.4). */
export function failureStatus(error: unknown): number {
  if (typeof error === 'object' && error !== null) {
    if ('dimseStatus' in error && typeof error.dimseStatus === 'number') return error.dimseStatus & 0xffff;
    if ('code' in error && storageIsFull.has(error.code)) return dimseStatus.OutOfResources;
  }
  return dimseStatus.CannotUnderstand;
}

/** Lets a generator clean up; it may be stuck in its work and gets there when it gets there. */
export function stopIterating(iterator: AsyncIterator<unknown, unknown> | undefined): void {
  if (iterator?.return === undefined) return;
  new Promise((resolve) => resolve(iterator.return?.())).catch(() => undefined);
}
