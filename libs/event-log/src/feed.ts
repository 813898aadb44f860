import { DeliverPolicy } from '@nats-io/jetstream';
import type { ConsumerConfig, ConsumerInfo, ConsumerMessages } from '@nats-io/jetstream';

import type { StoredEvent } from '@isthmus/domain';

import type { EventLogLogger } from './capabilities.ts';
import type { Connection } from './connection.ts';
import { EventLogError, LogReplacedError } from './errors.ts';
import type { StreamName } from './event-log.ts';
import { passingConsumer, storedEvent } from './reading.ts';
import { incarnationOf } from './streams.ts';

const pullExpiresMs = 30_000;
const heartbeatMs = 5000;
const retryBaseMs = 50;
const retryMaxMs = 2000;

export interface FeedOptions {
  readonly stream: StreamName;
  readonly after: number;
  readonly filter: string | undefined;
  /** Start with the newest event of each subject instead of all after `after`. */
  readonly lastPerSubject: boolean;
  /** Events held for the reader; nothing more is asked for while it is full. */
  readonly bufferMax: number;
  readonly signal: AbortSignal;
  readonly log: EventLogLogger;
}

/** Progress that outlives a consumer. */
interface Progress {
  last: number;
  caughtUp: boolean;
  readonly incarnation: string;
}

/**
 * Reads a stream for ever through consumers that come and go: a restart of the server, a lost connection, a
 * missed heartbeat or a gap ends one consumer, and the next begins after the last event that was taken. No
 * consumer state matters, so there is neither gap nor repeat.
 */
export class Feed {
  readonly #connection: Connection;
  readonly #options: FeedOptions;
  readonly #items: (StoredEvent | 'caughtUp')[] = [];
  #messages: ConsumerMessages | undefined;
  #consumerName: string | undefined;
  #stopped = false;
  #failure: unknown;
  #wakeReader: () => void = () => {};
  #wakeWriter: () => void = () => {};

  constructor(connection: Connection, options: FeedOptions) {
    this.#connection = connection;
    this.#options = options;
    options.signal.addEventListener('abort', this.stop, { once: true });
    if (options.signal.aborted) this.stop();
    void connection.nc.closed().then(() => this.stop());
    void this.#run();
  }

  readonly stop = (): void => {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#options.signal.removeEventListener('abort', this.stop);
    this.#messages?.stop();
    this.#wakeReader();
    this.#wakeWriter();
  };

