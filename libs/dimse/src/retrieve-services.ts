import { dimseStatus, encodeDataSet, isAeTitle } from '@isthmus/dicom';
import { failure, RequestOf, refuse, response, stopIterating, withIdentifier } from './answers.ts';
import type { OnEvent, Response } from './answers.ts';
import type { CommandSet, SubOperationCounts } from './command-set.ts';
import { NoPresentationContextError } from './errors.ts';
import type { AssociationHandlers, GetRequest, MoveAnswer } from './handlers.ts';
import type { Operation } from './operation.ts';
import type { AcceptedContext, ResponseOutcome, StoreObject } from './outcomes.ts';

/** C-MOVE (PS3.4 C.4.2): sub-operations are the handler's, on other associations. */
export function serveMove(
  operation: Operation,
  handlers: AssociationHandlers,
  onEvent: OnEvent,
): Promise<Response> {
  return withIdentifier(operation, handlers.cMove, (cMove, identifier) => {
    const destinationAeTitle = operation.facts.command.moveDestination ?? '';
    if (!isAeTitle(destinationAeTitle)) return refuse(operation, dimseStatus.MoveDestinationUnknown);
    const request = Object.assign(new RequestOf(operation), { identifier, destinationAeTitle });
    return retrieve(operation, {
      service: 'C-MOVE',
      start: () => cMove.call(handlers, request),
      onEvent,
    });
  });
}

/** C-GET (PS3.4 C.4.3): sub-operations go out on the association of the request. */
export function serveGet(
  operation: Operation,
  handlers: AssociationHandlers,
  onEvent: OnEvent,
): Promise<Response> {
  return withIdentifier(operation, handlers.cGet, async (cGet, identifier) => {
    const request = new GetRequestOf(operation, identifier);
    const answer = await retrieve(operation, {
      service: 'C-GET',
      start: () => cGet.call(handlers, request),
      onEvent,
      counted: () => request.tally().counts,
      settle: () => request.settle(),
    });
    await request.settle();
    return answer;
  });
}

/** Runs a handler that yields counts, and tells the peer of them. */
async function retrieve(
  operation: Operation,
  work: {
    service: 'C-MOVE' | 'C-GET';
    start: () => AsyncIterable<SubOperationCounts, MoveAnswer>;
    onEvent: OnEvent;
    /** What is true, whatever the handler has said last. */
    counted?: () => SubOperationCounts;
    /** Sub-operations under way come to their end, and no more begin: the final response is the last word. */
    settle?: () => Promise<void>;
  },
): Promise<Response> {
  const { contextId, sender, limits } = operation.facts;
  let said: SubOperationCounts = { completed: 0, failed: 0, warning: 0 };
  const counts = (): SubOperationCounts =>
    work.counted === undefined ? said : { ...work.counted(), remaining: said.remaining };
  let steps: AsyncIterator<SubOperationCounts, MoveAnswer> | undefined;
  let answered = false;
  const run = async (): Promise<MoveAnswer> => {
    steps = work.start()[Symbol.asyncIterator]();
    for (;;) {
      const step = await steps.next();
      if (step.done === true) return step.value;
      said = step.value;
      if (answered) return { status: dimseStatus.Cancel, counts: said };
      const pending = response(operation, { status: dimseStatus.Pending }).command;
      sender.send(contextId, { ...pending, ...countFields(said) });
      await sender.drained();
    }
  };
  let grace: NodeJS.Timeout | undefined;
  // A cancelled handler gets a while to stop in order, so that its counts are true.
  const cancelled = operation.interrupted.then(async (): Promise<MoveAnswer> => {
    await new Promise((resolve) => (grace = setTimeout(resolve, limits.cancelGraceMs)));
    await work.settle?.();
    return { status: dimseStatus.Cancel, counts: counts() };
  });
  try {
    return finalResponse(operation, await Promise.race([run(), cancelled]));
  } catch (error) {
    const answer = failure(work.service, error, operation, work.onEvent);
    await work.settle?.();
    return finalResponse(operation, { ...answer, counts: counts() });
  } finally {
    answered = true;
    clearTimeout(grace);
    stopIterating(steps);
  }
}

class GetRequestOf extends RequestOf implements GetRequest {
  readonly identifier: Buffer;
  readonly #operation: Operation;
  readonly #failedSopInstanceUids: string[] = [];
  readonly #underWay = new Set<Promise<unknown>>();
  #completed = 0;
  #warning = 0;
  #failed = 0;
  #isClosed = false;

  constructor(operation: Operation, identifier: Buffer) {
    super(operation);
    this.identifier = identifier;
    this.#operation = operation;
  }

  accepted(sopClassUid: string): AcceptedContext[] {
    return [...this.#operation.facts.contexts]
      .filter(([, context]) => context.sopClassUid === sopClassUid && context.peerIsScp)
      .map(([contextId, { transferSyntaxUid }]) => ({ contextId, transferSyntaxUid }));
  }

  async store(object: StoreObject): Promise<ResponseOutcome> {
    if (this.#isClosed) throw new Error('this C-GET was answered already');
    const sending = this.#send(object);
    this.#underWay.add(sending);
    try {
      const outcome = await sending;
      if (outcome.status === dimseStatus.Success) this.#completed += 1;
      else if (isWarning(outcome.status)) this.#warning += 1;
      else this.#hasFailed(object);
      return outcome;
    } catch (error) {
      this.#hasFailed(object);
      throw error;
    } finally {
      this.#underWay.delete(sending);
    }
  }

  tally(): { counts: SubOperationCounts; failedSopInstanceUids: readonly string[] } {
    return {
      counts: { completed: this.#completed, failed: this.#failed, warning: this.#warning },
      failedSopInstanceUids: [...this.#failedSopInstanceUids],
    };
  }

  async settle(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#underWay);
  }

  async #send(object: StoreObject): Promise<ResponseOutcome> {
    const { outgoing, limits } = this.#operation.facts;
    const { sopClassUid, transferSyntaxUid } = object;
    const context = this.accepted(sopClassUid).find((one) => one.transferSyntaxUid === transferSyntaxUid);
    if (context === undefined) throw new NoPresentationContextError(sopClassUid, transferSyntaxUid);
    return outgoing.cStore(context.contextId, object, limits.responseMs);
  }

  #hasFailed({ sopInstanceUid }: StoreObject): void {
    this.#failed += 1;
    this.#failedSopInstanceUids.push(sopInstanceUid);
  }
}

/** Warnings of a C-STORE: the object was kept (PS3.4 table B.2-1, PS3.7 C.3). */
function isWarning(status: number): boolean {
  return status >> 12 === 0xb || status === 0x0001 || status === 0x0107 || status === 0x0116;
}

function finalResponse(operation: Operation, answer: MoveAnswer): Response {
  const { remaining, ...totals } = answer.counts;
  const isCancel = answer.status === dimseStatus.Cancel;
  // Remaining is sent with Pending and Cancel only (PS3.4 tables C.4-2 and C.4-3).
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
