import { dimseStatus } from '@isthmus/dicom';
import {
  failure,
  invalidSopInstance,
  isInstanceUid,
  isOfContext,
  RequestOf,
  refuse,
  response,
  sopClassNotSupported,
  stopIterating,
  withIdentifier,
} from './answers.ts';
import type { OnEvent, Response } from './answers.ts';
import { commandField, encodeCommandSet } from './command-set.ts';
import type {
  AssociationHandlers,
  FindRow,
  StatusAnswer,
  StoreAnswer,
  StoreData,
  StoreRequest,
} from './handlers.ts';
import { BatchWriter, encodeFragments } from './message-writer.ts';
import { serveNormalised } from './normalised-services.ts';
import type { Operation } from './operation.ts';
import { serveGet, serveMove } from './retrieve-services.ts';

/**
 * Serves one request and resolves with its final response, when its data set has been taken off the
 * connection. Pending responses are written on the way. Never rejects for what a handler does; rejects when
 * the association ends.
 */
export function serve(
  operation: Operation,
  handlers: AssociationHandlers,
  onEvent: OnEvent,
): Promise<Response> {
  switch (operation.facts.command.commandField) {
    case commandField.cStoreRq:
      return serveStore(operation, handlers, onEvent);
    case commandField.cEchoRq:
      return serveEcho(operation, handlers, onEvent);
    case commandField.cFindRq:
      return serveFind(operation, handlers, onEvent);
    case commandField.cMoveRq:
      return serveMove(operation, handlers, onEvent);
    case commandField.cGetRq:
      return serveGet(operation, handlers, onEvent);
    default:
      return serveNormalised(operation, handlers, onEvent);
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
      status: (await handlers.cEcho?.(new RequestOf(operation))) ?? dimseStatus.Success,
    });
  } catch (error) {
    return response(operation, failure('C-ECHO', error, operation, onEvent));
  }
}

// -------------------------------------------------------------------------------------------------------
// C-STORE

class StoreRequestOf extends RequestOf implements StoreRequest {
  readonly sopInstanceUid: string;
  readonly moveOriginator?: { readonly aeTitle: string; readonly messageId: number };
  readonly data: StoreData;

  constructor(operation: Operation, sopInstanceUid: string, data: StoreData) {
    super(operation);
    this.sopInstanceUid = sopInstanceUid;
    this.data = data;
    const { moveOriginatorAeTitle: aeTitle, moveOriginatorMessageId: messageId } = operation.facts.command;
    if (aeTitle !== undefined && messageId !== undefined) this.moveOriginator = { aeTitle, messageId };
  }
}

async function serveStore(
  operation: Operation,
  handlers: AssociationHandlers,
  onEvent: OnEvent,
): Promise<Response> {
  const { storeData, facts } = operation;
  const sopInstanceUid = facts.command.affectedSopInstanceUid;
  if (handlers.cStore === undefined) return refuse(operation, sopClassNotSupported);
  if (storeData === undefined) return refuse(operation, dimseStatus.CannotUnderstand, 'no data set');
  if (!isOfContext(operation)) {
    return refuse(operation, dimseStatus.IdentifierDoesNotMatch, 'SOP class is not the abstract syntax');
  }
  if (!isInstanceUid(sopInstanceUid)) {
    return refuse(operation, invalidSopInstance, 'Affected SOP Instance UID is missing or no UID');
  }
  let answer: StoreAnswer;
  try {
    answer = await handlers.cStore(new StoreRequestOf(operation, sopInstanceUid, storeData));
  } catch (error) {
    answer = failure('C-STORE', error, operation, onEvent);
  }
  // A handler may refuse without reading; the rest of the message still has to be taken off the connection.
  storeData.close();
  if (!operation.isReceived) await operation.received;
  return response(operation, answer);
}

// --------------------------------------------------------------------------------------------------------
// C-FIND

function serveFind(operation: Operation, handlers: AssociationHandlers, onEvent: OnEvent): Promise<Response> {
  return withIdentifier(operation, handlers.cFind, (cFind, identifier) => {
    const request = Object.assign(new RequestOf(operation), { identifier });
    return sendRows(operation, () => cFind.call(handlers, request), onEvent);
  });
}

async function sendRows(
  operation: Operation,
  start: () => AsyncIterable<FindRow, StatusAnswer | void>,
  onEvent: OnEvent,
): Promise<Response> {
  const { contextId, sender, limits } = operation.facts;
  const writer = new BatchWriter(sender, limits.batchBytes);
  const cancelled = operation.interrupted.then((): StatusAnswer => ({ status: dimseStatus.Cancel }));
  let rows: AsyncIterator<FindRow, StatusAnswer | void> | undefined;
  let answered = false;
  const send = async (): Promise<StatusAnswer> => {
    rows = start()[Symbol.asyncIterator]();
    const commandOf = pendingCommands(operation);
    for (;;) {
      const row = await rows.next();
      if (answered) return { status: dimseStatus.Cancel };
      if (row.done === true) return row.value ?? { status: dimseStatus.Success };
      const { status, identifier: bytes } = row.value;
      if (writer.add(commandOf(status), bytes, contextId, sender.fragmentMax)) await writer.flush();
      if (answered) return { status: dimseStatus.Cancel };
    }
  };
  try {
    const answer = await Promise.race([send(), cancelled]);
    // After C-CANCEL rows that are still here are not wanted; otherwise they go before the final response.
    if (operation.isCancelled) writer.discard();
    else writer.writeNow();
    return response(operation, answer);
  } catch (error) {
    writer.discard();
    return response(operation, failure('C-FIND', error, operation, onEvent));
  } finally {
    answered = true;
    stopIterating(rows);
  }
}

/** Command sets of pending responses are all the same, so they are made once per status. */
function pendingCommands(operation: Operation): (status: number) => Buffer {
  const { contextId, sender } = operation.facts;
  const commands = new Map<number, Buffer>();
  return (status) => {
    let command = commands.get(status);
    if (command === undefined) {
      const set = { ...response(operation, { status }).command, hasDataSet: true };
      command = encodeFragments(contextId, true, encodeCommandSet(set), sender.fragmentMax);
      commands.set(status, command);
    }
    return command;
  };
}
