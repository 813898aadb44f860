import assert from 'node:assert/strict';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  dataPdu,
  dicomSamples,
  metaOf,
  openRawAssociation,
  pdu,
  statusOf,
  storeCommand,
} from '@isthmus/testing';
import { missingTool, runTool } from '@isthmus/testing/dcmtk';
import { syntheticStudy } from '@isthmus/testing/synthetic';
import { call } from './api.ts';
import { startSystem, type SystemUnderTest } from './system-under-test.ts';

const malformed = dicomSamples === undefined ? undefined : join(dicomSamples, 'malformed');
const secondaryCapture = '1.2.840.10008.5.1.4.1.1.7';
/** PS3.7 Annex C.5.11: the SOP Instance UID is missing or not one. */
const invalidObjectInstance = 0x0117;
const explicitLittleEndian = '1.2.840.10008.1.2.1';

const isPart10 = (file: Buffer): boolean => file.toString('latin1', 128, 132) === 'DICM';

/** A file's data set and what it is; a file without group 0002 is a bare data set in Explicit VR Little Endian. */
function objectOf(file: Buffer): {
  sopClassUid: string;
  sopInstanceUid: string;
  transferSyntaxUid: string;
  dataSet: Buffer;
} {
  if (isPart10(file)) {
    const meta = metaOf(file);
    return { ...meta, dataSet: file.subarray(meta.dataSetOffset) };
  }
  const uid = (element: number): string => {
    const at = file.indexOf(Buffer.from([0x08, 0x00, element, 0x00, 0x55, 0x49]));
    return file.toString('latin1', at + 8, at + 8 + file.readUInt16LE(at + 6)).replace(/\0+$/, '');
  };
  return {
    sopClassUid: uid(0x16),
    sopInstanceUid: uid(0x18),
    transferSyntaxUid: explicitLittleEndian,
    dataSet: file,
  };
}

describe('bad input at the edge', { skip: missingTool('storescu') }, () => {
  let system: SystemUnderTest;
  before(async () => {
    system = await startSystem({ clusters: 2 });
  });
  after(() => system?.stop());

  const open = (
    abstractSyntax = secondaryCapture,
    transferSyntax = explicitLittleEndian,
    cluster: 'north' | 'south' = 'north',
  ) =>
    openRawAssociation({
      port: system.cluster(cluster).dicom.port,
      calledAeTitle: cluster.toUpperCase(),
      abstractSyntax,
      transferSyntax,
    });
  /** Whether the cluster's object store has a file that ends in exactly these bytes, behind a header of ours. */
  const isStored = (dataSet: Buffer, cluster: 'north' | 'south' = 'north'): boolean => {
    const files = globSync(join(system.dataDirectory, cluster, 'objects/**/*'), { withFileTypes: true });
    return files.some((entry) => {
      if (!entry.isFile()) return false;
      const file = readFileSync(join(entry.parentPath, entry.name));
      return isPart10(file) && file.subarray(metaOf(file).dataSetOffset).equals(dataSet);
    });
  };
  const assertStillServing = async (): Promise<void> => {
    const { host, port } = system.cluster('north').dicom;
    assert.equal((await runTool('echoscu', ['-aec', 'NORTH', host, String(port)])).code, 0);
  };

  it('refuses a C-STORE without SOP Instance UID with 0117, and goes on with the next object of the association', async () => {
    const [object] = syntheticStudy({
      patient: { id: 'E2E-BAD', name: 'Bad^Input', birthDate: '19800101', sex: 'O' },
      seed: `e2e/bad/${process.pid}`,
      modality: 'CT',
      studyDate: '20260101',
      description: 'after the refusal',
      instances: 1,
      size: 16,
    });
    const association = await open(object!.sopClassUid, object!.transferSyntaxUid);
    const nameless = dataPdu(3, storeCommand(object!.sopClassUid, undefined, 1));
    association.write(Buffer.concat([nameless, dataPdu(2, object!.dataSet)]));
    const response = await association.nextPdu();
    assert.equal(response?.[0], 4, 'a C-STORE-RSP, not an abort');
    assert.equal(statusOf(response), invalidObjectInstance);
    assert.equal(isStored(object!.dataSet), false);
    assert.equal(await association.store(object!), 0);
    assert.equal(isStored(object!.dataSet), true);
    await association.release();
    await assertStillServing();
  });

  it('closes the association of a truncated or endless PDU, and no other', async () => {
    const [object] = syntheticStudy({
      patient: { id: 'E2E-BAD', name: 'Bad^Input', birthDate: '19800101', sex: 'O' },
      seed: `e2e/bystander/${process.pid}`,
      modality: 'CT',
      studyDate: '20260101',
      description: 'of a bystander',
      instances: 1,
      size: 16,
    });
    const bystander = await open(object!.sopClassUid, object!.transferSyntaxUid);
    const cut = await open();
    cut.write(pdu(4, Buffer.from([0, 0, 0, 100, 1, 0])));
    assert.equal((await cut.nextPdu())?.[0], 7, 'A-ABORT: the PDV is longer than its PDU');
    const bomb = await open();
    bomb.write(Buffer.from([4, 0, 0xff, 0xff, 0xff, 0xf0]));
    assert.equal((await bomb.nextPdu())?.[0], 7, 'A-ABORT: the PDU is longer than was announced');
    const gone = await open();
    gone.write(Buffer.from([4, 0, 0, 0, 1, 0, 0, 0]));
    gone.destroy();
    assert.equal(await bystander.store(object!), 0);
    await bystander.release();
    await assertStillServing();
  });

  it('answers unknown routes and broken JSON with problem+json', async () => {
    const { http } = system.cluster('north');
    assert.equal((await call(http, 'GET', '/api/v1/nothing-here')).status, 404);
    const response = await fetch(`${http}/api/v1/studies:search`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"patientId":',
    });
    assert.equal(response.status, 400);
    assert.match(response.headers.get('content-type') ?? '', /application\/problem\+json/);
  });

  it(
    '[R6] stores every malformed file byte for byte or refuses it with a clear status',
    { skip: malformed && existsSync(malformed) ? false : 'DICOM_SAMPLES is not set' },
    async (t) => {
      const known = new Set<string>();
      for (const name of readdirSync(malformed!)) {
        const { dataSet, ...meta } = objectOf(readFileSync(join(malformed!, name)));
        // The same object in another encoding is no news where it is known: it goes where it is not.
        const cluster = known.has(meta.sopInstanceUid) ? 'south' : 'north';
        known.add(meta.sopInstanceUid);
        const association = await open(meta.sopClassUid, meta.transferSyntaxUid, cluster);
        const status = await association.store({ ...meta, dataSet });
        await association.release();
        t.diagnostic(`${name}: 0x${status.toString(16).padStart(4, '0')}`);
        if (status === 0)
          assert.ok(isStored(dataSet, cluster), `${name} was acknowledged but is not there byte for byte`);
        else assert.ok(status >= 0xa700 && status !== 0xff00, `${name}: 0x${status.toString(16)}`);
      }
      await assertStillServing();
    },
  );
});
