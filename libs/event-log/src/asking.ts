import { createInbox, RequestError, TimeoutError } from '@nats-io/transport-node';
import type { Msg, Subscription } from '@nats-io/transport-node';

import type { Connection } from './connection.ts';
import { NoResponderError, RequestFailedError, RequestTimeoutError } from './errors.ts';
import type { RequestOptions } from './event-log.ts';
import {
  decodeError,
  decodeFrame,
  encodeFrame,
  frameMark,
  saysNobodyListens,
  timeoutHeader,
  windowHeader,
} from './request-frames.ts';

/** Answers that may be under way unacknowledged. */
export const windowAnswers = 256;
/** Acknowledge after so many, so that the window is open again before it is used up. */
const acknowledgeEvery = 64;
/** A handler says every two seconds that it is there; one that was silent so long is gone. */
export const handlerLostMs = 10_000;
/** How long an answer may still take when the connection was lost meanwhile. */
const reconnectGraceMs = 2000;

/** Refusals travel as errors of the signal's own kind, so that a caller recognises its own abort. */
function aborted(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal.reason });
}

export async function ask<Answer>(
  connection: Connection,
  subject: string,
  payload: unknown,
  options: RequestOptions,
): Promise<Answer> {
  const { signal, timeoutMs } = options;
  const frame = encodeFrame(subject, payload, options.attachment);
  frame.headers.set(timeoutHeader, String(timeoutMs));
  signal?.throwIfAborted();
  const deadline = performance.now() + timeoutMs;
  // Published without a connection it would wait in a buffer and be done after we gave up.
  if (!(await connection.awaitConnected(timeoutMs)))
    throw new RequestTimeoutError(subject, 'nats-server is away');
  const timeout = Math.max(deadline - performance.now(), 1);
  let abort: (() => void) | undefined;
  const grace = answerGrace(connection, subject);
  try {
    const answer = connection.nc.request(subject, frame.data, { headers: frame.headers, timeout });
    const left = new Promise<never>((_, reject) => {
      if (signal === undefined) return;
      abort = () => reject(aborted(signal));
      signal.addEventListener('abort', abort, { once: true });
    });
    const message = await Promise.race([answer, left, grace.over]);
    const error = decodeError(subject, message);
    if (error !== undefined) throw error;
    return decodeFrame(message).payload as Answer;
  } catch (error) {
    if (error instanceof RequestError && error.isNoResponders())
      throw new NoResponderError(subject, { cause: error });
    if (error instanceof TimeoutError || error instanceof RequestError) {
      throw new RequestTimeoutError(subject, `no answer in ${timeoutMs} ms`, { cause: error });
    }
    throw error;
  } finally {
    grace.end();
    if (abort !== undefined) signal?.removeEventListener('abort', abort);
  }
}

/**
 * An answer that was on its way when the connection was lost is most likely lost with it: after a reconnect
 * wait a little only.
 */
function answerGrace(connection: Connection, subject: string): { over: Promise<never>; end(): void } {
  let timer: NodeJS.Timeout | undefined;
  let stop: () => void = () => {};
  const over = new Promise<never>((_, reject) => {
    stop = connection.onReconnect(() => {
      const lost = new RequestTimeoutError(subject, 'the connection was lost while the answer was awaited');
      timer ??= setTimeout(() => reject(lost), reconnectGraceMs);
    });
  });
  return {
    over,
    end() {
      stop();
      clearTimeout(timer);
    },
  };
}

export async function* askStream<Answer>(
  connection: Connection,
  subject: string,
  payload: unknown,
  options: RequestOptions,
): AsyncGenerator<Answer, void, undefined> {
  const stream = new AnswerStream(connection, subject, options);
  try {
    await stream.open(payload);
    for (;;) {
      const answers = await stream.next();
      if (answers === undefined) return;
      for (const answer of answers) {
        yield answer as Answer;
        stream.acknowledge();
      }
    }
  } finally {
    stream.close();
  }
}

/** The asker's side of one stream request. */
class AnswerStream {
  readonly #connection: Connection;
  readonly #subject: string;
  readonly #options: RequestOptions;
  readonly #arrived: Msg[] = [];
  #subscription: Subscription | undefined;
  #wake: () => void = () => {};
  #heardAt = 0;
  /** Answers received; the handler numbers them from 1. */
  #taken = 0;
  #used = 0;
  #acknowledged = 0;
  #ended = false;
  /** Where the handler listens to us; known from its first message. */
  #control: string | undefined;

