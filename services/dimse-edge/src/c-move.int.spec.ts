import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { element, tags, uids } from '@isthmus/dicom';
import { requestAssociation } from '@isthmus/dimse';
import type { MoveOutcome, SubOperationCounts } from '@isthmus/dimse';
import type { DataSetJson } from '@isthmus/domain';
import { eventually } from '@isthmus/testing';
import { missingTool, runTool, startStoreScp } from '@isthmus/testing/dcmtk';
import type { StoreScp } from '@isthmus/testing/dcmtk';
import { ctObject, dataSetOfFile, sampleFiles, samplesMissing } from '../test/objects.ts';
import type { TestObject } from '../test/objects.ts';
import { startTestEdge } from '../test/start-edge.ts';
import type { TestEdge } from '../test/start-edge.ts';
import { linkEdges, storeAll } from '../test/store-objects.ts';

async function move(
  edge: TestEdge,
  destinationAeTitle: string,
  level: string,
  keys: DataSetJson,
  options: {
    readonly signal?: AbortSignal;
    readonly sopClassUid?: string;
    readonly onPending?: (counts: SubOperationCounts) => void;
  } = {},
): Promise<MoveOutcome> {
  const sopClassUid = options.sopClassUid ?? uids.StudyRootMove;
  const association = await requestAssociation({
    host: '127.0.0.1',
    port: edge.edge.dicomPort,
    calledAeTitle: edge.aeTitle,
    callingAeTitle: 'WORKSTATION',
    contexts: [{ sopClassUid, transferSyntaxUids: [uids.ExplicitVrLittleEndian] }],
  });
  try {
    const identifier = { [tags.QueryRetrieveLevel]: element('CS', level), ...keys };
    const { signal, onPending } = options;
    return await association.cMove({ sopClassUid, destinationAeTitle, identifier, signal, onPending });
  } finally {
    await association.release();
  }
}

const study = (...studyUids: string[]): DataSetJson => ({
  [tags.StudyInstanceUID]: element('UI', ...studyUids),
});

async function sameObjects(scp: StoreScp, objects: readonly TestObject[]): Promise<void> {
  const received = (await scp.files())
    .map((file) => dataSetOfFile(join(scp.directory, file)).toString('hex'))
    .sort();
  assert.deepEqual(received, objects.map((object) => object.dataSet.toString('hex')).sort());
}

