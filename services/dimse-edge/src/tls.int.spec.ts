import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { element, fileMetaInformation, tags, uids } from '@isthmus/dicom';
import { requestAssociation } from '@isthmus/dimse';
import type { RequestedAssociation } from '@isthmus/dimse';
import { emptyConfiguration, requestSubjects } from '@isthmus/domain';
import type {
  DimseFindAnswer,
  DimseFindRequest,
  EchoAnswer,
  RetrieveAnswer,
  RetrieveRequest,
} from '@isthmus/domain';
import { createLog } from '@isthmus/service-kit';
import { eventually, openRawAssociation, temporaryFolder } from '@isthmus/testing';
import type { TestContextLike } from '@isthmus/testing';
import { missingTool, runTool, startStoreScp } from '@isthmus/testing/dcmtk';
import { createAuthority, opensslMissing } from '../test/certificates.ts';
import type { Authority, Issued } from '../test/certificates.ts';
import { ctObject } from '../test/objects.ts';
import type { TestObject } from '../test/objects.ts';
import { startTestEdge } from '../test/start-edge.ts';
import type { TestEdge } from '../test/start-edge.ts';
import { linkEdges, storeAll } from '../test/store-objects.ts';
import { TlsFilesError } from './errors.ts';
import { openTls } from './tls.ts';

interface TlsEdge extends TestEdge {
  readonly own: Issued;
  readonly tlsPort: number;
  /** What it logged, one line each. */
  readonly lines: readonly string[];
}

/** An edge with a certificate of the authority, which it reads anew every 20 ms. */
async function startTlsEdge(
  test: TestContextLike,
  authority: Authority,
  options: { readonly cluster?: string; readonly settings?: { readonly [name: string]: string } } = {},
): Promise<TlsEdge> {
  const { cluster = 'north' } = options;
  const own = await authority.issue(cluster.toUpperCase());
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLog({ service: 'dimse-edge', cluster, level: 'debug', destination });
  const edge = await startTestEdge(test, {
    cluster,
    log,
    settings: {
      DICOM_TLS_PORT: '0',
      DICOM_TLS_KEY_FILE: own.keyFile,
      DICOM_TLS_CERTIFICATE_FILE: own.certFile,
      DICOM_TLS_AUTHORITIES_FILE: authority.caFile,
      DICOM_TLS_RELOAD_EVERY_MS: '20',
      ...options.settings,
    },
  });
  return Object.assign(edge, { own, tlsPort: edge.edge.dicomTlsPort as number, lines });
}

/** `storescu` over TLS with a certificate, or without. */
async function storescu(
  test: TestContextLike,
  edge: TlsEdge,
  from: {
    readonly aeTitle: string;
    readonly certificate?: Issued;
    readonly authority: Authority;
    readonly port?: number;
  },
  object: TestObject,
) {
  const file = join(await temporaryFolder(test), 'object.dcm');
  const { sopClassUid, sopInstanceUid, transferSyntaxUid } = object;
  const meta = fileMetaInformation({ sopClassUid, sopInstanceUid, transferSyntaxUid, sourceAeTitle: 'TEST' });
  await writeFile(file, Buffer.concat([meta, object.dataSet]));
  const { aeTitle, certificate, authority } = from;
  const secured = certificate ? ['+tls', certificate.keyFile, certificate.certFile] : ['+tla'];
  const to = ['127.0.0.1', String(from.port ?? edge.tlsPort), file];
  return runTool('storescu', [
    ...secured,
    '+cf',
    authority.caFile,
    '-R',
    '-xe',
    '-aet',
    aeTitle,
    '-aec',
    edge.aeTitle,
    ...to,
  ]);
}

function associate(
  edge: TlsEdge,
  callingAeTitle: string,
  certificate: Issued,
  authority: Authority,
): Promise<RequestedAssociation> {
  return requestAssociation({
    host: '127.0.0.1',
    port: edge.tlsPort,
    calledAeTitle: edge.aeTitle,
    callingAeTitle,
    contexts: [{ sopClassUid: uids.VerificationSopClass, transferSyntaxUids: [uids.ImplicitVrLittleEndian] }],
    tls: { key: certificate.key, cert: certificate.cert, ca: authority.ca },
  });
}

