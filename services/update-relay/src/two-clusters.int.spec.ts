import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { requestSubjects } from '@isthmus/domain';
import type { LinkStateAnswer, LinkStateRequest } from '@isthmus/domain';
import { sharedBySuite, startFederation, until } from '../test/clusters.ts';
import type { Federation } from '../test/clusters.ts';
import { ctObject, gspsObject } from '../test/objects.ts';
import { localObjects, shareStudy, studyAt, timelineTypes, untilSettled } from '../test/reading.ts';
import { encodeLinkState } from './link-map.ts';
import type { LinkStateMessage } from './link-map.ts';

describe('two linked clusters', { concurrency: false }, () => {
  let federation: Federation;
  const shared = sharedBySuite();
  after(shared.end);
  before(async () => {
    federation = await startFederation(shared, ['north', 'south'], [['north', 'south']]);
  });

  it('[U3] a copy makes its cluster a holder, and brings it the state', async () => {
    await shareStudy(federation, '1.2.1', 'north', ['south'], [ctObject('1.2.1', 1), ctObject('1.2.1', 2)]);
    const there = await studyAt(federation.cluster('south'), '1.2.1');
    assert.equal(there?.patient.name, 'Invented^Person');
    assert.equal(there?.homeCluster, 'north');
  });

  it('[U8] a report status set at the home shows at the other, and back', async () => {
    const north = federation.cluster('north');
    const south = federation.cluster('south');
    const answer = await north.call('PUT', '/api/v1/studies/1.2.1/report-status', {
      status: 'DICTATED',
      by: 'A',
    });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.equal(answer.body.reportStatus, 'DICTATED');
    await until(
      'DICTATED at south',
      async () => (await studyAt(south, '1.2.1'))?.reportStatus === 'DICTATED',
    );
    const back = await south.call('PUT', '/api/v1/studies/1.2.1/report-status', { status: 'APPROVED' });
    assert.equal(back.status, 200);
    await until(
      'APPROVED at north',
      async () => (await studyAt(north, '1.2.1'))?.reportStatus === 'APPROVED',
    );
    await untilSettled(federation, ['north', 'south'], '1.2.1');
    for (const cluster of [north, south]) {
      const types = await timelineTypes(cluster, '1.2.1');
      assert.equal(types.filter((type) => type === 'ReportStatusChanged').length, 2);
    }
  });

  it('[U4] pulls exactly the missing objects: a GSPS stored at one arrives at the other unasked', async () => {
    const { bridge } = federation;
    const before = bridge.retrievals.length;
    await federation.cluster('south').store(gspsObject('1.2.1', 1));
    const objects = ['1.2.1.1.1', '1.2.1.1.2', '1.2.1.2.1'];
    await until(
      'the GSPS at north',
      async () => (await localObjects(federation.cluster('north'), '1.2.1')).length === 3,
    );
    assert.deepEqual(await localObjects(federation.cluster('north'), '1.2.1'), objects);
    const [asked, ...more] = bridge.retrievals.slice(before);
    assert.deepEqual(asked?.request.series, [
      { seriesInstanceUid: '1.2.1.2', sopInstanceUids: ['1.2.1.2.1'] },
    ]);
    assert.deepEqual(asked?.request.sources, [{ peer: 'south', aeTitle: 'SOUTH' }]);
    assert.equal(more.length, 0);
    await untilSettled(federation, ['north', 'south'], '1.2.1');
  });

  it('[U12] a peer that comes with a new log is owed the state of all that it holds', async () => {
    const { bridge } = federation;
    const before = bridge.crossings.length;
    const lost: LinkStateMessage = {
      format: 1,
      updateFormat: 1,
      cluster: 'south',
      incarnation: 'another life',
      clock: Date.now(),
      capabilities: [],
      links: {},
      position: { sent: 0, folded: 0 },
    };
    await federation
      .cluster('north')
      .eventLog.requests.ask<LinkStateRequest, LinkStateAnswer>(
        requestSubjects.linkState,
        { callingAeTitle: 'SOUTH', identifier: encodeLinkState(lost) },
        { timeoutMs: 5_000 },
      );
    await until('the state to cross', async () =>
      bridge.crossings
        .slice(before)
        .some(({ from, batch }) => from === 'north' && batch.items.some((item) => item.kind === 'state')),
    );
    const kinds = bridge.crossings.slice(before).flatMap(({ batch }) => batch.items.map((item) => item.kind));
    assert.ok(kinds.includes('manifest'), 'its objects are named with it');
  });
});
