import { dimseStatus, encodeDataSet, isAeTitle } from '@isthmus/dicom';
import { commandField, encodeCommandSet } from './command-set.ts';
import type { CommandSet, SubOperationCounts } from './command-set.ts';
import type {
  AssociationEvent,
  AssociationHandlers,
  FindRow,
  MoveAnswer,
  StatusAnswer,
  StoreAnswer,
} from './handlers.ts';
import { BatchWriter, encodeFragments, encodeMessage } from './message-writer.ts';
import type { Operation } from './operation.ts';

/** A final response. */
export interface Response {
  readonly command: CommandSet;
  readonly dataSet?: Buffer;
}

type Service = 'C-ECHO' | 'C-STORE' | 'C-FIND' | 'C-MOVE';
type OnEvent = (event: AssociationEvent) => void;

/** Status words of PS3.7 Annex C that only the message layer itself gives. */
const unrecognisedOperation = 0x0211;
const sopClassNotSupported = 0x0122;
const invalidSopInstance = 0x0117;

/**
 * Loose on purpose: leading zeros are common. But it may become part of a name, so nothing else than digits
 * and dots.
 */
const uidPattern = /^[0-9.]{1,64}$/;

/**
 * Serves one request and resolves with its final response, when its data set has been taken off the
 * connection. Pending responses are written on the way. Never rejects for what a handler does; rejects when
 * the association ends.
 */
export async function serve(
  operation: Operation,
  handlers: AssociationHandlers,
  onEvent: OnEvent,
): Promise<Response> {
  switch (operation.facts.command.commandField) {
    case commandField.cEchoRq:
      return serveEcho(operation, handlers, onEvent);
    case commandField.cStoreRq:
      return serveStore(operation, handlers, onEvent);
    case commandField.cFindRq:
      return serveFind(operation, handlers, onEvent);
    case commandField.cMoveRq:
      return serveMove(operation, handlers, onEvent);
    case commandField.cGetRq:
      return refuse(operation, sopClassNotSupported);
    default:
      return refuse(operation, unrecognisedOperation);
  }
}

async function serveEcho(
  operation: Operation,
  handlers: AssociationHandlers,
  onEvent: OnEvent,
): Promise<Response> {
  await operation.received;
  if (!isOfContext(operation)) return refuse(operation, sopClassNotSupported);
  try {
    return response(operation, {
      status: (await handlers.cEcho?.(common(operation))) ?? dimseStatus.Success,
    });
  } catch (error) {
    return response(operation, failure('C-ECHO', error, operation, onEvent));
  }
}

// -------------------------------------------------------------------------------------------------------
// C-STORE

async function serveStore(
  operation: Operation,
  handlers: AssociationHandlers,
  onEvent: OnEvent,
): Promise<Response> {
  const { storeData, facts } = operation;
  const sopInstanceUid = facts.command.affectedSopInstanceUid ?? '';
  if (handlers.cStore === undefined) return refuse(operation, sopClassNotSupported);
  if (storeData === undefined) return refuse(operation, dimseStatus.CannotUnderstand, 'no data set');
  if (!isOfContext(operation)) {
    return refuse(operation, dimseStatus.IdentifierDoesNotMatch, 'SOP class is not the abstract syntax');
  }
  if (!uidPattern.test(sopInstanceUid)) {
    return refuse(operation, invalidSopInstance, 'Affected SOP Instance UID is missing or no UID');
  }
  const { moveOriginatorAeTitle, moveOriginatorMessageId } = facts.command;
  let answer: StoreAnswer;
  try {
    answer = await handlers.cStore({
      ...common(operation),
      sopInstanceUid,
      ...(moveOriginatorAeTitle !== undefined &&
        moveOriginatorMessageId !== undefined && {
          moveOriginator: { aeTitle: moveOriginatorAeTitle, messageId: moveOriginatorMessageId },
        }),
      data: storeData,
    });
  } catch (error) {
    answer = failure('C-STORE', error, operation, onEvent);
  }
  // A handler may refuse without reading; the rest of the message still has to be taken off the connection.
  storeData.discard();
  await operation.received;
  return response(operation, answer);
}

// --------------------------------------------------------------------------------------------------------
// C-FIND

async function serveFind(
  operation: Operation,
  handlers: AssociationHandlers,
  onEvent: OnEvent,
): Promise<Response> {
  const { cFind } = handlers;
  if (cFind === undefined || !isOfContext(operation)) return refuse(operation, sopClassNotSupported);
  if (!operation.facts.command.hasDataSet)
    return refuse(operation, dimseStatus.IdentifierDoesNotMatch, 'no identifier');
  const identifier = await operation.identifier();
  const { connection, limits } = operation.facts;
  const writer = new BatchWriter(connection, limits.batchBytes);
  const cancelled = operation.interrupted.then((): StatusAnswer => ({ status: dimseStatus.Cancel }));
  let rows: AsyncIterator<FindRow, StatusAnswer | void> | undefined;
  let answered = false;
  const send = async (): Promise<StatusAnswer> => {
    rows = cFind.call(handlers, { ...common(operation), identifier })[Symbol.asyncIterator]();
    const encode = findRowEncoder(operation);
    for (;;) {
      const row = await rows.next();
      if (answered) return { status: dimseStatus.Cancel };
      if (row.done === true) return row.value ?? { status: dimseStatus.Success };
      if (writer.add(...encode(row.value))) await writer.flush();
      if (answered) return { status: dimseStatus.Cancel };
    }
  };
  try {
    const answer = await Promise.race([send(), cancelled]);
    // After C-CANCEL rows that are still here are not wanted; otherwise they go before the final response.
    if (operation.signal.aborted) writer.discard();
    else writer.writeNow();
    return response(operation, answer);
  } catch (error) {
    writer.discard();
    return response(operation, failure('C-FIND', error, operation, onEvent));
  } finally {
    answered = true;
    stop(rows);
  }
}