  /**
   * Waits for events and takes what is there, `max` at most.
   * @returns Undefined when the feed was stopped.
   * @throws {LogReplacedError} {LogCorruptError} The feed has ended; what was read before was given.
   */
  async take(max: number): Promise<(StoredEvent | 'caughtUp')[] | undefined> {
    while (this.#items.length === 0 && !this.#stopped && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
    if (this.#options.signal.aborted) return undefined;
    if (this.#items.length > 0) {
      const taken = this.#items.splice(0, max);
      this.#wakeWriter();
      return taken;
    }
    if (this.#failure !== undefined) throw this.#failure;
    return undefined;
  }

  async #run(): Promise<void> {
    const { after, log, stream } = this.#options;
    let progress: Progress | undefined;
    for (let failures = 0; !this.#stopped; failures++) {
      const before = progress?.last ?? after;
      try {
        if (await this.#connection.awaitConnected(retryMaxMs)) {
          progress ??= await this.#begin();
          await this.#session(progress);
        }
      } catch (error) {
        if (error instanceof EventLogError) {
          this.#failure = error;
          this.#wakeReader();
          return;
        }
        if (!this.#stopped)
          log.warn({ stream, err: error, after: before }, 'event log: reading was interrupted, going on');
      }
      if ((progress?.last ?? after) > before) failures = 0;
      await this.#pause(Math.min(retryBaseMs * 2 ** Math.min(failures, 10), retryMaxMs));
    }
  }

  async #begin(): Promise<Progress> {
    const info = await this.#connection.orReconnect(this.#connection.jsm.streams.info(this.#options.stream));
    const { first_seq: first, messages } = info.state;
    if (messages > 0 && first > this.#options.after + 1 && !this.#options.lastPerSubject) {
      const facts = { stream: this.#options.stream, after: this.#options.after, first };
      if (this.#options.after > 0)
        this.#options.log.warn(facts, 'event log: events have aged out before they were read');
    }
    return { last: this.#options.after, caughtUp: false, incarnation: incarnationOf(info) };
  }

  async #session(progress: Progress): Promise<void> {
    const { js } = this.#connection;
    let interrupted = false;
    const stopListening = this.#connection.onReconnect(() => {
      // The consumer may have died with the server; a new one costs little.
      interrupted = true;
      this.#messages?.stop();
    });
    try {
      const info = await this.#newConsumer(progress);
      if (this.#stopped || interrupted) return;
      const messages = await js.consumers.getConsumerFromInfo(info).consume({
        max_messages: this.#options.bufferMax,
        expires: pullExpiresMs,
        idle_heartbeat: heartbeatMs,
        abort_on_missing_resource: true,
      });
      this.#messages = messages;
      if (this.#stopped || interrupted) return;
      void this.#watchHeartbeats(messages);
      if (info.num_pending === 0) this.#catchUp(progress);
      await this.#read(messages, progress, info.num_pending);
    } finally {
      stopListening();
      this.#endConsumer();
    }
  }

  async #newConsumer(progress: Progress): Promise<ConsumerInfo> {
    const { stream, filter, lastPerSubject } = this.#options;
    const { jsm } = this.#connection;
    const state = await this.#connection.orReconnect(jsm.streams.info(stream));
    if (incarnationOf(state) !== progress.incarnation) throw new LogReplacedError(`${stream} was made anew`);
    if (state.state.last_seq < progress.last) {
      throw new LogReplacedError(`${stream} ends at ${state.state.last_seq}, before ${progress.last}`);
    }
    const start: Partial<ConsumerConfig> =
      lastPerSubject && !progress.caughtUp
        ? { deliver_policy: DeliverPolicy.LastPerSubject, filter_subject: filter }
        : {
            deliver_policy: DeliverPolicy.StartSequence,
            opt_start_seq: progress.last + 1,
            filter_subject: filter,
          };
    const info = await this.#connection.orReconnect(jsm.consumers.add(stream, passingConsumer(start)));
    this.#consumerName = info.name;
    return info;
  }

  #endConsumer(): void {
    this.#messages?.stop();
    this.#messages = undefined;
    const name = this.#consumerName;
    this.#consumerName = undefined;
    if (name === undefined || !this.#connection.connected) return;
    // Courtesy only: the server removes it when it has been idle for a minute.
    void this.#connection.jsm.consumers.delete(this.#options.stream, name).catch(() => {});
  }

  async #read(messages: ConsumerMessages, progress: Progress, pendingAtStart: number): Promise<void> {
    let delivered = 0;
    for await (const message of messages) {
      if (this.#stopped) return;
      delivered++;
      const { deliverySequence, pending, streamSequence } = message.info;
      if (deliverySequence !== delivered)
        throw new Error(`delivery ${deliverySequence} came instead of ${delivered}`);
      if (streamSequence > progress.last) {
        this.#give(storedEvent(this.#options.stream, streamSequence, message.subject, message.data));
        progress.last = streamSequence;
      }
      if (pending === 0 || delivered >= pendingAtStart) this.#catchUp(progress);
      while (this.#items.length >= this.#options.bufferMax && !this.#stopped) {
        await new Promise<void>((resolve) => {
          this.#wakeWriter = resolve;
        });
      }
    }
  }

  async #watchHeartbeats(messages: ConsumerMessages): Promise<void> {
    for await (const status of messages.status()) {
      // While the reader is slow we ask for nothing, and the server has nothing to say.
      if (status.type === 'heartbeats_missed' && this.#items.length < this.#options.bufferMax)
        messages.stop();
    }
  }

  #catchUp(progress: Progress): void {
    if (progress.caughtUp) return;
    progress.caughtUp = true;
    if (this.#options.lastPerSubject) this.#give('caughtUp');
  }

  #give(item: StoredEvent | 'caughtUp'): void {
    this.#items.push(item);
    this.#wakeReader();
  }

  #pause(ms: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = (): void => {
        clearTimeout(timer);
        stopListening();
        resolve();
      };
      const timer = setTimeout(settle, ms);
      const stopListening = this.#connection.onReconnect(settle);
      this.#wakeWriter = settle;
    });
  }
}
