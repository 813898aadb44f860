import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { requestSubjects } from '@isthmus/domain';
import type { LinkStateAnswer, LinkStateRequest } from '@isthmus/domain';
import { eventually } from '@isthmus/testing';
import { sharedBySuite, startPair } from '../test/clusters.ts';
import type { Cluster, Federation } from '../test/clusters.ts';
import { ctObject, gspsObject } from '../test/objects.ts';
import {
  localObjects,
  shareStudy,
  studyAt,
  timelineCount,
  untilSettled,
  untilShown,
} from '../test/reading.ts';
import { encodeLinkState } from './link-map.ts';
import type { LinkStateMessage } from './link-map.ts';

describe('two linked clusters', { concurrency: false }, () => {
  let federation: Federation;
  let north: Cluster;
  let south: Cluster;
  const shared = sharedBySuite();
  after(shared.end);
  before(async () => {
    ({ federation, north, south } = await startPair(shared));
  });

  it('[U3] a copy makes its cluster a holder, and brings it the state', async () => {
    await shareStudy(federation, '1.2.1', 'north', ['south'], [ctObject('1.2.1', 1), ctObject('1.2.1', 2)]);
    const there = await studyAt(south, '1.2.1');
    assert.equal(there?.patient.name, 'Invented^Person');
    assert.equal(there?.homeCluster, 'north');
  });

  it('[U8] a report status set at the home shows at the other, and back', async () => {
    const answer = await north.call('PUT', '/api/v1/studies/1.2.1/report-status', {
      status: 'DICTATED',
      by: 'A',
    });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.body.reportStatus, 'DICTATED');
    await untilShown(south, '1.2.1', { reportStatus: 'DICTATED' });
    const back = await south.call('PUT', '/api/v1/studies/1.2.1/report-status', { status: 'APPROVED' });
    assert.equal(back.status, 200);
    await untilShown(north, '1.2.1', { reportStatus: 'APPROVED' });
    await untilSettled(federation, ['north', 'south'], '1.2.1');
    for (const cluster of [north, south]) {
      assert.equal(await timelineCount(cluster, '1.2.1', 'ReportStatusChanged'), 2);
    }
  });

  it('[U4] pulls exactly the missing objects: a GSPS stored at one arrives at the other unasked', async () => {
    const { bridge } = federation;
    const before = bridge.retrievals.length;
    await south.store(gspsObject('1.2.1', 1));
    const objects = ['1.2.1.1.1', '1.2.1.1.2', '1.2.1.2.1'];
    await eventually('the GSPS at north', async () => (await localObjects(north, '1.2.1')).length === 3);
    assert.deepEqual(await localObjects(north, '1.2.1'), objects);
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
    await north.eventLog.requests.ask<LinkStateRequest, LinkStateAnswer>(
      requestSubjects.linkState,
      { callingAeTitle: 'SOUTH', identifier: encodeLinkState(lost) },
      { timeoutMs: 5_000 },
    );
    await eventually('the state to cross', async () =>
      bridge.crossings
        .slice(before)
        .some(({ from, batch }) => from === 'north' && batch.items.some((item) => item.kind === 'state')),
    );
    const kinds = bridge.crossings.slice(before).flatMap(({ batch }) => batch.items.map((item) => item.kind));
    assert.ok(kinds.includes('manifest'), 'its objects are named with it');
  });
});