async function echo(edge: TestEdge, aeTitle: string): Promise<EchoAnswer> {
  return edge.eventLog.requests.ask(requestSubjects.echo, { aeTitle }, { timeoutMs: 10_000 });
}

const skip = opensslMissing || missingTool('storescu');

describe('stations that come by TLS', { skip }, () => {
  it('[R6] [Q13] store with their own certificate, and are refused with that of another, or in the clear', async (t) => {
    const authority = await createAuthority(t);
    const edge = await startTlsEdge(t, authority);
    const [ct1, ct2] = [await authority.issue('CT1'), await authority.issue('CT2')];
    await edge.station({ aeTitle: 'CT1', port: 104, tls: true, certificates: ['CN=CT1,O=Test'] });
    await edge.station({ aeTitle: 'CT2', port: 104, tls: true, certificates: [ct2.fingerprintSha256] });
    const object = ctObject({});
    for (const [aeTitle, certificate] of [
      ['CT1', ct1],
      ['CT2', ct2],
    ] as const) {
      const { code, output } = await storescu(t, edge, { aeTitle, certificate, authority }, object);
      assert.equal(code, 0, output);
    }
    await edge.federator.seen(1);
    const found = await runTool('findscu', [
      ...['+tls', ct1.keyFile, ct1.certFile, '+cf', authority.caFile],
      ...[
        '-S',
        '-aet',
        'CT1',
        '-aec',
        edge.aeTitle,
        '-k',
        'QueryRetrieveLevel=STUDY',
        '-k',
        'StudyInstanceUID',
      ],
      ...['127.0.0.1', String(edge.tlsPort)],
    ]);
    assert.equal(found.code, 0, found.output);
    assert.match(found.output, /StudyInstanceUID/);
    const stolen = await storescu(t, edge, { aeTitle: 'CT1', certificate: ct2, authority }, object);
    assert.notEqual(stolen.code, 0);
    await eventually('it is said in the log', () =>
      edge.lines.some((line) => /certificate CN=CT2,O=Test .* is none of station CT1/.test(line)),
    );
    const clear = await openRawAssociation({
      port: edge.edge.dicomPort,
      calledAeTitle: edge.aeTitle,
      callingAeTitle: 'CT1',
      abstractSyntax: uids.VerificationSopClass,
      transferSyntax: uids.ImplicitVrLittleEndian,
    });
    assert.equal(clear.accepted, false);
    assert.ok(edge.lines.some((line) => line.includes('this station comes by TLS alone')));
  });

  it('[Q13] are refused with a certificate that has expired, of an unknown authority, or with none', async (t) => {
    const [authority, foreign] = [await createAuthority(t), await createAuthority(t, 'Foreign CA')];
    const edge = await startTlsEdge(t, authority);
    const cases = [
      [await authority.issue('CT1', { days: -1 }), /certificate .*CN=CT1,O=Test.* refused: CERT_HAS_EXPIRED/],
      [await foreign.issue('CT1'), /certificate .*CN=CT1,O=Test.* refused: UNABLE_TO_/],
      [undefined, /certificate refused: the peer sent none/],
    ] as const;
    for (const [certificate, said] of cases) {
      const { code } = await storescu(t, edge, { aeTitle: 'CT1', certificate, authority }, ctObject({}));
      assert.notEqual(code, 0);
      await eventually(`the log says ${said}`, () => edge.lines.some((line) => said.test(line)));
    }
    assert.deepEqual(await edge.files(), []);
  });

  it('need no certificate where none is asked for', async (t) => {
    const authority = await createAuthority(t);
    const settings = { DICOM_TLS_CLIENT_CERTIFICATE: 'none' };
    const edge = await startTlsEdge(t, authority, { settings });
    const { code, output } = await storescu(t, edge, { aeTitle: 'CT1', authority }, ctObject({}));
    assert.equal(code, 0, output);
  });

  it('[Q13] who speaks TLS to the plain port or plain to the TLS port, or nothing, is cut off, and others go on', async (t) => {
    const authority = await createAuthority(t);
    const edge = await startTlsEdge(t, authority, { settings: { FIRST_PDU_TIMEOUT_MS: '300' } });
    const ct1 = await authority.issue('CT1');
    const other = await associate(edge, 'CT1', ct1, authority);
    const port = edge.edge.dicomPort;
    const { code } = await storescu(
      t,
      edge,
      { aeTitle: 'CT1', certificate: ct1, authority, port },
      ctObject({}),
    );
    assert.notEqual(code, 0);
    const plain = await openRawAssociation({
      port: edge.tlsPort,
      calledAeTitle: edge.aeTitle,
      abstractSyntax: uids.VerificationSopClass,
      transferSyntax: uids.ImplicitVrLittleEndian,
    });
    assert.equal(plain.accepted, false);
    await eventually('the log says so', () =>
      edge.lines.some((line) => line.includes('TLS handshake failed')),
    );
    const silent = connect({ host: '127.0.0.1', port: edge.tlsPort });
    silent.on('error', () => undefined);
    await once(silent, 'close');
    const mute = connectTls({ host: '127.0.0.1', port: edge.tlsPort, ...ct1, ca: authority.ca });
    mute.on('error', () => undefined).resume();
    await once(mute, 'close');
    assert.equal((await other.cEcho()).status, 0);
    await other.release();
  });

  it('[Q13] share the places with those of the plain port', async (t) => {
    const authority = await createAuthority(t);
    const settings = { ASSOCIATIONS_UNKNOWN_PER_ADDRESS_MAX: '2' };
    const edge = await startTlsEdge(t, authority, { settings });
    const ct1 = await authority.issue('CT1');
    const one = await associate(edge, 'CT1', ct1, authority);
    const call = { port: edge.edge.dicomPort, calledAeTitle: edge.aeTitle, callingAeTitle: 'CT1' };
    const verification = {
      abstractSyntax: uids.VerificationSopClass,
      transferSyntax: uids.ImplicitVrLittleEndian,
    };
    assert.equal((await openRawAssociation({ ...call, ...verification })).accepted, true);
    await assert.rejects(associate(edge, 'CT1', ct1, authority), { code: 'DIMSE_ASSOCIATION_REJECTED' });
    await one.release();
  });
});

