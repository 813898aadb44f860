import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { element, tags, uids } from '@isthmus/dicom';
import { acceptAssociations, requestAssociation } from '@isthmus/dimse';
import type { MoveOutcome } from '@isthmus/dimse';
import { requestSubjects } from '@isthmus/domain';
import type { RetrieveAnswer, RetrieveRequest } from '@isthmus/domain';
import type { TestContextLike } from '@isthmus/testing';
import { temporaryFolder } from '@isthmus/testing';
import { missingTool, runTool } from '@isthmus/testing/dcmtk';
import { ctObject, dataSetOfFile } from '../test/objects.ts';
import { startTestEdge } from '../test/start-edge.ts';
import type { TestEdge } from '../test/start-edge.ts';
import { linkEdges, storeAll } from '../test/store-objects.ts';

const threeObjects = () =>
  [1, 2, 3].map((n) => ctObject({ study: '1.2.9', series: '1.2.9.1', instance: `1.2.9.1.${n}` }));
const wholeStudy = {
  [tags.QueryRetrieveLevel]: element('CS', 'STUDY'),
  [tags.StudyInstanceUID]: element('UI', '1.2.9'),
};
const inHex = (dataSets: readonly Buffer[]): string[] => dataSets.map((one) => one.toString('hex')).sort();

/** C-GET of the study by a station; what comes is collected. */
async function get(
  edge: TestEdge,
  callingAeTitle = 'WORKSTATION',
): Promise<{ outcome?: MoveOutcome; received: Buffer[] }> {
  const association = await requestAssociation({
    host: '127.0.0.1',
    port: edge.edge.dicomPort,
    calledAeTitle: edge.aeTitle,
    callingAeTitle,
    contexts: [
      { sopClassUid: uids.StudyRootGet, transferSyntaxUids: [uids.ExplicitVrLittleEndian] },
      { sopClassUid: uids.CTImageStorage, transferSyntaxUids: [uids.ExplicitVrLittleEndian], role: 'scp' },
    ],
  });
  const received: Buffer[] = [];
  try {
    if (association.accepted(uids.StudyRootGet).length === 0) return { received };
    const outcome = await association.cGet({
      sopClassUid: uids.StudyRootGet,
      identifier: wholeStudy,
      onStore: async ({ data }) => {
        const slices: Buffer[] = [];
        for await (const slice of data) slices.push(slice);
        received.push(Buffer.concat(slices));
        return { status: 0 };
      },
    });
    return { outcome, received };
  } finally {
    await association.release();
  }
}

describe('[R1] C-GET', () => {
  it('delivers what is here, byte for byte, to a configured station and to nobody else', async (test) => {
    const edge = await startTestEdge(test);
    await edge.station({ aeTitle: 'WORKSTATION', port: 0 });
    const objects = threeObjects();
    await storeAll(edge, objects);
    const { outcome, received } = await get(edge);
    assert.deepEqual([outcome?.status, outcome?.counts.completed, outcome?.counts.failed], [0x0000, 3, 0]);
    assert.deepEqual(inHex(received), inHex(objects.map((object) => object.dataSet)));
    assert.equal((await get(edge, 'STRANGER')).outcome, undefined);
  });

  it('converts for a station that is configured so, and fails what it does not take otherwise', async (test) => {
    const edge = await startTestEdge(test);
    const names = { study: '1.2.9', instance: '1.2.9.1.1' };
    await storeAll(edge, [ctObject(names, {}, uids.ImplicitVrLittleEndian)]);
    await edge.station({ aeTitle: 'WORKSTATION', port: 0 });
    const refused = await get(edge);
    assert.deepEqual([refused.outcome?.status, refused.outcome?.counts.failed], [0xa702, 1]);
    await edge.station({ aeTitle: 'WORKSTATION', port: 0, transcodeTo: [uids.ExplicitVrLittleEndian] });
    const { outcome, received } = await get(edge);
    assert.deepEqual([outcome?.status, outcome?.counts.completed], [0x0000, 1]);
    assert.deepEqual(inHex(received), inHex([ctObject(names).dataSet]));
  });

  it('first brings what a linked cluster has', async (test) => {
    const north = await startTestEdge(test);
    const south = await startTestEdge(test, { cluster: 'south' });
    await linkEdges(north, south);
    await north.station({ aeTitle: 'WORKSTATION', port: 0 });
    const objects = threeObjects();
    await storeAll(south, objects);
    north.federator.elsewhere.set('1.2.9', {
      expectedInstances: 3,
      sources: [{ peer: 'south', aeTitle: 'SOUTH', holder: 'south' }],
    });
    const { outcome, received } = await get(north);
    assert.deepEqual([outcome?.status, outcome?.counts.completed, outcome?.counts.failed], [0x0000, 3, 0]);
    assert.deepEqual(inHex(received), inHex(objects.map((object) => object.dataSet)));
  });

  it('names the objects that the peer does not take in their transfer syntax', async (test) => {
    const edge = await startTestEdge(test);
    await edge.station({ aeTitle: 'WORKSTATION', port: 0 });
    const other = ctObject({ study: '1.2.9', instance: '1.2.9.1.7' }, {}, uids.ImplicitVrLittleEndian);
    await storeAll(edge, [...threeObjects(), other]);
    const { outcome } = await get(edge);
    assert.deepEqual([outcome?.status, outcome?.counts.completed, outcome?.counts.failed], [0xb000, 3, 1]);
    assert.deepEqual(outcome?.failedSopInstanceUids, ['1.2.9.1.7']);
  });

  it('serves getscu', { skip: missingTool('getscu') }, async (test) => {
    const edge = await startTestEdge(test);
    await edge.station({ aeTitle: 'WORKSTATION', port: 0 });
    const objects = threeObjects();
    await storeAll(edge, objects);
    const directory = await temporaryFolder(test);
    const keys = ['-k', 'QueryRetrieveLevel=STUDY', '-k', 'StudyInstanceUID=1.2.9'];
    const to = ['-aet', 'WORKSTATION', '-aec', edge.aeTitle, '127.0.0.1', String(edge.edge.dicomPort)];
    const { code, output } = await runTool('getscu', ['-S', '+B', '-od', directory, ...keys, ...to]);
    assert.equal(code, 0, output);
    const files = await readdir(directory);
    assert.deepEqual(
      inHex(files.map((file) => dataSetOfFile(join(directory, file)))),
      inHex(objects.map((object) => object.dataSet)),
    );
  });
});

