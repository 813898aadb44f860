import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@isthmus/testing';
import type { Static } from 'typebox';
import { sharedBySuite, startPair } from '../test/clusters.ts';
import type { Cluster, Federation } from '../test/clusters.ts';
import { ctObject } from '../test/objects.ts';
import {
  digestAt,
  linkUpdates,
  shareStudy,
  studyAt,
  timelineCount,
  untilIdle,
  untilSettled,
  untilShown,
} from '../test/reading.ts';
import type { UpdatesBody } from '../test/reading.ts';
import type { ParkedListAnswer } from './schemas.ts';

type ParkedListBody = Static<typeof ParkedListAnswer>;

/** Of a projection, what is looked at. */
interface ProjectionBody {
  readonly name: string;
  readonly rebuild: string;
}

const off = { in: false, out: false };

describe('a link that misbehaves', { concurrency: false }, () => {
  let federation: Federation;
  let north: Cluster;
  let south: Cluster;
  const shared = sharedBySuite();
  after(shared.end);
  before(async () => {
    ({ federation, north, south } = await startPair(shared, { REFUSALS_MAX: '3' }));
    for (const study of ['1.3.1', '1.3.2', '1.3.3', '1.3.4', '1.3.5', '1.3.6']) {
      await shareStudy(
        federation,
        study,
        'north',
        ['south'],
        [ctObject(study, 1, { patientId: `P-${study}` })],
      );
    }
    await untilIdle(federation, ['north', 'south']);
  });

  const locate = (cluster: Cluster, study: string, patientLocation: string) =>
    cluster.call('PATCH', `/api/v1/studies/${study}`, { patientLocation });
  const arrived = (cluster: Cluster, study: string, patientLocation: string) =>
    untilShown(cluster, study, { patientLocation });

  for (const [what, change] of [
    ['the master switch', { enabled: false }],
    ['Link Cluster Updates', { updates: off }],
  ] as const) {
    it(`[L2] with ${what} off nothing crosses; switched on again, it catches up`, async () => {
      await north.link('south', change);
      await eventually('the switch to be known', async () => !(await linkUpdates(north, 'south')).out);
      const before = federation.bridge.crossings.length;
      for (const ward of ['A', 'B', 'C']) await locate(north, '1.3.1', `${what} ${ward}`);
      await eventually('three queued', async () => (await linkUpdates(north, 'south')).queued >= 3);
      assert.equal(federation.bridge.crossings.length, before);
      const { body } = await north.call<UpdatesBody>('GET', '/api/v1/updates?peer=south');
      assert.deepEqual(
        body.items.slice(0, 3).map(({ type }) => type),
        ['PatientLocationChanged', 'PatientLocationChanged', 'PatientLocationChanged'],
      );
      await north.link('south');
      await arrived(south, '1.3.1', `${what} C`);
      await untilSettled(federation, ['north', 'south'], '1.3.1');
    });
  }

  it('[U1] refuses with C104 what comes while its own side is off, and takes it later', async () => {
    await south.link('north', { updates: { in: false, out: true } });
    await locate(north, '1.3.2', 'REFUSED');
    await eventually('C104 at north', async () => {
      const { lastError, queued } = await linkUpdates(north, 'south');
      return lastError?.startsWith('C104') === true || queued === 0;
    });
    assert.notEqual((await studyAt(south, '1.3.2'))?.patientLocation, 'REFUSED');
    await south.link('north');
    await arrived(south, '1.3.2', 'REFUSED');
  });

  it('[U10] converges over losses, lost answers and duplicates, and applies each change once', async () => {
    let count = 0;
    const fates = ['lose', 'deliver', 'lose-answer', 'duplicate'] as const;
    federation.bridge.fate = () => fates[count++ % fates.length] ?? 'deliver';
    for (let number = 1; number <= 10; number++) {
      await locate(number % 2 === 0 ? north : south, '1.3.3', `WARD ${number}`);
    }
    await untilIdle(federation, ['north', 'south']);
    federation.bridge.fate = () => 'deliver';
    await untilSettled(federation, ['north', 'south'], '1.3.3');
    for (const cluster of [north, south]) {
      assert.equal(await timelineCount(cluster, '1.3.3', 'PatientLocationChanged'), 10);
    }
  });

  it('[U14] parks an item that the peer never accepts, passes it by, and sends it again when asked', async () => {
    federation.bridge.fate = ({ from, batch }) =>
      from === 'north' &&
      batch.items.some((item) => item.kind === 'event' && item.event.type === 'StudyCommented')
        ? { status: 0xa900 }
        : 'deliver';
    await north.call('PATCH', '/api/v1/studies/1.3.4', { comment: { text: 'poison', author: 'A' } });
    await locate(north, '1.3.5', 'BEHIND IT');
    await arrived(south, '1.3.5', 'BEHIND IT');
    const { body } = await north.call<ParkedListBody>('GET', '/api/v1/parked?peer=south');
    const [parked] = body.items;
    assert.ok(parked);
    assert.equal(body.items.length, 1);
    assert.deepEqual(
      [parked.study, parked.type, parked.status, parked.refusals],
      ['1.3.4', 'StudyCommented', 'A900', 3],
    );
    assert.equal(parked.reason, 'A900');

    federation.bridge.fate = () => 'deliver';
    const replay = await north.call('POST', `/api/v1/parked/${parked.id}:replay`);
    assert.equal(replay.status, 202);
    await eventually(
      'the comment at south',
      async () => (await studyAt(south, '1.3.4'))?.comments.length === 1,
    );
    await eventually(
      'nothing parked',
      async () => (await north.call<ParkedListBody>('GET', '/api/v1/parked')).body.items.length === 0,
    );
    assert.equal((await north.call('POST', `/api/v1/parked/${parked.id}:replay`)).status, 404);
  });

  it('[U11] loses nothing when either relay is stopped and started while changes are made', async () => {
    const study = '1.3.6';
    for (let number = 1; number <= 24; number++) {
      const answer = await locate(north, study, `BED ${number}`);
      assert.equal(answer.status, 200, answer.text);
      if (number % 6 === 0) {
        const cluster = number % 12 === 0 ? north : south;
        await cluster.stopRelay();
        await cluster.startRelay();
      }
    }
    await arrived(south, study, 'BED 24');
    await untilSettled(federation, ['north', 'south'], study);
    assert.equal(await timelineCount(south, study, 'PatientLocationChanged'), 24);
  });

  it('[U11] folds both logs anew to the same state', async () => {
    const before = await digestAt(north, '1.3.6');
    const projections = '/api/v1/projections/update-relay';
    const { body } = await north.call<{ items: ProjectionBody[] }>('GET', projections);
    const [states] = body.items;
    assert.deepEqual([states?.name, states?.rebuild], ['states', 'none']);
    const rebuilt = await north.call<ProjectionBody>('POST', `${projections}/states:rebuild`);
    assert.deepEqual([rebuilt.status, rebuilt.body.rebuild], [200, 'done']);
    await eventually('the same state', async () => (await digestAt(north, '1.3.6')) === before);
    await locate(north, '1.3.6', 'AFTER');
    await arrived(south, '1.3.6', 'AFTER');
  });
});