describe('stations that are called by TLS', { skip }, () => {
  it('[R6] take objects, and are not sent any when they are not who they should be', async (t) => {
    const authority = await createAuthority(t);
    const edge = await startTlsEdge(t, authority);
    const [theirs, expired] = [await authority.issue('PACS'), await authority.issue('PACS', { days: -1 })];
    const args = (one: Issued) => ['+tls', one.keyFile, one.certFile, '+cf', authority.caFile];
    const scp = await startStoreScp(t, { aeTitle: 'PACS', args: args(theirs) });
    const objects = [1, 2].map((n) => ctObject({ study: '1.2.5', instance: `1.2.5.1.${n}` }));
    await storeAll(edge, objects);
    const send = async (certificates?: readonly string[], port = scp.port) => {
      await edge.station({ aeTitle: 'PACS', port, tls: true, ...(certificates && { certificates }) });
      const association = await requestAssociation({
        host: '127.0.0.1',
        port: edge.edge.dicomPort,
        calledAeTitle: edge.aeTitle,
        callingAeTitle: 'VIEWER',
        contexts: [{ sopClassUid: uids.StudyRootMove, transferSyntaxUids: [uids.ExplicitVrLittleEndian] }],
      });
      const identifier = {
        [tags.QueryRetrieveLevel]: element('CS', 'STUDY'),
        [tags.StudyInstanceUID]: element('UI', '1.2.5'),
      };
      const moved = await association.cMove({
        sopClassUid: uids.StudyRootMove,
        destinationAeTitle: 'PACS',
        identifier,
      });
      await association.release();
      return moved.counts.completed;
    };
    assert.equal(await send(['CN=OTHER']), 0);
    assert.equal((await scp.files()).length, 0);
    assert.match((await echo(edge, 'PACS')).detail ?? '', /CN=PACS,O=Test .* is none of station PACS/);
    assert.equal(await send([theirs.fingerprintSha256]), 2);
    assert.equal((await scp.dataSets()).get('1.2.5.1.1')?.equals(objects[0]!.dataSet), true);
    assert.equal(await send(), 2, 'by its address, which its certificate names');
    const old = await startStoreScp(t, { aeTitle: 'PACS', args: args(expired) });
    assert.equal(await send(undefined, old.port), 0);
    assert.match((await echo(edge, 'PACS')).detail ?? '', /expired/);
    const inTheClear = await startStoreScp(t, { aeTitle: 'PACS' });
    assert.equal(await send(undefined, inTheClear.port), 0);
    assert.equal((await inTheClear.files()).length, 0);
  });

  it('[L1] [R1] clusters ask, pull and deliver by TLS alone', async (t) => {
    const authority = await createAuthority(t);
    const [north, south] = await Promise.all([
      startTlsEdge(t, authority),
      startTlsEdge(t, authority, { cluster: 'south' }),
    ]);
    await linkEdges(north, south, (there) => ({
      port: (there as TlsEdge).tlsPort,
      tls: true,
      certificates: [`CN=${there.aeTitle}`],
    }));
    await storeAll(
      north,
      [1, 2, 3].map((n) => ctObject({ study: '1.2.7', instance: `1.2.7.1.${n}` })),
    );
    assert.equal((await echo(south, 'NORTH')).ok, true);
    const rows: DimseFindAnswer[] = [];
    for await (const row of south.eventLog.requests.askStream<DimseFindRequest, DimseFindAnswer>(
      requestSubjects.dimseFind,
      {
        aeTitle: 'NORTH',
        sopClassUids: [uids.IsthmusLinkedQueryFind],
        identifier: {
          [tags.QueryRetrieveLevel]: element('CS', 'STUDY'),
          [tags.StudyInstanceUID]: element('UI', '1.2.7'),
        },
        timeoutMs: 10_000,
        rowsMax: 10,
      },
      { timeoutMs: 10_000 },
    )) {
      rows.push(row);
    }
    assert.deepEqual(rows.at(-1), { done: { status: 0, sopClassUid: uids.IsthmusLinkedQueryFind } });
    assert.ok(rows.length > 1, 'the study');
    const request: RetrieveRequest = {
      studyInstanceUid: '1.2.7',
      sources: [{ peer: 'north', aeTitle: 'NORTH' }],
      reason: 'user',
      deadlineMs: 30_000,
    };
    let done: RetrieveAnswer | undefined;
    for await (const answer of south.eventLog.requests.askStream<RetrieveRequest, RetrieveAnswer>(
      requestSubjects.retrieve,
      request,
      { timeoutMs: 30_000 },
    )) {
      done = answer;
    }
    assert.ok(done && 'done' in done && done.done.outcome === 'complete', JSON.stringify(done));
    await south.federator.seen(3);
    assert.equal(south.federator.events[0]?.pulledFrom, 'north');
    assert.equal(
      [...north.lines, ...south.lines].some((line) => line.includes('association rejected')),
      false,
    );
  });

  it('are not called without a certificate of ours', async (t) => {
    const edge = await startTestEdge(t);
    await edge.station({ aeTitle: 'PACS', port: 104, tls: true });
    assert.match((await echo(edge, 'PACS')).detail ?? '', /no certificate/);
  });
});

