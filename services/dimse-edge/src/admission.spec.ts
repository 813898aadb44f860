import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { storageSopClasses, uids } from '@isthmus/dicom';
import type { AdmitRequest, AdmitResult } from '@isthmus/dimse';
import { emptyConfiguration } from '@isthmus/domain';
import type { Configuration, Station } from '@isthmus/domain';
import { admit, dutyOf } from './admission.ts';
import type { AdmissionMode } from './admission.ts';

const station = (aeTitle: string, more: Partial<Station> = {}): Station => ({
  aeTitle,
  host: '10.0.0.5',
  port: 104,
  tls: false,
  kind: 'modality',
  archive: false,
  alsoSendsAs: [],
  keepsStatus: true,
  ...more,
});
const configured = (...stations: Station[]): Configuration => ({
  ...emptyConfiguration,
  stations: new Map(stations.map((one) => [one.aeTitle, one])),
});
const offer = (sopClassUid: string, ...transferSyntaxUids: string[]) => ({
  id: 1,
  sopClassUid,
  transferSyntaxUids,
});
const request = (more: Partial<AdmitRequest>): AdmitRequest => ({
  callingAeTitle: 'CT1',
  calledAeTitle: 'NORTH',
  remoteAddress: '10.0.0.5',
  contexts: [offer(uids.VerificationSopClass, uids.ImplicitVrLittleEndian)],
  roles: [],
  extendedNegotiations: [],
  ...more,
});
function decide(
  mode: AdmissionMode,
  configuration: Configuration,
  more: Partial<AdmitRequest>,
  addresses: readonly string[] = [],
): AdmitResult {
  return admit(request(more), { mode, configuration, addressesOf: () => addresses });
}

describe('[Q13] C-GET', () => {
  const contexts = [offer(uids.StudyRootGet, uids.ExplicitVrLittleEndian)];
  const roles = [uids.CTImageStorage, uids.StudyRootFind].map((sopClassUid) => ({
    sopClassUid,
    scu: false,
    scp: true,
  }));

  it('is for configured stations, which may take objects of every storage class', () => {
    const answer = decide('stations', configured(station('CT1')), { contexts, roles });
    assert.deepEqual(answer, {
      accept: true,
      isKnown: true,
      contexts: [{ id: 1, transferSyntaxUid: uids.ExplicitVrLittleEndian }],
      roles: roles.slice(0, 1),
    });
  });

  it('is not for strangers on this machine', () => {
    const answer = decide('open-loopback', configured(), { contexts, remoteAddress: '127.0.0.1' });
    assert.deepEqual(answer, {
      accept: true,
      isKnown: false,
      contexts: [{ id: 1, reason: 3 }],
      roles: [],
    });
  });
});

describe('storage commitment and instance availability', () => {
  const classes = [uids.StorageCommitmentPushModel, uids.InstanceAvailabilityNotification];
  const contexts = classes.map((sopClassUid, index) => ({
    ...offer(sopClassUid, uids.ImplicitVrLittleEndian),
    id: 2 * index + 1,
  }));
  const roles = [{ sopClassUid: uids.StorageCommitmentPushModel, scu: false, scp: true }];

  it('are for configured stations, which may report on what we asked them', () => {
    const answer = decide('stations', configured(station('CT1')), { contexts, roles });
    assert.ok(answer.accept);
    assert.deepEqual(
      answer.contexts,
      [1, 3].map((id) => ({ id, transferSyntaxUid: uids.ImplicitVrLittleEndian })),
    );
    assert.deepEqual(answer.roles, roles);
    const stranger = decide('open-loopback', configured(), { contexts, remoteAddress: '127.0.0.1' });
    assert.deepEqual(
      stranger.accept && stranger.contexts,
      [1, 3].map((id) => ({ id, reason: 3 })),
    );
  });
});

