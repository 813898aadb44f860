import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { encodeDataSet, fileMetaInformation } from '@isthmus/dicom';
import { eventually, freePort, temporaryFolder } from '@isthmus/testing';
import { missingTool, runTool, startTool } from '@isthmus/testing/dcmtk';
import {
  associate,
  collect,
  ctStorage,
  explicitLittle,
  pattern,
  startAcceptor,
} from '../test/acceptor-under-test.ts';
import { certificate, opensslMissing } from '../test/certificates.ts';
import type { AdmitRequest, AdmitResult } from './index.ts';

const object = (dataSet: Buffer) => ({
  sopClassUid: ctStorage,
  sopInstanceUid: '1.2',
  transferSyntaxUid: explicitLittle,
  dataSet,
});

const mutual = { requestCert: true, rejectUnauthorized: true };

describe('TLS', { skip: opensslMissing }, () => {
  it('[R6] carries an association with both sides certified, bytes unchanged', async (t) => {
    const own = await certificate(t);
    let received = Buffer.alloc(0) as Buffer;
    const { port } = await startAcceptor(t, {
      tls: { ...own, ca: own.cert, ...mutual },
      handlers: {
        cStore: async ({ data }) => {
          received = await collect(data);
          return { status: 0 };
        },
      },
    });
    const association = await associate(t, port, { tls: { ...own, ca: own.cert } });
    const dataSet = pattern(2_000_000);
    assert.equal((await association.cStore(object(dataSet))).status, 0);
    assert.ok(received.equals(dataSet));
    await association.release();
  });

  it('refuses a peer whose certificate is not trusted, and one that does not speak it', async (t) => {
    const own = await certificate(t);
    const { port, events, event, acceptor } = await startAcceptor(t, {
      tls: own,
      limits: { abortLingerMs: 20 },
    });
    await assert.rejects(associate(t, port, { tls: {} }), { code: 'DIMSE_ASSOCIATION_LOST' });
    await assert.rejects(
      associate(t, port),
      (error: { code?: string }) => error.code?.startsWith('DIMSE_') === true,
    );
    assert.equal((await event('tls-failed')).remoteAddress, '127.0.0.1');
    assert.ok(!events.some(({ type }) => type === 'accepted'));
    await eventually('the end of the connections', () => acceptor.connections === 0);
  });

  it('[Q13] a certificate is bound to an AE title and an address by admission', async (t) => {
    const [own, ct1, ct2] = [await certificate(t), await certificate(t, 'CT1'), await certificate(t, 'CT2')];
    const seen: AdmitRequest[] = [];
    const { port } = await startAcceptor(t, {
      tls: { ...own, ca: [ct1.cert, ct2.cert], ...mutual },
      admit: (request): AdmitResult => {
        seen.push(request);
        const { callingAeTitle, remoteAddress, tls, contexts } = request;
        const isBound =
          tls?.peerCertificate?.subject.split(',').includes(`CN=${callingAeTitle}`) === true &&
          tls.peerCertificate.subjectAltNames.includes(`IP Address:${remoteAddress}`);
        if (!isBound) return { accept: false, result: 1, source: 1, reason: 3 };
        return { accept: true, contexts: contexts.map(({ id }) => ({ id, reason: 3 })) };
      },
    });
    await associate(t, port, { callingAeTitle: 'CT1', tls: { ...ct1, ca: own.cert } });
    await assert.rejects(associate(t, port, { callingAeTitle: 'CT1', tls: { ...ct2, ca: own.cert } }), {
      code: 'DIMSE_ASSOCIATION_REJECTED',
    });
    const { peerCertificate, protocol, cipherSuite } = seen[0]?.tls ?? {};
    assert.deepEqual([protocol, cipherSuite], ['TLSv1.3', 'TLS_AES_256_GCM_SHA384']);
    assert.equal(peerCertificate?.subject, 'CN=CT1,O=Test');
    assert.deepEqual(peerCertificate?.subjectAltNames, ['IP Address:127.0.0.1', 'DNS:ct1.radiology.example']);
    assert.match(peerCertificate?.fingerprintSha256 ?? '', /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
    assert.equal(peerCertificate?.isTrusted, true);
  });

  it('speaks TLS 1.2 and 1.3 with the suites of BCP 195 only', async (t) => {
    const own = await certificate(t);
    const { port } = await startAcceptor(t, { tls: own });
    const offer = async (options: object): Promise<string> => {
      const socket = connectTls({ host: '127.0.0.1', port, ca: own.cert, ...options });
      t.after(() => socket.destroy());
      return new Promise((resolve) => {
        socket.once('secureConnect', () => resolve(socket.getCipher().standardName));
        socket.once('error', () => resolve('refused'));
      });
    };
    const legacy = 'DEFAULT@SECLEVEL=0';
    assert.equal(await offer({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: legacy }), 'refused');
    const twelve = { maxVersion: 'TLSv1.2' };
    assert.equal(await offer({ ...twelve, ciphers: 'ECDHE-ECDSA-AES128-SHA256' }), 'refused');
    assert.equal(await offer({ ...twelve, ciphers: 'ECDHE-ECDSA-AES256-CCM' }), 'refused');
    assert.equal(await offer(twelve), 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384');
    assert.equal(await offer({}), 'TLS_AES_256_GCM_SHA384');
  });

  it('takes a new certificate while associations go on, and keeps the old when the new is unusable', async (t) => {
    const [before, after] = [await certificate(t), await certificate(t, 'renewed')];
    const { port, acceptor } = await startAcceptor(t, { tls: before });
    const association = await associate(t, port, { tls: { ca: before.cert } });
    assert.throws(() => acceptor.reloadTls({ key: 'no key', cert: 'no certificate' }));
    assert.throws(() => acceptor.reloadTls({ key: before.key, cert: after.cert }), /mismatch/);
    await associate(t, port, { tls: { ca: before.cert } });
    acceptor.reloadTls(after);
    await assert.rejects(associate(t, port, { tls: { ca: before.cert } }), {
      code: 'DIMSE_ASSOCIATION_LOST',
    });
    await associate(t, port, { tls: { ca: after.cert } });
    assert.equal((await association.cEcho()).status, 0);
    const { acceptor: plain } = await startAcceptor(t);
    assert.throws(() => plain.reloadTls(after), /does not use TLS/);
  });

  it('[Q13] handshakes in progress are counted, and have a deadline; so has the first PDU after', async (t) => {
    const own = await certificate(t);
    const { port, acceptor, events, event } = await startAcceptor(t, {
      tls: own,
      limits: { tlsHandshakesMax: 3, tlsHandshakeMs: 150, firstPduMs: 100, abortLingerMs: 20 },
    });
    const silent = () => {
      const socket = connect({ host: '127.0.0.1', port });
      t.after(() => socket.destroy());
      socket.on('error', () => undefined);
      return socket;
    };
    const sockets = [silent(), silent(), silent()];
    await eventually('the connections', () => acceptor.connections === 3);
    const oldestEnds = once(sockets[0]!, 'close');
    const one = silent();
    await oldestEnds;
    await Promise.all([one, ...sockets.slice(1)].map((socket) => once(socket, 'close')));
    assert.equal(events.filter(({ type }) => type === 'tls-failed').length, 4);
    await eventually('the end of the connections', () => acceptor.connections === 0);

    const mute = connectTls({ host: '127.0.0.1', port, ca: own.cert });
    t.after(() => mute.destroy());
    mute.on('error', () => undefined);
    await once(mute, 'secureConnect');
    mute.resume();
    const ended = await event('ended');
    assert.equal(ended.error.code, 'DIMSE_RESPONSE_TIMEOUT');
    await eventually('the end of the connection', () => acceptor.connections === 0);
  });
});

describe('DCMTK over TLS', { skip: opensslMissing || missingTool('storescu') }, () => {
  const dataSet = encodeDataSet(
    {
      '00080016': { vr: 'UI', Value: [ctStorage] },
      '00080018': { vr: 'UI', Value: ['1.2.3'] },
      '00100020': { vr: 'LO', Value: ['P1'] },
    },
    explicitLittle,
  );

  it('[R6] storescu brings an object, each side with its certificate', async (t) => {
    const [ours, theirs] = [await certificate(t), await certificate(t, 'DCMTK')];
    const received: Buffer[] = [];
    const subjects: (string | undefined)[] = [];
    const { port } = await startAcceptor(t, {
      tls: { ...ours, ca: theirs.cert, ...mutual },
      admit: ({ contexts, tls }) => {
        subjects.push(tls?.peerCertificate?.subject);
        return {
          accept: true,
          contexts: contexts.map(({ id }) => ({ id, transferSyntaxUid: explicitLittle })),
        };
      },
      handlers: {
        cStore: async ({ data }) => {
          received.push(await collect(data));
          return { status: 0 };
        },
      },
    });
    const file = join(await temporaryFolder(t), 'object.dcm');
    const meta = {
      sopClassUid: ctStorage,
      sopInstanceUid: '1.2.3',
      transferSyntaxUid: explicitLittle,
      sourceAeTitle: 'TEST',
    };
    await writeFile(file, Buffer.concat([fileMetaInformation(meta), dataSet]));
    const keys = ['+tls', theirs.keyFile, theirs.certFile, '+cf', ours.certFile];
    const to = ['-aec', 'ACCEPTOR', '127.0.0.1', String(port), file];
    const { code, output } = await runTool('storescu', [...keys, '-R', '-xe', ...to]);
    assert.equal(code, 0, output);
    assert.ok(received[0]?.equals(dataSet));
    assert.deepEqual(subjects, ['CN=DCMTK,O=Test']);
  });

  it('[R6] storescp takes our objects, each side with its certificate', async (t) => {
    const [ours, theirs] = [await certificate(t), await certificate(t, 'DCMTK')];
    const port = await freePort();
    const keys = ['+tls', theirs.keyFile, theirs.certFile, '+cf', ours.certFile];
    await startTool(t, 'storescp', [...keys, '--ignore', String(port)], port);
    const contexts = [{ sopClassUid: ctStorage, transferSyntaxUids: [explicitLittle] }];
    const association = await associate(t, port, { contexts, tls: { ...ours, ca: theirs.cert } });
    assert.equal((await association.cStore(object(dataSet))).status, 0);
    await association.release();
    await assert.rejects(associate(t, port, { contexts, tls: { ca: theirs.cert } }));
  });
});
