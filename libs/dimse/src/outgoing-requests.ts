import { commandField } from './command-set.ts';
import type { CommandSet } from './command-set.ts';
import type { Connection } from './connection.ts';
import { BlockPool, openDataSet } from './data-set-sender.ts';
import { ProtocolError, ResponseTimeoutError } from './errors.ts';
import { Exchange } from './exchange.ts';
import type { FinalResponse } from './exchange.ts';
import type { DimseLimits } from './limits.ts';
import { ByteCollector } from './message-reader.ts';
import type { DataSetSink } from './message-reader.ts';
import type { MessageSender } from './message-sender.ts';
import { outcomeOf } from './outcomes.ts';
import type { ResponseOutcome, StoreObject } from './outcomes.ts';
import { Turns } from './turns.ts';

/** Requests of one association take turns; so many may wait. */
const waitingCallsMax = 1024;

/** Data sets whose first block is read before their turn has come. */
const prefetchesMax = 2;

export interface OutgoingRequest {
  readonly contextId: number;
  readonly command: Partial<CommandSet> & { readonly commandField: number };
  readonly dataSet?: Buffer;
  readonly onPending?: (command: CommandSet, dataSet: Buffer | undefined) => void;
  readonly timeoutMs: number;
  /** Sends C-CANCEL, unless `onAbort` does something else. */
  readonly signal?: AbortSignal;
  readonly onAbort?: (exchange: Exchange) => void;
  /** Called when the request has been sent. */
  readonly onSent?: (exchange: Exchange) => void;
}

/**
 * Requests that we make on an association, whoever opened it, and their responses. As many at a time as the
 * peer granted (PS3.7 D.3.3.3), one if it said nothing; only C-STORE shares the window.
 */
export class OutgoingRequests {
  readonly #connection: Connection;
  readonly #sender: MessageSender;
  readonly #limits: DimseLimits;
  /** What we wait for has changed. */
  readonly #onChange: () => void;
  readonly #exchanges = new Map<number, Exchange>();
  readonly #blocks = new BlockPool();
  #turns = new Turns(1, waitingCallsMax);
  #cancelMs = 30_000;
  #prefetches = 0;
  #lastMessageId = 0;
  #responses = 0;

  constructor(parts: {
    connection: Connection;
    sender: MessageSender;
    limits: DimseLimits;
    onChange: () => void;
  }) {
    this.#connection = parts.connection;
    this.#sender = parts.sender;
    this.#limits = parts.limits;
    this.#onChange = parts.onChange;
  }

  /** Before the first request: what was negotiated. */
  open({ invokedMax, cancelMs }: { invokedMax: number; cancelMs: number }): void {
    this.#turns = new Turns(invokedMax, waitingCallsMax);
    this.#cancelMs = cancelMs;
  }

  get window(): number {
    return this.#turns.places;
  }

  /** True while a request is under way or waits for its turn. */
  get isBusy(): boolean {
    return !this.#turns.isIdle;
  }

  /** Responses received so far. */
  get responsesReceived(): number {
    return this.#responses;
  }

  /** How long the peer may be silent: for the most patient of the requests that it has to answer; or nothing. */
  get waitsMs(): number | undefined {
    let most: number | undefined;
    for (const { isSent, timeoutMs } of this.#exchanges.values()) {
      if (isSent && (most === undefined || timeoutMs > most)) most = timeoutMs;
    }
    return most;
  }

