import type { Connection } from './connection.ts';
import { LogUnavailableError } from './errors.ts';
import type { StreamName } from './event-log.ts';
import { BatchNotAcknowledged, publishBatch, publishOne } from './publish.ts';
import type { Appended, OutgoingEvent } from './publish.ts';

/** Events in one atomic batch; the server allows 1000. */
const batchEventsMax = 250;
/** A batch costs 3 ms whatever its size, a single publish 0.3 ms: below this number singles are quicker. */
const batchEventsMin = 12;
const batchBytesMax = 4 * 1024 * 1024;
/** Publishes under way at once where there are no batches. */
const windowMax = 256;
/** Of a stream whose order does not matter: publishes under way at once that nothing waits for. */
const pipelinedMax = batchEventsMin - 1;
/** Events that may wait; a caller beyond it is told at once. */
const waitingMax = 20_000;

interface Waiting {
  readonly event: OutgoingEvent;
  readonly deadline: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Group commit for one stream. An append that finds nothing under way goes at once; those that come meanwhile
 * go together in one atomic batch, or pipelined where the server has none. Nothing waits for company, and one
 * batch is under way at a time, so events are stored in the order in which they were given. Where each event
 * stands for itself (`pipelined`), a few go without waiting for those before them.
 */
export class AppendQueue {
  readonly #connection: Connection;
  readonly #stream: StreamName;
  readonly #appendTimeoutMs: number;
  readonly #atomic: () => boolean;
  readonly #pipelined: boolean;
  #alone = 0;
  #waiting: Waiting[] = [];
  #working = false;
  #idle: (() => void)[] = [];

  constructor(
    connection: Connection,
    stream: StreamName,
    options: {
      readonly appendTimeoutMs: number;
      readonly atomic: () => boolean;
      /** Events may be stored in another order than they were given in. */
      readonly pipelined: boolean;
    },
  ) {
    this.#connection = connection;
    this.#stream = stream;
    this.#appendTimeoutMs = options.appendTimeoutMs;
    this.#atomic = options.atomic;
    this.#pipelined = options.pipelined;
  }

  add(event: OutgoingEvent): Promise<Appended> {
    if (this.#pipelined && !this.#working && this.#alone < pipelinedMax) return this.#publishAlone(event);
    if (this.#waiting.length >= waitingMax) {
      return Promise.reject(new LogUnavailableError(`${this.#stream}: ${waitingMax} events wait already`));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ event, deadline: performance.now() + this.#appendTimeoutMs, resolve, reject });
      if (!this.#working) {
        this.#working = true;
        queueMicrotask(() => void this.#work());
      }
    });
  }

  /** Resolves when nothing waits any more. */
  async flushed(): Promise<void> {
    if (this.#working || this.#alone > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  async #publishAlone(event: OutgoingEvent): Promise<Appended> {
    this.#alone += 1;
    try {
      const deadline = performance.now() + this.#appendTimeoutMs;
      return await publishOne(this.#connection, this.#stream, event, deadline);
    } finally {
      this.#alone -= 1;
      this.#tellIdle();
    }
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) await this.#publish(this.#take());
    this.#working = false;
    this.#tellIdle();
  }

  #tellIdle(): void {
    if (this.#working || this.#alone > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #take(): Waiting[] {
    const countMax = this.#atomic() ? batchEventsMax : windowMax;
    let count = 0;
    let bytes = 0;
    for (const { event } of this.#waiting) {
      bytes += event.payload.length;
      if (count === countMax || (count > 0 && bytes > batchBytesMax)) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #publish(group: readonly Waiting[]): Promise<void> {
    const now = performance.now();
    const inTime = group.filter((waiting) => waiting.deadline > now);
    for (const late of group.filter((waiting) => waiting.deadline <= now)) {
      late.reject(
        new LogUnavailableError(`${this.#stream}: no acknowledgement in ${this.#appendTimeoutMs} ms`),
      );
    }
    if (inTime.length >= batchEventsMin && this.#atomic() && this.#connection.connected) {
      try {
        const appended = await publishBatch(
          this.#connection,
          this.#stream,
          inTime.map(({ event }) => event),
        );
        inTime.forEach((waiting, index) => waiting.resolve(appended[index] as Appended));
        return;
      } catch (error) {
        if (!(error instanceof BatchNotAcknowledged)) throw error;
        // One by one: a duplicate or a full log concerns single events, and ids make repeating safe.
      }
    }
    await Promise.all(
      inTime.map(({ event, deadline, resolve, reject }) =>
        publishOne(this.#connection, this.#stream, event, deadline).then(resolve, reject),
      ),
    );
  }
}
