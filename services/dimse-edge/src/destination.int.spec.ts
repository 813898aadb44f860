import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { fileMetaInformation, uids } from '@isthmus/dicom';
import type { LocatedInstance, Station } from '@isthmus/domain';
import { createLog } from '@isthmus/service-kit';
import { eventually, shownLogLevel, temporaryFolder } from '@isthmus/testing';
import { admitFirst, startCuttableWay, startStorePeer } from '../test/store-peer.ts';
import type { StorePeer } from '../test/store-peer.ts';
import { createDestinations } from './destination.ts';
import type { DestinationParts, Destinations } from './destination.ts';
import { createEdgeMetrics } from './metrics.ts';
import type { Sent } from './send.ts';
import { createTranscoder } from './transcoder.ts';
import { turns } from './turns.ts';
import { workQueue } from './work-queue.ts';

const quiet = createLog({ service: 'dimse-edge', cluster: 'north', level: shownLogLevel });

interface Bench {
  readonly destinations: Destinations;
  /** Writes stored objects; each has its own bytes. */
  objects(count: number, more?: Partial<LocatedInstance>, bytes?: number): Promise<LocatedInstance[]>;
  /** Sends them to a station and says what became of each, in the order of their ends. */
  send(
    station: Partial<Station> & Pick<Station, 'port'>,
    instances: readonly LocatedInstance[],
    signal?: AbortSignal,
  ): Promise<Map<string, Sent>>;
}

const jpegBaseline = '1.2.840.10008.1.2.4.50';
let made = 0;

async function bench(test: TestContext, options: Partial<DestinationParts> = {}): Promise<Bench> {
  const directory = await temporaryFolder(test);
  const transcoder = createTranscoder({ directory, bytesMax: 1_000_000, timeoutMs: 10_000 });
  test.after(() => transcoder.stop());
  const destinations = createDestinations({
    ourAeTitle: () => 'NORTH',
    store: { absolute: (file) => join(directory, file) },
    metrics: createEdgeMetrics('north'),
    log: quiet,
    transcoder,
    sending: turns({ runningMax: 8, waitingMax: 8, what: 'destinations' }),
    associationsMax: 3,
    operationsInvokedMax: 1,
    ...options,
  });
  const objects: Bench['objects'] = (count, more = {}, bytes = 3_000) =>
    Promise.all(
      Array.from({ length: count }, async () => {
        made += 1;
        const instance: LocatedInstance = {
          studyInstanceUid: '1.2.5',
          seriesInstanceUid: '1.2.5.1',
          sopInstanceUid: `1.2.5.1.${made}`,
          sopClassUid: uids.CTImageStorage,
          transferSyntaxUid: uids.ExplicitVrLittleEndian,
          file: `${made}.dcm`,
          fileBytes: bytes,
          ...more,
        };
        const meta = fileMetaInformation({ ...instance, sourceAeTitle: 'TEST' });
        await writeFile(join(directory, instance.file), Buffer.concat([meta, bytesOf(instance)]));
        return instance;
      }),
    );
  const send: Bench['send'] = async (station, instances, signal = new AbortController().signal) => {
    const queue = workQueue<LocatedInstance>();
    const sent = new Map<string, Sent>();
    for (const instance of instances) queue.push(instance);
    queue.close();
    const told = (instance: LocatedInstance, one: Sent): void => {
      assert.ok(!sent.has(instance.sopInstanceUid), `${instance.sopInstanceUid} is counted once`);
      sent.set(instance.sopInstanceUid, one);
    };
    await destinations.sender({ ...plain, ...station }).sendAll({ queue, told, signal });
    return sent;
  };
  return { destinations, objects, send };
}

const plain = {
  aeTitle: 'PEER',
  host: '127.0.0.1',
  tls: false,
  kind: 'workstation',
  archive: false,
  alsoSendsAs: [],
  keepsStatus: false,
} as const;

function bytesOf({ sopInstanceUid, fileBytes }: LocatedInstance): Buffer {
  return Buffer.alloc(fileBytes, sopInstanceUid);
}

function assertAllSent(sent: ReadonlyMap<string, Sent>, instances: readonly LocatedInstance[]): void {
  assert.deepEqual([...sent.keys()].sort(), instances.map((one) => one.sopInstanceUid).sort());
  for (const [uid, { outcome, why }] of sent) assert.equal(outcome, 'sent', `${uid}: ${why}`);
}