  constructor(connection: Connection, subject: string, options: RequestOptions) {
    this.#connection = connection;
    this.#subject = subject;
    this.#options = options;
  }

  async open(payload: unknown): Promise<void> {
    const { nc } = this.#connection;
    const { attachment, signal, timeoutMs } = this.#options;
    const frame = encodeFrame(this.#subject, payload, attachment);
    frame.headers.set(timeoutHeader, String(timeoutMs));
    frame.headers.set(windowHeader, String(windowAnswers));
    signal?.throwIfAborted();
    if (!(await this.#connection.awaitConnected(timeoutMs))) {
      throw new RequestTimeoutError(this.#subject, 'nats-server is away');
    }
    signal?.throwIfAborted();
    void nc.closed().then(() => this.#wake());
    const inbox = createInbox();
    this.#subscription = nc.subscribe(inbox, { callback: (error, message) => this.#receive(error, message) });
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#heardAt = performance.now();
    nc.publish(this.#subject, frame.data, { reply: inbox, headers: frame.headers });
  }

  /** The next answers, or undefined at the end. */
  async next(): Promise<readonly unknown[] | undefined> {
    const silentUntil = performance.now() + this.#options.timeoutMs;
    for (;;) {
      const { signal } = this.#options;
      if (signal?.aborted === true) throw aborted(signal);
      const message = this.#arrived.shift();
      if (message === undefined) await this.#wait(silentUntil);
      else {
        const answer = this.#interpret(message);
        if (answer !== 'alive') return answer;
      }
    }
  }

  /** One answer was used. */
  acknowledge(): void {
    this.#used++;
    if (this.#used - this.#acknowledged < acknowledgeEvery) return;
    this.#acknowledged = this.#used;
    this.#tell({ acknowledged: this.#used });
  }

  close(): void {
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    if (!this.#ended) this.#tell({ cancel: true });
    // From now on the server tells the handler that nobody listens, whatever became of our message.
    this.#subscription?.unsubscribe();
  }

  #tell(control: { acknowledged: number } | { cancel: true }): void {
    if (this.#control === undefined || this.#connection.nc.isClosed()) return;
    this.#connection.nc.publish(this.#control, JSON.stringify(control));
  }

  #receive(error: Error | null, message: Msg): void {
    if (error !== null) return;
    this.#heardAt = performance.now();
    if (message.reply !== undefined && message.reply !== '') this.#control = message.reply;
    this.#arrived.push(message);
    this.#wake();
  }

  readonly #onAbort = (): void => this.#wake();

  #interpret(message: Msg): readonly unknown[] | 'alive' | undefined {
    if (saysNobodyListens(message)) {
      this.#ended = true;
      throw new NoResponderError(this.#subject);
    }
    const mark = frameMark(message);
    if (mark === undefined) return 'alive';
    if (mark.kind === 'open' || mark.kind === 'alive') return 'alive';
    if (mark.kind === 'error') {
      this.#ended = true;
      throw (
        decodeError(this.#subject, message) ??
        new RequestFailedError(this.#subject, 'request-failed', 'failed')
      );
    }
    const expected = mark.kind === 'answer' ? this.#taken + 1 : this.#taken;
    if (mark.number !== expected) {
      throw new RequestFailedError(this.#subject, 'answers-lost', 'answers were lost with a connection');
    }
    if (mark.kind === 'end') {
      this.#ended = true;
      return undefined;
    }
    const { payload } = decodeFrame(message);
    if (!Array.isArray(payload))
      throw new RequestFailedError(this.#subject, 'bad-answer', 'the answer is no list');
    this.#taken += payload.length;
    return payload;
  }

  /** Until something arrives. Silence between two answers and a handler that died are both ends. */
  async #wait(silentUntil: number): Promise<void> {
    const now = performance.now();
    if (this.#connection.nc.isClosed())
      throw new RequestTimeoutError(this.#subject, 'the connection was closed');
    if (now >= silentUntil) {
      throw new RequestTimeoutError(this.#subject, `no answer in ${this.#options.timeoutMs} ms`);
    }
    if (now >= this.#heardAt + handlerLostMs) {
      throw new RequestTimeoutError(this.#subject, 'the service that answered is gone');
    }
    const ms = Math.min(silentUntil, this.#heardAt + handlerLostMs) - now;
    await new Promise<void>((resolve) => {
      // What arrived or happened since the caller looked wakes nobody: there is no await in between.
      const timer = setTimeout(resolve, Math.ceil(ms));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
