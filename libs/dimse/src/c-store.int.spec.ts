import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { temporaryFolder } from '@isthmus/testing';
import {
  associate,
  collect,
  ctStorage,
  explicitLittle,
  pattern,
  startAcceptor,
} from '../test/acceptor-under-test.ts';
import { commandPdu, dataPdu, pdv, scriptedRequestor, storeCommand } from '../test/scripted-peer.ts';
import { DataSetSourceError } from './index.ts';
import type { DataSetSource } from './index.ts';
import type { StoreRequest } from './index.ts';

const object = (dataSet: DataSetSource, sopInstanceUid = '1.2.3') => ({
  sopClassUid: ctStorage,
  sopInstanceUid,
  transferSyntaxUid: explicitLittle,
  dataSet,
});

async function file(t: TestContext, bytes: Buffer): Promise<string> {
  const path = join(await temporaryFolder(t), 'object');
  await writeFile(path, bytes);
  return path;
}

describe('C-STORE', () => {
  it('[R6] brings every byte of a data set from a buffer and from a file, whatever the length', async (t) => {
    const received: Buffer[] = [];
    const { port } = await startAcceptor(t, {
      handlers: {
        cStore: async ({ data }) => {
          received.push(await collect(data));
          return { status: 0 };
        },
      },
    });
    const association = await associate(t, port);
    for (const length of [0, 1, 2, 131_065, 131_066, 131_067, 524_264, 524_266, 3_000_001]) {
      const bytes = pattern(length);
      assert.deepEqual(await association.cStore(object(bytes)), { status: 0 });
      const offset = 332;
      const stored = await file(t, Buffer.concat([randomBytes(offset), bytes]));
      assert.deepEqual(await association.cStore(object({ file: stored, offset })), { status: 0 });
      for (const one of received.splice(0)) assert.ok(one.equals(bytes), `${length} bytes`);
    }
  });

  it('[R6] lends every byte, also when several messages lie in one chunk, and empties large ones that were given back', async (t) => {
    const received: Buffer[] = [];
    const lent: Buffer[] = [];
    const { port } = await startAcceptor(t, {
      handlers: {
        cStore: async ({ data }) => {
          const parts: Buffer[] = [];
          for await (const batch of data.borrowed()) {
            parts.push(...batch.map((slice) => Buffer.from(slice)));
            lent.push(...batch);
            // Others come and go meanwhile.
            if (parts.length % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
          }
          received.push(Buffer.concat(parts));
          return { status: 0 };
        },
      },
    });
    const peer = await scriptedRequestor(t, port);
    await peer.associate();
    const lengths = [10, 300_000, 5_000, 20, 70_000, 1_000];
    // All at once, though no window was granted: they wait on the socket, in chunks that they share.
    const messages = lengths.map((length, index) => {
      const fragments: Buffer[] = [];
      for (let at = 0; at < length; at += 16_000) {
        const slice = pattern(length).subarray(at, at + 16_000);
        fragments.push(dataPdu(pdv(3, at + 16_000 >= length ? 2 : 0, slice)));
      }
      return Buffer.concat([commandPdu(3, storeCommand(index + 1)), ...fragments]);
    });
    peer.send(Buffer.concat(messages));
    for (const [index] of lengths.entries())
      assert.equal((await peer.receiveCommand()).messageIdBeingRespondedTo, index + 1);
    for (const [index, length] of lengths.entries())
      assert.ok(received[index]?.equals(pattern(length)), `${length} bytes`);
    assert.ok(lent.some((slice) => slice.length === 0));
  });

  it('[R6] never sends more than the peer announced', async (t) => {
    let received = Buffer.alloc(0);
    const fragments: number[] = [];
    const { port } = await startAcceptor(t, {
      limits: { pduBytesMax: 4_096 },
      handlers: {
        cStore: async ({ data }) => {
          const parts: Buffer[] = [];
          for await (const part of data) {
            fragments.push(part.length);
            parts.push(part);
          }
          received = Buffer.concat(parts);
          return { status: 0 };
        },
      },
    });
    const association = await associate(t, port);
    const bytes = pattern(100_001);
    const stored = await file(t, bytes);
    // The acceptor aborts on a PDU above 4,096 bytes, so that success is the proof.
    assert.equal((await association.cStore(object(bytes))).status, 0);
    assert.equal((await association.cStore(object({ file: stored, offset: 0 }))).status, 0);
    assert.ok(received.equals(bytes));
    assert.ok(Math.max(...fragments) <= 4_090);
  });

  it('tells the handler who, what and on whose behalf, and gives its answer back', async (t) => {
    let seen: StoreRequest | undefined;
    const { port } = await startAcceptor(t, {
      handlers: {
        cStore: (request) => {
          seen = request;
          return Promise.resolve({ status: 0xb007, errorComment: 'not quite' });
        },
      },
    });
    const association = await associate(t, port);
    const moveOriginator = { aeTitle: 'MOVER', messageId: 17 };
    const answer = await association.cStore({ ...object(pattern(10), '1.2.3.4'), moveOriginator });
    assert.deepEqual(answer, { status: 0xb007, errorComment: 'not quite' });
    assert.equal(seen?.sopInstanceUid, '1.2.3.4');
    assert.equal(seen.sopClassUid, ctStorage);
    assert.equal(seen.transferSyntaxUid, explicitLittle);
    assert.equal(seen.association.callingAeTitle, 'REQUESTOR');
    assert.deepEqual(seen.moveOriginator, moveOriginator);
  });

  it('answers a failing handler with its status, A700 for a full store or C000, and goes on', async (t) => {
    const failures = [
      { error: Object.assign(new Error('no'), { dimseStatus: 0xa900 }), status: 0xa900 },
      { error: Object.assign(new Error('no space'), { code: 'ENOSPC' }), status: 0xa700 },
      { error: new Error('defect'), status: 0xc000 },
      { error: 'not even an error', status: 0xc000 },
    ];
    const left = [...failures];
    const { port, events } = await startAcceptor(t, {
      handlers: {
        cStore: async ({ data }) => {
          for await (const _ of data) throw left.shift()?.error;
          return { status: 0 };
        },
      },
    });
    const association = await associate(t, port);
    for (const { status } of failures) {
      assert.equal((await association.cStore(object(pattern(2_000_000)))).status, status);
    }
    assert.equal(events.filter(({ type }) => type === 'handler-failed').length, failures.length);
  });

  it('takes the whole message of a handler that refuses without reading', async (t) => {
    const { port } = await startAcceptor(t, {
      handlers: { cStore: () => Promise.resolve({ status: 0xa700 }) },
    });
    const association = await associate(t, port);
    assert.equal((await association.cStore(object(pattern(5_000_000)))).status, 0xa700);
    assert.equal((await association.cEcho()).status, 0);
  });

  it('refuses a file that is missing before anything is sent, and goes on', async (t) => {
    const { port } = await startAcceptor(t);
    const association = await associate(t, port);
    await assert.rejects(
      association.cStore(object({ file: '/nowhere/object', offset: 0 })),
      DataSetSourceError,
    );
    assert.equal((await association.cEcho()).status, 0);
  });

  it('finds where the data set begins in each file, whatever it was in the one before', async (t) => {
    const received: Buffer[] = [];
    const { port } = await startAcceptor(t, {
      handlers: {
        cStore: async ({ data }) => {
          received.push(await collect(data));
          return { status: 0 };
        },
      },
    });
    const association = await associate(t, port);
    /** The first four bytes say how long the head is; it can be read only when all of it is there. */
    const offset = (head: Buffer): number => {
      const length = head.readUInt32BE(0);
      if (head.length < length) throw new Error('not all of the head');
      return length;
    };
    for (const headBytes of [332, 332, 4, 1_024, 9_000, 65_536, 340]) {
      for (const length of [0, 1_000, 600_000, 2_000_000]) {
        const head = Buffer.alloc(headBytes, 0xff);
        head.writeUInt32BE(headBytes, 0);
        const stored = await file(t, Buffer.concat([head, pattern(length)]));
        assert.deepEqual(await association.cStore(object({ file: stored, offset })), { status: 0 });
        assert.ok(received.pop()?.equals(pattern(length)), `${length} bytes behind ${headBytes}`);
      }
    }
    for (const bad of [Buffer.alloc(0), Buffer.alloc(3), Buffer.alloc(100_000, 0xff)]) {
      const stored = await file(t, bad);
      await assert.rejects(association.cStore(object({ file: stored, offset })), DataSetSourceError);
    }
    assert.equal((await association.cEcho()).status, 0);
  });

  it('is not misled by a head that is longer by whole elements than the one before', async (t) => {
    const received: Buffer[] = [];
    const { port } = await startAcceptor(t, {
      handlers: {
        cStore: async ({ data }) => {
          received.push(await collect(data));
          return { status: 0 };
        },
      },
    });
    const association = await associate(t, port);
    /** Elements of 16 bytes that begin with 2, as many as there are; like group 0002, it does not say how many. */
    const offset = (head: Buffer): number => {
      let at = 0;
      while (head[at] === 2) at += 16;
      if (at > head.length) throw new Error('cut off inside an element');
      return at;
    };
    for (const elements of [20, 21, 22, 20, 64, 65, 1]) {
      for (const length of [0, 1, 1_000, 2_000_000]) {
        const dataSet = Buffer.concat([
          Buffer.alloc(length === 0 ? 0 : 1, 8),
          pattern(Math.max(0, length - 1)),
        ]);
        const stored = await file(t, Buffer.concat([Buffer.alloc(16 * elements, 2), dataSet]));
        assert.deepEqual(await association.cStore(object({ file: stored, offset })), { status: 0 });
        assert.ok(received.pop()?.equals(dataSet), `${length} bytes behind ${elements} elements`);
      }
    }
  });

  it('takes turns when several are called at once', async (t) => {
    const order: string[] = [];
    const { port } = await startAcceptor(t, {
      handlers: {
        cStore: async ({ data, sopInstanceUid }) => {
          const bytes = await collect(data);
          order.push(`${sopInstanceUid}:${bytes.length}`);
          return { status: 0 };
        },
      },
    });
    const association = await associate(t, port);
    const sizes = [300_000, 1, 200_000];
    await Promise.all(sizes.map((size, index) => association.cStore(object(pattern(size), `1.${index}`))));
    assert.deepEqual(order, ['1.0:300000', '1.1:1', '1.2:200000']);
  });

  it('is answered with 0122 when nobody handles it', async (t) => {
    const { port } = await startAcceptor(t);
    const association = await associate(t, port);
    assert.equal((await association.cStore(object(pattern(1_000)))).status, 0x0122);
  });
});