describe('files for TLS', { skip }, () => {
  it('[Q13] are read anew while associations go on; what cannot be used changes nothing', async (t) => {
    const authority = await createAuthority(t);
    const edge = await startTlsEdge(t, authority);
    const ct1 = await authority.issue('CT1');
    const fingerprint = async (): Promise<string> => {
      const socket = connectTls({ host: '127.0.0.1', port: edge.tlsPort, ...ct1, ca: authority.ca });
      await once(socket, 'secureConnect');
      const { fingerprint256 } = socket.getPeerCertificate();
      socket.destroy();
      return fingerprint256;
    };
    const before = await associate(edge, 'CT1', ct1, authority);
    assert.equal(await fingerprint(), edge.own.fingerprintSha256);

    const next = await authority.issue('NORTH');
    await copyFile(next.certFile, edge.own.certFile);
    await eventually('a certificate without its key is told of', () =>
      edge.lines.some((line) => /"level":"error".*TLS_FILES_UNUSABLE/.test(line)),
    );
    assert.equal(await fingerprint(), edge.own.fingerprintSha256);

    await copyFile(next.keyFile, edge.own.keyFile);
    await eventually('the new one is used', async () => (await fingerprint()) === next.fingerprintSha256);
    assert.equal((await before.cEcho()).status, 0);
    await before.release();
  });

  it('[Q13] other authorities are believed from then on, and the old ones no longer', async (t) => {
    const [authority, other] = [await createAuthority(t), await createAuthority(t, 'Other CA')];
    const edge = await startTlsEdge(t, authority);
    const [ct1, ct2] = [await authority.issue('CT1'), await other.issue('CT2')];
    const isIn = async (one: Issued) => {
      const association = await associate(edge, 'CT', one, authority).catch(() => undefined);
      await association?.release();
      return association !== undefined;
    };
    assert.deepEqual([await isIn(ct1), await isIn(ct2)], [true, false]);
    await writeFile(authority.caFile, other.ca);
    await eventually('the other is believed', () => isIn(ct2));
    assert.equal(await isIn(ct1), false);
  });

  it('[Q13] are warned of before our certificate expires, and when it has, each once', async (t) => {
    const authority = await createAuthority(t);
    const own = await authority.issue('NORTH', { days: 60 });
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(line) };
    const log = createLog({ service: 'dimse-edge', cluster: 'north', level: 'info', destination });
    let now = Date.now();
    let looks = 0;
    const tls = await openTls(
      {
        DICOM_TLS_KEY_FILE: own.keyFile,
        DICOM_TLS_CERTIFICATE_FILE: own.certFile,
        DICOM_TLS_AUTHORITIES_FILE: authority.caFile,
        DICOM_TLS_CLIENT_CERTIFICATE: 'required',
        DICOM_TLS_RELOAD_EVERY_MS: 20,
      },
      {
        configuration: () => emptyConfiguration,
        log,
        onExpiry: () => {},
        now: () => {
          looks += 1;
          return new Date(now);
        },
      },
    );
    const days = 24 * 3_600_000;
    for (const later of [40 * days, 30 * days]) {
      now += later;
      const until = looks + 5;
      await eventually('it has looked a few times', () => looks > until);
    }
    tls?.stop();
    const told = lines.map((line) => JSON.parse(line) as { level: string; msg: string });
    assert.deepEqual(
      told.map(({ level, msg }) => `${level} ${msg}`),
      [
        'info TLS is on',
        'warn TLS: our certificate expires soon',
        'error TLS: our certificate has expired, peers will refuse it',
      ],
    );
  });

  it('that are missing or no certificates end the start, and say which', async (t) => {
    const authority = await createAuthority(t);
    const [own, other] = [await authority.issue('NORTH'), await authority.issue('NORTH')];
    const right = {
      DICOM_TLS_KEY_FILE: own.keyFile,
      DICOM_TLS_CERTIFICATE_FILE: own.certFile,
      DICOM_TLS_AUTHORITIES_FILE: authority.caFile,
      DICOM_TLS_CLIENT_CERTIFICATE: 'required' as const,
      DICOM_TLS_RELOAD_EVERY_MS: 10_000,
    };
    const log = createLog({ service: 'dimse-edge', cluster: 'north', level: 'silent' });
    const parts = { configuration: () => emptyConfiguration, log, onExpiry: () => {}, now: () => new Date() };
    const faultOf = async (change: object): Promise<string> => {
      const opened = await openTls({ ...right, ...change }, parts).catch((error: Error) => error);
      if (opened instanceof TlsFilesError) return opened.message;
      if (opened && 'stop' in opened) opened.stop();
      return 'none';
    };
    assert.equal(await faultOf({}), 'none');
    assert.match(await faultOf({ DICOM_TLS_AUTHORITIES_FILE: undefined }), /AUTHORITIES_FILE not set/);
    assert.match(await faultOf({ DICOM_TLS_KEY_FILE: '/none/at/all' }), /\/none\/at\/all cannot be read/);
    assert.match(await faultOf({ DICOM_TLS_CERTIFICATE_FILE: other.certFile }), /cannot be used/);
    assert.match(await faultOf({ DICOM_TLS_AUTHORITIES_FILE: own.keyFile }), /cannot be used/);
    const none = { DICOM_TLS_KEY_FILE: undefined, DICOM_TLS_CERTIFICATE_FILE: undefined };
    assert.equal(
      await openTls({ ...right, ...none, DICOM_TLS_AUTHORITIES_FILE: undefined }, parts),
      undefined,
    );
  });
});
