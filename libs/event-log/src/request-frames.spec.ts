import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Msg } from '@nats-io/transport-node';

import { RequestTooLargeError } from './errors.ts';
import { decodeError, decodeFrame, encodeError, encodeFrame, messageBytesMax } from './request-frames.ts';
import type { Frame } from './request-frames.ts';

function received(frame: Frame): Msg {
  const json = <T>(): T => JSON.parse(Buffer.from(frame.data).toString()) as T;
  return { data: frame.data, headers: frame.headers, json } as unknown as Msg;
}

test('payload and attachment come out as they went in', () => {
  const attachment = Uint8Array.of(0x7b, 0, 0xff);
  const frame = encodeFrame('a.b', { name: 'Ångström' }, attachment);
  assert.deepEqual(decodeFrame(received(frame)), { payload: { name: 'Ångström' }, attachment });
  assert.deepEqual(decodeFrame(received(encodeFrame('a.b', 5))), { payload: 5, attachment: undefined });
  assert.deepEqual(decodeFrame(received(encodeFrame('a.b', undefined))), {
    payload: null,
    attachment: undefined,
  });
  const none = encodeFrame('a.b', 1, new Uint8Array());
  assert.deepEqual(decodeFrame(received(none)), { payload: 1, attachment: new Uint8Array() });
});

test('the limit counts bytes of both parts', () => {
  const room = new Uint8Array(messageBytesMax - 4);
  assert.equal(encodeFrame('a.b', 'ä', room).data.length, messageBytesMax);
  assert.throws(() => encodeFrame('a.b', 'ä', new Uint8Array(messageBytesMax - 3)), RequestTooLargeError);
});

test('a length that does not fit the message is an error, not a read beyond it', () => {
  const frame = encodeFrame('a.b', { a: 1 }, Uint8Array.of(1));
  frame.headers.set('Isthmus-Json-Bytes', '4000');
  assert.throws(() => decodeFrame(received(frame)), SyntaxError);
});

test('an error travels with its code and message, without its stack', () => {
  const frame = encodeError(Object.assign(new Error('asleep'), { code: 'station-asleep' }));
  assert.doesNotMatch(Buffer.from(frame.data).toString(), /at /);
  assert.equal(decodeError('a.b', received(frame))?.code, 'station-asleep');
  assert.equal(decodeError('a.b', received(encodeError('only text')))?.message, 'a.b: only text');
  assert.equal(
    decodeError('a.b', received(encodeError({ code: 'bad\r\nHeader: x' })))?.code,
    'request-failed',
  );
  assert.equal(decodeError('a.b', received(encodeFrame('a.b', 1))), undefined);
});
