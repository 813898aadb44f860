import type { EventEnvelope, StoredEvent } from '@isthmus/domain';

export type StreamName = 'STUDY' | 'INSTANCES';

/** What the server that we are connected to can do; decided from its version at start. */
export interface ServerCapabilities {
  readonly version: string;
  /** `sync_interval: always`, hence no acknowledged event is lost on power failure (2.10). */
  readonly syncAlways: boolean;
  /** Atomic batches (2.12). */
  readonly atomicBatch: boolean;
}

export type ConditionalAppend =
  | { readonly ok: true; readonly sequence: number; readonly duplicate: boolean }
  /** Somebody else wrote to the subject first: fold what is new and decide again. */
  | { readonly ok: false; readonly lastSequence: number };

export interface FollowOptions {
  /** Last sequence already handled; 0 = from the start. */
  readonly after: number;
  /** One NATS subject filter, e.g. `config.>`. */
  readonly filter?: string;
  /** Events per batch at most. @default 500 */
  readonly batchMax?: number;
  readonly signal: AbortSignal;
}

/**
 * The record of what happened in this cluster. Every append resolves only after the server has acknowledged
 * it; what was acknowledged is never lost by the death of a process.
 */
export interface EventLog {
  readonly capabilities: ServerCapabilities;
  /** Id of this log's life: changes when the streams were wiped and made anew. */
  readonly incarnation: string;

  /**
   * Appends one event unconditionally. An event whose id is already stored within the last two minutes is not
   * stored twice (`duplicate: true`); beyond that the projections ignore a second (subject, id).
   * @throws {LogFullError} The stream has reached its limit; nothing was stored.
   * @throws {LogUnavailableError} No acknowledgement: whether it was stored is unknown; append the same event
   *   again.
   */
  append(
    stream: StreamName,
    subject: string,
    event: EventEnvelope,
  ): Promise<{ sequence: number; duplicate: boolean }>;

  /**
   * Appends many, in order, pipelined (atomic batches where the server has them). Resolves when all are
   * acknowledged; on an error any part may be stored: append the same again.
   */
  appendAll(
    stream: StreamName,
    entries: readonly { subject: string; event: EventEnvelope }[],
  ): Promise<readonly { sequence: number; duplicate: boolean }[]>;

  /**
   * Appends only if the last event of the subject has the given stream sequence (0 = there is none). A retry
   * whose first try was stored is recognised by its id and is a success.
   */
  appendExpecting(subject: string, event: EventEnvelope, lastSequence: number): Promise<ConditionalAppend>;

  /** The events of one subject after a sequence, in order, up to now. */
  readSubject(stream: StreamName, subject: string, after: number): Promise<readonly StoredEvent[]>;

  /** Last event of a subject. */
  lastOf(stream: StreamName, subject: string): Promise<StoredEvent | undefined>;

  /**
   * All events after a position, in batches, for ever (until the signal). Survives reconnects without gap or
   * repeat.
   * @throws {LogReplacedError} The log was wiped, or ends before `after`.
   * @throws {LogCorruptError} A stored message is no event.
   */
  follow(stream: StreamName, options: FollowOptions): AsyncIterable<readonly StoredEvent[]>;

  /**
   * Newest event of each subject under the filter, then each new one as it comes. Emits `caughtUp` once when
   * the first pass is over.
   */
  watchLast(filter: string, signal: AbortSignal): AsyncIterable<StoredEvent | 'caughtUp'>;

  /** Last sequence of a stream now. */
  lastSequence(stream: StreamName): Promise<number>;

  /** Part of `max_bytes` used, 0 to 1. */
  fill(stream: StreamName): Promise<number>;

  readonly requests: Requests;
  close(): Promise<void>;
}

export interface RequestOptions {
  readonly timeoutMs: number;
  /** Bytes that travel beside the JSON payload, 480 KiB at most. */
  readonly attachment?: Uint8Array;
  readonly signal?: AbortSignal;
}

export interface IncomingRequest<Request> {
  readonly payload: Request;
  readonly attachment: Uint8Array | undefined;
  /** Aborted when the asker went away or cancelled (streams), or the service stops. */
  readonly signal: AbortSignal;
}

/**
 * Request and reply between the services of one cluster. Handlers of one subject share the work (queue
 * group).
 */
export interface Requests {
  /**
   * @throws {NoResponderError} No service answers this subject now.
   * @throws {RequestTimeoutError} No answer in time; whether the work was done is unknown.
   * @throws {RequestFailedError} The handler threw; carries its `code` and message.
   */
  ask<Request, Answer>(subject: string, payload: Request, options: RequestOptions): Promise<Answer>;

  /**
   * Many answers to one question, with flow control: at most 256 unacknowledged answers are under way.
   * Leaving the loop early cancels the handler. `timeoutMs` bounds the silence between two answers, not the
   * whole.
   */
  askStream<Request, Answer>(
    subject: string,
    payload: Request,
    options: RequestOptions,
  ): AsyncIterable<Answer>;

  /** Handles a subject. @returns A function that stops taking requests and waits for those at work. */
  answer<Request, Answer>(
    subject: string,
    handler: (request: IncomingRequest<Request>) => Promise<Answer>,
    options?: { readonly concurrencyMax?: number },
  ): () => Promise<void>;

  answerStream<Request, Answer>(
    subject: string,
    handler: (request: IncomingRequest<Request>) => AsyncIterable<Answer>,
    options?: { readonly concurrencyMax?: number },
  ): () => Promise<void>;
}
