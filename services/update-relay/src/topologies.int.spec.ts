import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startFederation, until } from '../test/clusters.ts';
import type { Federation } from '../test/clusters.ts';
import { ctObject, gspsObject } from '../test/objects.ts';
import {
  localObjects,
  shareStudy,
  studyAt,
  timelineTypes,
  untilIdle,
  untilSettled,
} from '../test/reading.ts';

const study = '1.2.7';
const objects = [ctObject(study, 1), ctObject(study, 2)];

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
    const federation = await startFederation(
      t,
      ['north', 'south', 'hub'],
      [
        ['north', 'hub'],
        ['south', 'hub'],
      ],
    );
    await shareStudy(federation, study, 'north', ['south'], objects);
    const north = federation.cluster('north');
    const south = federation.cluster('south');
    await north.call('PUT', `/api/v1/studies/${study}/report-status`, { status: 'APPROVED' });
    await until('APPROVED at south', async () => (await studyAt(south, study))?.reportStatus === 'APPROVED');
    await south.call('PATCH', `/api/v1/studies/${study}`, { patientLocation: 'WARD 7' });
    await until('WARD 7 at north', async () => (await studyAt(north, study))?.patientLocation === 'WARD 7');
    await untilSettled(federation, ['north', 'south', 'hub'], study);
    assert.equal((await studyAt(federation.cluster('hub'), study))?.reportStatus, 'APPROVED');

    await south.store(gspsObject(study, 1));
    await until('the GSPS at north', async () => (await localObjects(north, study)).length === 3);
    assert.deepEqual(await localObjects(federation.cluster('hub'), study), []);
    assert.deepEqual(
      federation.bridge.retrievals.map(({ by }) => by),
      ['north'],
    );
    await untilIdle(federation, ['north', 'south', 'hub']);
    assert.deepEqual(crossingsOf(federation, 'ReportStatusChanged'), ['hub>south', 'north>hub']);
    assert.deepEqual(crossingsOf(federation, 'PatientLocationChanged'), ['hub>north', 'south>hub']);
  });

  it('[U15] in a ring of three one change gives exactly two applications, then silence', async (t) => {
    const names = ['north', 'south', 'east'];
    const links = [
      ['north', 'south'],
      ['south', 'east'],
      ['east', 'north'],
    ] as const;
    const federation = await startFederation(t, names, links);
    await shareStudy(federation, study, 'north', ['south', 'east'], objects);
    await untilIdle(federation, names);
    const before = federation.bridge.crossings.length;
    await federation
      .cluster('north')
      .call('PUT', `/api/v1/studies/${study}/report-status`, { status: 'DICTATED' });
    for (const name of names) {
      await until(
        `DICTATED at ${name}`,
        async () => (await studyAt(federation.cluster(name), study))?.reportStatus === 'DICTATED',
      );
    }
    await untilIdle(federation, names);
    assert.deepEqual(crossingsOf(federation, 'ReportStatusChanged'), ['north>east', 'north>south']);
    assert.equal(federation.bridge.crossings.length - before, 2);
    for (const name of names) {
      const types = await timelineTypes(federation.cluster(name), study);
      assert.equal(types.filter((type) => type === 'ReportStatusChanged').length, 1);
    }
  });

  it('[U3] [U12] a late holder gets the state, with changes made before it held anything', async (t) => {
    const names = ['north', 'south', 'hub'];
    const federation = await startFederation(t, names, [
      ['north', 'hub'],
      ['south', 'hub'],
    ]);
    const north = federation.cluster('north');
    const south = federation.cluster('south');
    await north.store(...objects);
    await until('the study at north', async () => (await studyAt(north, study))?.homeCluster === 'north');
    await north.call('PUT', `/api/v1/studies/${study}/report-status`, { status: 'APPROVED', by: 'Dr A' });
    await north.call('PATCH', `/api/v1/studies/${study}`, {
      patient: { name: 'Corrected^Name' },
      comment: { text: 'seen', author: 'Dr A' },
    });
    await untilIdle(federation, names);
    assert.notEqual((await studyAt(south, study))?.reportStatus, 'APPROVED');
    await south.pull('hub', ...objects);
    await until('the state at south', async () => (await studyAt(south, study))?.reportStatus === 'APPROVED');
    await untilIdle(federation, names);
    await untilSettled(federation, names, study);
    const there = await studyAt(south, study);
    assert.equal(there?.patient.name, 'Corrected^Name');
    assert.deepEqual(
      there?.comments.map(({ text }) => text),
      ['seen'],
    );
    assert.equal(there?.homeCluster, 'north');
  });

  it('[U7] a new route owes the state to holders that moved behind another peer', async (t) => {
    const names = ['north', 'south', 'east'];
    const links = [
      ['north', 'south'],
      ['south', 'east'],
      ['east', 'north'],
    ] as const;
    const federation = await startFederation(t, names, links);
    await shareStudy(federation, study, 'north', ['south'], objects);
    const north = federation.cluster('north');
    const south = federation.cluster('south');
    await north.link('south', { enabled: false });
    await south.link('north', { enabled: false });
    await until('the way round', async () => {
      const routes = await north.eventLog.requests.ask<object, { nextHop: Record<string, string> }>(
        'relay.routes',
        {},
        { timeoutMs: 1_000 },
      );
      return routes.nextHop['south'] === 'east';
    });
    await north.call('PATCH', `/api/v1/studies/${study}`, { patientLocation: 'WARD 9' });
    await until('WARD 9 at south', async () => (await studyAt(south, study))?.patientLocation === 'WARD 9');
    await untilSettled(federation, names, study);
  });
});