/**
 * Encodes rows as pending responses. Their command sets are all the same, so they are made once per status.
 */
function findRowEncoder(operation: Operation): (row: FindRow) => Buffer[] {
  const { contextId, fragmentMax } = operation.facts;
  const commands = new Map<number, Buffer>();
  return (row) => {
    let command = commands.get(row.status);
    if (command === undefined) {
      const set = { ...response(operation, { status: row.status }).command, hasDataSet: true };
      command = encodeFragments(contextId, true, encodeCommandSet(set), fragmentMax);
      commands.set(row.status, command);
    }
    return [command, encodeFragments(contextId, false, row.identifier, fragmentMax)];
  };
}

// --------------------------------------------------------------------------------------------------------
// C-MOVE

async function serveMove(
  operation: Operation,
  handlers: AssociationHandlers,
  onEvent: OnEvent,
): Promise<Response> {
  const { cMove } = handlers;
  const { command, connection, contextId, fragmentMax, limits } = operation.facts;
  if (cMove === undefined || !isOfContext(operation)) return refuse(operation, sopClassNotSupported);
  if (!command.hasDataSet) return refuse(operation, dimseStatus.IdentifierDoesNotMatch, 'no identifier');
  const identifier = await operation.identifier();
  const destinationAeTitle = command.moveDestination ?? '';
  if (!isAeTitle(destinationAeTitle)) return refuse(operation, dimseStatus.MoveDestinationUnknown);

  let counts: SubOperationCounts = { completed: 0, failed: 0, warning: 0 };
  let steps: AsyncIterator<SubOperationCounts, MoveAnswer> | undefined;
  let answered = false;
  const work = async (): Promise<MoveAnswer> => {
    const request = { ...common(operation), identifier, destinationAeTitle };
    steps = cMove.call(handlers, request)[Symbol.asyncIterator]();
    for (;;) {
      const step = await steps.next();
      if (step.done === true) return step.value;
      counts = step.value;
      if (answered) return { status: dimseStatus.Cancel, counts };
      const pending = {
        ...response(operation, { status: dimseStatus.Pending }).command,
        ...countFields(counts),
      };
      connection.write(encodeMessage(contextId, pending, undefined, fragmentMax));
      await connection.drained();
    }
  };
  let grace: NodeJS.Timeout | undefined;
  // A cancelled handler gets a while to stop in order, so that its counts are true.
  const cancelled = operation.interrupted.then(async (): Promise<MoveAnswer> => {
    await new Promise((resolve) => (grace = setTimeout(resolve, limits.cancelGraceMs)));
    return { status: dimseStatus.Cancel, counts };
  });
  try {
    return moveResponse(operation, await Promise.race([work(), cancelled]));
  } catch (error) {
    return moveResponse(operation, { ...failure('C-MOVE', error, operation, onEvent), counts });
  } finally {
    answered = true;
    clearTimeout(grace);
    stop(steps);
  }
}

function moveResponse(operation: Operation, answer: MoveAnswer): Response {
  const { remaining, ...totals } = answer.counts;
  const isCancel = answer.status === dimseStatus.Cancel;
  // Remaining is sent with Pending and Cancel only (PS3.4 table C.4-2).
  const counts = countFields(isCancel ? { ...totals, remaining: remaining ?? 0 } : totals);
  const final = { ...response(operation, answer).command, ...counts };
  const failed = answer.failedSopInstanceUids ?? [];
  if (failed.length === 0 || answer.status === dimseStatus.Success) return { command: final };
  const identifier = { '00080058': { vr: 'UI', Value: failed } };
  return {
    command: { ...final, hasDataSet: true },
    dataSet: encodeDataSet(identifier, operation.facts.context.transferSyntaxUid),
  };
}

function countFields(counts: SubOperationCounts): Partial<CommandSet> {
  const most = (count: number): number => Math.min(count, 0xffff);
  return {
    ...(counts.remaining !== undefined && { remainingSubOperations: most(counts.remaining) }),
    completedSubOperations: most(counts.completed),
    failedSubOperations: most(counts.failed),
    warningSubOperations: most(counts.warning),
  };
}

// --------------------------------------------------------------------------------------------------------
// shared

function common({ facts, signal }: Operation) {
  return {
    association: facts.association,
    contextId: facts.contextId,
    messageId: facts.messageId,
    sopClassUid: facts.context.sopClassUid,
    transferSyntaxUid: facts.context.transferSyntaxUid,
    signal,
  };
}

/**
 * Admission is decided per context: a request of another class than its context's would slip past it. (It is
 * also against PS3.7 9.1.)
 */
function isOfContext({ facts }: Operation): boolean {
  return facts.command.affectedSopClassUid === facts.context.sopClassUid;
}

/** Takes the data set off the connection, unread, and answers. */
async function refuse(operation: Operation, status: number, errorComment?: string): Promise<Response> {
  operation.storeData?.discard();
  await operation.received;
  return response(operation, { status, errorComment });
}

/** A response to the request of `operation`, on its context and with its UIDs (PS3.7 9.3). */
function response({ facts }: Operation, answer: StatusAnswer): Response {
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
function failure(service: Service, error: unknown, operation: Operation, onEvent: OnEvent): StatusAnswer {
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
function stop(iterator: AsyncIterator<unknown, unknown> | undefined): void {
  if (iterator?.return === undefined) return;
  new Promise((resolve) => resolve(iterator.return?.())).catch(() => undefined);
}
