/** What comes in by C-STORE leaves by C-MOVE and C-GET with the same bytes, file for file. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { element, tags, uids } from '@isthmus/dicom';
import { requestAssociation } from '@isthmus/dimse';
import { temporaryFolder } from '@isthmus/testing';
import { missingTool, runTool, startStoreScp, type StoreScp } from '@isthmus/testing/dcmtk';
import { assertSame, Clusters, dataSetsIn } from './clusters.ts';
import { corpusOf, distinct, samples } from './corpus.ts';
import { oneOfEachTransferSyntax, type SentObject } from './handmade.ts';
import { proposals } from './transfer-syntaxes.ts';

const objectsInCorpus = 500;

describe('bytes through a cluster', { skip: missingTool('storescu') }, () => {
  let clusters: Clusters;
  let reader: StoreScp;

  before(async () => {
    clusters = await Clusters.start();
    reader = await startStoreScp(undefined, { aeTitle: 'READER', args: ['-pm'] });
    await clusters.addStation('READER', reader.port, 'workstation');
  });
  after(async () => {
    await reader?.stop();
    await clusters?.stop();
  });

  it(`[R6] are the same for ${objectsInCorpus} objects of every kind, in by C-STORE and out by C-MOVE`, async (t) => {
    const objects = corpusOf(objectsInCorpus);
    assert.equal(objects.length, objectsInCorpus);
    await clusters.store(objects);
    const moved = await clusters.move('READER', [...new Set(objects.map((one) => one.studyInstanceUid))]);
    const received = await reader.dataSets();
    assertSame(received, objects);
    assert.equal(moved.code, 0, moved.output);
    const bytes = objects.reduce((sum, { dataSet }) => sum + dataSet.length, 0);
    t.diagnostic(
      `${received.size} of ${objects.length} data sets are the same bytes (${bytes} bytes in all)`,
    );
  });

  it('[R6] are the same in every transfer syntax, out by C-GET', async (t) => {
    const objects = distinct([...oneOfEachTransferSyntax('bytes/c-get'), ...samples('transfer-syntaxes')]);
    await clusters.store(objects);
    const folder = await temporaryFolder(t);
    for (const { name, uid, getscu } of proposals) {
      const inSyntax = objects.filter(({ transferSyntaxUid }) => transferSyntaxUid === uid);
      if (getscu === undefined) {
        assertSame(await getWith(uid, inSyntax), inSyntax);
        continue;
      }
      const directory = join(folder, uid);
      mkdirSync(directory);
      const studies = new Set(inSyntax.map(({ studyInstanceUid }) => studyInstanceUid));
      const got = await runTool('getscu', [
        ...['-v', '-S', '+B', getscu, '-aet', 'READER', '-od', directory, '-k', 'QueryRetrieveLevel=STUDY'],
        ...['-k', `StudyInstanceUID=${[...studies].join('\\')}`, ...clusters.called('north')],
      ]);
      assert.equal(got.code, 0, `${name}: ${got.output}`);
      // Objects of these studies in other transfer syntaxes are not converted for it: they fail, and do not come.
      assertSame(dataSetsIn(directory), inSyntax);
    }
    t.diagnostic(`${objects.length} objects in ${proposals.length} transfer syntaxes`);
  });

  /** C-GET of objects one by one in one transfer syntax, by our own requestor. */
  async function getWith(
    transferSyntaxUid: string,
    objects: readonly SentObject[],
  ): Promise<ReadonlyMap<string, Buffer>> {
    const classes = new Set(objects.map(({ sopClassUid }) => sopClassUid));
    const association = await requestAssociation({
      host: '127.0.0.1',
      port: clusters.dicomPort('north'),
      calledAeTitle: 'NORTH',
      callingAeTitle: 'READER',
      contexts: [
        { sopClassUid: uids.StudyRootGet, transferSyntaxUids: [transferSyntaxUid] },
        ...[...classes].map((sopClassUid) => ({
          sopClassUid,
          transferSyntaxUids: [transferSyntaxUid],
          role: 'scp' as const,
        })),
      ],
    });
    const received = new Map<string, Buffer>();
    for (const object of objects) {
      const { status } = await association.cGet({
        sopClassUid: uids.StudyRootGet,
        identifier: {
          [tags.QueryRetrieveLevel]: element('CS', 'IMAGE'),
          [tags.StudyInstanceUID]: element('UI', object.studyInstanceUid),
          [tags.SeriesInstanceUID]: element('UI', object.seriesInstanceUid),
          [tags.SOPInstanceUID]: element('UI', object.sopInstanceUid),
        },
        onStore: async ({ sopInstanceUid, data }) => {
          const slices: Buffer[] = [];
          for await (const slice of data) slices.push(slice);
          received.set(sopInstanceUid, Buffer.concat(slices));
          return { status: 0 };
        },
      });
      assert.equal(status, 0, object.name);
    }
    await association.release();
    return received;
  }
});
