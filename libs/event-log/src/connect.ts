import type { EventEnvelope } from '@isthmus/domain';

import { answerMany, answerOnce, takeRequests } from './answering.ts';
import { AppendQueue } from './append-queue.ts';
import { ask, askStream } from './asking.ts';
import { capabilitiesOf, logCapabilities } from './capabilities.ts';
import type { EventLogLogger } from './capabilities.ts';
import { openConnection } from './connection.ts';
import type { Connection } from './connection.ts';
import { EventLogError, LogUnavailableError } from './errors.ts';
import type {
  ConditionalAppend,
  EventLog,
  FollowOptions,
  Requests,
  ServerCapabilities,
  StreamName,
} from './event-log.ts';
import { Feed } from './feed.ts';
import { encodeEvent, publishOne, WrongLastSequence } from './publish.ts';
import { lastOf, readSubject } from './reading.ts';
import { ensureStream, streamNames, streamOf } from './streams.ts';
import type { EnsuredStream, StreamLimits } from './streams.ts';

const followBatchMax = 500;
const watchBufferMax = 500;
/** Events of `appendAll` that are handed to the queue at once. */
const appendChunk = 2000;
const setUpRetryMs = 250;
const readRetryMs = 100;

export interface EventLogOptions {
  /** `nats://host:port`, several separated by commas or as a list. */
  readonly servers: string | readonly string[];
  readonly cluster: string;
  readonly service: string;
  readonly log: EventLogLogger;
  readonly streams?: StreamLimits;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** How long the first connection and the streams may take. @default 30000 */
  readonly connectTimeoutMs?: number;
  /**
   * How long an append may wait for its acknowledgement, and a read for its answer, over reconnects. @default
   * 10000
   */
  readonly appendTimeoutMs?: number;
}

/**
 * Connects to the log of this cluster, and makes or checks its streams. Afterwards the connection is kept for
 * ever.
 *
 * @throws {LogUnavailableError} No server, or no JetStream, within `connectTimeoutMs`.
 * @throws {StreamMismatchError} A stream of our name is not ours and could lose events.
 */
