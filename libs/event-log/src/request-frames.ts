import { headers } from '@nats-io/transport-node';
import type { Msg, MsgHdrs } from '@nats-io/transport-node';

import { RequestFailedError, RequestTooLargeError } from './errors.ts';

/**
 * JSON and attachment together. The server would take 1 MiB; half of it keeps many of them from hurting the
 * others.
 */
export const messageBytesMax = 512 * 1024;

/** Length of the JSON part, where an attachment follows it. */
const jsonBytesHeader = 'Isthmus-Json-Bytes';
/** `<kind> <number>`, in answers to a stream request. */
const frameHeader = 'Isthmus-Frame';
const errorHeader = 'Isthmus-Error';
/** How long the asker waits: the handler is told when nobody listens any more. */
export const timeoutHeader = 'Isthmus-Timeout-Ms';
/** How many unacknowledged answers the asker has room for. */
export const windowHeader = 'Isthmus-Window';

export interface Frame {
  readonly data: Uint8Array;
  readonly headers: MsgHdrs;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** @throws {RequestTooLargeError} */
export function encodeFrame(subject: string, payload: unknown, attachment?: Uint8Array): Frame {
  const json = encoder.encode(JSON.stringify(payload ?? null));
  const bytes = json.length + (attachment?.length ?? 0);
  if (bytes > messageBytesMax) throw new RequestTooLargeError(subject, bytes, messageBytesMax);
  const attached = headers();
  if (attachment === undefined) return { data: json, headers: attached };
  attached.set(jsonBytesHeader, String(json.length));
  const data = new Uint8Array(bytes);
  data.set(json);
  data.set(attachment, json.length);
  return { data, headers: attached };
}

/** @throws {SyntaxError} Not our framing. */
export function decodeFrame(message: Msg): { payload: unknown; attachment: Uint8Array | undefined } {
  const length = message.headers?.get(jsonBytesHeader) ?? '';
  if (length === '') return { payload: JSON.parse(decoder.decode(message.data)), attachment: undefined };
  const jsonBytes = Number(length);
  if (!Number.isInteger(jsonBytes) || jsonBytes < 0 || jsonBytes > message.data.length) {
    throw new SyntaxError(`${jsonBytesHeader} does not fit the message`);
  }
  return {
    payload: JSON.parse(decoder.decode(message.data.subarray(0, jsonBytes))),
    // A copy: the client reuses its buffers.
    attachment: message.data.slice(jsonBytes),
  };
}

/** What a handler threw, for the asker: code and message, no stack. */
export function encodeError(error: unknown): Frame {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const attached = headers();
  attached.set(
    errorHeader,
    typeof code === 'string' && /^[\w.-]{1,64}$/.test(code) ? code : 'request-failed',
  );
  const text = typeof message === 'string' ? message : String(error);
  return { data: encoder.encode(JSON.stringify({ message: text.slice(0, 2000) })), headers: attached };
}

/** The error that an answer carries, or undefined. */
export function decodeError(subject: string, message: Msg): RequestFailedError | undefined {
  const code = message.headers?.get(errorHeader) ?? '';
  if (code === '') return undefined;
  const { message: detail } = message.json<{ message: string }>();
  return new RequestFailedError(subject, code, detail);
}

/**
 * `open` and `alive` say that the handler is there; `answer` carries a list of answers, numbered from
 * `number`; `end` and `error` close, with the number of answers before them.
 */
export type FrameKind = 'open' | 'answer' | 'alive' | 'end' | 'error';

export function markFrame(frame: Frame, kind: FrameKind, number: number): Frame {
  frame.headers.set(frameHeader, `${kind} ${number}`);
  return frame;
}

export function frameMark(message: Msg): { kind: FrameKind; number: number } | undefined {
  const [kind, number] = (message.headers?.get(frameHeader) ?? '').split(' ');
  return number === undefined ? undefined : { kind: kind as FrameKind, number: Number(number) };
}

export function numberHeader(message: Msg, name: string): number | undefined {
  const value = Number(message.headers?.get(name) || Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}

/** The server's own answer when nobody listens on a subject. */
export function saysNobodyListens(message: Msg): boolean {
  return message.data.length === 0 && message.headers?.code === 503;
}
