import assert from 'node:assert/strict';
import { open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { eventually, temporaryFolder } from '@isthmus/testing';
import { associate, collect, pattern, startAcceptor } from '../test/acceptor-under-test.ts';
import { archive, assertAborted } from '../test/archive.ts';
import { commandPdu, dataPdu, pdv, scriptedRequestor, storeCommand } from '../test/scripted-peer.ts';
import type { ScriptedPeer } from '../test/scripted-peer.ts';
import { encodeAbort } from './pdu.ts';

/** Sends small PDUs of an object without end, every few milliseconds, until the connection ends. */
function drip(peer: ScriptedPeer, bytes: number): void {
  peer.send(commandPdu(3, storeCommand(1)));
  const timer = setInterval(() => {
    if (peer.socket.destroyed || peer.socket.writableEnded) clearInterval(timer);
    else peer.send(dataPdu(pdv(3, 0, pattern(bytes))));
  }, 5);
  peer.socket.once('close', () => clearInterval(timer));
}

describe('a slow peer', () => {
  it('[Q13] that sends below the floor is aborted, though it sends a PDU now and then', async (t) => {
    const { port, events, event } = await archive(t, {
      limits: { bytesPerSecondMin: 1_000_000, rateWindowMs: 100 },
    });
    const other = await associate(t, port);
    const peer = await scriptedRequestor(t, port);
    await peer.associate();
    drip(peer, 16);
    await assertAborted(peer);
    assert.match((await event('ended')).error.message, /fewer than 1000000 bytes\/s/);
    assert.equal(events.filter(({ type }) => type === 'ended').length, 1);
    assert.equal((await other.cEcho()).status, 0);
  });

  it('that takes too long for one message is aborted, though it is fast enough', async (t) => {
    const { port, event } = await archive(t, {
      limits: { bytesPerSecondMin: 1, rateWindowMs: 50, messageMs: 200 },
    });
    const peer = await scriptedRequestor(t, port);
    await peer.associate();
    drip(peer, 1_000);
    await assertAborted(peer);
    assert.match((await event('ended')).error.message, /longer than 200 ms/);
  });

  it('is not blamed for the time in which we make it wait, nor between messages', async (t) => {
    const limits = {
      bytesPerSecondMin: 1_000_000,
      rateWindowMs: 60,
      messageMs: 2_000,
      betweenPdusMs: 60,
      queuedBytesMax: 50_000,
      queuedBytesResume: 10_000,
    };
    const { port } = await startAcceptor(t, {
      limits,
      handlers: {
        cStore: async ({ data }) => {
          // Several windows long.
          await new Promise((resolve) => setTimeout(resolve, 300));
          await collect(data);
          return { status: 0 };
        },
      },
    });
    const peer = await scriptedRequestor(t, port);
    await peer.associate();
    for (const messageId of [1, 2]) {
      peer.send(commandPdu(3, storeCommand(messageId)));
      for (let count = 0; count < 20; count += 1)
        peer.send(dataPdu(pdv(3, count === 19 ? 2 : 0, pattern(100_000))));
      assert.equal((await peer.receiveCommand()).status, 0);
    }
  });
});

describe('too many associations of one calling AE title', () => {
  it('[Q13] are refused by the limit, or by what admission says, and a place that is left is free', async (t) => {
    const { port, acceptor } = await startAcceptor(t, {
      limits: { associationsPerAeTitleMax: 2, abortLingerMs: 20 },
      admit: ({ contexts, callingAeTitle }) => ({
        accept: true,
        contexts: contexts.map(({ id }) => ({ id, reason: 3 })),
        ...(callingAeTitle === 'GATEWAY' && { associationsMax: 3 }),
      }),
    });
    const call = (callingAeTitle: string) => associate(t, port, { callingAeTitle });
    const congestion = { code: 'DIMSE_ASSOCIATION_REJECTED', result: 2, source: 3, reason: 2 };
    const first = await call('CT1');
    await call('CT1');
    await assert.rejects(call('CT1'), congestion);
    for (let count = 0; count < 3; count += 1) await call('GATEWAY');
    await assert.rejects(call('GATEWAY'), congestion);
    await eventually('the refused ones to be gone', () => acceptor.connections === 5);
    await first.release();
    await eventually('the released one to be gone', () => acceptor.connections === 4);
    await call('CT1');
  });
});

describe('after a thousand broken connections', () => {
  const held = async (): Promise<{ files: number; timers: number }> => ({
    files: (await readdir('/proc/self/fd')).length,
    timers: process.getActiveResourcesInfo().filter((name) => name === 'Timeout' || name === 'Immediate')
      .length,
  });
  const nothingLeft = (before: { files: number; timers: number }): Promise<true> =>
    eventually('all descriptors and timers are given back', async () => {
      const { files, timers } = await held();
      assert.ok(files <= before.files, `${files} descriptors, ${before.files} before`);
      assert.ok(timers <= before.timers, `${timers} timers, ${before.timers} before`);
      return true;
    });
  const limits = { associationsMax: 1_000, associationsPerAddressMax: 1_000, abortLingerMs: 20 };

  it('[Q13] aborts and resets in mid object leave no descriptor, timer or file', async (t) => {
    const path = await temporaryFolder(t);
    let started = 0;
    let done = 0;
    const { port, acceptor } = await startAcceptor(t, {
      limits,
      handlers: {
        cStore: async ({ data, association }) => {
          const name = join(path, association.id);
          started += 1;
          const file = await open(name, 'w');
          try {
            for await (const batch of data.batches()) await file.writev(batch);
          } finally {
            await file.close();
            await rm(name);
            done += 1;
          }
          return { status: 0 };
        },
      },
    });
    await readdir(path);
    const before = await held();
    for (let wave = 0; wave < 20; wave += 1) {
      const breakOff = async (count: number): Promise<void> => {
        const peer = await scriptedRequestor(t, port);
        await peer.associate();
        peer.send(commandPdu(3, storeCommand(1)), dataPdu(pdv(3, 0, pattern(20_000))));
        if (count % 2 === 0) peer.send(encodeAbort(0, 0));
        else peer.socket.resetAndDestroy();
        await eventually('the end', () => peer.isClosed || peer.socket.readableEnded);
        peer.socket.destroy();
      };
      await Promise.all(Array.from({ length: 50 }, (_, count) => breakOff(count)));
    }
    await eventually('the end of the connections', () => acceptor.connections === 0);
    await eventually('the handlers to be told', () => done === started);
    assert.ok(started >= 500, `${started}`);
    await nothingLeft(before);
    assert.deepEqual(await readdir(path), []);
  });

  it('[Q13] half-open ones leave no descriptor or timer, and others are served meanwhile', async (t) => {
    const { port, acceptor } = await startAcceptor(t, { limits: { ...limits, firstPduMs: 300 } });
    const other = await associate(t, port);
    const before = await held();
    for (let wave = 0; wave < 4; wave += 1) {
      const peers = await Promise.all(Array.from({ length: 250 }, () => scriptedRequestor(t, port)));
      // Some have begun to speak.
      for (const peer of peers.slice(0, 100)) peer.send([1, 0, 0, 0]);
      assert.equal((await other.cEcho()).status, 0);
      await eventually('the end of the connections', () => acceptor.connections === 1);
      for (const { socket } of peers) socket.destroy();
    }
    await nothingLeft(before);
    assert.equal((await other.cEcho()).status, 0);
  });
});
