import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { requestSubjects } from '@isthmus/domain';
import type { RoutesAnswer } from '@isthmus/domain';
import { eventually } from '@isthmus/testing';
import { startFederation } from '../test/clusters.ts';
import type { Federation } from '../test/clusters.ts';
import { ctObject, gspsObject } from '../test/objects.ts';
import {
  localObjects,
  shareStudy,
  studyAt,
  timelineCount,
  untilIdle,
  untilSettled,
  untilShown,
} from '../test/reading.ts';

const study = '1.2.7';
const objects = [ctObject(study, 1), ctObject(study, 2)];

const viaHub = {
  names: ['north', 'south', 'hub'],
  links: [
    ['north', 'hub'],
    ['south', 'hub'],
  ],
} as const;

const ring = {
  names: ['north', 'south', 'east'],
  links: [
    ['north', 'south'],
    ['south', 'east'],
    ['east', 'north'],
  ],
} as const;

/** Links over which an event went, as `from>to`, sorted; a link twice when it crossed twice. */
function crossingsOf(federation: Federation, type: string): string[] {
  return federation.bridge.crossings
    .flatMap(({ from, to, batch }) =>
      batch.items.flatMap((item) =>
        item.kind === 'event' && item.event.type === type ? [`${from}>${to}`] : [],
      ),
    )
    .sort();
}

describe('three clusters', { concurrency: false }, () => {
  it('[U7] a change crosses a hub that holds nothing, both ways; the hub keeps the state, no objects', async (t) => {
    const federation = await startFederation(t, viaHub.names, viaHub.links);
    await shareStudy(federation, study, 'north', ['south'], objects);
    const north = federation.cluster('north');
    const south = federation.cluster('south');
    await north.call('PUT', `/api/v1/studies/${study}/report-status`, { status: 'APPROVED' });
    await untilShown(south, study, { reportStatus: 'APPROVED' });
    await south.call('PATCH', `/api/v1/studies/${study}`, { patientLocation: 'WARD 7' });
    await untilShown(north, study, { patientLocation: 'WARD 7' });
    await untilSettled(federation, viaHub.names, study);
    assert.equal((await studyAt(federation.cluster('hub'), study))?.reportStatus, 'APPROVED');

    await south.store(gspsObject(study, 1));
    await eventually('the GSPS at north', async () => (await localObjects(north, study)).length === 3);
    assert.deepEqual(await localObjects(federation.cluster('hub'), study), []);
    assert.deepEqual(
      federation.bridge.retrievals.map(({ by }) => by),
      ['north'],
    );
    await untilIdle(federation, viaHub.names);
    assert.deepEqual(crossingsOf(federation, 'ReportStatusChanged'), ['hub>south', 'north>hub']);
    assert.deepEqual(crossingsOf(federation, 'PatientLocationChanged'), ['hub>north', 'south>hub']);
  });

  it('[U15] in a ring of three one change gives exactly two applications, then silence', async (t) => {
    const federation = await startFederation(t, ring.names, ring.links);
    await shareStudy(federation, study, 'north', ['south', 'east'], objects);
    await untilIdle(federation, ring.names);
    const before = federation.bridge.crossings.length;
    await federation
      .cluster('north')
      .call('PUT', `/api/v1/studies/${study}/report-status`, { status: 'DICTATED' });
    for (const name of ring.names) {
      await untilShown(federation.cluster(name), study, { reportStatus: 'DICTATED' });
    }
    await untilIdle(federation, ring.names);
    assert.deepEqual(crossingsOf(federation, 'ReportStatusChanged'), ['north>east', 'north>south']);
    assert.equal(federation.bridge.crossings.length - before, 2);
    for (const name of ring.names) {
      assert.equal(await timelineCount(federation.cluster(name), study, 'ReportStatusChanged'), 1);
    }
  });

  it('[U3] [U12] a late holder gets the state, with changes made before it held anything', async (t) => {
    const federation = await startFederation(t, viaHub.names, viaHub.links);
    const north = federation.cluster('north');
    const south = federation.cluster('south');
    await north.store(...objects);
    await untilShown(north, study, { homeCluster: 'north' });
    await north.call('PUT', `/api/v1/studies/${study}/report-status`, { status: 'APPROVED', by: 'Dr A' });
    await north.call('PATCH', `/api/v1/studies/${study}`, {
      patient: { name: 'Corrected^Name' },
      comment: { text: 'seen', author: 'Dr A' },
    });
    await untilIdle(federation, viaHub.names);
    assert.notEqual((await studyAt(south, study))?.reportStatus, 'APPROVED');
    await south.pull('hub', ...objects);
    await untilShown(south, study, { reportStatus: 'APPROVED' });
    await untilIdle(federation, viaHub.names);
    await untilSettled(federation, viaHub.names, study);
    const there = await studyAt(south, study);
    assert.equal(there?.patient.name, 'Corrected^Name');
    assert.deepEqual(
      there?.comments.map(({ text }) => text),
      ['seen'],
    );
    assert.equal(there?.homeCluster, 'north');
  });

  it('[U7] a new route owes the state to holders that moved behind another peer', async (t) => {
    const federation = await startFederation(t, ring.names, ring.links);
    await shareStudy(federation, study, 'north', ['south'], objects);
    const north = federation.cluster('north');
    const south = federation.cluster('south');
    await north.link('south', { enabled: false });
    await south.link('north', { enabled: false });
    await eventually('the way round', async () => {
      const routes = await north.eventLog.requests.ask<object, RoutesAnswer>(
        requestSubjects.routes,
        {},
        { timeoutMs: 1_000 },
      );
      return routes.nextHop['south'] === 'east';
    });
    await north.call('PATCH', `/api/v1/studies/${study}`, { patientLocation: 'WARD 9' });
    await untilShown(south, study, { patientLocation: 'WARD 9' });
    await untilSettled(federation, ring.names, study);
  });
});
