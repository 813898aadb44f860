import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { element, readFileMeta, tags, uids } from '@isthmus/dicom';
import { requestAssociation } from '@isthmus/dimse';
import { connectEventLog } from '@isthmus/event-log';
import { createLog } from '@isthmus/service-kit';
import { eventually, freePort, openRawAssociation, testNats } from '@isthmus/testing';
import { missingTool, startStoreScp } from '@isthmus/testing/dcmtk';
import { startEdgeProcess } from '../test/edge-process.ts';
import { jobAtEnd } from '../test/job-at-end.ts';
import { ctObject } from '../test/objects.ts';
import type { TestObject } from '../test/objects.ts';
import { scriptFederator } from '../test/scripted-federator.ts';
import { startTestEdge } from '../test/start-edge.ts';
import { linkEdges, storeAll } from '../test/store-objects.ts';
import { fileOf } from './object-store.ts';

const silent = createLog({ service: 'dimse-edge', cluster: 'north', level: 'silent' });

/** North as two processes, and south, which sends what north asks for to the second one. */
async function northOfTwo(test: Parameters<typeof startTestEdge>[0], objects: readonly TestObject[]) {
  const north = await startTestEdge(test);
  const south = await startTestEdge(test, { cluster: 'south' });
  const second = await north.another();
  await linkEdges(north, south);
  await south.station({ aeTitle: 'NORTH', cluster: 'north', port: second.dicomPort, kind: 'cluster' });
  await storeAll(south, objects);
  const studyInstanceUid = objects[0]!.studyInstanceUid;
  north.federator.elsewhere.set(studyInstanceUid, {
    expectedInstances: objects.length,
    sources: [{ peer: 'south', aeTitle: 'SOUTH', holder: 'south' }],
  });
  return { north, studyInstanceUid };
}

const threeObjects = (): TestObject[] =>
  [1, 2, 3].map((n) => ctObject({ study: '1.2.7', series: '1.2.7.1', instance: `1.2.7.1.${n}` }));

describe('several processes of one edge', () => {
  it('[R3] a retrieve hears of the objects that come to another process', async (test) => {
    const { north, studyInstanceUid } = await northOfTwo(test, threeObjects());
    const asked = await fetch(`${north.edge.address}/api/v1/studies/${studyInstanceUid}:retrieve`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    assert.equal(asked.status, 202);
    const job = await jobAtEnd(north, asked.headers.get('location') ?? '');
    assert.deepEqual([job.state, job.done], ['COMPLETE', 3]);
    assert.deepEqual(await readdir(join(north.directory, 'pulls')), []);
  });

  it(
    '[R3] C-MOVE passes on what comes to another process',
    { skip: missingTool('storescp') },
    async (test) => {
      const objects = threeObjects();
      const { north, studyInstanceUid } = await northOfTwo(test, objects);
      const scp = await startStoreScp(test);
      await north.station({ aeTitle: scp.aeTitle, port: scp.port });
      const association = await requestAssociation({
        host: '127.0.0.1',
        port: north.edge.dicomPort,
        calledAeTitle: north.aeTitle,
        callingAeTitle: 'WORKSTATION',
        contexts: [{ sopClassUid: uids.StudyRootMove, transferSyntaxUids: [uids.ExplicitVrLittleEndian] }],
      });
      const { status, counts } = await association.cMove({
        sopClassUid: uids.StudyRootMove,
        destinationAeTitle: scp.aeTitle,
        identifier: {
          [tags.QueryRetrieveLevel]: element('CS', 'STUDY'),
          [tags.StudyInstanceUID]: element('UI', studyInstanceUid),
        },
      });
      await association.release();
      assert.deepEqual([status, counts.completed, counts.failed], [0x0000, 3, 0]);
      assert.equal((await scp.files()).length, 3);
    },
  );

  it('what one acknowledged is there when it is killed, and peers go on with the other', async (test) => {
    const nats = await testNats();
    const directory = await mkdtemp(join(tmpdir(), 'isthmus-edge-'));
    const port = await freePort();
    const settings = {
      ISTHMUS_CLUSTER: 'north',
      NATS_URL: nats.url,
      AE_TITLE: 'NORTH',
      DICOM_PORT: String(port),
      DICOM_REUSE_PORT: 'true',
      OBJECT_STORE: directory,
      ADMISSION: 'open-loopback',
      LOG_LEVEL: 'info',
    };
    const eventLog = await connectEventLog({
      servers: nats.url,
      cluster: 'north',
      service: 'test',
      log: silent,
    });
    const federator = scriptFederator(eventLog);
    test.after(async () => {
      await federator.stop();
      await eventLog.close();
      await nats.stop();
      await rm(directory, { recursive: true, force: true });
    });
    const first = await startEdgeProcess(test, settings);
    await startEdgeProcess(test, settings);

    const objects = Array.from({ length: 80 }, (_, n) =>
      ctObject(
        { instance: `1.2.3.1.1.${n}` },
        { [tags.PixelData]: { vr: 'OW', InlineBinary: Buffer.alloc(64 * 1024, n).toString('base64') } },
      ),
    );
    const waiting = [...objects];
    let acknowledged = 0;
    const scanner = async (): Promise<void> => {
      for (let object = waiting.pop(); object; object = waiting.pop()) {
        await storeUntilTaken(port, object);
        acknowledged += 1;
        if (acknowledged === 25) await first.kill();
      }
    };
    await Promise.all([scanner(), scanner(), scanner(), scanner()]);

    await federator.seen(objects.length);
    for (const { sopInstanceUid, dataSet } of objects) {
      const bytes = await readFile(join(directory, fileOf(sopInstanceUid)));
      assert.ok(bytes.subarray(readFileMeta(bytes).dataSetOffset).equals(dataSet), sopInstanceUid);
    }
    const incoming = join(directory, 'incoming');
    const before = await readdir(incoming);
    assert.equal(before.length, 2);
    for (const name of before) await writeFile(join(incoming, name, 'half.part'), '');
    await startEdgeProcess(test, settings);
    const after = await readdir(incoming);
    assert.equal(after.length, 2, 'the directory of the dead one is gone, a new one is there');
    assert.equal(after.filter((name) => before.includes(name)).length, 1);
  });
});

/** As a scanner does: again, on a new association, until it is told that the object is safe. */
async function storeUntilTaken(port: number, object: TestObject): Promise<void> {
  await eventually(`${object.sopInstanceUid} is taken`, async () => {
    const association = await openRawAssociation({
      port,
      calledAeTitle: 'NORTH',
      callingAeTitle: 'MODALITY',
      abstractSyntax: object.sopClassUid,
      transferSyntax: object.transferSyntaxUid,
    });
    const status = await association.store(object);
    await association.release();
    return status === 0;
  });
}
