import { createInbox, headers } from '@nats-io/transport-node';
import type { Msg } from '@nats-io/transport-node';

import type { EventLogLogger } from './capabilities.ts';
import type { Connection } from './connection.ts';
import { EventLogError, RequestTooLargeError } from './errors.ts';
import type { IncomingRequest } from './event-log.ts';
import {
  decodeFrame,
  encodeError,
  encodeFrame,
  markFrame,
  messageBytesMax,
  numberHeader,
  saysNobodyListens,
  timeoutHeader,
  windowHeader,
} from './request-frames.ts';
import type { Frame, FrameKind } from './request-frames.ts';
import { windowAnswers } from './asking.ts';
import { WorkLimit } from './work-limit.ts';

const defaultConcurrencyMax = 64;
/** Requests that wait for a handler; more are told that we are busy. */
const waitingRequestsMax = 1000;
const aliveEveryMs = 2000;
/** Answers that are ready at the same time share messages of this size. */
const bundleBytesMax = 32 * 1024;
/** How long handlers at work may go on after `stop` before their signal is aborted. */
const stopGraceMs = 500;
/** And then before they are left. */
const abortGraceMs = 2000;

type Work = (message: Msg, signal: AbortSignal) => Promise<void>;

/** Takes the requests of one subject, shared with the other services that answer it. */
export function takeRequests(
  connection: Connection,
  subject: string,
  concurrencyMax: number | undefined,
  log: EventLogLogger,
  work: Work,
): () => Promise<void> {
  const limit = new WorkLimit(concurrencyMax ?? defaultConcurrencyMax, waitingRequestsMax);
  const stopping = new AbortController();
  const subscription = connection.nc.subscribe(subject, {
    queue: 'isthmus',
    callback: (error, message) => {
      if (error !== null) {
        log.warn({ subject, err: error }, 'event log: requests cannot be taken');
        return;
      }
      const accepted = limit.add(() => work(message, stopping.signal));
      if (!accepted) reply(message, busy(subject));
    },
  });
  return async () => {
    if (connection.connected) await subscription.drain().catch(() => subscription.unsubscribe());
    else subscription.unsubscribe();
    if (await within(limit.idle(), stopGraceMs)) return;
    stopping.abort(new Error('the service stops'));
    if (!(await within(limit.idle(), abortGraceMs)))
      log.warn({ subject }, 'event log: a handler did not end in time');
  };
}

/** One answer to one request. */
export function answerOnce<Request, Answer>(
  subject: string,
  handler: (request: IncomingRequest<Request>) => Promise<Answer>,
): Work {
  return async (message, stopping) => {
    const controller = new AbortController();
    const abort = (): void => controller.abort(stopping.reason);
    stopping.addEventListener('abort', abort, { once: true });
    const timeoutMs = numberHeader(message, timeoutHeader);
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => controller.abort(new Error('nobody waits for the answer any more')), timeoutMs);
    try {
      const { payload, attachment } = decodeFrame(message);
      const answer = await handler({ payload: payload as Request, attachment, signal: controller.signal });
      reply(message, encodeFrame(subject, answer));
    } catch (error) {
      reply(message, encodeError(error));
    } finally {
      clearTimeout(timer);
      stopping.removeEventListener('abort', abort);
    }
  };
}

/** Many answers to one request, as fast as the asker takes them. */
export function answerMany<Request, Answer>(
  connection: Connection,
  subject: string,
  handler: (request: IncomingRequest<Request>) => AsyncIterable<Answer>,
): Work {
  return async (message, stopping) => {
    const outgoing = new OutgoingAnswers(connection, subject, message, stopping);
    try {
      const { payload, attachment } = decodeFrame(message);
      outgoing.open();
      const request = { payload: payload as Request, attachment, signal: outgoing.signal };
      const answers = handler(request)[Symbol.asyncIterator]();
      await pump(answers, outgoing);
    } catch (error) {
      if (!outgoing.signal.aborted || stopping.aborted) outgoing.fail(error);
    } finally {
      outgoing.close();
    }
  };
}

async function pump<Answer>(answers: AsyncIterator<Answer>, outgoing: OutgoingAnswers): Promise<void> {
  try {
    for (;;) {
      const next = await outgoing.unlessAborted(answers.next());
      if (next.done === true) break;
      await outgoing.room();
      outgoing.add(next.value);
    }
    outgoing.end();
  } catch (error) {
    // Not awaited: a handler that ignores its signal would keep us for ever.
    void answers.return?.().catch(() => {});
    throw error;
  }
}

/** The handler's side of one stream request: window, keep-alive, and the news that the asker has left. */
class OutgoingAnswers {
  readonly #connection: Connection;
  readonly #subject: string;
  readonly #inbox: string;
  readonly #control = createInbox();
  readonly #controller = new AbortController();
  readonly #window: number;
  readonly #stopping: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  readonly #unsubscribe: () => void;
  /** Encoded answers that go in the next message. */
  #bundle: string[] = [];
  #bundleBytes = 0;
  #flushing: NodeJS.Immediate | undefined;
  #sent = 0;
  #acknowledged = 0;
  #wake: () => void = () => {};
  #leave: (reason: Error) => void = () => {};