export async function connectEventLog(options: EventLogOptions): Promise<EventLog> {
  const connectTimeoutMs = options.connectTimeoutMs ?? 30_000;
  const connection = await openConnection({
    ...options,
    name: `${options.cluster}/${options.service}`,
    connectTimeoutMs,
  });
  try {
    const log = new NatsEventLog(connection, options);
    await log.setUp(performance.now() + connectTimeoutMs);
    logCapabilities(log.capabilities, options.log);
    return log;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

class NatsEventLog implements EventLog {
  readonly requests: Requests;
  readonly #connection: Connection;
  readonly #options: EventLogOptions;
  readonly #queues: Readonly<Record<StreamName, AppendQueue>>;
  readonly #appendTimeoutMs: number;
  readonly #stops = new Set<() => Promise<void>>();
  #streams: Partial<Record<StreamName, EnsuredStream>> = {};
  #capabilities: ServerCapabilities;

  constructor(connection: Connection, options: EventLogOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#appendTimeoutMs = options.appendTimeoutMs ?? 10_000;
    this.#capabilities = capabilitiesOf(connection.nc.info?.version ?? '0.0.0');
    const queueOf = (stream: StreamName): AppendQueue =>
      new AppendQueue(connection, stream, {
        appendTimeoutMs: this.#appendTimeoutMs,
        atomic: () => this.#streams[stream]?.allowsAtomic === true,
        pipelined: stream === 'INSTANCES',
      });
    this.#queues = { STUDY: queueOf('STUDY'), INSTANCES: queueOf('INSTANCES') };
    this.requests = this.#makeRequests();
    connection.onReconnect(() => void this.#checkAfterReconnect());
  }

  get capabilities(): ServerCapabilities {
    return this.#capabilities;
  }

  get incarnation(): string {
    return streamNames.map((name) => this.#streams[name]?.incarnation ?? 'none').join('.');
  }

  /** Makes or checks the streams; a server that has just started needs a moment before JetStream answers. */
  async setUp(deadline: number): Promise<void> {
    this.#capabilities = capabilitiesOf(this.#connection.nc.info?.version ?? '0.0.0');
    const { log, streams } = this.#options;
    for (;;) {
      try {
        const ensured: Partial<Record<StreamName, EnsuredStream>> = {};
        for (const name of streamNames) {
          ensured[name] = await ensureStream(
            this.#connection.jsm,
            name,
            streams ?? {},
            this.#capabilities,
            log,
          );
        }
        this.#streams = ensured;
        return;
      } catch (cause) {
        if (cause instanceof EventLogError) throw cause;
        if (performance.now() > deadline || this.#connection.nc.isClosed()) {
          throw new LogUnavailableError('JetStream does not answer', { cause });
        }
        await new Promise((resolve) => {
          setTimeout(resolve, setUpRetryMs);
        });
      }
    }
  }

  /** The server may be another one by now: other version, other data. */
  async #checkAfterReconnect(): Promise<void> {
    const before = this.incarnation;
    try {
      await this.setUp(performance.now() + 60_000);
      if (this.incarnation === before) return;
      const facts = { before, now: this.incarnation };
      this.#options.log.error(facts, 'event log: the streams were wiped or replaced; readers stop here');
    } catch (err) {
      if (!this.#connection.nc.isClosed())
        this.#options.log.error({ err }, 'event log: the streams cannot be checked');
    }
  }

  async append(
    stream: StreamName,
    subject: string,
    event: EventEnvelope,
  ): Promise<{ sequence: number; duplicate: boolean }> {
    requireStream(stream, subject);
    return this.#queues[stream].add({ subject, id: event.id, payload: encodeEvent(this.#connection, event) });
  }

  async appendAll(
    stream: StreamName,
    entries: readonly { subject: string; event: EventEnvelope }[],
  ): Promise<readonly { sequence: number; duplicate: boolean }[]> {
    const appended: { sequence: number; duplicate: boolean }[] = [];
    for (let start = 0; start < entries.length; start += appendChunk) {
      const chunk = entries.slice(start, start + appendChunk);
      appended.push(
        ...(await Promise.all(chunk.map(({ subject, event }) => this.append(stream, subject, event)))),
      );
    }
    return appended;
  }

  async appendExpecting(
    subject: string,
    event: EventEnvelope,
    lastSequence: number,
  ): Promise<ConditionalAppend> {
    requireStream('STUDY', subject);
    const outgoing = { subject, id: event.id, payload: encodeEvent(this.#connection, event) };
    const deadline = performance.now() + this.#appendTimeoutMs;
    try {
      const appended = await publishOne(this.#connection, 'STUDY', outgoing, deadline, lastSequence);
      return { ok: true, ...appended };
    } catch (error) {
      if (!(error instanceof WrongLastSequence)) throw error;
      // From 2.12 a server looks at the expectation first: our own first try, whose answer was lost, looks
      // like a conflict.
      const since = await this.readSubject('STUDY', subject, lastSequence);
      const own = since.find((stored) => stored.event.id === event.id);
      if (own !== undefined) return { ok: true, sequence: own.sequence, duplicate: true };
      const last = since.at(-1) ?? (await this.lastOf('STUDY', subject));
      return { ok: false, lastSequence: last?.sequence ?? 0 };
    }
  }

  readSubject(stream: StreamName, subject: string, after: number): ReturnType<EventLog['readSubject']> {
    return this.#reading(stream, () => readSubject(this.#connection, stream, subject, after));
  }

  lastOf(stream: StreamName, subject: string): ReturnType<EventLog['lastOf']> {
    return this.#reading(stream, () => lastOf(this.#connection.jsm, stream, subject));
  }

  async *follow(stream: StreamName, options: FollowOptions): ReturnType<EventLog['follow']> {
    const batchMax = options.batchMax ?? followBatchMax;
    const feed = new Feed(this.#connection, {
      stream,
      after: options.after,
      filter: options.filter,
      lastPerSubject: false,
      bufferMax: batchMax,
      signal: options.signal,
      log: this.#options.log,
    });
    try {
      for (;;) {
        const batch = await feed.take(batchMax);
        if (batch === undefined) return;
        yield batch.filter((item) => item !== 'caughtUp');
      }
    } finally {
      feed.stop();
    }
  }

  async *watchLast(filter: string, signal: AbortSignal): ReturnType<EventLog['watchLast']> {
    const feed = new Feed(this.#connection, {
      stream: 'STUDY',
      after: 0,
      filter,
      lastPerSubject: true,
      bufferMax: watchBufferMax,
      signal,
      log: this.#options.log,
    });
    try {
      for (;;) {
        const items = await feed.take(watchBufferMax);
        if (items === undefined) return;
        yield* items;
      }
    } finally {
      feed.stop();
    }
  }

  async lastSequence(stream: StreamName): Promise<number> {
    const info = await this.#reading(stream, () => this.#connection.jsm.streams.info(stream));
    return info.state.last_seq;
  }

  async fill(stream: StreamName): Promise<number> {
    const { config, state } = await this.#reading(stream, () => this.#connection.jsm.streams.info(stream));
    return config.max_bytes > 0 ? state.bytes / config.max_bytes : 0;
  }

  #reading<T>(stream: StreamName, work: () => Promise<T>): Promise<T> {
    return available(this.#connection, stream, this.#appendTimeoutMs, work);
  }

  #makeRequests(): Requests {
    const connection = this.#connection;
    const { log } = this.#options;
    const keep = (stop: () => Promise<void>): (() => Promise<void>) => {
      const once = async (): Promise<void> => {
        if (this.#stops.delete(once)) await stop();
      };
      this.#stops.add(once);
      return once;
    };
    return {
      ask: (subject, payload, options) => ask(connection, subject, payload, options),
      askStream: (subject, payload, options) => askStream(connection, subject, payload, options),
      answer: (subject, handler, options) =>
        keep(takeRequests(connection, subject, options?.concurrencyMax, log, answerOnce(subject, handler))),
      answerStream: (subject, handler, options) =>
        keep(
          takeRequests(
            connection,
            subject,
            options?.concurrencyMax,
            log,
            answerMany(connection, subject, handler),
          ),
        ),
    };
  }

  /** Order: no more requests, handlers end, appends under way are acknowledged, connection. */
  async close(): Promise<void> {
    await Promise.all([...this.#stops].map((stop) => stop()));
    await Promise.all(streamNames.map((name) => this.#queues[name].flushed()));
    await this.#connection.close();
  }
}

/** A programmer's error, hence no operating error. */
function requireStream(stream: StreamName, subject: string): void {
  if (streamOf(subject) !== stream) throw new TypeError(`${stream} does not store the subject ${subject}`);
}

/** Reads until it works or the time is over: reading again does no harm. */
async function available<T>(
  connection: Connection,
  stream: StreamName,
  timeoutMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    let cause: unknown;
    if (await connection.awaitConnected(Math.max(deadline - performance.now(), 0))) {
      try {
        return await connection.orReconnect(work());
      } catch (error) {
        if (error instanceof EventLogError) throw error;
        cause = error;
      }
    }
    if (performance.now() >= deadline || connection.nc.isClosed()) {
      throw new LogUnavailableError(`${stream} cannot be read now`, { cause });
    }
    await connection.pause(readRetryMs);
  }
}
