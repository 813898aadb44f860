import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, metaOf, requestJson } from '@isthmus/testing';
import { startTool } from '@isthmus/testing/dcmtk';

/** What Orthanc says of one answer to a query, `simplify`. */
export type OrthancAnswer = Readonly<Record<string, string>>;

/** An Orthanc of its own, with nothing in it. */
export interface Orthanc {
  readonly dicomPort: number;
  /** Makes a DICOM node known to it, or unknown again. */
  knows(aeTitle: string, port: number | undefined): Promise<void>;
  /** Puts a file into it. */
  put(file: Buffer): Promise<void>;
  /** C-STORE of all that it has of a study. @returns How many objects failed. */
  store(aeTitle: string, studyInstanceUid: string): Promise<number>;
  /** C-FIND, and C-MOVE of each match to itself when `retrieve`. @returns The matches. */
  find(
    aeTitle: string,
    level: 'Study' | 'Series' | 'Instance',
    query: OrthancAnswer,
    retrieve?: 'retrieve',
  ): Promise<readonly OrthancAnswer[]>;
  /** Data sets of the objects that it keeps of a study, by SOP Instance UID. */
  dataSets(studyInstanceUid: string): Promise<ReadonlyMap<string, Buffer>>;
  stop(): Promise<void>;
}

/** Starts Orthanc with its own configuration and folder on free ports, open to everybody on this machine. */
export async function startOrthanc(): Promise<Orthanc> {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-orthanc-'));
  const [dicomPort, httpPort] = [await freePort(), await freePort()];
  const configuration = {
    Name: 'Interoperability',
    StorageDirectory: folder,
    IndexDirectory: folder,
    Plugins: [],
    HttpPort: httpPort,
    AuthenticationEnabled: false,
    DicomAet: 'ORTHANC',
    DicomPort: dicomPort,
    DicomAlwaysAllowStore: true,
    DicomAlwaysAllowFind: true,
    DicomAlwaysAllowMove: true,
    DicomAlwaysAllowGet: true,
    UnknownSopClassAccepted: true,
  };
  const file = join(folder, 'orthanc.json');
  await writeFile(file, JSON.stringify(configuration));
  const end = await startTool(undefined, 'Orthanc', [file], httpPort);
  const origin = `http://127.0.0.1:${httpPort}`;

  const ask = async <Body>(method: string, path: string, body?: unknown): Promise<Body> => {
    const answer = await requestJson<Body>(method, `${origin}/${path}`, body);
    assert.equal(answer.status, 200, `${path}: ${answer.text}`);
    return answer.body;
  };
  const instancesOf = (studyInstanceUid: string): Promise<readonly string[]> =>
    ask('POST', 'tools/find', { Level: 'Instance', Query: { StudyInstanceUID: studyInstanceUid } });
  return {
    dicomPort,
    knows: async (aeTitle, port) => {
      if (port === undefined) await ask('DELETE', `modalities/${aeTitle}`);
      else await ask('PUT', `modalities/${aeTitle}`, [aeTitle, '127.0.0.1', port]);
    },
    put: async (bytes) => {
      const answer = await fetch(`${origin}/instances`, { method: 'POST', body: Uint8Array.from(bytes) });
      assert.equal(answer.status, 200, await answer.text());
    },
    store: async (aeTitle, studyInstanceUid) => {
      const Resources = await instancesOf(studyInstanceUid);
      const done = await ask<{ FailedInstancesCount: number }>('POST', `modalities/${aeTitle}/store`, {
        Resources,
        Synchronous: true,
      });
      return done.FailedInstancesCount;
    },
    find: async (aeTitle, level, query, retrieve) => {
      const { ID } = await ask<{ ID: string }>('POST', `modalities/${aeTitle}/query`, {
        Level: level,
        Query: query,
      });
      if (retrieve) await ask('POST', `queries/${ID}/retrieve`, { TargetAet: 'ORTHANC', Synchronous: true });
      return ask('GET', `queries/${ID}/answers?expand&simplify`);
    },
    dataSets: async (studyInstanceUid) => {
      const found = new Map<string, Buffer>();
      for (const id of await instancesOf(studyInstanceUid)) {
        const answer = await fetch(`${origin}/instances/${id}/file`);
        const bytes = Buffer.from(await answer.arrayBuffer());
        const { sopInstanceUid, dataSetOffset } = metaOf(bytes);
        found.set(sopInstanceUid, bytes.subarray(dataSetOffset));
      }
      return found;
    },
    stop: async () => {
      await end();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