  /** Runs `work` when no other request is under way or was asked for before. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    const { places } = this.#turns;
    const turn = this.#turns.take(places);
    try {
      if (turn !== undefined) await turn;
      return await work();
    } finally {
      this.#turns.give(places);
    }
  }

  /** A request that is alone on the association; within `alone`. Rejects when the association ends. */
  async request(request: OutgoingRequest): Promise<FinalResponse> {
    this.#connection.assertOpen();
    const exchange = this.#begin(request);
    const { signal, onAbort = (asked: Exchange) => this.cancel(asked) } = request;
    const aborted = (): void => onAbort(exchange);
    this.#sender.send(
      exchange.contextId,
      {
        ...request.command,
        hasDataSet: request.dataSet !== undefined,
        messageId: exchange.messageId,
      },
      request.dataSet,
    );
    this.#sent(exchange);
    request.onSent?.(exchange);
    signal?.addEventListener('abort', aborted, { once: true });
    try {
      return await exchange.final;
    } finally {
      signal?.removeEventListener('abort', aborted);
    }
  }

  /** C-STORE; see `RequestedAssociation.cStore`. */
  async cStore(contextId: number, object: StoreObject, timeoutMs: number): Promise<ResponseOutcome> {
    const dataSet = await openDataSet(object.dataSet, this.#blocks);
    try {
      const turn = this.#turns.take(1);
      try {
        const { fragmentMax } = this.#sender;
        if (turn !== undefined) await this.#prefetched(turn, () => dataSet.prefetch(contextId, fragmentMax));
        // What cannot be read is known before anything is sent.
        await dataSet.prefetch(contextId, fragmentMax);
        this.#connection.assertOpen();
        const exchange = this.#begin({ contextId, timeoutMs });
        const { moveOriginator } = object;
        const command: CommandSet = {
          commandField: commandField.cStoreRq,
          hasDataSet: true,
          messageId: exchange.messageId,
          affectedSopClassUid: object.sopClassUid,
          affectedSopInstanceUid: object.sopInstanceUid,
          priority: 0,
          moveOriginatorAeTitle: moveOriginator?.aeTitle,
          moveOriginatorMessageId: moveOriginator?.messageId,
        };
        try {
          await this.#sender.stream(contextId, command, dataSet);
        } catch (error) {
          // Half a message cannot be taken back.
          this.#connection.abort(0, 0, { why: 'data set could not be sent', cause: error });
          throw error;
        }
        this.#sent(exchange);
        return outcomeOf(await exchange.final);
      } finally {
        this.#turns.give(1);
      }
    } finally {
      dataSet.close();
    }
  }

  cancel(exchange: Exchange): void {
    if (exchange.isOver || exchange.isCancelled || this.#connection.isEnded) return;
    this.#sender.send(exchange.contextId, {
      commandField: commandField.cCancelRq,
      hasDataSet: false,
      messageIdBeingRespondedTo: exchange.messageId,
    });
    const cancelMs = this.#cancelMs;
    exchange.cancelled(cancelMs, () => {
      const error = new ResponseTimeoutError('final response after C-CANCEL', cancelMs);
      this.#connection.abort(0, 0, { why: error.message, error });
    });
  }

  /** A response from the peer: it must be to what is under way. Answers where its data set goes. */
  response(contextId: number, command: CommandSet): DataSetSink | undefined {
    const exchange = this.#exchanges.get(command.messageIdBeingRespondedTo ?? -1);
    if (exchange === undefined) {
      const to = `message ${command.messageIdBeingRespondedTo}, which is not under way`;
      throw new ProtocolError(2, `response 0x${command.commandField.toString(16)} to ${to}`);
    }
    if (contextId !== exchange.contextId)
      throw new ProtocolError(6, 'response on another presentation context');
    if (command.status === undefined) throw new ProtocolError(6, 'response without status');
    if (!command.hasDataSet) {
      this.#take(exchange, command, undefined);
      return undefined;
    }
    const collector = new ByteCollector(this.#limits.identifierBytesMax, 'identifier');
    return {
      push: (slice) => collector.push(slice),
      finish: () => this.#take(exchange, command, collector.take()),
    };
  }

  /** The association is over: what is under way and what waits rejects. */
  end(error: Error): void {
    const exchanges = [...this.#exchanges.values()];
    this.#exchanges.clear();
    for (const exchange of exchanges) exchange.fail(error);
  }

  #begin(facts: Pick<OutgoingRequest, 'contextId' | 'timeoutMs' | 'onPending'>): Exchange {
    do this.#lastMessageId = (this.#lastMessageId % 0xffff) + 1;
    while (this.#exchanges.has(this.#lastMessageId));
    const { contextId, timeoutMs, onPending } = facts;
    const exchange = new Exchange({ contextId, timeoutMs, onPending, messageId: this.#lastMessageId });
    this.#exchanges.set(exchange.messageId, exchange);
    return exchange;
  }

  #sent(exchange: Exchange): void {
    exchange.isSent = true;
    // The final response may have come while the data set was still on its way.
    if (!exchange.isOver) this.#onChange();
  }

  /** Waits for a turn; reads ahead meanwhile, unless others do so already. */
  async #prefetched(turn: Promise<void>, prefetch: () => Promise<void>): Promise<void> {
    if (this.#prefetches >= prefetchesMax) return turn;
    this.#prefetches += 1;
    prefetch().catch(() => undefined); // Told when its turn has come.
    try {
      await turn;
    } finally {
      this.#prefetches -= 1;
    }
  }

  #take(exchange: Exchange, command: CommandSet, dataSet: Buffer | undefined): void {
    this.#responses += 1;
    if (command.status === 0xff00 || command.status === 0xff01) {
      exchange.pending(command, dataSet);
      return;
    }
    this.#exchanges.delete(exchange.messageId);
    this.#onChange();
    exchange.finish({ command, dataSet });
  }
}
