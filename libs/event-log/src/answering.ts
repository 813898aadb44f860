import { createInbox } from '@nats-io/transport-node';
import type { Msg } from '@nats-io/transport-node';

import type { EventLogLogger } from './capabilities.ts';
import type { Connection } from './connection.ts';
import { EventLogError } from './errors.ts';
import type { IncomingRequest } from './event-log.ts';
import {
  decodeFrame,
  encodeError,
  encodeFrame,
  markFrame,
  numberHeader,
  saysNobodyListens,
  timeoutHeader,
  windowHeader,
} from './request-frames.ts';
import type { Frame } from './request-frames.ts';
import { windowAnswers } from './asking.ts';
import { WorkLimit } from './work-limit.ts';

const defaultConcurrencyMax = 64;
/** Requests that wait for a handler; more are told that we are busy. */
const waitingRequestsMax = 1000;
const aliveEveryMs = 2000;
/** How long handlers at work may go on after `stop` before their signal is aborted, and then again before they are left. */
const stopGraceMs = 5000;

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
    if (!(await within(limit.idle(), stopGraceMs)))
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
    const outgoing = new OutgoingAnswers(connection, message, stopping);
    try {
      const { payload, attachment } = decodeFrame(message);
      outgoing.send({ data: new Uint8Array(), headers: encodeFrame(subject, null).headers }, 'open');
      const request = { payload: payload as Request, attachment, signal: outgoing.signal };
      const answers = handler(request)[Symbol.asyncIterator]();
      await pump(answers, outgoing, subject);
    } catch (error) {
      if (!outgoing.signal.aborted || stopping.aborted) outgoing.send(encodeError(error), 'error');
    } finally {
      outgoing.close();
    }
  };
}

async function pump<Answer>(
  answers: AsyncIterator<Answer>,
  outgoing: OutgoingAnswers,
  subject: string,
): Promise<void> {
  try {
    for (;;) {
      const next = await outgoing.unlessAborted(answers.next());
      if (next.done === true) break;
      const frame = encodeFrame(subject, next.value);
      await outgoing.room();
      outgoing.send(frame, 'answer');
    }
    outgoing.send(encodeFrame(subject, null), 'end');
  } catch (error) {
    // Not awaited: a handler that ignores its signal would keep us for ever.
    void answers.return?.().catch(() => {});
    throw error;
  }
}

/** The handler's side of one stream request: window, keep-alive, and the news that the asker has left. */
class OutgoingAnswers {
  readonly #connection: Connection;
  readonly #inbox: string;
  readonly #control = createInbox();
  readonly #controller = new AbortController();
  readonly #window: number;
  readonly #stopping: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  readonly #unsubscribe: () => void;
  #sent = 0;
  #acknowledged = 0;
  #wake: () => void = () => {};

  constructor(connection: Connection, request: Msg, stopping: AbortSignal) {
    this.#connection = connection;
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
    this.#timer = setInterval(() => this.send(encodeFrame(this.#inbox, null), 'alive'), aliveEveryMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  send(frame: Frame, kind: 'open' | 'answer' | 'alive' | 'end' | 'error'): void {
    if (this.#connection.nc.isClosed()) return;
    if (kind === 'answer') this.#sent++;
    markFrame(frame, kind, this.#sent);
    // With a reply subject the server tells us when nobody listens to the inbox any more.
    const options = { headers: frame.headers, reply: this.#control };
    this.#connection.nc.publish(this.#inbox, frame.data, options);
  }

  /** Waits until the asker has room for one more answer. */
  async room(): Promise<void> {
    while (this.#sent - this.#acknowledged >= this.#window) {
      await this.unlessAborted(
        new Promise<void>((resolve) => {
          this.#wake = resolve;
        }),
      );
    }
    this.signal.throwIfAborted();
  }

  unlessAborted<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(this.signal.reason as Error);
      if (this.signal.aborted) abort();
      this.signal.addEventListener('abort', abort, { once: true });
      work.then(resolve, reject).finally(() => this.signal.removeEventListener('abort', abort));
    });
  }

  close(): void {
    clearInterval(this.#timer);
    this.#stopping.removeEventListener('abort', this.#onStop);
    this.#unsubscribe();
  }

  readonly #onStop = (): void => {
    this.#controller.abort(new EventLogError('service-stopping', 'the service stops', 'Ask again'));
  };

  #hear(message: Msg): void {
    if (saysNobodyListens(message)) {
      this.#controller.abort(new Error('the asker has left'));
      return;
    }
    const control = message.json<{ acknowledged?: number; cancel?: true }>();
    if (control.cancel === true) this.#controller.abort(new Error('the asker has cancelled'));
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
