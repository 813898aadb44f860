import { encodeDataSet } from '@isthmus/dicom';
import {
  failure,
  invalidSopInstance,
  isInstanceUid,
  isOfContext,
  RequestOf,
  refuse,
  response,
  sopClassNotSupported,
  unrecognisedOperation,
} from './answers.ts';
import type { OnEvent, Response } from './answers.ts';
import { commandField } from './command-set.ts';
import { NoPresentationContextError } from './errors.ts';
import type { AssociationHandlers, NAnswer, ServiceName } from './handlers.ts';
import type { Operation } from './operation.ts';
import { nOutcomeOf } from './outcomes.ts';
import type { EventReport, NOutcome } from './outcomes.ts';
import type { OutgoingRequests } from './outgoing-requests.ts';

/** DIMSE-N services (PS3.7 10): one request, one response, each with a data set or without. */
export async function serveNormalised(
  operation: Operation,
  handlers: AssociationHandlers,
  onEvent: OnEvent,
): Promise<Response> {
  const service = serviceOf(operation, handlers);
  if (service === undefined) return refuse(operation, unrecognisedOperation);
  if (!isOfContext(operation)) return refuse(operation, sopClassNotSupported);
  const { command } = operation.facts;
  const sopInstanceUid = command.requestedSopInstanceUid ?? command.affectedSopInstanceUid;
  // Only with N-CREATE may the SCP choose the UID.
  const mayLack = service.name === 'N-CREATE' && sopInstanceUid === undefined;
  if (!mayLack && !isInstanceUid(sopInstanceUid)) return refuse(operation, invalidSopInstance);
  const dataSet = await operation.wholeDataSet();
  const request = new NormalisedRequestOf(operation, sopInstanceUid, dataSet);
  try {
    return finalResponse(operation, await service.serve(request));
  } catch (error) {
    return response(operation, failure(service.name, error, operation, onEvent));
  }
}

class NormalisedRequestOf extends RequestOf {
  readonly sopInstanceUid: string;
  readonly dataSet: Buffer | undefined;
  readonly actionTypeId: number;
  readonly eventTypeId: number;
  readonly attributeTags: readonly string[];
  readonly #operation: Operation;

  constructor(operation: Operation, sopInstanceUid: string | undefined, dataSet: Buffer | undefined) {
    super(operation);
    const { command } = operation.facts;
    // Missing with N-CREATE only, whose request says so in its type.
    this.sopInstanceUid = sopInstanceUid as string;
    this.dataSet = dataSet;
    this.actionTypeId = command.actionTypeId ?? 0;
    this.eventTypeId = command.eventTypeId ?? 0;
    this.attributeTags = command.attributeTags ?? [];
    this.#operation = operation;
  }

  nEventReport(report: EventReport): Promise<NOutcome> {
    const { outgoing, contexts, limits } = this.#operation.facts;
    for (const [contextId, { sopClassUid, transferSyntaxUid }] of contexts) {
      if (sopClassUid !== report.sopClassUid) continue;
      return sendEventReport(outgoing, { contextId, transferSyntaxUid }, report, limits.responseMs);
    }
    return Promise.reject(new NoPresentationContextError(report.sopClassUid));
  }
}

/** N-EVENT-REPORT, from either side of an association. */
export function sendEventReport(
  outgoing: OutgoingRequests,
  context: { readonly contextId: number; readonly transferSyntaxUid: string },
  report: EventReport,
  timeoutMs: number,
): Promise<NOutcome> {
  const { contextId, transferSyntaxUid } = context;
  const dataSet =
    report.dataSet === undefined || Buffer.isBuffer(report.dataSet)
      ? report.dataSet
      : encodeDataSet(report.dataSet, transferSyntaxUid);
  return outgoing.alone(async () => {
    const command = {
      commandField: commandField.nEventReportRq,
      affectedSopClassUid: report.sopClassUid,
      affectedSopInstanceUid: report.sopInstanceUid,
      eventTypeId: report.eventTypeId,
    };
    return nOutcomeOf(await outgoing.request({ contextId, command, dataSet, timeoutMs }), transferSyntaxUid);
  });
}

interface Service {
  readonly name: ServiceName;
  readonly serve: (request: NormalisedRequestOf) => Promise<NAnswer>;
}

function serviceOf({ facts }: Operation, handlers: AssociationHandlers): Service | undefined {
  const { nEventReport, nGet, nSet, nAction, nCreate, nDelete } = handlers;
  const service = (
    name: ServiceName,
    handler: ((request: NormalisedRequestOf) => Promise<NAnswer>) | undefined,
  ): Service | undefined => handler && { name, serve: async (request) => handler.call(handlers, request) };
  switch (facts.command.commandField) {
    case commandField.nEventReportRq:
      return service('N-EVENT-REPORT', nEventReport);
    case commandField.nGetRq:
      return service('N-GET', nGet);
    case commandField.nSetRq:
      return service('N-SET', nSet);
    case commandField.nActionRq:
      return service('N-ACTION', nAction);
    case commandField.nCreateRq:
      return service('N-CREATE', nCreate);
    case commandField.nDeleteRq:
      return service('N-DELETE', nDelete);
    default:
      return undefined;
  }
}

function finalResponse(operation: Operation, answer: NAnswer): Response {
  const { command } = response(operation, answer);
  const { eventTypeId, actionTypeId } = operation.facts.command;
  return {
    command: {
      ...command,
      affectedSopInstanceUid: answer.sopInstanceUid ?? command.affectedSopInstanceUid,
      eventTypeId,
      actionTypeId,
      hasDataSet: answer.dataSet !== undefined,
    },
    dataSet: answer.dataSet,
  };
}
