import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileMetaInformation, uids } from '@isthmus/dicom';
import { requestSubjects } from '@isthmus/domain';
import type { CommitAnswer, CommitRequest } from '@isthmus/domain';
import { eventually, freePort, temporaryFolder } from '@isthmus/testing';
import type { TestContextLike } from '@isthmus/testing';
import { missingTool, startTool } from '@isthmus/testing/dcmtk';
import { ctObject } from '../test/objects.ts';
import { startTestEdge } from '../test/start-edge.ts';
import type { TestEdge } from '../test/start-edge.ts';
import { storeAll } from '../test/store-objects.ts';

interface Orthanc {
  readonly port: number;
  post<Answer>(path: string, body: string | Buffer): Promise<Answer>;
  get<Answer>(path: string): Promise<Answer>;
}

/**
 * Orthanc with its own directory and ports, which knows the edge; ended after the test. Another program may take a port
 * that was free a moment ago: then it is tried with others.
 */
async function startOrthanc(test: TestContextLike, edge: TestEdge, tries = 3): Promise<Orthanc> {
  const folder = await temporaryFolder(test);
  const [port, httpPort] = await Promise.all([freePort(), freePort()]);
  const configuration = {
    Name: 'test',
    StorageDirectory: folder,
    IndexDirectory: folder,
    Plugins: [],
    HttpPort: httpPort,
    RemoteAccessAllowed: false,
    AuthenticationEnabled: false,
    DicomAet: 'ORTHANC',
    DicomPort: port,
    DicomModalities: { north: [edge.aeTitle, '127.0.0.1', edge.edge.dicomPort] },
  };
  const file = join(folder, 'orthanc.json');
  await writeFile(file, JSON.stringify(configuration));
  try {
    await startTool(test, 'Orthanc', [file], httpPort);
  } catch (error) {
    if (tries === 1) throw error;
    return startOrthanc(test, edge, tries - 1);
  }
  await edge.station({ aeTitle: 'ORTHANC', port, kind: 'third-party' });
  const ask = async <Answer>(path: string, init: RequestInit): Promise<Answer> => {
    const answer = await fetch(`http://127.0.0.1:${httpPort}${path}`, init);
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
    return (await answer.json()) as Answer;
  };
  return {
    port,
    post: (path, body) => ask(path, { method: 'POST', body }),
    get: (path) => ask(path, {}),
  };
}

const objects = [1, 2].map((n) => ctObject({ study: '1.2.5', instance: `1.2.5.1.${n}` }));

describe('storage commitment with Orthanc', { skip: missingTool('Orthanc', 'orthanc') }, () => {
  it('[R6] it asks us, and takes our report', async (t) => {
    const edge = await startTestEdge(t, { settings: { COMMITMENT_SAME_ASSOCIATION_MS: '100' } });
    const orthanc = await startOrthanc(t, edge);
    await storeAll(edge, objects);
    const statusOf = async (sopInstanceUids: readonly string[]): Promise<string> => {
      const instances = sopInstanceUids.map((uid) => ({
        SOPClassUID: uids.CTImageStorage,
        SOPInstanceUID: uid,
      }));
      const body = JSON.stringify({ DicomInstances: instances });
      const { ID } = await orthanc.post<{ ID: string }>('/modalities/north/storage-commitment', body);
      const path = `/storage-commitment/${ID}`;
      const status = async () => (await orthanc.get<{ Status: string }>(path)).Status;
      await eventually('the report', async () => (await status()) !== 'Pending');
      return status();
    };
    assert.equal(await statusOf(objects.map((one) => one.sopInstanceUid)), 'Success');
    assert.equal(await statusOf(['1.2.5.1.1', '1.2.5.1.9']), 'Failure');
  });

  it('[R6] we ask it, and take its report', async (t) => {
    const edge = await startTestEdge(t);
    const orthanc = await startOrthanc(t, edge);
    const [first, second] = objects as [(typeof objects)[0], (typeof objects)[0]];
    const { sopClassUid, sopInstanceUid, transferSyntaxUid } = first;
    const meta = fileMetaInformation({
      sopClassUid,
      sopInstanceUid,
      transferSyntaxUid,
      sourceAeTitle: 'CT1',
    });
    await orthanc.post('/instances', Buffer.concat([meta, first.dataSet]));
    const answer = await edge.eventLog.requests.ask<CommitRequest, CommitAnswer>(
      requestSubjects.commit,
      {
        aeTitle: 'ORTHANC',
        instances: [first, second].map((one) => ({
          sopClassUid: one.sopClassUid,
          sopInstanceUid: one.sopInstanceUid,
        })),
        timeoutMs: 15_000,
      },
      { timeoutMs: 20_000 },
    );
    assert.equal(answer.outcome, 'reported', JSON.stringify(answer));
    assert.deepEqual(answer.committed, [{ sopClassUid, sopInstanceUid }]);
    assert.deepEqual(
      answer.failed.map((one) => [one.sopInstanceUid, one.reason]),
      [[second.sopInstanceUid, 0x0112]],
    );
  });
});
