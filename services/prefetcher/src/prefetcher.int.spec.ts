import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '@isthmus/testing';
import type { ProblemBody } from '@isthmus/testing';
import type { Static } from 'typebox';
import { patient, startScripted } from '../test/scripted-cluster.ts';
import type { JobListBody, ScriptedPrior } from '../test/scripted-cluster.ts';
import type { DryRunAnswer } from './schemas.ts';

type DryRunBody = Static<typeof DryRunAnswer>;

const prior = (uid: string, date: string, ...holders: string[]): ScriptedPrior => ({ uid, date, holders });
const done = (job: { state: string }): boolean => job.state === 'DONE';

describe('prefetch on a real nats-server and PostgreSQL', () => {
  it('[P1] brings the three newest priors of the patient here, and leaves those that are here', async (test) => {
    const running = await startScripted(test);
    running.cluster.priors = [
      prior('1.1', '20200101', 'south'),
      prior('1.2', '20230101', 'south'),
      prior('1.3', '20220101', 'north'),
      prior('1.4', '20210101', 'east'),
      { ...prior('1.5', '20240101', 'south'), issuer: 'SOUTH' },
      prior('1.9', '20250101', 'south'),
    ];
    await running.link('south');
    await running.link('east');
    await running.order({ studyInstanceUid: '1.9' });
    const job = await running.jobOnce('A1', done);
    assert.deepEqual(
      running.cluster.retrieves.map(({ studyInstanceUid, sources, reason }) => [
        studyInstanceUid,
        sources,
        reason,
      ]),
      [
        ['1.2', [{ peer: 'south', aeTitle: 'SOUTH' }], 'prefetch'],
        ['1.4', [{ peer: 'east', aeTitle: 'EAST' }], 'prefetch'],
      ],
    );
    assert.deepEqual(
      job.priors.map((item) => [item.studyInstanceUid, item.chosen, item.why, item.outcome]),
      [
        ['1.9', false, 'the study that is scheduled itself', undefined],
        ['1.5', false, 'of the same Patient ID from another issuer', undefined],
        ['1.2', true, 'one of the 3 newest priors', 'done'],
        ['1.3', true, 'is here already', undefined],
        ['1.4', true, 'one of the 3 newest priors', 'done'],
        ['1.1', false, 'older than the 3 newest priors', undefined],
      ],
    );
    const [find] = running.cluster.finds;
    assert.deepEqual(find?.asker, { kind: 'client' });
    assert.equal(find?.linked, true);
    assert.deepEqual(find?.clusters, ['north', 'east', 'south']);
  });

  it('[P1] sends priors to the cluster that will read, pulling first what is elsewhere', async (test) => {
    const running = await startScripted(test);
    running.cluster.priors = [
      prior('1.1', '20230101', 'north'),
      prior('1.2', '20220101', 'east'),
      prior('1.3', '20210101', 'north', 'south'),
    ];
    await running.link('south');
    await running.link('east');
    await running.order({ readAt: 'south' });
    const job = await running.jobOnce('A1', done);
    assert.deepEqual(
      running.cluster.retrieves.map(({ studyInstanceUid }) => studyInstanceUid),
      ['1.2'],
    );
    assert.deepEqual(
      running.cluster.sends.map(({ studyInstanceUid, aeTitle }) => [studyInstanceUid, aeTitle]),
      [
        ['1.1', 'SOUTH'],
        ['1.2', 'SOUTH'],
      ],
    );
    assert.equal(job.readAt, 'south');
    assert.equal(job.priors[2]?.why, 'is at south already');
  });

  it('[P5] does the work of one trigger once, however often it comes and the service starts', async (test) => {
    const running = await startScripted(test);
    running.cluster.priors = [prior('1.1', '20230101', 'south')];
    await running.link('south');
    const event = await running.order({});
    await running.jobOnce('A1', done);
    await running.order({}, { id: event.id });
    await running.order({ scheduledAt: '2026-12-01T10:00:00.000Z' });
    await running.jobOnce('A1', (job) => job.scheduledAt === '2026-12-01T10:00:00.000Z');
    await running.stopService();
    await running.startService();
    const job = await running.jobOnce('A1', done);
    assert.equal(job.attempts, 1);
    assert.equal(running.cluster.retrieves.length, 1);
    assert.equal((await running.get<JobListBody>('/api/v1/prefetch-jobs')).body.items.length, 1);
  });

  it('[P5] waits for a peer that is down, and finishes when it is back', async (test) => {
    const running = await startScripted(test);
    running.cluster.priors = [prior('1.1', '20230101', 'south'), prior('1.2', '20220101', 'east')];
    running.cluster.silent.add('south');
    await running.link('south');
    await running.link('east');
    await running.order({});
    const waiting = await running.jobOnce('A1', (job) => job.state === 'NEW' && job.attempts >= 2);
    assert.equal(waiting.reason, 'no answer from south');
    assert.ok(waiting.nextAttemptAt);
    assert.deepEqual(
      running.cluster.retrieves.map(({ studyInstanceUid }) => studyInstanceUid),
      ['1.2'],
    );
    running.cluster.silent.clear();
    await running.jobOnce('A1', done);
    assert.deepEqual(
      running.cluster.retrieves.map(({ studyInstanceUid }) => studyInstanceUid),
      ['1.2', '1.1'],
    );
  });

  it('[P5] tries a transfer that failed again, and says FAILED with the reason after the last try', async (test) => {
    const running = await startScripted(test, { JOB_ATTEMPTS_MAX: '3' });
    running.cluster.priors = [prior('1.1', '20230101', 'south')];
    running.cluster.broken.set('1.1', 'A801 Move Destination unknown');
    await running.link('south');
    await running.order({});
    const job = await running.jobOnce('A1', ({ state }) => state === 'FAILED');
    assert.equal(job.reason, '3 tries: A801 Move Destination unknown');
    assert.equal(running.cluster.retrieves.length, 3);
    running.cluster.broken.clear();
    await running.order({ procedure: 'sent again' });
    await running.jobOnce('A1', done);
  });

  it('[P5] stops at once when the order is cancelled', async (test) => {
    const running = await startScripted(test);
    running.cluster.priors = [prior('1.1', '20230101', 'south'), prior('1.2', '20220101', 'south')];
    const held = Promise.withResolvers<void>();
    running.cluster.hold = held.promise;
    await running.link('south');
    await running.order({});
    await running.jobOnce('A1', ({ state }) => state === 'RUNNING');
    await running.order({ status: 'CANCELLED' });
    const job = await running.jobOnce('A1', ({ state }) => state === 'CANCELLED');
    assert.equal(job.reason, 'the order was cancelled');
    await eventually(
      'every transfer is cancelled',
      () => running.cluster.retrieves.length <= running.cluster.transfersCancelled,
    );
    held.resolve();
    assert.equal((await running.jobOnce('A1', () => true)).state, 'CANCELLED');
    assert.ok(running.cluster.retrieves.every(({ studyInstanceUid }) => studyInstanceUid === '1.1'));
  });

  it('[P5] moves with an order that will be read elsewhere', async (test) => {
    const running = await startScripted(test);
    running.cluster.priors = [prior('1.1', '20230101', 'north')];
    await running.link('south');
    await running.link('east');
    await running.order({ readAt: 'south' });
    await running.jobOnce('A1', done);
    await running.order({ readAt: 'east' });
    await running.jobOnce('A1', (job) => job.readAt === 'east' && done(job));
    assert.deepEqual(
      running.cluster.sends.map(({ aeTitle }) => aeTitle),
      ['SOUTH', 'EAST'],
    );
  });

  it('[P5] takes up after a restart what was at work when the service was stopped', async (test) => {
    const running = await startScripted(test);
    running.cluster.priors = [prior('1.1', '20230101', 'south')];
    const held = Promise.withResolvers<void>();
    running.cluster.hold = held.promise;
    await running.link('south');
    await running.order({});
    await running.jobOnce('A1', ({ state }) => state === 'RUNNING');
    await running.stopService();
    held.resolve();
    await running.startService();
    assert.equal((await running.jobOnce('A1', done)).attempts, 1);
  });

  it('[P5] takes up a job whose worker died without a word', async (test) => {
    const running = await startScripted(test);
    await running.stopService();
    await running.order({});
    await running.startService();
    await running.jobOnce('A1', done);
    await running.stopService();
    const lost = { state: 'RUNNING' as const, lease_until: new Date(Date.now() - 1) };
    await running.db.updateTable('prefetch_job').set(lost).execute();
    await running.startService();
    assert.equal((await running.jobOnce('A1', done)).attempts, 2);
  });

  it('[L2] neither asks nor pulls from a peer whose Link Prefetching is off', async (test) => {
    const running = await startScripted(test);
    running.cluster.priors = [prior('1.1', '20230101', 'south'), prior('1.2', '20220101', 'south', 'east')];
    await running.link('south', { prefetching: false });
    await running.link('east');
    await running.order({});
    await running.jobOnce('A1', done);
    assert.deepEqual(running.cluster.finds[0]?.clusters, ['north', 'east']);
    assert.deepEqual(
      running.cluster.retrieves.map(({ sources }) => sources),
      [[{ peer: 'east', aeTitle: 'EAST' }]],
    );
  });

  it('tries at once when the configuration changes what stood in the way', async (test) => {
    const running = await startScripted(test, { RETRY_BASE_MS: '600000', RETRY_MAX_MS: '600000' });
    running.cluster.priors = [prior('1.1', '20230101', 'north')];
    await running.order({ readAt: 'south' });
    const waiting = await running.jobOnce('A1', ({ state, attempts }) => state === 'NEW' && attempts === 1);
    assert.equal(waiting.reason, 'there is no direct link to south');
    await running.link('south');
    await running.jobOnce('A1', done);
    assert.deepEqual(
      running.cluster.sends.map(({ aeTitle }) => aeTitle),
      ['SOUTH'],
    );
  });

  it('leaves orders that another cluster took to that cluster', async (test) => {
    const running = await startScripted(test);
    await running.order({ accessionNumber: 'FOREIGN' }, { origin: 'south' });
    await running.order({ accessionNumber: 'OURS' });
    await running.jobOnce('OURS', done);
    assert.equal((await running.get<JobListBody>('/api/v1/prefetch-jobs')).body.items.length, 1);
  });

  it('[P6] explains in a dry run what it would fetch and why not the others, and moves nothing', async (test) => {
    const running = await startScripted(test);
    running.cluster.priors = [prior('1.1', '20230101', 'south'), prior('1.2', '20220101', 'north')];
    await running.link('south');
    const asked = { patient, studyInstanceUid: '1.9' };
    const answer = await eventually('both priors are considered', async () => {
      const tried = await running.post<DryRunBody>('/api/v1/prefetch:dry-run', asked);
      return tried.body.candidates.length === 2 && tried;
    });
    assert.equal(answer.status, 200);
    assert.deepEqual(
      answer.body.candidates.map((item) => [item.studyInstanceUid, item.action, item.why]),
      [
        ['1.1', 'retrieve', 'one of the 3 newest priors'],
        ['1.2', 'none', 'is here already'],
      ],
    );
    assert.deepEqual(
      answer.body.clusters.map(({ cluster, status }) => [cluster, status]),
      [
        ['north', 'answered'],
        ['south', 'answered'],
      ],
    );
    assert.equal(running.cluster.retrieves.length, 0);
    const refused = await running.post<ProblemBody>('/api/v1/prefetch:dry-run', { patient: { id: 'P1' } });
    assert.equal(refused.status, 422);
    assert.equal(refused.body.errors[0]?.pointer, '/patient/issuer');
  });

  it('says in a dry run what stands in the way of another cluster that will read', async (test) => {
    const running = await startScripted(test);
    running.cluster.priors = [prior('1.1', '20230101', 'north')];
    const { body } = await running.post<DryRunBody>('/api/v1/prefetch:dry-run', { patient, readAt: 'far' });
    assert.equal(body.candidates[0]?.why, 'there is no direct link to far');
  });

  it('lists by state, pages, and gives one job by its id', async (test) => {
    const running = await startScripted(test);
    for (const accessionNumber of ['A1', 'A2', 'A3']) {
      await running.order({ accessionNumber });
      await running.jobOnce(accessionNumber, done);
    }
    const list = async (query: string): Promise<JobListBody> =>
      (await running.get<JobListBody>(`/api/v1/prefetch-jobs?${query}`)).body;
    const first = await list('limit=2&state=DONE');
    const rest = await list(`limit=2&cursor=${first.nextCursor}`);
    const numbers = [...first.items, ...rest.items].map((job) => job.trigger.accessionNumber);
    assert.deepEqual([numbers, rest.nextCursor], [['A3', 'A2', 'A1'], null]);
    const [newest] = first.items;
    assert.deepEqual((await running.get(`/api/v1/prefetch-jobs/${newest?.id}`)).body, newest);
    assert.equal((await running.get('/api/v1/prefetch-jobs/none')).status, 404);
    assert.equal((await running.get('/api/v1/prefetch-jobs?state=ODD')).status, 400);
  });
});
