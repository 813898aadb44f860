import type { PubAck } from '@nats-io/jetstream';
import { headers, nuid } from '@nats-io/transport-node';
import type { Msg, MsgHdrs } from '@nats-io/transport-node';

import { NobodyListens } from './acknowledgements.ts';
import type { Connection } from './connection.ts';
import { AppendRefusedError, EventTooLargeError, LogFullError, LogUnavailableError } from './errors.ts';
import type { StreamName } from './event-log.ts';

const attemptTimeoutMs = 3000;
const retryBaseMs = 50;
const retryMaxMs = 1000;
/** Room for our headers within the server's max_payload. */
const headerRoomBytes = 1024;

const wrongLastSequence = new Set([10071, 10164]);
const outOfRoom = new Set([10002, 10023, 10047]);
/** The same id is being stored right now: the next attempt learns its sequence. */
const idInProcess = 10158;

/** An event, encoded, on its way to the server. */
export interface OutgoingEvent {
  readonly subject: string;
  readonly id: string;
  readonly payload: Uint8Array;
}

export interface Appended {
  readonly sequence: number;
  readonly duplicate: boolean;
}

/** Somebody else wrote to the subject first. */
export class WrongLastSequence extends Error {}

/** The batch was not stored, or it is unknown whether it was. */
export class BatchNotAcknowledged extends Error {}

const encoder = new TextEncoder();

/** @throws {EventTooLargeError} */
export function encodeEvent(connection: Connection, event: object): Uint8Array {
  const payload = encoder.encode(JSON.stringify(event));
  const bytesMax = (connection.nc.info?.max_payload ?? 1_048_576) - headerRoomBytes;
  if (payload.length > bytesMax) throw new EventTooLargeError(payload.length, bytesMax);
  return payload;
}

/**
 * Publishes one event until it is acknowledged or the deadline passes. Repeating is safe: the server
 * recognises the id.
 *
 * @param expecting - Last stream sequence of the subject; absent: unconditional.
 * @param deadline - On the clock of `performance.now()`.
 * @throws {LogFullError} {LogUnavailableError} {AppendRefusedError} {WrongLastSequence}
 */
export async function publishOne(
  connection: Connection,
  stream: StreamName,
  event: OutgoingEvent,
  deadline: number,
  expecting?: number,
): Promise<Appended> {
  const attached = eventHeaders(stream, event.id);
  if (expecting !== undefined) attached.set('Nats-Expected-Last-Subject-Sequence', String(expecting));
  let last: unknown;
  for (let attempt = 0; ; attempt++) {
    const left = deadline - performance.now();
    if (left <= 0 || connection.nc.isClosed()) throw unavailable(stream, last);
    if (await connection.awaitConnected(left)) {
      const answer = await oneAttempt(connection, event, attached, Math.min(attemptTimeoutMs, left));
      if ('acknowledged' in answer) return answer.acknowledged;
      const known = knownRefusal(stream, answer.failed);
      if (known !== undefined) throw known;
      last = answer.failed;
      await connection.pause(Math.min(retryBaseMs * 2 ** attempt, retryMaxMs, Math.max(left, 1)));
    }
  }
}

/** Refusal by the server, as it says it in its answer. */
class ServerRefusal extends Error {
  readonly errorCode: number;
  readonly status: number;
  constructor(error: { err_code?: number; code?: number; description?: string }) {
    super(error.description ?? 'refused');
    this.errorCode = error.err_code ?? 0;
    this.status = error.code ?? 0;
  }
}

async function oneAttempt(
  connection: Connection,
  event: OutgoingEvent,
  attached: MsgHdrs,
  timeout: number,
): Promise<{ acknowledged: Appended } | { failed: unknown }> {
  try {
    const { acknowledgements } = connection;
    const ack = parseAck(await acknowledgements.publish(event.subject, event.payload, attached, timeout));
    return { acknowledged: { sequence: ack.seq, duplicate: ack.duplicate === true } };
  } catch (failed) {
    return { failed };
  }
}

function eventHeaders(stream: StreamName, id: string): MsgHdrs {
  const attached = headers();
  attached.set('Nats-Msg-Id', id);
  attached.set('Nats-Expected-Stream', stream);
  return attached;
}

interface Ack extends PubAck {
  readonly batch?: string;
  readonly count?: number;
}

function parseAck(message: Msg): Ack {
  const answer = message.json<Ack & { error?: { err_code?: number; code?: number; description?: string } }>();
  if (answer.error !== undefined) throw new ServerRefusal(answer.error);
  return answer;
}

/** The error that a retry does not change, or undefined: try again. */
function knownRefusal(stream: StreamName, error: unknown): Error | undefined {
  if (!(error instanceof ServerRefusal)) {
    // A lost connection, silence, or nobody there yet after a restart.
    return undefined;
  }
  if (wrongLastSequence.has(error.errorCode)) return new WrongLastSequence(error.message, { cause: error });
  if (outOfRoom.has(error.errorCode) || /maximum (bytes|messages)/.test(error.message)) {
    return new LogFullError(stream, { cause: error });
  }
  if (error.errorCode === idInProcess || error.status >= 500) return undefined;
  return new AppendRefusedError(`${stream}: ${error.message}`, { cause: error });
}

function unavailable(stream: StreamName, cause: unknown): LogUnavailableError {
  const detail =
    cause instanceof NobodyListens ? 'JetStream is not ready or the stream is missing' : 'no acknowledgement';
  return new LogUnavailableError(`${stream}: ${detail}`, { cause });
}

/**
 * Publishes several events as one atomic batch (server 2.12 and later): one write to the disk, all or none.
 * Our own rather than the client's, which hides why the server refused one.
 *
 * @returns The sequences, which are consecutive.
 * @throws {BatchNotAcknowledged} One bad member fails the whole batch: publish them one by one to learn
 *   which.
 */
export async function publishBatch(
  connection: Connection,
  stream: StreamName,
  events: readonly OutgoingEvent[],
): Promise<readonly Appended[]> {
  const { nc, acknowledgements } = connection;
  const batch = nuid.next();
  const headersOf = (index: number): MsgHdrs => {
    const attached = eventHeaders(stream, (events[index] as OutgoingEvent).id);
    attached.set('Nats-Batch-Id', batch);
    attached.set('Nats-Batch-Sequence', String(index + 1));
    return attached;
  };
  const last = events.length - 1;
  const final = events[last] as OutgoingEvent;
  try {
    for (let index = 0; index < last; index++) {
      const event = events[index] as OutgoingEvent;
      nc.publish(event.subject, event.payload, { headers: headersOf(index) });
    }
    const attached = headersOf(last);
    attached.set('Nats-Batch-Commit', '1');
    const commit = acknowledgements.publish(final.subject, final.payload, attached, attemptTimeoutMs);
    const ack = parseAck(await commit);
    // A server that knows no batches stores plain messages and says nothing of a batch.
    if (ack.batch !== batch || ack.count !== events.length) throw new Error('the server knows no batches');
    return events.map((_, index) => ({ sequence: ack.seq - last + index, duplicate: false }));
  } catch (cause) {
    throw new BatchNotAcknowledged('batch not acknowledged', { cause });
  }
}