  constructor(connection: Connection, subject: string, request: Msg, stopping: AbortSignal) {
    this.#connection = connection;
    this.#subject = subject;
    this.#inbox = request.reply ?? '';
    this.#window = numberHeader(request, windowHeader) ?? windowAnswers;
    this.#stopping = stopping;
    stopping.addEventListener('abort', this.#onStop, { once: true });
    const subscription = connection.nc.subscribe(this.#control, {
      callback: (error, message) => {
        if (error === null) this.#hear(message);
      },
    });
    this.#unsubscribe = () => subscription.unsubscribe();
    this.#timer = setInterval(
      () => this.#send(encodeFrame(subject, null), 'alive', this.#sent),
      aliveEveryMs,
    );
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Tells the asker at once where we listen, so that it can cancel before the first answer. */
  open(): void {
    this.#send(encodeFrame(this.#subject, null), 'open', 0);
  }

  /**
   * Sends an answer, together with those that follow at once: a message costs more than an answer.
   * @throws {RequestTooLargeError}
   */
  add(answer: unknown): void {
    const text = JSON.stringify(answer ?? null);
    const bytes = Buffer.byteLength(text) + 1;
    if (bytes + 1 > messageBytesMax) throw new RequestTooLargeError(this.#subject, bytes, messageBytesMax);
    if (this.#bundleBytes + bytes > bundleBytesMax) this.#flush();
    if (this.#bundle.length === 0) this.#flushing = setImmediate(() => this.#flush());
    this.#bundle.push(text);
    this.#bundleBytes += bytes;
  }

  end(): void {
    this.#flush();
    this.#send(encodeFrame(this.#subject, null), 'end', this.#sent);
  }

  fail(error: unknown): void {
    this.#flush();
    this.#send(encodeError(error), 'error', this.#sent);
  }

  /** Waits until the asker has room for one more answer. */
  async room(): Promise<void> {
    while (this.#sent + this.#bundle.length - this.#acknowledged >= this.#window) {
      await this.unlessAborted(
        new Promise<void>((resolve) => {
          this.#wake = resolve;
        }),
      );
    }
    this.signal.throwIfAborted();
  }

  /** One wait at a time: a listener on the signal for each answer would cost more than the answer. */
  unlessAborted<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#leave = reject;
      if (this.signal.aborted) reject(this.signal.reason as Error);
      work.then(resolve, reject);
    });
  }

  #flush(): void {
    clearImmediate(this.#flushing);
    if (this.#bundle.length === 0) return;
    const first = this.#sent + 1;
    this.#sent += this.#bundle.length;
    const data = Buffer.from(`[${this.#bundle.join(',')}]`);
    this.#bundle = [];
    this.#bundleBytes = 0;
    this.#send({ data, headers: headers() }, 'answer', first);
  }

  #send(frame: Frame, kind: FrameKind, number: number): void {
    if (this.#connection.nc.isClosed()) return;
    const marked = markFrame(frame, kind, number);
    // With a reply subject the server tells us when nobody listens to the inbox any more.
    this.#connection.nc.publish(this.#inbox, marked.data, { headers: marked.headers, reply: this.#control });
  }

  close(): void {
    clearInterval(this.#timer);
    clearImmediate(this.#flushing);
    this.#stopping.removeEventListener('abort', this.#onStop);
    this.#unsubscribe();
  }

  readonly #onStop = (): void => {
    this.#abort(new EventLogError('service-stopping', 'the service stops', 'Ask again'));
  };

  #abort(reason: Error): void {
    this.#controller.abort(reason);
    this.#leave(reason);
  }

  #hear(message: Msg): void {
    if (saysNobodyListens(message)) {
      this.#abort(new Error('the asker has left'));
      return;
    }
    const control = message.json<{ acknowledged?: number; cancel?: true }>();
    if (control.cancel === true) this.#abort(new Error('the asker has cancelled'));
    if (control.acknowledged !== undefined) {
      this.#acknowledged = Math.max(this.#acknowledged, control.acknowledged);
      this.#wake();
    }
  }
}

function busy(subject: string): Frame {
  return encodeError(
    new EventLogError('busy', `${subject}: too many requests wait already`, 'Ask again later'),
  );
}

/** A busy answer must be understood by an asker of a stream too. */
function reply(message: Msg, frame: Frame): void {
  if (message.reply === undefined || message.reply === '') return;
  const streamed = numberHeader(message, windowHeader) !== undefined;
  const { data, headers } = streamed ? markFrame(frame, 'error', 0) : frame;
  try {
    message.respond(data, { headers });
  } catch {
    // The connection is closed: the asker learns it by its timeout.
  }
}

async function within(work: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
