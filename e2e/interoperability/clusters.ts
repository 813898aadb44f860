import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, metaOf, openRawAssociation, requestJson } from '@isthmus/testing';
import { runTool, type ToolResult } from '@isthmus/testing/dcmtk';
import { startSystem, type SystemUnderTest } from '../src/system-under-test.ts';
import type { SentObject } from './handmade.ts';

type ClusterId = 'north' | 'south';

/** Associations on which objects go in at a time. */
const senders = 4;

interface RetrieveJob {
  readonly state: string;
  readonly done: number;
  readonly detail?: string;
}

/** Two linked clusters, NORTH and SOUTH, as a foreign system sees them. */
export class Clusters {
  readonly #system: SystemUnderTest;

  private constructor(system: SystemUnderTest) {
    this.#system = system;
  }

  static async start(): Promise<Clusters> {
    return new Clusters(await startSystem({ clusters: 2 }));
  }

  stop(): Promise<void> {
    return this.#system.stop();
  }

  dicomPort(id: ClusterId): number {
    return this.#system.cluster(id).dicom.port;
  }

  /** Host and port as DCMTK's tools want them, behind the called AE title. */
  called(id: ClusterId): readonly string[] {
    return ['-aec', id.toUpperCase(), '127.0.0.1', String(this.dicomPort(id))];
  }

  /** Makes a station known to NORTH, and queries and retrieves over it allowed when it is an archive. */
  async addStation(aeTitle: string, port: number, kind: 'workstation' | 'third-party'): Promise<void> {
    const station = { host: '127.0.0.1', port, kind };
    const { status, text } = await this.#request('PUT', `stations/${aeTitle}`, station);
    assert.equal(status, 201, text);
    if (kind === 'workstation') return;
    const link = await this.#request('PUT', `links/${aeTitle}`, {});
    assert.equal(link.status, 201, link.text);
  }

  async removeLink(aeTitle: string): Promise<void> {
    const { status, text } = await this.#request('DELETE', `links/${aeTitle}`, undefined, {
      'if-match': '*',
    });
    assert.equal(status, 204, text);
  }

  /** Brings a study to NORTH, or sends it on, and waits for the end of that. @returns The job. */
  async retrieve(
    studyInstanceUid: string,
    where: { readonly from?: string; readonly destination?: string },
  ): Promise<RetrieveJob> {
    const started = await this.#request<{ id: string }>(
      'POST',
      `studies/${studyInstanceUid}:retrieve`,
      where,
    );
    assert.equal(started.status, 202, started.text);
    return eventually('the retrieve ends', async () => {
      const { body } = await this.#request<RetrieveJob>('GET', `retrieve-jobs/${started.body.id}`);
      return body.state !== 'RUNNING' && body;
    });
  }

  /** Sends objects by raw sockets, as they are. */
  async store(objects: readonly SentObject[], id: ClusterId = 'north'): Promise<void> {
    const contexts = Map.groupBy(objects, (one) => `${one.sopClassUid} ${one.transferSyntaxUid}`);
    const groups = [...contexts.values()].sort((a, b) => b.length - a.length).values();
    const sendGroups = async (): Promise<void> => {
      for (const group of groups) await this.#storeGroup(group, id);
    };
    await Promise.all(Array.from({ length: senders }, sendGroups));
  }

  /** Objects of one class in one transfer syntax. */
  async #storeGroup(group: readonly SentObject[], id: ClusterId): Promise<void> {
    const association = await openRawAssociation({
      port: this.dicomPort(id),
      calledAeTitle: id.toUpperCase(),
      abstractSyntax: group[0]!.sopClassUid,
      transferSyntax: group[0]!.transferSyntaxUid,
    });
    assert.ok(association.accepted, group[0]!.name);
    for (const object of group) assert.equal(await association.store(object), 0, object.name);
    await association.release();
  }

  /** C-MOVE of whole studies from NORTH by DCMTK's movescu. */
  move(destination: string, studyInstanceUids: readonly string[]): Promise<ToolResult> {
    return runTool('movescu', [
      ...['-v', '-S', '-aem', destination, '-k', 'QueryRetrieveLevel=STUDY'],
      ...['-k', `StudyInstanceUID=${studyInstanceUids.join('\\')}`, ...this.called('north')],
    ]);
  }

  /** Waits until queries find all these objects; C-STORE is answered before. Retrieves need not wait. */
  async indexed(
    objects: readonly Pick<SentObject, 'studyInstanceUid'>[],
    id: ClusterId = 'north',
  ): Promise<void> {
    const studies = Map.groupBy(objects, (object) => object.studyInstanceUid);
    for (const [uid, { length }] of studies) {
      await eventually(`${uid} is indexed with ${length} objects`, async () => {
        const { status, body } = await requestJson<{ instanceCount: number }>(
          'GET',
          this.#url(`studies/${uid}`, id),
        );
        return status === 200 && body.instanceCount >= length;
      });
    }
  }

  #request<Body>(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>) {
    return requestJson<Body>(method, this.#url(path), body, headers);
  }

  #url(path: string, id: ClusterId = 'north'): string {
    return `${this.#system.cluster(id).http}/api/v1/${path}`;
  }
}

/** What has arrived is what was sent: none more, none less, and not one byte of a data set differs. */
export function assertSame(received: ReadonlyMap<string, Buffer>, sent: readonly SentObject[]): void {
  const names = new Map(sent.map((object) => [object.sopInstanceUid, object.name]));
  const missing = sent.filter(({ sopInstanceUid }) => !received.has(sopInstanceUid)).map(({ name }) => name);
  const other = [...received.keys()].filter((uid) => !names.has(uid));
  const differing = sent.filter(
    ({ sopInstanceUid, dataSet }) => received.get(sopInstanceUid)?.equals(dataSet) === false,
  );
  assert.deepEqual(
    { missing, other, differing: differing.map(({ name }) => name) },
    { missing: [], other: [], differing: [] },
  );
}

/** Data sets of the DICOM files in a folder by SOP Instance UID. @param ending - Of the names of those files. */
export function dataSetsIn(folder: string, ending = ''): ReadonlyMap<string, Buffer> {
  const names = readdirSync(folder).filter((name) => name.endsWith(ending));
  return new Map(
    names.map((name) => {
      const file = readFileSync(join(folder, name));
      const { sopInstanceUid, dataSetOffset } = metaOf(file);
      return [sopInstanceUid, file.subarray(dataSetOffset)];
    }),
  );
}
