import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { requestSubjects, studySubject } from '@isthmus/domain';
import type { ChangeEvent, LinkedUpdateAnswer, LinkedUpdateReceived } from '@isthmus/domain';
import { eventually } from '@isthmus/testing';
import { sharedBySuite, startPair } from '../test/clusters.ts';
import type { Cluster } from '../test/clusters.ts';
import { changeEvent } from '../test/given-events.ts';
import { studyAt, untilShown } from '../test/reading.ts';
import type { TimelineBody } from '../test/reading.ts';
import { batchFormat } from './batch.ts';
import type { Batch } from './batch.ts';
import { encodeLinkedUpdate } from './linked-update.ts';

describe('a linked update that comes in', { concurrency: false }, () => {
  let north: Cluster;
  const shared = sharedBySuite();
  after(shared.end);
  before(async () => {
    ({ north } = await startPair(shared));
    await north.configure('station', 'ARCHIVE', { ...third, aeTitle: 'ARCHIVE', kind: 'third-party' });
  });
  const third = { host: 'h', port: 104, tls: false, archive: false, alsoSendsAs: [], keepsStatus: true };

  const send = (
    batch: Partial<Batch>,
    more: Partial<LinkedUpdateReceived> = {},
  ): Promise<LinkedUpdateAnswer> => {
    const whole: Batch = {
      format: batchFormat,
      sender: 'south',
      incarnation: 'x',
      after: 0,
      upto: 1,
      items: [],
      ...batch,
    };
    const update = encodeLinkedUpdate(whole);
    assert.ok(update !== 'tooLarge');
    return north.eventLog.requests.ask(
      requestSubjects.linkedUpdate,
      {
        callingAeTitle: 'SOUTH',
        sopInstanceUid: update.sopInstanceUid,
        transferSyntaxUid: update.transferSyntaxUid,
        ...more,
      },
      { timeoutMs: 5_000, attachment: update.bytes },
    );
  };
  const event = (given: Parameters<typeof changeEvent>[0] = {}): Batch['items'][number] => ({
    kind: 'event',
    event: changeEvent({ origin: 'south', path: ['south'], ...given }),
  });
  const entries = async (study: string): Promise<TimelineBody['items']> =>
    (await north.call<TimelineBody>('GET', `/api/v1/studies/${study}/timeline?all=true`)).body.items;

  it('[U1] is durable once 0000 is answered', async () => {
    const before = await north.eventLog.lastSequence('STUDY');
    assert.deepEqual(await send({ items: [event({ subject: '1.6.1' })] }), { status: 0 });
    assert.equal(await north.eventLog.lastSequence('STUDY'), before + 1);
    await untilShown(north, '1.6.1', { patientLocation: 'WARD 7' });
  });

  it('[O5] is refused from a station that is no linked cluster, or under another cluster’s name', async () => {
    const items = [event({ subject: '1.6.2' })];
    assert.equal((await send({ items }, { callingAeTitle: 'NOBODY' })).status, 0x0124);
    assert.equal((await send({ items }, { callingAeTitle: 'ARCHIVE' })).status, 0x0124);
    assert.equal((await send({ items, sender: 'east' })).status, 0x0124);
    assert.equal(await studyAt(north, '1.6.2'), undefined);
  });

  it('is refused with A900 when it is not the object that it is said to be', async () => {
    assert.equal((await send({ items: [event()] }, { sopInstanceUid: '2.25.1' })).status, 0xa900);
    assert.equal(
      (await send({ items: [event()] }, { transferSyntaxUid: '1.2.840.10008.1.2.2' })).status,
      0xa900,
    );
  });

  it('is refused with A900 as a whole when one item would break a merge', async () => {
    const before = await north.eventLog.lastSequence('STUDY');
    const answer = await send({
      items: [event({ subject: '1.6.3' }), event({ subject: '1.6.3', hlc: 'soon' })],
    });
    assert.equal(answer.status, 0xa900);
    assert.match(answer.errorComment ?? '', /items\/1\/hlc/);
    assert.equal(await north.eventLog.lastSequence('STUDY'), before);
  });

  it('[U11] counts once when it comes twice', async () => {
    const items = [event({ subject: '1.6.4' })];
    for (let again = 0; again < 3; again++) assert.equal((await send({ items })).status, 0);
    await eventually('the entry', () => studyAt(north, '1.6.4'));
    assert.equal((await entries('1.6.4')).length, 1);
  });

  it('[U15] passes over what has been here already', async () => {
    const before = await north.eventLog.lastSequence('STUDY');
    assert.equal((await send({ items: [event({ path: ['north', 'south'] })] })).status, 0);
    assert.equal(await north.eventLog.lastSequence('STUDY'), before);
  });

  it('[U16] keeps an event of an unknown type and version as it came, and applies its registers', async () => {
    const given = event({ subject: '1.6.5', type: 'HologramRotated', v: 9 });
    assert.ok(given.kind === 'event');
    const novel = { ...given.event, novelty: { a: 1 } };
    assert.equal((await send({ items: [{ kind: 'event', event: novel }] })).status, 0);
    const stored = await north.eventLog.lastOf('STUDY', studySubject('1.6.5'));
    await untilShown(north, '1.6.5', { patientLocation: 'WARD 7' });
    assert.deepEqual(stored?.event, novel);
    assert.equal((await entries('1.6.5'))[0]?.type, 'HologramRotated');
  });

  it('[U11] folds any text that a peer may send', async () => {
    const odd = `a${String.fromCharCode(0)}b${String.fromCharCode(0xd800)}\u{1F600}`;
    const register = (value: string) =>
      ({ t: 'lww', value, rank: 1, hlc: '0000000000000005', origin: 'south' }) as const;
    const long = 'x'.repeat(5_000);
    const items = [
      event({ subject: '1.6.7', registers: { patientLocation: register(odd) } }),
      event({
        subject: '1.6.7',
        registers: {
          patient: { ...register(''), value: { id: long, issuer: odd } },
          holders: { t: 'map', entries: { [odd]: { ...register(''), value: { holds: true } } } },
        },
      }),
      event({ subject: odd, data: { aggregate: 'patient', registers: { name: register(odd) } } }),
    ];
    assert.deepEqual(await send({ items }), { status: 0 });
    assert.deepEqual(
      await send({ items: [event({ subject: '1.6.7', registers: { studyStatus: register('READ') } })] }),
      {
        status: 0,
      },
    );
    await untilShown(north, '1.6.7', { studyStatus: 'READ' });
    assert.equal((await studyAt(north, '1.6.7'))?.patientLocation, odd);
    assert.equal((await studyAt(north, '1.6.7'))?.patient.id, long);
  });

  it('[U12] appends a whole state only when it brings something, and then what it brought', async () => {
    const register = (value: string) =>
      ({ t: 'lww', value, rank: 1, hlc: '0000000000000005', origin: 'south' }) as const;
    const state = (location: string): Batch['items'][number] => ({
      kind: 'state',
      study: '1.6.6',
      registers: { patientLocation: register(location), studyStatus: register('READ') },
      patients: { 'P^^^D': { name: register('A^B') } },
      path: ['south'],
    });
    const before = await north.eventLog.lastSequence('STUDY');
    assert.equal((await send({ items: [state('WARD 1')] })).status, 0);
    assert.equal(await north.eventLog.lastSequence('STUDY'), before + 2);
    assert.equal((await send({ items: [state('WARD 1')], upto: 2 })).status, 0);
    assert.equal(await north.eventLog.lastSequence('STUDY'), before + 2);
    assert.equal((await send({ items: [state('WARD 2')] })).status, 0);
    assert.equal(await north.eventLog.lastSequence('STUDY'), before + 3);
    const last = await north.eventLog.lastOf('STUDY', studySubject('1.6.6'));
    assert.deepEqual(Object.keys((last?.event as ChangeEvent).data.registers), ['patientLocation']);
  });

  it('[L2] is refused with C104 while the link, or Link Cluster Updates, is off on this side', async () => {
    const off = { in: false, out: true };
    for (const change of [{ enabled: false }, { updates: off }]) {
      await north.link('south', change);
      await eventually('C104', async () => (await send({ items: [] })).status === 0xc104);
    }
    await north.link('south');
    await eventually('0000', async () => (await send({ items: [] })).status === 0);
  });
});
