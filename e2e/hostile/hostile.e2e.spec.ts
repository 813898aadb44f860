/**
 * What hostile and broken peers do to a DICOM port, each attack by name, against the whole system. After each of them
 * a well-behaved peer is served, a bystander's association still is, no descriptor is lost and no file is left over.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { commandSet, dataPdu, eventually, item, pdu, storeCommand } from '@isthmus/testing';
import type { RawAssociation, RawConnection } from '@isthmus/testing';
import {
  abortPdu,
  assertEnds,
  deflatedExplicit,
  echoOn,
  EdgeUnderAttack,
  element,
  endOf,
  findOn,
  fragments,
  goodRequest,
  lengthBomb,
  objectOf,
  secondaryCapture,
  studyRootFind,
  verification,
  within,
} from './edge-under-attack.ts';

/** What all attacks together may leave in memory: pools and compiled code grow with use, too. */
const residentGrowthMiBMax = 192;
/** The dripping peer, the bystander, and what the clusters open among themselves meanwhile. */
const otherSocketsMax = 8;
/** ASSOCIATIONS_UNKNOWN_PER_ADDRESS_MAX, as it is when nothing is set: all peers here are strangers on one address. */
const strangersMax = 50;
const outside = `/tmp/isthmus-hostile-${process.pid}`;

