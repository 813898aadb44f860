import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { element, isPrivateTag, privateCreator, readPrivate, stringOf, studyElements } from '@isthmus/dicom';
import { tags, uids } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { requestSubjects } from '@isthmus/domain';
import type {
  DimseFindAnswer,
  DimseFindRequest,
  FindAnswer,
  FindRequest,
  RoutesAnswer,
} from '@isthmus/domain';
import {
  allOff,
  change,
  configured,
  holder,
  instanceStored,
  jane,
  link,
  lww,
  reportStatus,
  station,
  subjectOf,
} from '../test/facts.ts';
import { startFederator } from '../test/start-federator.ts';
import type { RunningFederator } from '../test/start-federator.ts';
import { readLinkedFacts } from './linked-row.ts';

const key = (vr: string, ...values: unknown[]) => element(vr, ...values);
const studyKeys: DataSetJson = {
  [tags.StudyInstanceUID]: key('UI'),
  [tags.PatientID]: key('LO'),
  [tags.PatientName]: key('PN'),
  [tags.AccessionNumber]: key('SH'),
  [tags.InterpretationStatusID]: key('CS'),
};
const uidsOf = (rows: readonly DataSetJson[]): string[] =>
  rows.map((row) => stringOf(row, tags.StudyInstanceUID) ?? '');
const statuses = (outcomes: readonly { cluster: string; status: string }[]) =>
  Object.fromEntries(outcomes.map(({ cluster, status }) => [cluster, status]));

/** Links two clusters, in both configurations. */
async function linkTo(one: RunningFederator, peer: string, switches = {}): Promise<void> {
  const aeTitle = peer.toUpperCase();
  await one.append(
    configured('station', aeTitle, station(aeTitle, { cluster: peer, patientDomain: aeTitle })),
    configured('link', peer, link(peer, switches)),
  );
}

/**
 * Stands for the edges between two clusters: what `from` sends to one of `peers` by C-FIND reaches that cluster's
 * query-federator as its edge would ask it.
 */
function connect(
  from: RunningFederator,
  peers: { readonly [aeTitle: string]: RunningFederator },
  asked: DimseFindRequest[] = [],
): DimseFindRequest[] {
  from.answerPeers(async function* ({ payload, signal }): AsyncGenerator<DimseFindAnswer> {
    asked.push(payload);
    const peer = peers[payload.aeTitle];
    if (!peer) throw Object.assign(new Error('nobody listens'), { code: 'connection-refused' });
    const read = (byte: number) => readPrivate(payload.identifier, privateCreator.study, byte)?.Value ?? [];
    const linked = payload.sopClassUids[0] === uids.IsthmusLinkedQueryFind;
    const request: FindRequest = {
      model: payload.sopClassUids.includes(uids.PatientRootFind) ? 'PATIENT_ROOT' : 'STUDY_ROOT',
      level: stringOf(payload.identifier, tags.QueryRetrieveLevel) as FindRequest['level'],
      identifier: payload.identifier,
      asker: { kind: 'cluster', cluster: from.cluster, aeTitle: from.cluster.toUpperCase() },
      linked,
      hops: read(studyElements.hops) as string[],
      remainingMs: Number(read(studyElements.remainingMs)[0] ?? payload.timeoutMs),
    };
    const options = { timeoutMs: payload.timeoutMs, signal };
    for await (const answer of peer.eventLog.requests.askStream<FindRequest, FindAnswer>(
      requestSubjects.find,
      request,
      options,
    )) {
      if ('row' in answer) yield answer;
      else yield { done: { status: 0, sopClassUid: payload.sopClassUids[0]! } };
    }
  });
  return asked;
}

