import { AckPolicy, DeliverPolicy } from '@nats-io/jetstream';
import type { ConsumerConfig, JetStreamManager, StoredMsg } from '@nats-io/jetstream';
import { nuid } from '@nats-io/transport-node';

import type { EventEnvelope, StoredEvent } from '@isthmus/domain';

import type { Connection } from './connection.ts';
import { LogCorruptError } from './errors.ts';
import type { StreamName } from './event-log.ts';

/**
 * A subject that has more new events than this is read through a consumer, which costs two round trips more.
 */
const singleReadsMax = 8;
const fetchMax = 500;
const fetchExpiresMs = 2000;
const consumerIdleNs = 60e9;

const decoder = new TextDecoder();

/** @throws {LogCorruptError} */
export function storedEvent(
  stream: StreamName,
  sequence: number,
  logSubject: string,
  data: Uint8Array,
): StoredEvent {
  try {
    return { sequence, logSubject, event: JSON.parse(decoder.decode(data)) as EventEnvelope };
  } catch (cause) {
    throw new LogCorruptError(stream, sequence, { cause });
  }
}

function fromMessage(stream: StreamName, message: StoredMsg | null): StoredEvent | undefined {
  return message === null ? undefined : storedEvent(stream, message.seq, message.subject, message.data);
}

/** Last event of a subject, as the leader of the stream knows it. */
export async function lastOf(
  jsm: JetStreamManager,
  stream: StreamName,
  subject: string,
): Promise<StoredEvent | undefined> {
  return fromMessage(stream, await jsm.streams.getMessage(stream, { last_by_subj: subject }));
}

/**
 * The events of one subject after a sequence, up to now. A few are read one by one, which is quickest for a
 * decision.
 */
export async function readSubject(
  connection: Connection,
  stream: StreamName,
  subject: string,
  after: number,
): Promise<readonly StoredEvent[]> {
  const events: StoredEvent[] = [];
  let position = after;
  while (events.length < singleReadsMax) {
    const query = { seq: position + 1, next_by_subj: subject };
    const next = fromMessage(stream, await connection.jsm.streams.getMessage(stream, query));
    if (next === undefined) return events;
    events.push(next);
    position = next.sequence;
  }
  return [...events, ...(await readMany(connection, stream, subject, position))];
}

/** Settings of a consumer that keeps nothing: no acknowledgements, gone soon after we are. */
export function passingConsumer(settings: Partial<ConsumerConfig>): Partial<ConsumerConfig> {
  return {
    name: `isthmus-${nuid.next()}`,
    ack_policy: AckPolicy.None,
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: consumerIdleNs,
    ...settings,
  };
}

async function readMany(
  connection: Connection,
  stream: StreamName,
  subject: string,
  after: number,
): Promise<StoredEvent[]> {
  const last = await lastOf(connection.jsm, stream, subject);
  if (last === undefined || last.sequence <= after) return [];
  const info = await connection.jsm.consumers.add(
    stream,
    passingConsumer({
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: after + 1,
      filter_subject: subject,
    }),
  );
  const consumer = connection.js.consumers.getConsumerFromInfo(info);
  const events: StoredEvent[] = [];
  try {
    while ((events.at(-1)?.sequence ?? after) < last.sequence) {
      const page = await consumer.fetch({ max_messages: fetchMax, expires: fetchExpiresMs });
      for await (const message of page) {
        events.push(storedEvent(stream, message.seq, message.subject, message.data));
        if (message.seq >= last.sequence) break;
      }
    }
  } finally {
    void connection.jsm.consumers.delete(stream, info.name).catch(() => {});
  }
  return events;
}