describe('hostile peers', () => {
  let edge: EdgeUnderAttack;
  let bystander: RawAssociation;
  let sockets: number;
  let residentMiB: number;
  /** Milliseconds after which the dripping peer was cut off. */
  let slowLoris: Promise<number>;

  before(async () => {
    edge = await EdgeUnderAttack.start();
    await edge.assertServes();
    sockets = edge.descriptors().sockets;
    residentMiB = edge.residentMiB();
    slowLoris = dripRequest();
    slowLoris.catch(() => undefined);
    bystander = await edge.associate({ abstractSyntax: verification });
  });
  after(() => edge?.stop());
  afterEach(async () => {
    assert.equal(await echoOn(bystander), 0, 'the bystander is served');
    await edge.assertServes();
    await eventually(
      'connections and files are closed',
      () => {
        const now = edge.descriptors();
        return now.files === 0 && now.sockets <= sockets + otherSocketsMax;
      },
      { timeoutMs: 10_000 },
    );
    await eventually('nothing is left in incoming/', () => edge.incoming().length === 0, {
      timeoutMs: 5_000,
    });
  });

  /** An A-ASSOCIATE-RQ, byte by byte; it runs beside the other attacks. @returns when it was cut off, in ms */
  async function dripRequest(): Promise<number> {
    const connection = await edge.connect();
    const startedAt = performance.now();
    const request = goodRequest();
    let at = 0;
    const drip = setInterval(() => connection.write(request.subarray(at, (at += 1))), 300);
    try {
      await endOf(connection, 60_000);
      return performance.now() - startedAt;
    } finally {
      clearInterval(drip);
      connection.destroy();
    }
  }

  async function inState(state: 'first' | 'established' | 'in mid object'): Promise<RawConnection> {
    if (state === 'first') return edge.connect();
    const association = await edge.associate();
    assert.ok(association.accepted);
    if (state === 'in mid object') {
      association.write(
        Buffer.concat([
          dataPdu(3, storeCommand(secondaryCapture, '1.2.9', 1)),
          dataPdu(0, Buffer.alloc(100)),
        ]),
      );
    }
    return association;
  }

  it('UIDs that are paths are refused, and name no file', async () => {
    const paths = [
      `../../../../../../..${outside}`,
      outside,
      `1.2\0/../../..${outside}`,
      '1.2/../../3',
      '%2e%2e%2f1.2',
      'a\\..\\3',
      '$(touch x);`id`',
      '1'.repeat(65),
      '1.2.\xe9',
      '..',
      '.',
      '1..2',
      '.1.',
    ];
    for (const path of paths) {
      for (const [what, object] of [
        ['SOP Instance UID', objectOf({ sopInstanceUid: path })],
        [
          'SOP Instance UID of the data set',
          { ...objectOf({ sopInstanceUid: path }), sopInstanceUid: '1.2.9' },
        ],
        ['Study Instance UID', objectOf({ sopInstanceUid: '1.2.9', studyInstanceUid: path })],
        ['Series Instance UID', objectOf({ sopInstanceUid: '1.2.9', seriesInstanceUid: path })],
      ] as const) {
        const association = await edge.associate();
        const status = await within(what, association.store(object));
        assert.ok(status === 0x0117 || status >= 0xa700, `${what} ${path}: 0x${status.toString(16)}`);
        await association.release();
      }
    }
    assert.deepEqual(edge.strangeFiles(), []);
    assert.equal(existsSync(outside), false);
  });

  it('AE titles that are paths open nothing, and name no file', async () => {
    for (const title of [
      '../../../etc',
      '/etc/passwd',
      'NORTH\0/../x',
      '..',
      '\0'.repeat(16),
      ' '.repeat(16),
    ]) {
      const called = await edge.associate({ calledAeTitle: title });
      assert.equal(called.accepted, false, `called ${JSON.stringify(title)}`);
      called.destroy();
      const calling = await edge.associate({ callingAeTitle: title });
      if (calling.accepted) assert.equal(await calling.store(objectOf({ sopInstanceUid: '1.2.9.1' })), 0);
      calling.destroy();
    }
    assert.deepEqual(edge.strangeFiles(), []);
  });

  it('a PDU that promises 4 GB is aborted in every state, whatever its type', async () => {
    for (const state of ['first', 'established', 'in mid object'] as const) {
      for (const type of [1, 2, 3, 4, 5, 6, 7, 0, 8, 255]) {
        const connection = await inState(state);
        connection.write(lengthBomb(type));
        await assertEnds(connection, 'aborted', `type ${type}, ${state}`);
        connection.destroy();
      }
    }
    for (const length of [0xffffffff, 0xfffffff0, 0x80000000, 0, 1]) {
      const connection = await inState('in mid object');
      const lying = Buffer.from(dataPdu(0, Buffer.alloc(100)));
      lying.writeUInt32BE(length, 6);
      connection.write(lying);
      await assertEnds(connection, 'aborted', `a PDV of ${length} bytes`);
      connection.destroy();
    }
  });

  it('PDUs out of sequence are aborted in every state of PS3.8 table 9-10', async () => {
    const four = Buffer.alloc(4);
    const associateBody = goodRequest().subarray(6);
    const request = goodRequest();
    const accept = pdu(2, associateBody);
    const reject = pdu(3, four);
    const release = pdu(5, four);
    const released = pdu(6, four);
    const data = dataPdu(2, four);
    const unknown = pdu(8, four);
    const illegal = {
      first: [accept, reject, data, release, released, unknown],
      established: [request, accept, reject, released, unknown, data],
      'in mid object': [
        request,
        accept,
        reject,
        release,
        released,
        unknown,
        dataPdu(3, storeCommand('1.2', '1.3', 2)),
      ],
    };
    for (const [state, pdus] of Object.entries(illegal)) {
      for (const one of pdus) {
        const connection = await inState(state as keyof typeof illegal);
        connection.write(one);
        await assertEnds(connection, 'aborted', `type ${one[0]}, ${state}`);
        connection.destroy();
      }
      const connection = await inState(state as keyof typeof illegal);
      connection.write(abortPdu);
      await assertEnds(connection, 'closed', `A-ABORT, ${state}`);
      connection.destroy();
    }
    // Sta13: after its A-RELEASE-RP the edge only waits for the end.
    const done = await inState('established');
    done.write(Buffer.concat([release, request, data, lengthBomb(4)]));
    assert.equal((await within('A-RELEASE-RP', done.nextPdu()))?.[0], 6);
    await assertEnds(done, 'closed', 'after the release');
    done.destroy();
  });

  it('fragments of a command or an identifier that never end are aborted at a bound', async () => {
    const chunk = Buffer.alloc(16_000);
    const command = await edge.associate();
    for (let count = 0; count < 8; count += 1) command.write(dataPdu(1, chunk));
    await assertEnds(command, 'aborted', 'command');
    const find = await edge.associate({ abstractSyntax: studyRootFind });
    find.write(
      dataPdu(3, commandSet({ 0x0002: studyRootFind, 0x0100: 0x20, 0x0110: 1, 0x0700: 0, 0x0800: 1 })),
    );
    for (let count = 0; count < 320; count += 1) find.write(dataPdu(0, chunk));
    await assertEnds(find, 'aborted', 'identifier');
    for (const one of [command, find]) one.destroy();
  });

  it('fifty thousand empty fragments cost nothing to keep', async () => {
    const association = await edge.associate();
    const empty = dataPdu(0, Buffer.alloc(0));
    const object = objectOf({ sopInstanceUid: '1.2.9.2' });
    association.write(dataPdu(3, storeCommand(secondaryCapture, object.sopInstanceUid, 1)));
    for (let count = 0; count < 50; count += 1) {
      association.write(Buffer.concat(Array.from({ length: 1_000 }, () => empty)));
    }
    association.write(Buffer.concat(fragments(object.dataSet)));
    const answer = await within('an answer', association.nextPdu());
    assert.ok(answer?.[0] === 4 || answer?.[0] === 7, 'answered or aborted');
    association.destroy();
  });

  it('an A-ASSOCIATE-RQ of a megabyte of 4-byte items is answered small and forgotten', async () => {
    const empty = Buffer.concat(Array.from({ length: 16_000 }, () => item(0x40, Buffer.alloc(0))));
    const abstract = item(0x30, Buffer.from(secondaryCapture));
    const contexts = Array.from({ length: 15 }, (_, index) =>
      item(0x20, Buffer.concat([Buffer.from([3 + 2 * index, 0, 0, 0]), abstract, empty])),
    );
    const unknown = Array.from({ length: 200_000 }, () => item(0x7f, Buffer.alloc(0)));
    for (let count = 0; count < 5; count += 1) {
      for (const items of [contexts, unknown]) {
        const connection = await edge.connect();
        connection.write(goodRequest(Buffer.concat(items)));
        const answer = await within('an answer', connection.nextPdu());
        assert.ok(answer === undefined || answer.length < 10_000, `an answer of ${answer?.length} bytes`);
        connection.destroy();
      }
    }
    const tooMany = await edge.connect();
    tooMany.write(goodRequest(...Array.from({ length: 129 }, () => contexts[0]!.subarray(0, 40))));
    await assertEnds(tooMany, 'aborted', 'contexts that lie about their length');
    tooMany.destroy();
  });

  it('sequences nested a hundred thousand deep are stored or refused, in a query refused', async () => {
    const nested = Buffer.from('080015115351' + '0000ffffffff' + 'feff00e0ffffffff', 'hex');
    const deep = Buffer.alloc(nested.length * 100_000, nested);
    const lying = Buffer.from('080015115351' + '0000fffffffe' + 'feff00e0fffffffd', 'hex');
    for (const [index, more] of [deep, lying, Buffer.alloc(1_000_000, 'feff0de000000000', 'hex')].entries()) {
      const association = await edge.associate();
      const status = await within(
        'C-STORE-RSP',
        association.store(objectOf({ sopInstanceUid: `1.2.9.3.${index}`, more })),
      );
      assert.ok(status === 0 || status >= 0xa700, `0x${status.toString(16)}`);
      await association.release();
    }
    const find = await edge.associate({ abstractSyntax: studyRootFind });
    assert.ok((await findOn(find, Buffer.concat([element('08005200', 'CS', 'STUDY'), deep]))) >= 0xa700);
    await find.release();
  });

  it('a deflate bomb does not keep the edge from serving others', async () => {
    const head = objectOf({ sopInstanceUid: '1.2.9.4' }).dataSet;
    const zeros = Buffer.concat([
      Buffer.from('e07f10004f57' + '0000f0ffff3f', 'hex'),
      Buffer.alloc(256 * 1024 * 1024),
    ]);
    const elements = Buffer.alloc(64 * 1024 * 1024, Buffer.from('fe7f10004c4f0000', 'hex'));
    for (const bomb of [zeros, elements]) {
      const deflated = deflateRawSync(Buffer.concat([head, bomb]), { level: 1 });
      const association = await edge.associate({ transferSyntax: deflatedExplicit });
      const stored = association.store({ ...objectOf({ sopInstanceUid: '1.2.9.4' }), dataSet: deflated });
      assert.equal(await within('C-ECHO beside the bomb', echoOn(bystander), 5_000), 0);
      const status = await within('C-STORE-RSP', stored, 20_000);
      assert.ok(status === 0 || status >= 0xa700, `0x${status.toString(16)}`);
      await association.release();
    }
  });

  it('queries with patterns that explode, and lists without end, are answered in time', async () => {
    const seeded = await edge.associate();
    const name = 'a'.repeat(60);
    assert.equal(
      await seeded.store(
        objectOf({ sopInstanceUid: '1.2.9.5', studyInstanceUid: '1.2.9', patientName: name }),
      ),
      0,
    );
    await seeded.release();
    const level = element('08005200', 'CS', 'STUDY');
    for (const [what, identifier] of [
      ['many stars', [level, element('10001000', 'PN', `${'*a'.repeat(31)}*b`)]],
      ['stars and question marks', [level, element('10001000', 'PN', `${'*?'.repeat(500)}b`)]],
      ['only stars', [level, element('10001000', 'PN', '*'.repeat(4_000))]],
      ['percent and underscore', [level, element('10002000', 'LO', '%_'.repeat(30))]],
      ['quotes', [level, element('10002000', 'LO', "' OR 1=1; DROP TABLE studies; --")]],
      [
        'a long list of UIDs',
        [level, element('20000d00', 'UI', Array.from({ length: 6_000 }, (_, n) => `1.2.${n}`).join('\\'))],
      ],
      ['a broken date', [level, element('08002000', 'DA', '-'.repeat(2_000))]],
    ] as const) {
      const association = await edge.associate({ abstractSyntax: studyRootFind });
      const answered = findOn(association, Buffer.concat(identifier));
      assert.equal(await within(`C-ECHO beside ${what}`, echoOn(bystander), 5_000), 0);
      const status = await answered;
      assert.ok(status === 0 || status >= 0xa700, `${what}: 0x${status.toString(16)}`);
      await association.release();
    }
  });

  it('five hundred associations at once: the rest is refused, who is in goes on, and then there is room', async () => {
    const flood = await Promise.all(Array.from({ length: 500 }, () => edge.connect().catch(() => undefined)));
    const asking = flood.filter((one, index) => one !== undefined && index % 2 === 0) as RawConnection[];
    for (const one of asking) one.write(goodRequest());
    const answers = await within('answers', Promise.all(asking.map((one) => one.nextPdu())));
    const accepted = answers.filter((answer) => answer?.[0] === 2).length;
    assert.ok(
      accepted < strangersMax,
      `${accepted} of ${asking.length} were accepted beside as many that say nothing`,
    );
    assert.ok(answers.every((answer) => answer === undefined || answer[0] === 2 || answer[0] === 3));
    assert.equal(await within('C-ECHO in the flood', echoOn(bystander)), 0);
    for (const one of flood) one?.destroy();
    await eventually(
      'there is room again',
      async () => {
        const association = await edge.associate();
        association.destroy();
        return association.accepted;
      },
      { timeoutMs: 10_000 },
    );
  });

  it('three hundred associations that come and go leave nothing', async () => {
    for (let round = 0; round < 30; round += 1) {
      const all = await Promise.all(Array.from({ length: 10 }, () => edge.associate()));
      await Promise.all(all.map((one) => within('A-RELEASE-RP', one.release())));
    }
  });

  it('two hundred aborts, resets and cuts in mid object leave no descriptor and no file', async () => {
    const part = Buffer.concat([
      dataPdu(3, storeCommand(secondaryCapture, '1.2.9.6', 1)),
      // Less than that waits in memory for the rest.
      ...Array.from({ length: 20 }, () => dataPdu(0, Buffer.alloc(16_000))),
    ]);
    for (let round = 0; round < 10; round += 1) {
      const peers = await Promise.all(Array.from({ length: 20 }, () => edge.associate()));
      for (const peer of peers) peer.write(part);
      await eventually('objects come in', () => edge.incoming().length > 0, { timeoutMs: 5_000 });
      for (const [index, peer] of peers.entries()) {
        if (index % 3 === 0) peer.write(Buffer.concat([abortPdu, Buffer.alloc(50)]));
        else if (index % 3 === 1) peer.reset();
        else peer.destroy();
      }
      await Promise.all(
        peers.filter((_, index) => index % 3 === 0).map((peer) => endOf(peer).then(() => peer.destroy())),
      );
    }
  });

  it('a request that drips in byte by byte is cut off at its deadline', async () => {
    const afterMs = await slowLoris;
    const wholeRequestMs = goodRequest().length * 300;
    assert.ok(afterMs < wholeRequestMs / 2, `cut off after ${Math.round(afterMs)} ms`);
  });

  it('all of it together left memory as it was, and no strange file', () => {
    const grown = edge.residentMiB() - residentMiB;
    assert.ok(grown < residentGrowthMiBMax, `resident memory grew by ${Math.round(grown)} MiB`);
    assert.deepEqual(edge.strangeFiles(), []);
  });
});
