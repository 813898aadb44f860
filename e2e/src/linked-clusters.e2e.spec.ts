import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { eventually, metaOf, openRawAssociation } from '@isthmus/testing';
import { missingTool, runTool, startStoreScp, type StoreScp } from '@isthmus/testing/dcmtk';
import { presentationStateFor } from '@isthmus/testing/synthetic';
import { call, changeLink, getStudy, setReportStatus } from './api.ts';
import { dataSetsOf, studiesOnDisk, studyUidsOf } from './studies.ts';
import { startSystem, type SystemUnderTest } from './system-under-test.ts';

/** Objects that a move delivered equal those that were sent, none more and none less. */
function assertSameObjects(received: ReadonlyMap<string, Buffer>, sent: ReadonlyMap<string, Buffer>): void {
  assert.deepEqual([...received.keys()].sort(), [...sent.keys()].sort());
  for (const [uid, bytes] of sent) assert.ok(received.get(uid)!.equals(bytes), `data set of ${uid} differs`);
}

describe('three linked clusters', { skip: missingTool('storescu') }, () => {
  let system: SystemUnderTest;
  let workstation: StoreScp;
  const [first, ...others] = studiesOnDisk();
  const studyUid = studyUidsOf(first!.files)[0]!;
  const north = () => system.cluster('north');
  const south = () => system.cluster('south');
  const address = (id: string): string[] => ['127.0.0.1', String(system.cluster(id).dicom.port)];
  const moveStudy = (from: string, destination: string, uid: string) =>
    runTool('movescu', [
      ...['-v', '-S', '-aec', system.cluster(from).aeTitle, '-aem', destination],
      ...['-k', 'QueryRetrieveLevel=STUDY', '-k', `StudyInstanceUID=${uid}`, ...address(from)],
    ]);

  before(async () => {
    system = await startSystem({ clusters: 3 });
    workstation = await startStoreScp(undefined, { aeTitle: 'READER1' });
  });
  after(async () => {
    await workstation?.stop();
    await system?.stop();
  });

  it('answers C-ECHO at every cluster', async () => {
    for (const { id, aeTitle } of system.clusters) {
      assert.equal((await runTool('echoscu', ['-aec', aeTitle, ...address(id)])).code, 0, id);
    }
  });

  it('[Q1] finds at SOUTH, once, a study that was stored at NORTH', async () => {
    const stored = await runTool('storescu', ['-aec', 'NORTH', ...address('north'), ...first!.files]);
    assert.equal(stored.code, 0, stored.output);
    await eventually(
      'SOUTH and EAST find it',
      async () => {
        for (const id of ['south', 'east']) {
          const keys = [
            '-k',
            'QueryRetrieveLevel=STUDY',
            '-k',
            `StudyInstanceUID=${studyUid}`,
            '-k',
            'RetrieveAETitle',
          ];
          const { output } = await runTool('findscu', [
            '-v',
            '-S',
            '-aec',
            id.toUpperCase(),
            ...keys,
            ...address(id),
          ]);
          assert.equal(output.split('(Pending)').length - 1, 1, `${id}: ${output}`);
          // The home edge is where a station retrieves from, wherever the study lives.
          assert.match(output, new RegExp(`\\(0008,0054\\) AE \\[${id.toUpperCase()}`));
        }
        return true;
      },
      { timeoutMs: 15_000 },
    );
  });

  it('[R1] [R6] delivers it from SOUTH to a third AE, byte for byte as NORTH got it', async () => {
    const added = await call(south().http, 'PUT', '/api/v1/stations/READER1', {
      host: '127.0.0.1',
      port: workstation.port,
      kind: 'workstation',
    });
    assert.equal(added.status, 201, JSON.stringify(added.body));
    // What the same storescu delivers to storescp +B is the measure: DCMTK re-encodes some files before it sends them.
    const measure = await startStoreScp(undefined, { aeTitle: 'MEASURE' });
    try {
      await runTool('storescu', ['-aec', 'MEASURE', '127.0.0.1', String(measure.port), ...first!.files]);
      const moved = await moveStudy('south', 'READER1', studyUid);
      assert.equal(moved.code, 0, moved.output);
      assertSameObjects(await workstation.dataSets(), await measure.dataSets());
    } finally {
      await measure.stop();
    }
  });

  it('[Q1] [R6] finds every other study at SOUTH, once, and keeps the bytes of files that are sent as they are', async (t) => {
    const files = others.flatMap((group) => group.files);
    const studies = studyUidsOf(files);
    for (const file of files.map((path) => readFileSync(path))) {
      const meta = metaOf(file);
      const association = await openRawAssociation({
        port: north().dicom.port,
        calledAeTitle: 'NORTH',
        abstractSyntax: meta.sopClassUid,
        transferSyntax: meta.transferSyntaxUid,
      });
      assert.equal(await association.store({ ...meta, dataSet: file.subarray(meta.dataSetOffset) }), 0);
      await association.release();
    }
    for (const uid of studies) {
      await eventually(`SOUTH finds ${uid}`, async () => {
        const keys = ['-k', 'QueryRetrieveLevel=STUDY', '-k', `StudyInstanceUID=${uid}`];
        const { output } = await runTool('findscu', [
          '-v',
          '-S',
          '-aec',
          'SOUTH',
          ...keys,
          ...address('south'),
        ]);
        const rows = output.split('(Pending)').length - 1;
        return rows > 0 && { rows };
      }).then(({ rows }) => assert.equal(rows, 1, uid));
    }
    const reader = await startStoreScp(t, { aeTitle: 'READER2' });
    await call(south().http, 'PUT', '/api/v1/stations/READER2', {
      host: '127.0.0.1',
      port: reader.port,
      kind: 'workstation',
    });
    await eventually('SOUTH delivers them', async () => {
      assert.equal((await moveStudy('south', 'READER2', studies.join('\\'))).code, 0);
      assertSameObjects(await reader.dataSets(), dataSetsOf(files));
      return true;
    });
    t.diagnostic(`${files.length} files of ${studies.length} studies in ${others.length} groups`);
  });

  it('[U3] makes SOUTH a holder of what it retrieved, known at NORTH', async () => {
    await eventually(
      'both are holders',
      async () => {
        for (const cluster of [north(), south()]) {
          const { body } = await getStudy(cluster.http, studyUid);
          assert.deepEqual(body.holders.map((holder) => [holder.cluster, holder.complete]).sort(), [
            ['north', true],
            ['south', true],
          ]);
        }
        return true;
      },
      { timeoutMs: 15_000 },
    );
  });

  it('[L2] [U1] carries a report status to the other holder while queries over the link are off', async () => {
    for (const [here, peer] of [
      [north(), 'south'],
      [south(), 'north'],
    ] as const) {
      const off = { in: false, out: false };
      const changed = await changeLink(here.http, peer, { internalQueries: off, externalQueries: off });
      assert.equal(changed.status, 200, JSON.stringify(changed.body));
    }
    assert.equal((await setReportStatus(north().http, studyUid, 'APPROVED', { by: 'dr-north' })).status, 200);
    await eventually(
      'APPROVED at SOUTH',
      async () => {
        return (await getStudy(south().http, studyUid)).body.reportStatus === 'APPROVED';
      },
      { timeoutMs: 5_000 },
    );
    const keys = ['-k', 'QueryRetrieveLevel=STUDY', '-k', `StudyInstanceUID=${studyUid}`, '-k', '4008,0212'];
    const { output } = await runTool('findscu', ['-v', '-S', '-aec', 'SOUTH', ...keys, ...address('south')]);
    assert.match(output, /\(4008,0212\) CS \[APPROVED/);
  });

  it('[U1] carries a reopened report back from SOUTH to NORTH', async () => {
    assert.equal((await setReportStatus(south().http, studyUid, 'DICTATED')).status, 409);
    assert.equal((await setReportStatus(south().http, studyUid, 'DICTATED', { reopen: true })).status, 200);
    await eventually(
      'DICTATED at NORTH',
      async () => {
        return (await getStudy(north().http, studyUid)).body.reportStatus === 'DICTATED';
      },
      { timeoutMs: 5_000 },
    );
  });

  it('[U2] [U3] carries a corrected name, a comment and the patient location', async () => {
    const patched = await call(north().http, 'PATCH', `/api/v1/studies/${studyUid}`, {
      patient: { name: 'Corrected^Name' },
      comment: { text: 'compare with 2024', author: 'dr-north' },
      patientLocation: 'WARD 7',
    });
    assert.equal(patched.status, 200, JSON.stringify(patched.body));
    await eventually(
      'all three at SOUTH',
      async () => {
        const { body } = await getStudy(south().http, studyUid);
        assert.equal(body.patient.name, 'Corrected^Name');
        assert.equal(body.patientLocation, 'WARD 7');
        assert.deepEqual(
          body.comments.map((comment) => comment.text),
          ['compare with 2024'],
        );
        return true;
      },
      { timeoutMs: 5_000 },
    );
  });

  it('[U4] brings a presentation state stored at SOUTH to NORTH without anybody asking', async () => {
    const file = readFileSync(first!.files[0]!);
    const meta = metaOf(file);
    const mark = presentationStateFor({ ...meta, dataSet: file.subarray(meta.dataSetOffset) });
    assert.equal(mark.studyInstanceUid, studyUid);
    const path = join(mkdtempSync(join(tmpdir(), 'isthmus-gsps-')), 'gsps.dcm');
    writeFileSync(path, mark.file);
    const before = (await getStudy(north().http, studyUid)).body.instanceCount;
    assert.equal((await runTool('storescu', ['-aec', 'SOUTH', ...address('south'), path])).code, 0);
    await eventually(
      'the presentation state is at NORTH',
      async () => {
        return (await getStudy(north().http, studyUid)).body.instanceCount === before + 1;
      },
      { timeoutMs: 15_000 },
    );
    const reader = await startStoreScp(undefined, { aeTitle: 'READER3' });
    try {
      await call(north().http, 'PUT', '/api/v1/stations/READER3', {
        host: '127.0.0.1',
        port: reader.port,
        kind: 'workstation',
      });
      assert.equal((await moveStudy('north', 'READER3', studyUid)).code, 0);
      assert.ok((await reader.dataSets()).get(mark.sopInstanceUid)?.equals(mark.dataSet));
    } finally {
      await reader.stop();
    }
  });

  it('[L2] sends nothing while Link Cluster Updates is off, and catches up when it is on again', async () => {
    const off = { updates: { in: false, out: false } };
    const on = { updates: { in: true, out: true } };
    // Both links of NORTH: with one of them on, the change would find its way through EAST.
    for (const peer of ['south', 'east'])
      assert.equal((await changeLink(north().http, peer, off)).status, 200);
    const before = await getStudy(south().http, studyUid);
    const changed = await setReportStatus(north().http, studyUid, 'TRANSCRIBED', { reopen: true });
    assert.equal(changed.status, 200, JSON.stringify(changed.body));
    await eventually(
      'NORTH shows the update as waiting',
      async () => {
        const { body } = await call<{ items: unknown[] }>(north().http, 'GET', '/api/v1/updates?peer=south');
        return body.items.length > 0;
      },
      { timeoutMs: 5_000 },
    );
    // What SOUTH changes itself comes back to SOUTH's readers: its relay works, and has nothing from NORTH.
    const own = await call(south().http, 'PATCH', `/api/v1/studies/${studyUid}`, {
      patientLocation: 'WARD 8',
    });
    assert.equal(own.status, 200);
    const meanwhile = await getStudy(south().http, studyUid);
    assert.equal(meanwhile.body.patientLocation, 'WARD 8');
    assert.equal(meanwhile.body.reportStatus, before.body.reportStatus);
    assert.notEqual((await getStudy(north().http, studyUid)).body.patientLocation, 'WARD 8');

    for (const peer of ['south', 'east'])
      assert.equal((await changeLink(north().http, peer, on)).status, 200);
    await eventually(
      'both have caught up',
      async () => {
        const [atNorth, atSouth] = [
          await getStudy(north().http, studyUid),
          await getStudy(south().http, studyUid),
        ];
        assert.equal(atSouth.body.reportStatus, 'TRANSCRIBED');
        assert.equal(atNorth.body.patientLocation, 'WARD 8');
        return true;
      },
      { timeoutMs: 15_000 },
    );
  });

  it('[L3] [U7] finds another way when one link takes no updates', async () => {
    const off = { updates: { in: false, out: false } };
    assert.equal((await changeLink(north().http, 'south', off)).status, 200);
    assert.equal((await changeLink(south().http, 'north', off)).status, 200);
    const changed = await setReportStatus(north().http, studyUid, 'APPROVED');
    assert.equal(changed.status, 200, JSON.stringify(changed.body));
    await eventually(
      'APPROVED at SOUTH, through EAST',
      async () => {
        return (await getStudy(south().http, studyUid)).body.reportStatus === 'APPROVED';
      },
      { timeoutMs: 15_000 },
    );
  });

  it('refuses what is wrong with a clear answer', async () => {
    assert.equal((await getStudy(north().http, '1.2.3.4.5.6.7')).status, 404);
    assert.equal((await setReportStatus(north().http, '1.2.3.4.5.6.7', 'APPROVED')).status, 404);
    const bad = await call<{ errors: { pointer: string }[] }>(
      north().http,
      'PUT',
      `/api/v1/studies/${studyUid}/report-status`,
      { status: 'FINISHED' },
    );
    assert.equal(bad.status, 422);
    assert.equal(bad.body.errors[0]!.pointer, '/status');
  });
});