describe('C-MOVE', { skip: missingTool('storescp') }, () => {
  it('[R1] delivers what is here to a known station, byte for byte, at every level', async (test) => {
    const edge = await startTestEdge(test);
    const scp = await startStoreScp(test);
    await edge.station({ aeTitle: scp.aeTitle, port: scp.port });
    const objects = [1, 2, 3].map((n) =>
      ctObject({ study: '1.2.5', series: `1.2.5.${n}`, instance: `1.2.5.${n}.9` }),
    );
    const other = ctObject({ study: '1.2.6' }, { [tags.PatientID]: element('LO', 'PAT1') });
    await storeAll(edge, [...objects, other]);

    const image = {
      ...study('1.2.5'),
      [tags.SeriesInstanceUID]: element('UI', '1.2.5.1'),
      [tags.SOPInstanceUID]: element('UI', '1.2.5.1.9'),
    };
    const one = await move(edge, scp.aeTitle, 'IMAGE', image);
    assert.deepEqual([one.status, one.counts.completed], [0x0000, 1]);
    await sameObjects(scp, objects.slice(0, 1));
    const all = await move(edge, scp.aeTitle, 'STUDY', study('1.2.5'));
    assert.deepEqual([all.status, all.counts.completed, all.counts.failed], [0x0000, 3, 0]);
    await sameObjects(scp, objects);
    const patient = { [tags.PatientID]: element('LO', 'PAT1') };
    const both = await move(edge, scp.aeTitle, 'PATIENT', patient, { sopClassUid: uids.PatientRootMove });
    assert.deepEqual([both.status, both.counts.completed], [0x0000, 4]);
    await sameObjects(scp, [...objects, other]);
  });

  it('[R3] says why it did nothing: unknown destination, bad identifier, unknown study', async (test) => {
    const edge = await startTestEdge(test);
    const scp = await startStoreScp(test);
    await edge.station({ aeTitle: scp.aeTitle, port: scp.port });
    assert.equal((await move(edge, 'NOBODY', 'STUDY', study('1.2.5'))).status, 0xa801);
    assert.equal((await move(edge, scp.aeTitle, 'STUDY', {})).status, 0xa900);
    assert.equal((await move(edge, scp.aeTitle, 'PATIENT', study('1.2.5'))).status, 0xa900);
    assert.equal((await move(edge, scp.aeTitle, 'STUDY', study('1.2.*'))).status, 0xa900);
    assert.equal((await move(edge, scp.aeTitle, 'STUDY', study('1.2.5'))).status, 0xc000);
  });

  it('[R3] names the objects that the destination did not take', async (test) => {
    const edge = await startTestEdge(test);
    const scp = await startStoreScp(test, { args: ['+xi'] });
    await edge.station({ aeTitle: scp.aeTitle, port: scp.port });
    const implicit = ctObject({ study: '1.2.5' }, {}, uids.ImplicitVrLittleEndian);
    const explicit = ctObject({ study: '1.2.5' });
    await storeAll(edge, [implicit, explicit]);
    const outcome = await move(edge, scp.aeTitle, 'STUDY', study('1.2.5'));
    assert.equal(outcome.status, 0xb000);
    assert.deepEqual([outcome.counts.completed, outcome.counts.failed], [1, 1]);
    assert.deepEqual(outcome.failedSopInstanceUids, [explicit.sopInstanceUid]);
    await sameObjects(scp, [implicit]);
  });

  it('[R3] converts for a station that is configured so', async (test) => {
    const edge = await startTestEdge(test);
    const scp = await startStoreScp(test, { args: ['+xi'] });
    const transcodeTo = [uids.DeflatedExplicitVrLittleEndian, uids.ImplicitVrLittleEndian];
    await edge.station({ aeTitle: scp.aeTitle, port: scp.port, transcodeTo });
    const [first, second] = [
      { study: '1.2.5', instance: '1.2.5.1.1' },
      { study: '1.2.5', instance: '1.2.5.1.2' },
    ];
    await storeAll(edge, [ctObject(first), ctObject(second, {}, uids.ImplicitVrLittleEndian)]);
    const outcome = await move(edge, scp.aeTitle, 'STUDY', study('1.2.5'));
    assert.deepEqual([outcome.status, outcome.counts.completed], [0x0000, 2]);
    await sameObjects(
      scp,
      [first, second].map((one) => ctObject(one, {}, uids.ImplicitVrLittleEndian)),
    );
    // The copies are gone.
    assert.deepEqual(
      (await edge.files()).filter((file) => file.startsWith('incoming')),
      [],
    );
  });

  it('[R1] counts what was sent as it goes over several associations, never down', async (test) => {
    const edge = await startTestEdge(test, { settings: { ASSOCIATIONS_PER_DESTINATION: '4' } });
    const scp = await startStoreScp(test, { args: ['--fork'] });
    await edge.station({ aeTitle: scp.aeTitle, port: scp.port });
    const objects = Array.from({ length: 80 }, (_, n) =>
      ctObject({ study: '1.2.5', instance: `1.2.5.1.${n}` }),
    );
    await storeAll(edge, objects);
    const told: SubOperationCounts[] = [];
    const outcome = await move(edge, scp.aeTitle, 'STUDY', study('1.2.5'), {
      onPending: (one) => told.push(one),
    });
    assert.deepEqual([outcome.status, outcome.counts.completed, outcome.counts.failed], [0x0000, 80, 0]);
    await sameObjects(scp, objects);
    assert.ok(told.length > 0);
    for (const [at, { completed, remaining }] of told.entries()) {
      assert.equal(completed + (remaining ?? 0), 80);
      assert.ok(completed >= (told[at - 1]?.completed ?? 0));
    }
  });

  it('[R3] fails with A702 when the destination is not there', async (test) => {
    const edge = await startTestEdge(test);
    await edge.station({ aeTitle: 'AWAY', port: 1 });
    const objects = [ctObject({ study: '1.2.5' }), ctObject({ study: '1.2.5' })];
    await storeAll(edge, objects);
    const outcome = await move(edge, 'AWAY', 'STUDY', study('1.2.5'));
    assert.equal(outcome.status, 0xa702);
    assert.equal(outcome.counts.failed, 2);
    assert.deepEqual(
      [...outcome.failedSopInstanceUids].sort(),
      objects.map((one) => one.sopInstanceUid).sort(),
    );
  });

  it('[R1] streams on what lives only at a linked cluster, and keeps it as a copy', async (test) => {
    const [north, south] = [await startTestEdge(test), await startTestEdge(test, { cluster: 'south' })];
    await linkEdges(north, south);
    const scp = await startStoreScp(test);
    await south.station({ aeTitle: scp.aeTitle, port: scp.port });
    const objects = Array.from({ length: 20 }, (_, n) =>
      ctObject({ study: '1.2.5', instance: `1.2.5.1.${n}` }),
    );
    await storeAll(north, objects);
    const sources = [{ peer: 'north', aeTitle: 'NORTH', holder: 'north' }];
    south.federator.elsewhere.set('1.2.5', { expectedInstances: 20, sources });

    const outcome = await move(south, scp.aeTitle, 'STUDY', study('1.2.5'));

    assert.deepEqual([outcome.status, outcome.counts.completed, outcome.counts.failed], [0x0000, 20, 0]);
    await sameObjects(scp, objects);
    await south.federator.seen(20);
    for (const fact of south.federator.instances.values()) {
      assert.deepEqual([fact.pulledFrom, fact.provisional], ['north', true]);
    }
    assert.equal(south.federator.events.length, 20);
  });

  it('[R2] brings only what is missing when the request names objects', async (test) => {
    const [north, south] = [await startTestEdge(test), await startTestEdge(test, { cluster: 'south' })];
    await linkEdges(north, south);
    const scp = await startStoreScp(test);
    await south.station({ aeTitle: scp.aeTitle, port: scp.port });
    const objects = [1, 2, 3].map((n) => ctObject({ study: '1.2.5', instance: `1.2.5.1.${n}` }));
    await storeAll(north, objects);
    await storeAll(south, objects.slice(0, 1));
    const sources = [{ peer: 'north', aeTitle: 'NORTH', holder: 'north' }];
    south.federator.elsewhere.set('1.2.5', { expectedInstances: 3, sources });
    const keys = {
      ...study('1.2.5'),
      [tags.SeriesInstanceUID]: element('UI', '1.2.5.1'),
      [tags.SOPInstanceUID]: element('UI', '1.2.5.1.1', '1.2.5.1.2'),
    };
    const outcome = await move(south, scp.aeTitle, 'IMAGE', keys);
    assert.deepEqual([outcome.status, outcome.counts.completed], [0x0000, 2]);
    await sameObjects(scp, objects.slice(0, 2));
    await south.federator.seen(2);
    assert.equal(south.federator.events.length, 2);
  });

  it('[R3] counts what no source could bring', async (test) => {
    const [north, south] = [await startTestEdge(test), await startTestEdge(test, { cluster: 'south' })];
    await linkEdges(north, south);
    const scp = await startStoreScp(test);
    await south.station({ aeTitle: scp.aeTitle, port: scp.port });
    const object = ctObject({ study: '1.2.5' });
    await storeAll(south, [object]);
    south.federator.elsewhere.set('1.2.5', {
      expectedInstances: 3,
      sources: [{ peer: 'north', aeTitle: 'NORTH', holder: 'north' }],
    });
    const outcome = await move(south, scp.aeTitle, 'STUDY', study('1.2.5'));
    assert.equal(outcome.status, 0xb000);
    assert.deepEqual([outcome.counts.completed, outcome.counts.failed], [1, 2]);
  });

  it('[R1] passes a study through a cluster that holds none of it, never back to who asks', async (test) => {
    const [north, hub, east] = await Promise.all([
      startTestEdge(test),
      startTestEdge(test, { cluster: 'hub' }),
      startTestEdge(test, { cluster: 'east' }),
    ]);
    await linkEdges(north, hub);
    await linkEdges(east, hub);
    const scp = await startStoreScp(test);
    await east.station({ aeTitle: scp.aeTitle, port: scp.port });
    const objects = [1, 2, 3].map((n) => ctObject({ study: '1.2.5', instance: `1.2.5.1.${n}` }));
    await storeAll(north, objects);
    const source = (cluster: string) => ({ peer: cluster, aeTitle: cluster.toUpperCase(), holder: cluster });
    east.federator.elsewhere.set('1.2.5', { sources: [{ ...source('hub'), holder: 'north' }] });
    hub.federator.elsewhere.set('1.2.5', { sources: [source('east'), source('north')] });

    const outcome = await move(east, scp.aeTitle, 'STUDY', study('1.2.5'));

    assert.deepEqual([outcome.status, outcome.counts.completed, outcome.counts.failed], [0x0000, 3, 0]);
    await sameObjects(scp, objects);
    await east.federator.seen(3);
    assert.equal(east.federator.events.length, 3);
  });

  it('gives up on C-CANCEL and says how far it came', async (test) => {
    const edge = await startTestEdge(test);
    const scp = await startStoreScp(test);
    await edge.station({ aeTitle: scp.aeTitle, port: scp.port });
    const objects = Array.from({ length: 60 }, (_, n) =>
      ctObject({ study: '1.2.5', instance: `1.2.5.1.${n}` }),
    );
    await storeAll(edge, objects);
    const cancel = new AbortController();
    const moving = move(edge, scp.aeTitle, 'STUDY', study('1.2.5'), { signal: cancel.signal });
    await eventually('some have come', async () => (await scp.files()).length > 0);
    cancel.abort();
    const outcome = await moving;
    const { completed, remaining } = outcome.counts;
    if (outcome.status === 0x0000) assert.equal(completed, 60);
    else assert.deepEqual([outcome.status, completed + (remaining ?? 0)], [0xfe00, 60]);
  });

  it(
    '[R1] gives movescu a real study, file for file as storescu gave it',
    { skip: samplesMissing },
    async (test) => {
      const edge = await startTestEdge(test);
      const [scp, direct] = [await startStoreScp(test), await startStoreScp(test, { aeTitle: 'DIRECT' })];
      await edge.station({ aeTitle: scp.aeTitle, port: scp.port });
      const files = sampleFiles('priors/98892001/CT5N');
      const send = (aeTitle: string, port: number) =>
        runTool('storescu', ['-aec', aeTitle, '127.0.0.1', String(port), ...files]);
      assert.equal((await send(direct.aeTitle, direct.port)).code, 0);
      assert.equal((await send(edge.aeTitle, edge.edge.dicomPort)).code, 0);
      await edge.federator.seen(files.length);
      const uid = [...edge.federator.instances.values()][0]?.studyInstanceUid ?? '';
      const { code, output } = await runTool('movescu', [
        ...['-S', '-aec', edge.aeTitle, '-aem', scp.aeTitle, '-k', 'QueryRetrieveLevel=STUDY'],
        ...['-k', `StudyInstanceUID=${uid}`, '127.0.0.1', String(edge.edge.dicomPort)],
      ]);
      assert.equal(code, 0, output);
      const dataSets = async (one: StoreScp): Promise<string[]> =>
        (await one.files()).map((file) => dataSetOfFile(join(one.directory, file)).toString('base64')).sort();
      assert.equal((await scp.files()).length, files.length);
      assert.deepEqual(await dataSets(scp), await dataSets(direct));
    },
  );
});
