import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { dataPdu, openRawAssociation, storeCommand } from '@isthmus/testing';
import { syntheticStudy } from '@isthmus/testing/synthetic';
import { call } from './api.ts';
import { dcmtk, dcmtkMissing, metaOf } from './dcmtk.ts';
import { startSystem, type SystemUnderTest } from './system-under-test.ts';

const samples = process.env['DICOM_SAMPLES'];
const malformed = samples === undefined ? undefined : join(samples, 'malformed');
const secondaryCapture = '1.2.840.10008.5.1.4.1.1.7';
const explicitLittleEndian = '1.2.840.10008.1.2.1';

describe('bad input at the edge', { skip: dcmtkMissing() }, () => {
  let system: SystemUnderTest;
  before(async () => {
    system = await startSystem({ clusters: 2 });
  });
  after(() => system?.stop());

  const open = (abstractSyntax = secondaryCapture, transferSyntax = explicitLittleEndian) =>
    openRawAssociation({
      port: system.cluster('north').dicom.port,
      calledAeTitle: 'NORTH',
      abstractSyntax,
      transferSyntax,
    });
  const assertStillServing = async (): Promise<void> => {
    const { host, port } = system.cluster('north').dicom;
    assert.equal((await dcmtk('echoscu', '-aec', 'NORTH', host, String(port))).code, 0);
  };

  it('refuses a C-STORE without SOP Instance UID with a failure status, and keeps the association', async () => {
    const association = await open();
    association.write(
      Buffer.concat([dataPdu(3, storeCommand(secondaryCapture, undefined, 1)), dataPdu(2, Buffer.alloc(8))]),
    );
    const response = await association.nextPdu();
    assert.equal(response?.[0], 4, 'a C-STORE-RSP');
    const [object] = syntheticStudy({
      patient: { id: 'E2E-BAD', name: 'Bad^Input', birthDate: '19800101', sex: 'O' },
      seed: `e2e/bad/${process.pid}`,
      modality: 'CT',
      studyDate: '20260101',
      description: 'after the refusal',
      instances: 1,
      size: 16,
    });
    assert.equal(
      (await association.store({ ...object!, sopClassUid: secondaryCapture }).catch(() => -1)) !== -1,
      true,
    );
    await association.release();
    await assertStillServing();
  });

  it('closes the association of a truncated PDU, and no other', async () => {
    const bystander = await open();
    const broken = await open();
    broken.write(Buffer.from([4, 0, 0, 0, 1, 0, 0, 0]));
    broken.destroy();
    const bomb = await open();
    bomb.write(Buffer.from([4, 0, 0xff, 0xff, 0xff, 0xf0]));
    assert.equal((await bomb.nextPdu())?.[0], 7, 'A-ABORT');
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
      for (const name of readdirSync(malformed!)) {
        const file = readFileSync(join(malformed!, name));
        const hasMeta = file.toString('latin1', 128, 132) === 'DICM';
        if (!hasMeta) continue;
        const meta = metaOf(file);
        const association = await open(meta.sopClassUid, meta.transferSyntaxUid);
        const status = await association.store({ ...meta, dataSet: file.subarray(meta.dataSetOffset) });
        t.diagnostic(`${name}: 0x${status.toString(16).padStart(4, '0')}`);
        assert.ok(
          status === 0 || status >= 0xa700 || (status & 0xf000) === 0xc000,
          `${name}: 0x${status.toString(16)}`,
        );
        await association.release();
      }
      await assertStillServing();
    },
  );
});
