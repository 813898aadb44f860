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

export interface OperationFacts {
  readonly association: AssociationInfo;
  readonly contextId: number;
  readonly context: { readonly sopClassUid: string; readonly transferSyntaxUid: string };
  readonly command: CommandSet;
  readonly messageId: number;
  readonly connection: Connection;
  readonly limits: DimseLimits;
  readonly fragmentMax: number;
  readonly onDataSetReceived: () => void;
}

/** One request that a peer has made, from its command set to its last response. */
export class Operation {
  readonly facts: OperationFacts;
  readonly #controller = new AbortController();
  /** Where its data set goes; `undefined` when it has none. */
  readonly dataSet: DataSetSink | undefined;
  /** Of a C-STORE. */
  readonly storeData: FlowQueue | undefined;
  readonly #collector: ByteCollector | undefined;
  readonly #received = Promise.withResolvers<void>();
  readonly #interrupted = Promise.withResolvers<void>();
  #endedWith: DimseError | undefined;

  constructor(facts: OperationFacts) {
    this.facts = facts;
    // Nobody may be waiting when they reject; that must not be an unhandled rejection.
    this.#received.promise.catch(() => undefined);
    this.#interrupted.promise.catch(() => undefined);
    if (!facts.command.hasDataSet) {
      this.#received.resolve();
      return;
    }
    const field = facts.command.commandField;
    if (field === commandField.cStoreRq) this.storeData = this.#flowQueue();
    else if (isQueryOrRetrieve(field)) {
      this.#collector = new ByteCollector(facts.limits.identifierBytesMax, 'identifier');
    }
    this.dataSet = this.#sink(this.storeData ?? this.#collector);
  }

  /** Aborted on C-CANCEL and at the end of the association. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Resolves when the data set has come whole, at once when there is none. Rejects when it never will. */
  get received(): Promise<void> {
    return this.#received.promise;
  }

  /** Resolves on C-CANCEL, rejects at the end of the association. */
  get interrupted(): Promise<void> {
    return this.#interrupted.promise;
  }

  get isEnded(): boolean {
    return this.#endedWith !== undefined;
  }

  /** The identifier when it has come whole. */
  async identifier(): Promise<Buffer> {
    await this.received;
    return this.#collector?.take() ?? Buffer.alloc(0);
  }

  cancel(messageIdBeingRespondedTo: number | undefined): void {
    if (messageIdBeingRespondedTo !== this.facts.messageId) return;
    // C-CANCEL is defined for C-FIND, C-MOVE and C-GET only (PS3.7 9.3.2.3); a C-STORE goes on.
    if (!isQueryOrRetrieve(this.facts.command.commandField)) return;
    this.#interrupted.resolve();
    this.#controller.abort();
  }

  /** The association is over, or this operation is: whoever still works for it is told. */
  end(error: DimseError): void {
    if (this.#endedWith !== undefined) return;
    this.#endedWith = error;
    this.storeData?.fail(error);
    this.#received.reject(error);
    this.#interrupted.reject(error);
    this.#controller.abort(error);
  }

  #flowQueue(): FlowQueue {
    const { connection, limits } = this.facts;
    return new FlowQueue({
      bytesMax: limits.queuedBytesMax,
      bytesResume: limits.queuedBytesResume,
      pause: () => connection.pause('handler is slow'),
      resume: () => connection.resume('handler is slow'),
    });
  }

  #sink(target: { push(slice: Buffer): void } | undefined): DataSetSink {
    const { limits, onDataSetReceived } = this.facts;
    let bytes = 0;
    return {
      push: (slice) => {
        bytes += slice.length;
        if (bytes > limits.storeBytesMax) {
          throw new ProtocolError(0, `data set is longer than ${limits.storeBytesMax} bytes`);
        }
        target?.push(slice);
      },
      end: () => {
        onDataSetReceived();
        this.storeData?.finish();
        this.#received.resolve();
      },
    };
  }
}

function isQueryOrRetrieve(field: number): boolean {
  return field === commandField.cFindRq || field === commandField.cMoveRq || field === commandField.cGetRq;
}