describe('[R1] a pull from a peer that sends nothing by C-MOVE', () => {
  const pull = async (north: TestEdge): Promise<RetrieveAnswer | undefined> => {
    let last: RetrieveAnswer | undefined;
    const answers = north.eventLog.requests.askStream<RetrieveRequest, RetrieveAnswer>(
      requestSubjects.retrieve,
      {
        studyInstanceUid: '1.2.9',
        sources: [{ peer: 'ARCHIVE', aeTitle: 'ARCHIVE' }],
        reason: 'user',
        deadlineMs: 20_000,
      },
      { timeoutMs: 20_000 },
    );
    for await (const answer of answers) last = answer;
    return last;
  };

  it('goes on by C-GET when it does not know us, and what comes is marked as a copy', async (test) => {
    const north = await startTestEdge(test);
    const archive = await startTestEdge(test, { cluster: 'archive' });
    await archive.station({ aeTitle: 'NORTH', port: 0 });
    await north.station({ aeTitle: 'ARCHIVE', port: archive.edge.dicomPort, archive: true });
    await storeAll(archive, threeObjects());
    assert.deepEqual(await pull(north), { done: { outcome: 'complete', arrived: 3, missing: [] } });
    await north.federator.seen(3);
    const facts = [...north.federator.instances.values()];
    assert.deepEqual(
      facts.map((fact) => [fact.callingAeTitle, fact.pulledFrom]),
      [
        ['ARCHIVE', 'ARCHIVE'],
        ['ARCHIVE', 'ARCHIVE'],
        ['ARCHIVE', 'ARCHIVE'],
      ],
    );
  });

  it('goes on by C-GET whatever the failure, and when C-MOVE is not accepted', async (test) => {
    const moves = [0xc000, 0xa702, undefined] as const;
    for (const move of moves) {
      const north = await startTestEdge(test);
      await north.station({ aeTitle: 'ARCHIVE', port: await scriptedArchive(test, { move }) });
      assert.deepEqual(await pull(north), { done: { outcome: 'complete', arrived: 3, missing: [] } });
    }
  });

  it('says what both were answered when C-GET fails, too', async (test) => {
    const north = await startTestEdge(test);
    await north.station({
      aeTitle: 'ARCHIVE',
      port: await scriptedArchive(test, { move: 0xc000, get: 0xa701 }),
    });
    const detail = 'ARCHIVE: status c000; by C-GET: status a701';
    assert.deepEqual(await pull(north), { done: { outcome: 'failed', arrived: 0, missing: [], detail } });
  });
});

/**
 * An archive that answers C-MOVE with a failure, or does not accept it, and has the three objects for C-GET.
 * @returns Its port.
 */
async function scriptedArchive(
  test: TestContextLike,
  answers: { readonly move: number | undefined; readonly get?: number },
): Promise<number> {
  const nothing = { completed: 0, failed: 0, warning: 0 };
  const archive = await acceptAssociations({
    host: '127.0.0.1',
    port: 0,
    aeTitles: ['ARCHIVE'],
    implementationClassUid: '1.2.3',
    implementationVersionName: 'ARCHIVE',
    admit: ({ contexts, roles }) => ({
      accept: true,
      contexts: contexts.map(({ id, sopClassUid, transferSyntaxUids }) =>
        sopClassUid === uids.StudyRootMove && answers.move === undefined
          ? { id, reason: 3 }
          : { id, transferSyntaxUid: transferSyntaxUids[0]! },
      ),
      roles,
    }),
    handlers: {
      cMove: async function* () {
        yield* [];
        return { status: answers.move ?? 0, counts: nothing };
      },
      cGet: async function* (request) {
        yield* [];
        if (answers.get !== undefined) return { status: answers.get, counts: nothing };
        for (const object of threeObjects()) await request.store(object);
        return { status: 0, counts: request.tally().counts };
      },
    },
  });
  test.after(() => archive.stop({ graceMs: 0 }));
  return archive.address.port;
}