describe('queries over linked clusters', () => {
  it('[Q1] [Q3] [Q9] answers as if all clusters were one: each study once, with all its holders', async (t) => {
    const [north, south] = await Promise.all([startFederator(t, 'north'), startFederator(t, 'south')]);
    await linkTo(north, 'south');
    await linkTo(south, 'north');
    connect(north, { SOUTH: south });
    await north.append(
      instanceStored({ study: '1.1', sop: '1.1.1' }),
      change('study', '1.1', { ...holder('south', 1), home: lww({ cluster: 'north' }) }),
    );
    await south.append(
      instanceStored({ study: '1.1', sop: '1.1.1' }, 'south'),
      instanceStored({ study: '2.1', sop: '2.1.1', issuer: 'SOUTH', studyDate: '20250101' }, 'south'),
      instanceStored({ study: '2.1', sop: '2.1.2', issuer: 'SOUTH', studyDate: '20250101' }, 'south'),
      change('study', '2.1', { ...reportStatus('APPROVED'), home: lww({ cluster: 'south' }) }),
    );
    const { rows, outcomes } = await north.find({ identifier: studyKeys });
    assert.deepEqual(uidsOf(rows), ['1.1', '2.1']);
    assert.deepEqual(statuses(outcomes), { north: 'answered', south: 'answered' });
    const [near, far] = rows;
    assert.equal(stringOf(near!, tags.InstanceAvailability), 'ONLINE');
    assert.equal(stringOf(far!, tags.InstanceAvailability), 'NEARLINE');
    assert.equal(stringOf(far!, tags.RetrieveAETitle), 'NORTH', 'retrieved from the edge that was asked');
    assert.equal(stringOf(far!, tags.InterpretationStatusID), 'APPROVED');
    assert.equal(Object.keys(far!).some(isPrivateTag), false, 'no private keys for a station');

    const { status, body } = await north.post('/api/v1/studies:search', { patientId: 'P1' });
    assert.equal(status, 200);
    const [newest, older] = body.items;
    assert.equal(newest?.studyInstanceUid, '2.1');
    assert.equal(newest?.reportStatus, 'APPROVED');
    assert.equal(newest?.patient.issuer, 'SOUTH', 'the same bare ID of another issuer stays another patient');
    assert.equal(newest?.instanceCount, 2);
    assert.deepEqual(newest?.bestLocation, { cluster: 'south', availability: 'NEARLINE' });
    assert.deepEqual(
      older?.holders.map((one) => one.cluster),
      ['north', 'south'],
    );
    assert.deepEqual(older?.bestLocation, { cluster: 'north', availability: 'ONLINE' });
    assert.equal((await north.get('/api/v1/studies/2.1')).status, 404, 'local state only');

    const page = await north.post('/api/v1/studies:search', { patientId: 'P1', limit: 1 });
    const rest = await north.post('/api/v1/studies:search', {
      patientId: 'P1',
      limit: 1,
      cursor: page.body.nextCursor,
    });
    assert.deepEqual(
      [page.body.items[0]?.studyInstanceUid, rest.body.items[0]?.studyInstanceUid],
      ['2.1', '1.1'],
    );
    assert.equal(rest.body.nextCursor, null);
    const other = await north.post('/api/v1/studies:search', { limit: 1, cursor: page.body.nextCursor });
    assert.equal(other.status, 422);

    const series = await north.find({
      level: 'SERIES',
      identifier: { [tags.StudyInstanceUID]: key('UI', '2.1'), [tags.SeriesInstanceUID]: key('UI') },
    });
    assert.deepEqual(
      series.rows.map((row) => stringOf(row, tags.SeriesInstanceUID)),
      ['2.1.1'],
    );
    const patients = await north.find({
      model: 'PATIENT_ROOT',
      level: 'PATIENT',
      identifier: { [tags.PatientID]: key('LO', 'P1'), [tags.IssuerOfPatientID]: key('LO') },
    });
    assert.deepEqual(patients.rows.map((row) => stringOf(row, tags.IssuerOfPatientID)).sort(), [
      'NORTH',
      'SOUTH',
    ]);
    const qido = await north.get<DataSetJson[]>('/dicom-web/studies?PatientID=P1');
    assert.equal(qido.headers.get('content-type'), 'application/dicom+json');
    assert.deepEqual(uidsOf(qido.body).sort(), ['1.1', '2.1']);
  });

  it('[Q2] asks a peer only with the switch that governs the asker, and answers one only with its own', async (t) => {
    const [north, south] = await Promise.all([startFederator(t, 'north'), startFederator(t, 'south')]);
    await linkTo(north, 'south', { externalQueries: allOff });
    await linkTo(south, 'north', { internalQueries: allOff });
    const asked = connect(north, { SOUTH: south });
    await south.append(instanceStored({ study: '2.1', sop: '2.1.1' }, 'south'));
    const external = await north.find({ identifier: studyKeys });
    assert.deepEqual([external.rows, asked], [[], []]);
    const internal = await north.find({ identifier: studyKeys, asker: { kind: 'client' }, linked: true });
    assert.deepEqual(asked[0]?.sopClassUids, [uids.IsthmusLinkedQueryFind, uids.StudyRootFind]);
    assert.deepEqual(internal.rows, []);
    await south.append(configured('link', 'north', link('north'), 2));
    const allowed = await north.find({ identifier: studyKeys, asker: { kind: 'client' }, linked: true });
    assert.deepEqual(uidsOf(allowed.rows), ['2.1']);
    assert.deepEqual(
      readLinkedFacts(allowed.rows[0]!).holders.map(({ cluster }) => cluster),
      ['south'],
    );
    await north.append(configured('link', 'south', link('south', { enabled: false }), 2));
    const off = await north.find({ identifier: studyKeys, asker: { kind: 'client' }, linked: true });
    assert.deepEqual(off.rows, [], 'the master switch');
  });

  it('[L3] [L4] passes a query on through a hub, to each cluster once', async (t) => {
    const [north, hub, south] = (await Promise.all(
      ['north', 'hub', 'south'].map((name) => startFederator(t, name)),
    )) as [RunningFederator, RunningFederator, RunningFederator];
    await linkTo(north, 'hub');
    await linkTo(hub, 'north');
    await linkTo(hub, 'south');
    await linkTo(south, 'hub');
    const asked: DimseFindRequest[] = [];
    connect(north, { HUB: hub }, asked);
    connect(hub, { NORTH: north, SOUTH: south }, asked);
    connect(south, { HUB: hub }, asked);
    await south.append(instanceStored({ study: '3.1', sop: '3.1.1' }, 'south'));
    await hub.append(instanceStored({ study: '4.1', sop: '4.1.1' }, 'hub'));
    for (const asker of [{ kind: 'client' as const }, { kind: 'station' as const, aeTitle: 'WORKSTATION' }]) {
      asked.length = 0;
      const { rows } = await north.find({ identifier: studyKeys, asker, linked: asker.kind === 'client' });
      assert.deepEqual(uidsOf(rows), ['3.1', '4.1']);
      assert.deepEqual(
        asked.map(({ aeTitle }) => aeTitle),
        ['HUB', 'SOUTH'],
      );
    }
    const routes = { nextHop: { hub: 'hub', south: 'hub' } };
    north.eventLog.requests.answer<object, RoutesAnswer>(requestSubjects.routes, async () => routes);
    const named = await north.find({
      identifier: studyKeys,
      asker: { kind: 'client' },
      linked: true,
      clusters: ['south'],
    });
    assert.deepEqual(uidsOf(named.rows), ['3.1'], '[Q12] one member by name');
  });

  it('[Q8] a peer that hangs or fails costs its own rows only, is named, and is then left alone', async (t) => {
    const north = await startFederator(t, 'north', { PEER_TIMEOUT_MS: '300', BREAKER_FAILURES: '2' });
    for (const peer of ['south', 'east', 'west']) await linkTo(north, peer);
    let cancelled = 0;
    const tried: string[] = [];
    north.answerPeers(async function* ({ payload, signal }) {
      tried.push(payload.aeTitle);
      if (payload.aeTitle === 'EAST')
        throw Object.assign(new Error('refused'), { code: 'association-rejected' });
      const uid = payload.aeTitle === 'SOUTH' ? '2.1' : '5.1';
      yield { row: { [tags.StudyInstanceUID]: key('UI', uid), [tags.PatientID]: key('LO', 'P1') } };
      if (payload.aeTitle === 'WEST') {
        await new Promise<void>((resolve) =>
          signal.addEventListener('abort', () => resolve(), { once: true }),
        );
        cancelled++;
      }
      yield { done: { status: 0 } };
    });
    await north.append(instanceStored({ study: '1.1', sop: '1.1.1' }));
    const first = await north.find({ identifier: studyKeys });
    assert.deepEqual(
      uidsOf(first.rows),
      ['1.1', '2.1', '5.1'],
      'rows that came before the deadline are kept',
    );
    assert.deepEqual(statuses(first.outcomes), {
      north: 'answered',
      south: 'answered',
      east: 'failed',
      west: 'timed-out',
    });
    assert.match(
      first.outcomes.find(({ cluster }) => cluster === 'east')?.detail ?? '',
      /association-rejected/,
    );
    await north.find({ identifier: studyKeys });
    assert.ok(cancelled >= 1);
    tried.length = 0;
    const third = await north.find({ identifier: studyKeys });
    assert.deepEqual(tried, ['SOUTH']);
    assert.deepEqual(statuses(third.outcomes), {
      north: 'answered',
      south: 'answered',
      east: 'skipped',
      west: 'skipped',
    });
  });

  it('[Q13] passes C-CANCEL on: peers stop when the asker leaves', async (t) => {
    const north = await startFederator(t);
    await linkTo(north, 'south');
    const asked = Promise.withResolvers<void>();
    const stopped = Promise.withResolvers<void>();
    north.answerPeers(async function* ({ signal }) {
      asked.resolve();
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      stopped.resolve();
      yield { done: { status: 0xfe00 } };
    });
    const leaving = new AbortController();
    const finding = north.find({ identifier: studyKeys }, leaving.signal);
    await asked.promise;
    leaving.abort();
    await assert.rejects(finding);
    await stopped.promise;
  });

  it('[Q5] [Q6] [Q7] asks a third party for standard keys only, filters itself, and marks what it could not', async (t) => {
    const north = await startFederator(t);
    await north.append(
      configured('station', 'ORTHANC', station('ORTHANC', { kind: 'third-party', patientDomain: 'CLINIC' })),
      configured('link', 'ORTHANC', link('ORTHANC')),
    );
    let sent: DataSetJson = {};
    const names: (string | undefined)[] = [];
    north.answerPeers(async function* ({ payload }) {
      sent = payload.identifier;
      names.push(stringOf(sent, tags.PatientName));
      const row = (uid: string, date: string) => ({
        [tags.StudyInstanceUID]: key('UI', uid),
        [tags.PatientID]: key('LO', 'P1'),
        [tags.PatientName]: key('PN', 'Doe^Jane'),
        [tags.StudyDate]: key('DA', date),
      });
      yield { row: row('6.1', '20240101') };
      yield { row: row('6.2', '19990101') };
      yield { done: { status: 0 } };
    });
    const { body } = await north.post('/api/v1/studies:search', {
      patientId: 'P1',
      studyDate: { from: '2024-01-01' },
      reportStatus: 'NEW',
    });
    assert.deepEqual(
      body.items.map((item) => item.studyInstanceUid),
      ['6.1'],
    );
    assert.equal(body.items[0]?.reportStatus, 'UNKNOWN');
    assert.equal(body.items[0]?.patient.issuer, 'CLINIC');
    assert.deepEqual(body.items[0]?.bestLocation, { cluster: 'ORTHANC', availability: 'NEARLINE' });
    const outcome = body.clusters.find(({ cluster }) => cluster === 'ORTHANC');
    assert.deepEqual(outcome?.keysNotApplied, ['00731001']);
    assert.equal(Object.keys(sent).some(isPrivateTag), false);
    assert.equal(sent[tags.IssuerOfPatientID], undefined);
    assert.equal(sent[tags.InterpretationStatusID], undefined);
    names.length = 0;
    await north.find({ identifier: { ...studyKeys, [tags.PatientName]: key('PN', 'doe^jane') } });
    assert.deepEqual(
      names,
      ['doe^jane', 'DOE^JANE', 'Doe^Jane'],
      'letter case is the choice of the third party',
    );
  });

  it('[Q5] keeps and marks the rows of a third party also when a linked cluster passes them on', async (t) => {
    const [north, south] = await Promise.all([startFederator(t, 'north'), startFederator(t, 'south')]);
    await linkTo(north, 'south');
    await linkTo(south, 'north');
    connect(north, { SOUTH: south });
    await south.append(
      configured('station', 'ORTHANC', station('ORTHANC', { kind: 'third-party' })),
      configured('link', 'ORTHANC', link('ORTHANC')),
      instanceStored({ study: '2.1', sop: '2.1.1' }, 'south'),
      change('study', '2.1', reportStatus('DICTATED')),
    );
    south.answerPeers(async function* () {
      yield { row: { [tags.StudyInstanceUID]: key('UI', '6.1'), [tags.PatientID]: key('LO', 'P1') } };
      yield { done: { status: 0 } };
    });
    const search = { patientId: 'P1', reportStatus: 'NEW' };
    const { body } = await north.post('/api/v1/studies:search', search);
    assert.deepEqual(
      body.items.map((item) => [item.studyInstanceUid, item.reportStatus]),
      [['6.1', 'UNKNOWN']],
    );
    assert.deepEqual(body.clusters[1]?.keysNotApplied, ['00731001']);
  });

  it('[Q14] lays the state known here over rows of a stale peer and filters them again', async (t) => {
    const north = await startFederator(t);
    await linkTo(north, 'south');
    north.answerPeers(async function* () {
      yield {
        row: {
          [tags.StudyInstanceUID]: key('UI', '7.1'),
          [tags.PatientID]: key('LO', 'P1'),
          [tags.IssuerOfPatientID]: key('LO', 'NORTH'),
          [tags.PatientName]: key('PN', 'Wrong^Name'),
        },
      };
      yield { done: { status: 0 } };
    });
    await north.append(
      change('study', '7.1', { patient: lww({ id: 'P1', issuer: 'NORTH' }), ...reportStatus('APPROVED') }),
      change('patient', jane, { name: lww('Right^Name') }),
    );
    const { rows } = await north.find({ identifier: studyKeys });
    assert.equal(stringOf(rows[0]!, tags.PatientName), 'Right^Name');
    assert.equal(stringOf(rows[0]!, tags.InterpretationStatusID), 'APPROVED');
    const wrong = await north.find({ identifier: { ...studyKeys, [tags.PatientName]: key('PN', 'Wrong*') } });
    assert.deepEqual(wrong.rows, []);
  });
});

