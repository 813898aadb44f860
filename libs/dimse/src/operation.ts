import { commandField } from './command-set.ts';
import type { CommandSet } from './command-set.ts';
import type { Connection } from './connection.ts';
import { ProtocolError } from './errors.ts';
import type { DimseError } from './errors.ts';
import { FlowQueue } from './flow-queue.ts';
import type { AssociationInfo } from './handlers.ts';
import type { DimseLimits } from './limits.ts';
import { ByteCollector } from './message-reader.ts';
import type { DataSetSink } from './message-reader.ts';
import type { MessageSender } from './message-sender.ts';
import type { OutgoingRequests } from './outgoing-requests.ts';

/** A presentation context that was accepted. */
export interface NegotiatedContext {
  readonly sopClassUid: string;
  readonly transferSyntaxUid: string;
  /** The peer plays the SCP of this class: we may send C-STORE requests to it (PS3.7 D.3.3.4). */
  readonly peerIsScp: boolean;
}

export interface OperationFacts {
  readonly association: AssociationInfo;
  readonly contextId: number;
  readonly context: NegotiatedContext;
  readonly command: CommandSet;
  readonly messageId: number;
  readonly connection: Connection;
  readonly limits: DimseLimits;
  readonly sender: MessageSender;
  /** For requests of ours on the same association: sub-operations, event reports. */
  readonly outgoing: OutgoingRequests;
  readonly contexts: ReadonlyMap<number, NegotiatedContext>;
  readonly onDataSetReceived: () => void;
  /** No other operation can be under way: what came with this one's data is this one's. */
  readonly isAlone: boolean;
}

/**
 * One request that a peer has made, from its command set to its last response; also where its data set goes.
 * Promises and signals are made when somebody asks for them: most operations need few.
 */
export class Operation implements DataSetSink {
  readonly facts: OperationFacts;
  /** Of a C-STORE with a data set. */
  readonly storeData: FlowQueue | undefined;
  readonly #collector: ByteCollector | undefined;
  #controller: AbortController | undefined;
  #received: PromiseWithResolvers<void> | undefined;
  #interrupted: PromiseWithResolvers<void> | undefined;
  #isReceived: boolean;
  #isCancelled = false;
  #endedWith: DimseError | undefined;
  #bytes = 0;

  constructor(facts: OperationFacts) {
    this.facts = facts;
    this.#isReceived = !facts.command.hasDataSet;
    if (this.#isReceived) return;
    if (facts.command.commandField === commandField.cStoreRq) this.storeData = this.#flowQueue();
    else this.#collector = new ByteCollector(facts.limits.identifierBytesMax, 'identifier');
  }

  /** Aborted on C-CANCEL and at the end of the association. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#endedWith !== undefined) this.#controller.abort(this.#endedWith);
      else if (this.#isCancelled) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  /** Resolves when the data set has come whole, at once when there is none. Rejects when it never will. */
  get received(): Promise<void> {
    if (this.#received === undefined) {
      this.#received = quietPromise();
      if (this.#isReceived) this.#received.resolve();
      else if (this.#endedWith !== undefined) this.#received.reject(this.#endedWith);
    }
    return this.#received.promise;
  }

  get isReceived(): boolean {
    return this.#isReceived;
  }

  /** Resolves on C-CANCEL, rejects at the end of the association. */
  get interrupted(): Promise<void> {
    if (this.#interrupted === undefined) {
      this.#interrupted = quietPromise();
      if (this.#isCancelled) this.#interrupted.resolve();
      else if (this.#endedWith !== undefined) this.#interrupted.reject(this.#endedWith);
    }
    return this.#interrupted.promise;
  }

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  get isEnded(): boolean {
    return this.#endedWith !== undefined;
  }

  /** The whole data set of anything but a C-STORE, when it has come; `undefined` when there is none. */
  async wholeDataSet(): Promise<Buffer | undefined> {
    await this.received;
    return this.#collector?.take();
  }

  cancel(): void {
    // C-CANCEL is defined for C-FIND, C-MOVE and C-GET only (PS3.7 9.3.2.3); a C-STORE goes on.
    if (!isQueryOrRetrieve(this.facts.command.commandField)) return;
    this.#isCancelled = true;
    this.#interrupted?.resolve();
    this.#controller?.abort();
  }

  /** The association is over: whoever still works for this operation is told. */
  end(error: DimseError): void {
    if (this.#endedWith !== undefined) return;
    this.#endedWith = error;
    this.storeData?.fail(error);
    if (!this.#isReceived) this.#received?.reject(error);
    this.#interrupted?.reject(error);
    this.#controller?.abort(error);
  }

  // ------------------------------------------------------------------------------- called by the reader

  push(slice: Buffer): void {
    this.#bytes += slice.length;
    if (this.#bytes > this.facts.limits.storeBytesMax) {
      throw new ProtocolError(0, `data set is longer than ${this.facts.limits.storeBytesMax} bytes`);
    }
    (this.storeData ?? this.#collector)?.push(slice);
  }

  /** All of it has come. */
  finish(): void {
    this.#isReceived = true;
    this.facts.onDataSetReceived();
    this.storeData?.finish();
    this.#received?.resolve();
  }

  #flowQueue(): FlowQueue {
    const { connection, limits, isAlone } = this.facts;
    return new FlowQueue({
      bytesMax: limits.queuedBytesMax,
      bytesResume: limits.queuedBytesResume,
      pause: () => connection.pause(this),
      resume: () => connection.resume(this),
      ...(isAlone && { recycle: (memory) => connection.recycle(memory) }),
    });
  }
}

/** Nobody may be waiting when it rejects; that must not be an unhandled rejection. */
function quietPromise(): PromiseWithResolvers<void> {
  const quiet = Promise.withResolvers<void>();
  quiet.promise.catch(() => undefined);
  return quiet;
}

function isQueryOrRetrieve(field: number): boolean {
  return field === commandField.cFindRq || field === commandField.cMoveRq || field === commandField.cGetRq;
}
