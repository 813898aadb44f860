import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@isthmus/testing';
import { missingTool, runTool } from '@isthmus/testing/dcmtk';
import { getStudy, setReportStatus } from './api.ts';
import { studiesOnDisk, studyUidsOf } from './studies.ts';
import { startSystem, type SystemUnderTest } from './system-under-test.ts';

describe('a hub and two spokes', { skip: missingTool('storescu') }, () => {
  let system: SystemUnderTest;
  const study = studiesOnDisk()[0]!;
  const uid = studyUidsOf(study.files)[0]!;
  const store = (id: string) => {
    const { aeTitle, dicom } = system.cluster(id);
    return runTool('storescu', ['-aec', aeTitle, dicom.host, String(dicom.port), ...study.files]);
  };
  const status = async (id: string) => (await getStudy(system.cluster(id).http, uid)).body.reportStatus;

  before(async () => {
    system = await startSystem({ clusters: 3, topology: 'hub' });
  });
  after(() => system?.stop());

  it('[U7] [U8] carries a status through a hub that holds nothing to the spoke that holds the study', async () => {
    for (const id of ['north', 'south']) assert.equal((await store(id)).code, 0);
    await eventually('each spoke knows the other as a holder', async () => {
      for (const id of ['north', 'south']) {
        const { body } = await getStudy(system.cluster(id).http, uid);
        assert.deepEqual(body.holders.map((holder) => holder.cluster).sort(), ['north', 'south']);
      }
      return true;
    });
    assert.equal((await setReportStatus(system.cluster('north').http, uid, 'APPROVED')).status, 200);
    await eventually('APPROVED at SOUTH', async () => (await status('south')) === 'APPROVED', {
      timeoutMs: 10_000,
    });
    assert.equal(
      (await setReportStatus(system.cluster('south').http, uid, 'DICTATED', { reopen: true })).status,
      200,
    );
    await eventually('DICTATED at NORTH', async () => (await status('north')) === 'DICTATED', {
      timeoutMs: 10_000,
    });
  });
});