describe('where the objects of a retrieve are', () => {
  it('[R2] gives local objects in small messages, and holders by their next hop for what is missing', async (t) => {
    const north = await startFederator(t);
    for (const peer of ['south', 'east']) await linkTo(north, peer);
    const routes = { nextHop: { south: 'south', east: 'east', west: 'south' } };
    north.eventLog.requests.answer<object, RoutesAnswer>(requestSubjects.routes, async () => routes);
    await north.append(
      ...Array.from({ length: 1200 }, (_, n) => instanceStored({ study: '1.1', sop: `1.1.1.${n + 1}` })),
      instanceStored({ study: '1.2', sop: '1.2.1' }),
      change('study', '1.2', holder('west', 3)),
      change('study', '1.2', holder('south', 2, false)),
      change('study', '1.2', { ...holder('east', 3), home: lww({ cluster: 'west' }) }),
    );
    const whole = await north.locate({ studyInstanceUids: ['1.1'] });
    assert.equal(whole.instances.length, 1200);
    assert.deepEqual(whole.studies, [
      { studyInstanceUid: '1.1', complete: true, expectedInstances: 1200, sources: [] },
    ]);
    const { instances, studies } = await north.locate({ studyInstanceUids: ['1.2'] });
    assert.equal(instances.length, 1);
    assert.deepEqual(studies[0], {
      studyInstanceUid: '1.2',
      complete: false,
      expectedInstances: 3,
      sources: [
        { peer: 'south', aeTitle: 'SOUTH', holder: 'west' },
        { peer: 'east', aeTitle: 'EAST', holder: 'east' },
        { peer: 'south', aeTitle: 'SOUTH', holder: 'south' },
      ],
    });
    const one = await north.locate({
      level: 'IMAGE',
      studyInstanceUids: ['1.2'],
      sopInstanceUids: ['1.2.1'],
    });
    assert.equal(one.studies[0]?.complete, true, 'all that was asked for is here');
    const patient = await north.locate({ level: 'PATIENT', patientId: 'P1' });
    assert.deepEqual(
      patient.studies.map(({ studyInstanceUid }) => studyInstanceUid),
      ['1.1', '1.2'],
    );
  });

  it('[R1] gives every object that was in the log when it was asked', async (t) => {
    const north = await startFederator(t);
    const events = Array.from({ length: 600 }, (_, n) =>
      instanceStored({ study: '1.5', sop: `1.5.1.${n + 1}` }),
    );
    await north.eventLog.appendAll(
      'INSTANCES',
      events.map((event) => ({ subject: subjectOf(event), event })),
    );
    const { instances } = await north.locate({ studyInstanceUids: ['1.5'] });
    assert.equal(instances.length, 600);
  });

  it('asks the peers for a study that nobody here knows', async (t) => {
    const [north, south] = await Promise.all([startFederator(t, 'north'), startFederator(t, 'south')]);
    await linkTo(north, 'south', { internalQueries: allOff });
    await linkTo(south, 'north');
    connect(north, { SOUTH: south });
    await south.append(instanceStored({ study: '2.1', sop: '2.1.1' }, 'south'));
    const { studies } = await north.locate({ studyInstanceUids: ['2.1', '9.9'] });
    assert.deepEqual(studies, [
      {
        studyInstanceUid: '2.1',
        complete: false,
        expectedInstances: 1,
        sources: [{ peer: 'south', aeTitle: 'SOUTH', holder: 'south' }],
      },
      { studyInstanceUid: '9.9', complete: false, sources: [] },
    ]);
  });
});