/** Each object came, once unless `repeats` says that so many came twice, and bit for bit. */
function assertReceived({ received }: StorePeer, instances: readonly LocatedInstance[], repeats = 0): void {
  const byUid = new Map(received.map((one) => [one.sopInstanceUid, one.dataSet]));
  assert.deepEqual([byUid.size, received.length], [instances.length, instances.length + repeats]);
  for (const one of instances) assert.ok(byUid.get(one.sopInstanceUid)?.equals(bytesOf(one)));
}

describe('sending to a destination', () => {
  it('goes over several associations when enough waits, each object once and bit for bit', async (test) => {
    const { objects, send } = await bench(test);
    const both = Promise.withResolvers<void>();
    const peer = await startStorePeer(test, {
      // Nothing is answered before the third association is there: a sender of one would stand still.
      onStore: async () => {
        if (peer.most.associations === 3) both.resolve();
        await both.promise;
      },
    });
    const instances = await objects(40);
    assertAllSent(await send(peer, instances), instances);
    assertReceived(peer, instances);
    assert.equal(peer.most.associations, 3);
    await eventually('releases', () => peer.events.filter(({ type }) => type === 'released').length === 3);
  });

  it('goes over one when little waits, or when the station has its own number', async (test) => {
    const { objects, send } = await bench(test);
    const peer = await startStorePeer(test);
    const few = await objects(3);
    assertAllSent(await send(peer, few), few);
    const many = await objects(40);
    assertAllSent(await send({ port: peer.port, associationsMax: 1 }, many), many);
    assert.equal(peer.most.associations, 1);
    assertReceived(peer, [...few, ...many]);
  });

  it('falls back to the association that a peer grants, and remembers it', async (test) => {
    const { objects, send } = await bench(test);
    const peer = await startStorePeer(test, {
      associationsMax: 1,
      onStore: async () =>
        void (await eventually('the second association to be refused', () => refused() > 0)),
    });
    const refused = (): number => peer.events.filter(({ type }) => type === 'rejected').length;
    const instances = await objects(40);
    assertAllSent(await send(peer, instances), instances);
    await eventually('the release of the first', () => peer.events.some(({ type }) => type === 'released'));
    const more = await objects(40);
    assertAllSent(await send(peer, more), more);
    assertReceived(peer, [...instances, ...more]);
    assert.equal(refused(), 1);
  });

  it('does not wait for a second association that the peer lets hang', async (test) => {
    const { objects, send, destinations } = await bench(test);
    const peer = await startStorePeer(test);
    const way = await startCuttableWay(test, peer.port, { hangs: (connection) => connection > 1 });
    const instances = await objects(40);
    assertAllSent(await send(way, instances), instances);
    assertReceived(peer, instances);
    await destinations.stop();
  });

  it('sends the object under way once more, over another, when an association dies', async (test) => {
    const { objects, send } = await bench(test);
    const peer = await startStorePeer(test);
    const way = await startCuttableWay(test, peer.port, {
      onBytes: (connection, bytes, socket) => {
        if (connection === 1 && bytes > 200_000) socket.resetAndDestroy();
      },
    });
    const instances = await objects(60, {}, 50_000);
    assertAllSent(await send(way, instances), instances);
    assert.ok(peer.accepted >= 2);
    // One may have come whole just before its association died.
    const repeats = peer.received.length - instances.length;
    assert.ok(repeats === 0 || repeats === 1, `${repeats} came twice`);
    assertReceived(peer, instances, repeats);
  });

  it('fails the object at which every association dies, and no other', async (test) => {
    const { objects, send } = await bench(test, { associationsMax: 1 });
    const peer = await startStorePeer(test);
    const [poison] = (await objects(1, {}, 900_000)) as [LocatedInstance];
    const others = await objects(20);
    const way = await startCuttableWay(test, peer.port, {
      onBytes: (_connection, bytes, socket) => {
        if (bytes > 500_000) socket.resetAndDestroy();
      },
    });
    const sent = await send(way, [...others.slice(0, 10), poison, ...others.slice(10)]);
    assert.equal(sent.get(poison.sopInstanceUid)?.outcome, 'failed');
    assert.match(sent.get(poison.sopInstanceUid)?.why ?? '', /association lost/);
    sent.delete(poison.sopInstanceUid);
    assertAllSent(sent, others);
  });

  it('gives up a peer whose associations end one after the other without an answer', async (test) => {
    const { objects, send } = await bench(test, { associationsMax: 1 });
    const peer = await startStorePeer(test);
    const way = await startCuttableWay(test, peer.port, {
      onBytes: (_connection, bytes, socket) => {
        if (bytes > 2_000) socket.resetAndDestroy();
      },
    });
    const instances = await objects(50, {}, 200_000);
    const sent = await send(way, instances);
    assert.equal(sent.size, 50);
    for (const { outcome } of sent.values()) assert.equal(outcome, 'failed');
    assert.ok(peer.accepted <= 6, `${peer.accepted} associations`);
  });

  it('uses the asynchronous operations window that the peer grants', async (test) => {
    const { objects, send } = await bench(test, { associationsMax: 1, operationsInvokedMax: 8 });
    const all = Promise.withResolvers<void>();
    const peer = await startStorePeer(test, {
      operationsPerformedMax: 4,
      onStore: async () => {
        if (peer.most.stores === 4) all.resolve();
        await all.promise;
      },
    });
    const instances = await objects(30);
    assertAllSent(await send(peer, instances), instances);
    assertReceived(peer, instances);
    assert.deepEqual([peer.most.stores, peer.most.associations], [4, 1]);
  });

  it('splits more kinds than an association has contexts over several', async (test) => {
    for (const associationsMax of [1, 3]) {
      const { objects, send } = await bench(test, { associationsMax });
      const peer = await startStorePeer(test);
      const kinds = await Promise.all(
        Array.from({ length: 300 }, (_, n) =>
          objects(1, { sopClassUid: `1.2.840.10008.5.1.4.1.1.${n + 1}` }),
        ),
      );
      assertAllSent(await send(peer, kinds.flat()), kinds.flat());
      assertReceived(peer, kinds.flat());
      assert.ok(peer.accepted >= 3);
    }
  });

  it('says why an object is not taken: its class, its transfer syntax, or what the peer answered', async (test) => {
    const { objects, send } = await bench(test);
    const peer = await startStorePeer(test, {
      admit: ({ contexts }) => ({
        accept: true,
        contexts: contexts.map(({ id, sopClassUid, transferSyntaxUids: [transferSyntaxUid = ''] }) => {
          if (sopClassUid === uids.MRImageStorage) return { id, reason: 3 };
          return transferSyntaxUid === jpegBaseline ? { id, reason: 4 } : { id, transferSyntaxUid };
        }),
      }),
      onStore: async () => 0xa700,
    });
    const [ct] = (await objects(1)) as [LocatedInstance];
    const [mr] = (await objects(1, { sopClassUid: uids.MRImageStorage })) as [LocatedInstance];
    const [jpeg] = (await objects(1, { transferSyntaxUid: jpegBaseline })) as [LocatedInstance];
    const [gone] = (await objects(1, { file: 'gone.dcm' }).then(async ([one]) => [
      { ...(one as LocatedInstance), file: 'nowhere.dcm' },
    ])) as [LocatedInstance];
    const sent = await send(peer, [ct, mr, jpeg, gone]);
    const of = (one: LocatedInstance): Sent | undefined => sent.get(one.sopInstanceUid);
    assert.deepEqual([of(ct)?.outcome, of(ct)?.status], ['failed', 0xa700]);
    assert.match(of(mr)?.why ?? '', /abstract syntax not supported/);
    assert.match(of(jpeg)?.why ?? '', /transfer syntaxes not supported/);
    assert.match(of(gone)?.why ?? '', /cannot be read/);
    assert.equal(peer.accepted, 1);
  });

  it('converts for a station that is configured so, only what it does not take as it is', async (test) => {
    const { objects, send } = await bench(test);
    const peer = await startStorePeer(test, {
      // Two kinds are taken: CT in Implicit VR alone, MR in any.
      admit: ({ contexts }) => ({
        accept: true,
        contexts: contexts.map(({ id, sopClassUid, transferSyntaxUids: [transferSyntaxUid = ''] }) =>
          sopClassUid === uids.MRImageStorage || transferSyntaxUid === uids.ImplicitVrLittleEndian
            ? { id, transferSyntaxUid }
            : { id, reason: 4 },
        ),
      }),
    });
    const ct = await objects(3, {}, 0);
    const mr = await objects(3, { sopClassUid: uids.MRImageStorage });
    const jpeg = await objects(1, { transferSyntaxUid: jpegBaseline });
    const all = [...ct, ...mr, ...jpeg];
    const refused = await send(peer, all);
    const failed = (sent: ReadonlyMap<string, Sent>): string[] =>
      [...sent].flatMap(([uid, { outcome }]) => (outcome === 'failed' ? [uid] : [])).sort();
    const uidsOf = (some: readonly LocatedInstance[]): string[] =>
      some.map((one) => one.sopInstanceUid).sort();
    assert.deepEqual(failed(refused), uidsOf([...ct, ...jpeg]));
    peer.received.splice(0);

    const transcodeTo = [uids.ExplicitVrLittleEndian, uids.ImplicitVrLittleEndian];
    const sent = await send({ port: peer.port, transcodeTo }, all);
    assert.deepEqual(failed(sent), uidsOf(jpeg));
    assert.equal(peer.received.length, 6);
    for (const one of mr) {
      const came = peer.received.find(({ sopInstanceUid }) => sopInstanceUid === one.sopInstanceUid);
      assert.ok(came?.dataSet.equals(bytesOf(one)), 'what was taken as it is stays as it is');
    }
  });

  it('asks again when the peer is busy, and fails everything at once when it is not there', async (test) => {
    const { objects, send } = await bench(test);
    let asked = 0;
    const peer = await startStorePeer(test, {
      admit: (request) => {
        asked += 1;
        return asked === 1 ? { accept: false, result: 2, source: 3, reason: 2 } : admitFirst(request);
      },
    });
    const instances = await objects(2);
    assertAllSent(await send(peer, instances), instances);
    assert.equal(asked, 2);
    const lost = await send({ port: 1 }, await objects(200));
    assert.equal(lost.size, 200);
    for (const { outcome, why } of lost.values()) {
      assert.equal(outcome, 'failed');
      assert.match(why ?? '', /cannot connect/);
    }
  });

  it('stops taking objects when it is cancelled; those under way come to their end', async (test) => {
    const { objects, send } = await bench(test, { associationsMax: 2 });
    const cancel = new AbortController();
    const peer = await startStorePeer(test, {
      onStore: async () => {
        if (peer.received.length === 10) cancel.abort();
      },
    });
    const instances = await objects(100);
    const sent = await send(peer, instances, cancel.signal);
    assert.ok(sent.size >= 11 && sent.size <= 16, `${sent.size} were sent`);
    assertReceived(
      peer,
      instances.filter((one) => sent.has(one.sopInstanceUid)),
    );
  });

  it('two deliveries to a peer of one association share it, the small one before the end of the large', async (test) => {
    const { objects, send } = await bench(test);
    const peer = await startStorePeer(test, { associationsMax: 1 });
    const [large, small] = [await objects(200), await objects(5)];
    const ends: string[] = [];
    const sending = [
      send(peer, large).then((sent) => assertAllSent(sent, large)),
      send(peer, small).then((sent) => assertAllSent(sent, small)),
    ];
    await Promise.all([
      sending[0]?.then(() => ends.push('large')),
      sending[1]?.then(() => ends.push('small')),
    ]);
    assert.deepEqual(ends, ['small', 'large']);
    assertReceived(peer, [...large, ...small]);
  });

  it('leaves its place to another destination, and keeps one association', async (test) => {
    const sending = turns({ runningMax: 2, waitingMax: 2, what: 'destinations' });
    const { objects, send } = await bench(test, { sending, associationsMax: 2 });
    const other = await startStorePeer(test);
    const toOther = Promise.withResolvers<Map<string, Sent>>();
    const few = await objects(5);
    const peer = await startStorePeer(test, {
      onStore: async () => {
        if (peer.most.associations === 2) toOther.resolve(send({ aeTitle: 'OTHER', port: other.port }, few));
        // The large delivery is not over before the other one is.
        if (peer.received.length === 80) await toOther.promise;
      },
    });
    const many = await objects(100);
    assertAllSent(await send(peer, many), many);
    assertAllSent(await toOther.promise, few);
    assertReceived(peer, many);
  });

  it('refuses a delivery when too many destinations wait', async (test) => {
    const sending = turns({ runningMax: 1, waitingMax: 0, what: 'destinations' });
    const { objects, send } = await bench(test, { sending });
    const peer = await startStorePeer(test);
    const release = await sending.take();
    await assert.rejects(send(peer, await objects(3)), { code: 'TOO_MUCH_WAITING' });
    release();
    const instances = await objects(3);
    assertAllSent(await send(peer, instances), instances);
  });
});
