/** What goes wrong a hundred times leaves nothing behind: no descriptor, no file, no timer; and then it goes on. */
import assert from 'node:assert/strict';
import fs, { readdirSync, readlinkSync } from 'node:fs';
import { describe, it } from 'node:test';
import { uids } from '@isthmus/dicom';
import { connectEventLog } from '@isthmus/event-log';
import {
  associateRequest,
  dataPdu,
  eventually,
  openRawAssociation,
  openRawConnection,
  pdu,
  storeCommand,
} from '@isthmus/testing';
import type { RawConnection, TestContextLike } from '@isthmus/testing';
import { ctObject } from '../test/objects.ts';
import { startTestEdge } from '../test/start-edge.ts';
import type { TestEdge } from '../test/start-edge.ts';
import { store } from '../test/store-objects.ts';

const many = 100;
const abortPdu = pdu(7, Buffer.alloc(4));
const fragment = dataPdu(0, Buffer.alloc(16_000));

/** Of this process, which the edge runs in. */
interface Held {
  readonly sockets: number;
  readonly objects: number;
  readonly timers: number;
}

function held(): Held {
  const targets = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // closed meanwhile
    }
  });
  return {
    sockets: targets.filter((target) => target.startsWith('socket:')).length,
    objects: targets.filter((target) => /\.(?:part|dcm)\b|^\/dev\/full$/.test(target)).length,
    timers: process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length,
  };
}

async function assertNothingIsLeft(edge: TestEdge, before: Held, files: readonly string[]): Promise<void> {
  const now = (): string => JSON.stringify({ before, now: held() });
  await eventually(`nothing more is held: ${now()}`, () => {
    const { sockets, objects, timers } = held();
    return sockets <= before.sockets && objects <= before.objects && timers <= before.timers;
  });
  await eventually('there are the same files', async () => {
    return JSON.stringify((await edge.files()).sort()) === JSON.stringify([...files].sort());
  });
}

/** An edge that has stored one object already: what its first work leaves is not counted. */
async function startUsedEdge(
  test: TestContextLike,
  options: Parameters<typeof startTestEdge>[1] = {},
): Promise<{ readonly edge: TestEdge; readonly before: Held; readonly files: readonly string[] }> {
  const edge = await startTestEdge(test, options);
  assert.equal(await store(edge, ctObject({})), 0x0000);
  const files = await edge.files();
  let before = held();
  await eventually('the first association is closed', () => {
    const last = before;
    before = held();
    return before.sockets === last.sockets && before.timers === last.timers;
  });
  return { edge, before, files };
}

function associate(edge: TestEdge, localAddress?: string) {
  return openRawAssociation({
    port: edge.edge.dicomPort,
    ...(localAddress === undefined ? {} : { localAddress }),
    ...proposal(edge),
  });
}

function proposal({ aeTitle }: TestEdge) {
  return {
    calledAeTitle: aeTitle,
    abstractSyntax: uids.CTImageStorage,
    transferSyntax: uids.ExplicitVrLittleEndian,
  };
}

async function closed(connection: RawConnection): Promise<void> {
  while ((await connection.nextPdu()) !== undefined);
  connection.destroy();
}

/** As an operator does: who opens the log with higher limits raises them. */
async function giveRoom({ natsUrl, cluster, log }: TestEdge, instancesBytesMax: number): Promise<void> {
  const streams = { instancesBytesMax };
  const opened = await connectEventLog({ servers: natsUrl, cluster, service: 'operator', log, streams });
  await opened.close();
}

describe('[Q13] nothing is left', () => {
  it('of a hundred objects that were aborted or cut off in the middle', async (test) => {
    const { edge, before, files } = await startUsedEdge(test);
    for (let round = 0; round < many / 20; round++) {
      const peers = await Promise.all(Array.from({ length: 20 }, () => associate(edge)));
      for (const peer of peers) {
        peer.write(dataPdu(3, storeCommand(uids.CTImageStorage, '1.2.3.9', 1)));
        for (let sent = 0; sent < 20; sent++) peer.write(fragment);
      }
      await eventually('some of it is on disk', async () => (await edge.files()).length > files.length);
      await Promise.all(
        peers.map(async (peer, index) => {
          if (index % 2 === 0) return peer.reset();
          peer.write(abortPdu);
          await closed(peer);
        }),
      );
    }
    await assertNothingIsLeft(edge, before, files);
    assert.equal(await store(edge, ctObject({})), 0x0000);
  });

  it('of connections that say nothing or half of a request; meanwhile who asks is served', async (test) => {
    const { edge, before, files } = await startUsedEdge(test, {
      settings: { ASSOCIATIONS_MAX: '40', ASSOCIATIONS_UNKNOWN_PER_ADDRESS_MAX: '20' },
    });
    const request = associateRequest(proposal(edge));
    // From the sender's own address, too.
    const peers = await Promise.all(
      Array.from({ length: many }, async (_, index) => {
        const peer = await openRawConnection(edge.edge.dicomPort, `127.0.0.${1 + (index % 4)}`);
        if (index % 2 === 1) peer.write(request.subarray(0, request.length / 2));
        return peer;
      }),
    );
    for (let number = 0; number < 10; number++) assert.equal(await store(edge, ctObject({})), 0x0000);
    for (const peer of peers) peer.destroy();
    await assertNothingIsLeft(edge, before, await edge.files());
    assert.equal((await edge.files()).length, files.length + 10);
  });

  it('of a hundred objects that found no room: A700 each, and success when there is room', async (test) => {
    let full = false;
    const diskCalls = {
      ...fs,
      openSync: (path: string, flags: string, mode?: number) =>
        fs.openSync(full ? '/dev/full' : path, full ? 'w' : flags, mode),
    };
    const { edge, before, files } = await startUsedEdge(test, { diskCalls });
    full = true;
    const objects = Array.from({ length: many }, () => ctObject({}));
    const association = await associate(edge);
    for (const object of objects) assert.equal(await association.store(object), 0xa700);
    await association.release();
    await assertNothingIsLeft(edge, before, files);
    full = false;
    for (const object of objects.slice(0, 5)) assert.equal(await store(edge, object), 0x0000);
    assert.equal((await edge.files()).length, files.length + 5);
  });

  it('but the objects of a log that is full: A700, and the same bytes again are success when it has room', async (test) => {
    const edge = await startTestEdge(test, { streams: { instancesBytesMax: 16_384 } });
    const objects = Array.from({ length: many }, () => ctObject({}));
    const answers: number[] = [];
    for (const object of objects) answers.push(await store(edge, object));
    const stored = answers.filter((status) => status === 0x0000).length;
    assert.ok(stored > 0 && stored < many, `${stored} were stored`);
    assert.deepEqual(new Set(answers), new Set([0x0000, 0xa700]));
    assert.equal(await edge.eventLog.lastSequence('INSTANCES'), stored);
    // In place, but nobody was told so: neither the sender nor the log.
    assert.equal((await edge.files()).filter((file) => !file.startsWith('objects/')).length, 0);
    await giveRoom(edge, 1_000_000);
    for (const object of objects) assert.equal(await store(edge, object), 0x0000);
    await edge.federator.seen(many);
    assert.equal(await edge.eventLog.lastSequence('INSTANCES'), many);
    assert.equal((await edge.files()).length, many);
  });
});
