import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@isthmus/testing';
import type { ProblemBody } from '@isthmus/testing';
import { sharedBySuite, startFederation } from '../test/clusters.ts';
import type { Cluster, StudyBody } from '../test/clusters.ts';
import { ctObject } from '../test/objects.ts';
import { studyAt, timelineCount, untilShown } from '../test/reading.ts';
import type { TimelineBody } from '../test/reading.ts';

describe('commands over HTTP', { concurrency: false }, () => {
  let north: Cluster;
  const shared = sharedBySuite();
  after(shared.end);
  before(async () => {
    const federation = await startFederation(shared, ['north'], []);
    north = federation.cluster('north');
    for (const study of ['1.5.1', '1.5.2', '1.5.3', '1.5.4', '1.5.5', '1.5.6']) {
      await north.store(ctObject(study, 1, { patientId: `P-${study}` }));
      await untilShown(north, study, { homeCluster: 'north' });
    }
  });
  const setStatus = <Body = StudyBody>(study: string, body: object) =>
    north.call<Body>('PUT', `/api/v1/studies/${study}/report-status`, body);

  it('[U8] answers with the evolved study and its ETag', async () => {
    const answer = await setStatus('1.5.1', { status: 'APPROVED', by: 'Dr A', reportId: 'R1' });
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('etag') ?? '', /^"[0-9a-f]{16}-[0-9a-f]{16}"$/);
    const {
      studyInstanceUid,
      reportStatus,
      reports,
      patient,
      modalities,
      instanceCount,
      holders,
      homeCluster,
    } = answer.body;
    assert.deepEqual(
      { studyInstanceUid, reportStatus, modalities, instanceCount, homeCluster },
      {
        studyInstanceUid: '1.5.1',
        reportStatus: 'APPROVED',
        modalities: ['CT'],
        instanceCount: 1,
        homeCluster: 'north',
      },
    );
    assert.equal(patient.name, 'Invented^Person');
    assert.equal(reports[0]?.reportId, 'R1');
    assert.deepEqual([holders[0]?.cluster, holders[0]?.availability], ['north', 'ONLINE']);
  });

  it('answers 404 to a study that is not known, and 422 naming the field to a bad value', async () => {
    const unknown = await setStatus('9.9.9', { status: 'APPROVED' });
    assert.equal(unknown.status, 404);
    assert.match(unknown.headers.get('content-type') ?? '', /^application\/problem\+json/);
    const bad = await setStatus<ProblemBody>('1.5.1', { status: 'FINE' });
    assert.equal(bad.status, 422);
    assert.equal(bad.body.errors[0]?.pointer, '/status');
    const change = (body: object) => north.call<ProblemBody>('PATCH', '/api/v1/studies/1.5.1', body);
    const date = await change({ patient: { birthDate: 'soon' } });
    assert.equal(date.status, 422);
    assert.equal(date.body.errors[0]?.pointer, '/patient/birthDate');
    assert.equal((await change({})).status, 422);
    assert.equal((await change({ colour: 'red' })).body.errors[0]?.pointer, '/colour');
  });

  it('[U8] keeps the approval in view under an addendum, until it is retracted', async () => {
    await setStatus('1.5.6', { status: 'APPROVED', reportId: 'R1' });
    const addendum = await setStatus('1.5.6', { status: 'DICTATED', addendum: true, reportId: 'R2' });
    const [report] = addendum.body.reports;
    assert.deepEqual(
      [addendum.body.reportStatus, report?.addendum, report?.lastApproved?.reportId],
      ['DICTATED', true, 'R1'],
    );
    const retracted = await setStatus('1.5.6', { status: 'NEW', retract: true, reason: 'wrong side' });
    assert.equal(retracted.status, 200);
    assert.deepEqual(
      retracted.body.reports.map(({ lastApproved }) => lastApproved),
      [undefined],
    );
    assert.equal((await setStatus('1.5.6', { status: 'NEW', addendum: true })).status, 422);
  });

  it('[U8] answers 409 to a lower status unless the report is reopened', async () => {
    const lower = await setStatus('1.5.1', { status: 'DICTATED' });
    assert.equal(lower.status, 409);
    const reopened = await setStatus('1.5.1', { status: 'DICTATED', reopen: true });
    assert.equal(reopened.status, 200);
    assert.equal(reopened.body.reportStatus, 'DICTATED');
    assert.equal(reopened.body.reports[0]?.lastApproved?.reportId, 'R1');
  });

  it('checks If-Match, and answers 412 to a stale one', async () => {
    const first = await north.call('PATCH', '/api/v1/studies/1.5.2', { patientLocation: 'A' });
    const seen = { 'if-match': first.headers.get('etag') ?? '' };
    const second = await north.call('PATCH', '/api/v1/studies/1.5.2', { patientLocation: 'B' }, seen);
    assert.equal(second.status, 200);
    const stale = await north.call('PATCH', '/api/v1/studies/1.5.2', { patientLocation: 'C' }, seen);
    assert.equal(stale.status, 412);
    assert.equal((await studyAt(north, '1.5.2'))?.patientLocation, 'B');
  });

  it('[U11] does the work of one Idempotency-Key once, and says so when the body differs', async () => {
    const key = { 'idempotency-key': 'k-1' };
    const body = { comment: { text: 'once', author: 'A' }, patientLocation: 'WARD 3' };
    const first = await north.call('PATCH', '/api/v1/studies/1.5.3', body, key);
    const again = await north.call('PATCH', '/api/v1/studies/1.5.3', body, key);
    assert.deepEqual([first.status, again.status], [200, 200]);
    assert.equal(again.body.comments.length, 1);
    const other = await north.call('PATCH', '/api/v1/studies/1.5.3', { patientLocation: 'WARD 4' }, key);
    assert.equal(other.status, 422);
    assert.equal(await timelineCount(north, '1.5.3', 'StudyCommented'), 1);
  });

  it('[U10] keeps every one of many changes made at once', async () => {
    const texts = Array.from({ length: 12 }, (_, index) => `comment ${index}`);
    const answers = await Promise.all(
      texts.map((text) => north.call('PATCH', '/api/v1/studies/1.5.4', { comment: { text, author: 'A' } })),
    );
    // Who lost the race too often is told to send it again, and has written nothing.
    const stored = answers.filter(({ status }) => status === 200 || status === 202).length;
    assert.ok(answers.every(({ status }) => [200, 202, 503].includes(status)));
    await eventually('all comments', async () => (await studyAt(north, '1.5.4'))?.comments.length === stored);
  });

  it('[U13] shows what happened, page by page, with who and what', async () => {
    for (const status of ['NEW', 'DICTATED', 'TRANSCRIBED']) await setStatus('1.5.5', { status, by: 'Dr B' });
    await north.call('PATCH', '/api/v1/studies/1.5.5', { patient: { sex: 'F' } });
    const types: string[] = [];
    let cursor = '';
    do {
      const page = await north.call<TimelineBody>('GET', `/api/v1/studies/1.5.5/timeline?limit=2${cursor}`);
      assert.ok(page.body.items.length <= 2);
      types.push(...page.body.items.map(({ type }) => type));
      cursor = page.body.nextCursor === null ? '' : `&cursor=${page.body.nextCursor}`;
    } while (cursor !== '');
    assert.deepEqual(types, [
      'HolderChanged',
      'StudyObjectsChanged',
      'ReportStatusChanged',
      'ReportStatusChanged',
      'ReportStatusChanged',
      'PatientDemographicsChanged',
    ]);
    const { body } = await north.call<TimelineBody>('GET', '/api/v1/studies/1.5.5/timeline');
    assert.partialDeepStrictEqual(body.items[3], { by: 'Dr B', intent: { status: 'DICTATED' } });
    assert.equal((await north.call('GET', '/api/v1/studies/9.9.9/timeline')).status, 404);
  });

  it('moves a study to another patient and changes that one', async () => {
    const moved = await north.call('PATCH', '/api/v1/studies/1.5.5', {
      patient: { id: 'P-9', name: 'Other^Person' },
    });
    assert.equal(moved.status, 200);
    assert.deepEqual(
      [moved.body.patient.id, moved.body.patient.name, moved.body.patient.sex],
      ['P-9', 'Other^Person', 'F'],
    );
  });

  it('is ready, and publishes metrics and OpenAPI', async () => {
    assert.equal((await north.call('GET', '/health/ready')).status, 200);
    type OpenApi = Readonly<Record<'paths', Record<string, Record<string, unknown>>>>;
    const { body } = await north.call<OpenApi>('GET', '/openapi.json');
    assert.ok(body.paths['/api/v1/studies/{uid}/report-status']?.['put']);
  });
});