describe('admission by stations', () => {
  const known = configured(station('CT1', { alsoSendsAs: ['CT1_OLD'] }));

  it('lets a configured station in from its own address, also under another of its AE titles', () => {
    assert.equal(decide('stations', known, {}).accept, true);
    assert.equal(decide('stations', known, { callingAeTitle: 'CT1_OLD' }).accept, true);
    assert.equal(decide('stations', known, { remoteAddress: '::ffff:10.0.0.5' }).accept, true);
  });

  it('refuses the same AE title from elsewhere, and unknown ones, as calling AE title not recognised', () => {
    const refused = { accept: false, result: 1, source: 1, reason: 3 };
    const elsewhere = { ...refused, why: 'not from the address of this station' };
    assert.deepEqual(decide('stations', known, { remoteAddress: '10.0.0.6' }), elsewhere);
    const unknown = { ...refused, why: 'no station of this AE title' };
    assert.deepEqual(decide('stations', known, { callingAeTitle: 'CT2' }), unknown);
    assert.deepEqual(
      decide('stations', known, { callingAeTitle: 'CT2', remoteAddress: '127.0.0.1' }),
      unknown,
    );
  });

  it('compares with what the host name of a station resolves to', () => {
    const named = configured(station('CT1', { host: 'ct1.example' }));
    assert.equal(decide('stations', named, {}, ['10.0.0.4', '10.0.0.5']).accept, true);
    assert.equal(decide('stations', named, {}, []).accept, false);
    const local = configured(station('CT1', { host: 'localhost' }));
    assert.equal(decide('stations', local, { remoteAddress: '::1' }).accept, true);
  });
});

describe('[Q13] admission by TLS', () => {
  const fingerprintOf = (byte: string): string => Array.from({ length: 32 }, () => byte).join(':');
  const shows = (subject: string, byte = 'AA') => ({
    tls: {
      protocol: 'TLSv1.3',
      cipherSuite: 'TLS_AES_256_GCM_SHA384',
      peerCertificate: {
        subject,
        issuer: 'CN=Hospital CA',
        subjectAltNames: [],
        fingerprintSha256: fingerprintOf(byte),
        validTo: new Date('2030-01-01'),
        isTrusted: true,
      },
    },
  });
  const withoutCertificate = { tls: { protocol: 'TLSv1.3', cipherSuite: 'TLS_AES_256_GCM_SHA384' } };
  const why = (configuration: Configuration, more: Partial<AdmitRequest>) => {
    const answer = decide('stations', configuration, more);
    return answer.accept ? 'admitted' : answer.why;
  };
  const ct1 = station('CT1', { tls: true, certificates: ['CN=CT1', fingerprintOf('BB')] });
  const plain = station('CT2');
  const secured = station('CT3', { tls: true });
  const all = configured(ct1, plain, secured);

  it('lets a station in with one of its certificates, and with no other', () => {
    assert.equal(why(all, shows('CN=CT1,O=Hospital')), 'admitted');
    assert.equal(why(all, shows('CN=renewed', 'BB')), 'admitted');
    assert.match(why(all, shows('CN=CT3,O=Hospital')) ?? '', /CN=CT3,O=Hospital .* none of station CT1/);
    assert.match(why(all, withoutCertificate) ?? '', /showed none/);
  });

  it('does not take the certificate of one station for another, bound or not', () => {
    for (const callingAeTitle of ['CT2', 'CT3']) {
      assert.match(why(all, { ...shows('CN=CT1'), callingAeTitle }) ?? '', /is that of station CT1/);
      assert.equal(why(all, { ...shows('CN=other'), callingAeTitle }), 'admitted');
    }
  });

  it('lets a station with tls in by TLS alone; the others may come by it', () => {
    assert.match(why(all, {}) ?? '', /by TLS alone/);
    assert.match(why(all, { callingAeTitle: 'CT3' }) ?? '', /by TLS alone/);
    assert.equal(why(all, { callingAeTitle: 'CT2' }), 'admitted');
    assert.equal(why(all, { callingAeTitle: 'CT2', ...withoutCertificate }), 'admitted');
  });

  it('still looks at address and AE title, and does not open the loopback to who is known', () => {
    assert.match(why(all, { ...shows('CN=CT1'), remoteAddress: '10.0.0.6' }) ?? '', /address/);
    assert.match(why(all, { ...shows('CN=CT1'), callingAeTitle: 'CT9' }) ?? '', /AE title/);
    const local = configured(station('CT1', { host: '127.0.0.1', tls: true }));
    assert.equal(decide('open-loopback', local, { remoteAddress: '127.0.0.1' }).accept, false);
  });
});

describe('admission of open loopback', () => {
  it('lets unknown AE titles in from this machine, and from nowhere else', () => {
    assert.equal(decide('open-loopback', emptyConfiguration, { remoteAddress: '127.0.0.1' }).accept, true);
    assert.equal(decide('open-loopback', emptyConfiguration, { remoteAddress: '::1' }).accept, true);
    assert.equal(decide('open-loopback', emptyConfiguration, {}).accept, false);
  });
});

describe('presentation contexts', () => {
  const contextOf = (configuration: Configuration, context: ReturnType<typeof offer>) => {
    const result = decide('open-loopback', configuration, {
      remoteAddress: '127.0.0.1',
      contexts: [context],
    });
    assert.ok(result.accept);
    return result.contexts[0];
  };
  const cluster = configured(station('CT1', { host: '127.0.0.1', kind: 'cluster', cluster: 'south' }));

  it('[R6] takes every storage class with the first transfer syntax offered, private classes included', () => {
    const jpeg = '1.2.840.10008.1.2.4.70';
    for (const sopClassUid of [...storageSopClasses.keys(), '1.2.124.113532.3500.7']) {
      const context = contextOf(emptyConfiguration, offer(sopClassUid, jpeg, uids.ImplicitVrLittleEndian));
      assert.deepEqual(context, { id: 1, transferSyntaxUid: jpeg }, sopClassUid);
    }
  });

  it('passes over transfer syntaxes that nobody can read', () => {
    const context = offer(uids.CTImageStorage, '1.2.840.113619.5.2', uids.ImplicitVrLittleEndian);
    assert.deepEqual(contextOf(emptyConfiguration, context), {
      id: 1,
      transferSyntaxUid: uids.ImplicitVrLittleEndian,
    });
    const none = offer(uids.CTImageStorage, '1.2.840.113619.5.2');
    assert.deepEqual(contextOf(emptyConfiguration, none), { id: 1, reason: 4 });
  });

  it('prefers explicit for identifiers, and refuses what it could not read', () => {
    const find = offer(uids.StudyRootFind, uids.ImplicitVrLittleEndian, uids.ExplicitVrLittleEndian);
    assert.deepEqual(contextOf(emptyConfiguration, find), {
      id: 1,
      transferSyntaxUid: uids.ExplicitVrLittleEndian,
    });
    const deflated = offer(uids.StudyRootMove, '1.2.840.10008.1.2.4.70');
    assert.deepEqual(contextOf(emptyConfiguration, deflated), { id: 1, reason: 4 });
  });

  it('[Q2] keeps the private classes for linked clusters', () => {
    const classes = [uids.IsthmusLinkedQueryFind, uids.IsthmusLinkedUpdateStorage, uids.IsthmusLinkStateFind];
    for (const sopClassUid of classes) {
      const context = offer(sopClassUid, uids.ExplicitVrLittleEndian);
      assert.deepEqual(contextOf(emptyConfiguration, context), { id: 1, reason: 3 });
      assert.deepEqual(contextOf(cluster, context), {
        id: 1,
        transferSyntaxUid: uids.ExplicitVrLittleEndian,
      });
    }
  });

  it('does not promise services that it does not have', () => {
    const services = [
      uids.ModalityWorklistFind,
      uids.ModalityPerformedProcedureStep,
      '1.2.840.10008.5.1.1.9',
      '1.2.840.10008.5.1.4.1.1.201.2',
    ];
    for (const sopClassUid of services) assert.equal(dutyOf(sopClassUid), 'none', sopClassUid);
  });
});
