import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { element, encodeDataSet, stringOf, tags, uids } from '@isthmus/dicom';
import { requestSubjects } from '@isthmus/domain';
import type {
  DimseFindAnswer,
  DimseFindRequest,
  DimseStoreAnswer,
  EchoAnswer,
  LinkedUpdateAnswer,
  LinkedUpdateReceived,
  RetrieveAnswer,
  RetrieveRequest,
  SendAnswer,
} from '@isthmus/domain';
import { jobAtEnd } from '../test/job-at-end.ts';
import type { JobBody } from '../test/job-at-end.ts';
import { ctObject } from '../test/objects.ts';
import { startTestEdge } from '../test/start-edge.ts';
import type { TestEdge } from '../test/start-edge.ts';
import { linkEdges, storeAll } from '../test/store-objects.ts';

async function twoEdges(test: Parameters<typeof startTestEdge>[0]): Promise<[TestEdge, TestEdge]> {
  const [north, south] = await Promise.all([startTestEdge(test), startTestEdge(test, { cluster: 'south' })]);
  await linkEdges(north, south);
  return [north, south];
}

function echo(edge: TestEdge, aeTitle: string): Promise<EchoAnswer> {
  return edge.eventLog.requests.ask(requestSubjects.echo, { aeTitle }, { timeoutMs: 5_000 });
}

async function retrieve(edge: TestEdge, request: Partial<RetrieveRequest>) {
  const payload = { studyInstanceUid: '1.2.5', reason: 'objects-missing', deadlineMs: 10_000, ...request };
  const options = { timeoutMs: 10_000 };
  for await (const answer of edge.eventLog.requests.askStream<unknown, RetrieveAnswer>(
    requestSubjects.retrieve,
    payload,
    options,
  )) {
    if ('done' in answer) return answer.done;
  }
  throw new Error('no result');
}

const north = { peer: 'north', aeTitle: 'NORTH' };

describe('dimse.echo', () => {
  it('says whether a station answers, and why not', async (test) => {
    const [edge] = await twoEdges(test);
    await edge.station({ aeTitle: 'AWAY', port: 1 });
    assert.equal((await echo(edge, 'SOUTH')).ok, true);
    const away = await echo(edge, 'AWAY');
    assert.equal(away.ok, false);
    assert.match(away.detail ?? '', /cannot connect/);
    assert.match((await echo(edge, 'NOBODY')).detail ?? '', /configured/);
  });
});

describe('dimse.find', () => {
  async function ask(edge: TestEdge, request: Partial<DimseFindRequest>): Promise<DimseFindAnswer[]> {
    const payload = {
      aeTitle: 'NORTH',
      sopClassUids: [uids.StudyRootFind],
      timeoutMs: 5_000,
      rowsMax: 100,
      ...request,
    };
    const answers: DimseFindAnswer[] = [];
    const options = { timeoutMs: 5_000 };
    for await (const answer of edge.eventLog.requests.askStream<unknown, DimseFindAnswer>(
      requestSubjects.dimseFind,
      payload,
      options,
    )) {
      answers.push(answer);
    }
    return answers;
  }
  const keys = {
    [tags.QueryRetrieveLevel]: element('CS', 'IMAGE'),
    [tags.SOPInstanceUID]: element('UI'),
    [tags.StudyStatusID]: element('CS'),
  };

  it('[Q2] asks a linked cluster on the linked class', async (test) => {
    const [north, south] = await twoEdges(test);
    await storeAll(
      north,
      [1, 2, 3].map((n) => ctObject({ instance: `1.2.3.${n}` })),
    );
    const sopClassUids = [uids.IsthmusLinkedQueryFind, uids.StudyRootFind];
    const linked = await ask(south, { identifier: keys, sopClassUids });
    assert.equal(linked.length, 5, 'three objects, the outcomes, and done');
    assert.deepEqual(linked.at(-1), { done: { status: 0, sopClassUid: uids.IsthmusLinkedQueryFind } });
  });

  it('[Q2] asks on Study Root when the peer does not accept the linked class', async (test) => {
    const [north, south] = await Promise.all([
      startTestEdge(test),
      startTestEdge(test, { cluster: 'south' }),
    ]);
    await south.station({ aeTitle: 'NORTH', port: north.edge.dicomPort, kind: 'cluster', cluster: 'north' });
    await storeAll(north, [ctObject({})]);
    const sopClassUids = [uids.IsthmusLinkedQueryFind, uids.StudyRootFind];
    const answers = await ask(south, { identifier: keys, sopClassUids });
    assert.equal(answers.length, 2);
    assert.deepEqual(answers.at(-1), { done: { status: 0, sopClassUid: uids.StudyRootFind } });
    const none = await ask(south, { identifier: keys, sopClassUids: sopClassUids.slice(0, 1) });
    assert.deepEqual(
      none.map((answer) => ('done' in answer ? answer.done.status : 'row')),
      [0x0122],
    );
  });

  it('[Q6] sends a third party only the keys that it has to know, and takes no more rows than asked', async (test) => {
    const [north, south] = await twoEdges(test);
    await storeAll(
      north,
      [1, 2, 3].map((n) => ctObject({ instance: `1.2.3.${n}` })),
    );
    await south.station({ aeTitle: 'NORTH', port: north.edge.dicomPort, kind: 'third-party' });
    await ask(south, { identifier: keys });
    assert.equal(north.federator.asked.at(-1)?.identifier[tags.StudyStatusID], undefined);
    const answers = await ask(south, { identifier: keys, rowsMax: 2 });
    assert.equal(answers.filter((answer) => 'row' in answer).length, 2);
    const row = answers.find((answer) => 'row' in answer);
    assert.ok(row && 'row' in row && stringOf(row.row, tags.SOPInstanceUID)?.startsWith('1.2.3.'));
  });
});

describe('dimse.store', () => {
  it('[U1] carries a linked update to the relay of the peer and brings back its status', async (test) => {
    const [north, south] = await twoEdges(test);
    const came: { payload: LinkedUpdateReceived; bytes: Buffer }[] = [];
    const dataSet = encodeDataSet(
      { [tags.SOPInstanceUID]: element('UI', '1.2.9') },
      uids.ExplicitVrLittleEndian,
    );
    const request = {
      aeTitle: 'NORTH',
      sopClassUid: uids.IsthmusLinkedUpdateStorage,
      sopInstanceUid: '1.2.9',
      transferSyntaxUid: uids.ExplicitVrLittleEndian,
      timeoutMs: 5_000,
    };
    const send = (attachment: Buffer = dataSet): Promise<DimseStoreAnswer> =>
      south.eventLog.requests.ask(requestSubjects.dimseStore, request, { timeoutMs: 5_000, attachment });
    assert.equal((await send()).status, 0xa700, 'no relay is running');

    const stop = north.eventLog.requests.answer<LinkedUpdateReceived, LinkedUpdateAnswer>(
      requestSubjects.linkedUpdate,
      async ({ payload, attachment }) => {
        came.push({ payload, bytes: Buffer.from(attachment ?? []) });
        return { status: 0xc104, errorComment: 'link is off' };
      },
    );
    assert.deepEqual(await send(), { status: 0xc104, errorComment: 'link is off' });
    assert.deepEqual(came[0]?.bytes, dataSet);
    assert.equal(came[0]?.payload.callingAeTitle, 'SOUTH');
    assert.equal((await send(Buffer.alloc(480 * 1024))).status, 0xc104);
    assert.deepEqual(await north.files(), []);
    await stop();
  });
});

describe('dimse.retrieve', () => {
  const objects = [1, 2, 3, 4].map((n) =>
    ctObject({ study: '1.2.5', series: `1.2.5.${n % 2}`, instance: `1.2.5.9.${n}` }),
  );
  const inSeries = (series: string, ...sopInstanceUids: string[]) => ({
    seriesInstanceUid: series,
    sopInstanceUids,
  });

  it('[U4] pulls exactly the objects named', async (test) => {
    const [northEdge, south] = await twoEdges(test);
    await storeAll(northEdge, objects);
    const series = [inSeries('1.2.5.1', '1.2.5.9.1'), inSeries('1.2.5.0', '1.2.5.9.4')];
    const done = await retrieve(south, { series, sources: [north] });
    assert.deepEqual([done.outcome, done.arrived, done.missing], ['complete', 2, []]);
    await south.federator.seen(2);
    assert.deepEqual([...south.federator.instances.keys()].sort(), ['1.2.5.9.1', '1.2.5.9.4']);
  });

  it('[R2] falls back to the next source, and says what nobody had', async (test) => {
    const [northEdge, south] = await twoEdges(test);
    await south.station({ aeTitle: 'AWAY', port: 1, kind: 'cluster', cluster: 'away' });
    await storeAll(northEdge, objects.slice(0, 2));
    const series = [inSeries('1.2.5.1', '1.2.5.9.1', '1.2.5.9.3')];
    const sources = [{ peer: 'away', aeTitle: 'AWAY' }, { peer: 'nobody', aeTitle: 'NOBODY' }, north];
    const done = await retrieve(south, { series, sources });
    assert.deepEqual([done.outcome, done.arrived, done.missing], ['partial', 1, ['1.2.5.9.3']]);
    assert.match(done.detail ?? '', /AWAY: .*NOBODY: no such station/);
  });

  it('asks for a study once when two want it at the same time', async (test) => {
    const [northEdge, south] = await twoEdges(test);
    await storeAll(northEdge, objects);
    const both = await Promise.all([
      retrieve(south, { sources: [north] }),
      retrieve(south, { sources: [north] }),
    ]);
    assert.deepEqual(
      both.map(({ outcome }) => outcome),
      ['complete', 'complete'],
    );
    await south.federator.seen(4);
    assert.equal(south.federator.events.length, 4);
  });

  it('is not deceived by a source that says success and sends nothing', async (test) => {
    const [northEdge, south] = await twoEdges(test);
    await storeAll(northEdge, [ctObject({ study: '1.2.7' })]);
    const done = await retrieve(south, { sources: [north] });
    assert.equal(done.outcome, 'failed');
    assert.equal((await retrieve(south, {})).detail, 'Nobody is known to hold it');
  });
});

describe('dimse.send', () => {
  it('[P1] sends what is here of a study to a station', async (test) => {
    const [northEdge, south] = await twoEdges(test);
    await storeAll(
      northEdge,
      [1, 2, 3].map((n) => ctObject({ study: '1.2.5', instance: `1.2.5.9.${n}` })),
    );
    const send = async (request: object): Promise<SendAnswer | undefined> => {
      const payload = {
        studyInstanceUid: '1.2.5',
        aeTitle: 'SOUTH',
        reason: 'prefetch',
        deadlineMs: 5_000,
        ...request,
      };
      let last: SendAnswer | undefined;
      const options = { timeoutMs: 5_000 };
      const { requests } = northEdge.eventLog;
      for await (const answer of requests.askStream<unknown, SendAnswer>(
        requestSubjects.send,
        payload,
        options,
      )) {
        last = answer;
      }
      return last;
    };
    const some = ['1.2.5.9.1', '1.2.5.9.7'];
    assert.deepEqual(await send({ sopInstanceUids: some }), {
      done: { outcome: 'partial', sent: 1, failed: ['1.2.5.9.7'] },
    });
    assert.deepEqual(await send({}), { done: { outcome: 'complete', sent: 3, failed: [] } });
    await south.federator.seen(3);
    assert.equal(south.federator.instances.get('1.2.5.9.2')?.provisional, true);
  });
});

describe('retrieve jobs', () => {
  it('bring a study here, and say what became of it', async (test) => {
    const [northEdge, south] = await twoEdges(test);
    await storeAll(
      northEdge,
      [1, 2].map((n) => ctObject({ study: '1.2.5', instance: `1.2.5.9.${n}` })),
    );
    const post = (body: object) =>
      fetch(`${south.edge.address}/api/v1/studies/1.2.5:retrieve`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    const accepted = await post({ from: 'north' });
    assert.equal(accepted.status, 202);
    const location = accepted.headers.get('location') ?? '';
    const job = await jobAtEnd(south, location);
    assert.deepEqual([job.state, job.done], ['COMPLETE', 2]);
    await south.federator.seen(2);

    const refused = await post({ destination: 'NOBODY' });
    assert.equal(refused.status, 422);
    const problem = (await refused.json()) as { errors: { pointer: string }[] };
    assert.equal(problem.errors[0]?.pointer, '/destination');
    assert.equal((await post({ form: 'north' })).status, 422);
    const list = (await (await fetch(`${south.edge.address}/api/v1/retrieve-jobs`)).json()) as {
      items: unknown[];
    };
    assert.equal(list.items.length, 1);
    assert.equal((await fetch(`${south.edge.address}/api/v1/retrieve-jobs/unknown`)).status, 404);
    const withoutBody = await fetch(`${south.edge.address}/api/v1/studies/1.2.5:retrieve`, {
      method: 'POST',
    });
    assert.equal(withoutBody.status, 202);
  });

  it('send a study on to a station, and say that of an unknown one nothing is known', async (test) => {
    const [northEdge, south] = await twoEdges(test);
    await storeAll(northEdge, [ctObject({ study: '1.2.5' }), ctObject({ study: '1.2.5' })]);
    const end = async (uid: string): Promise<JobBody> => {
      const path = `${northEdge.edge.address}/api/v1/studies/${uid}:retrieve`;
      const headers = { 'content-type': 'application/json' };
      const accepted = await fetch(path, { method: 'POST', headers, body: '{"destination":"SOUTH"}' });
      return jobAtEnd(northEdge, accepted.headers.get('location') ?? '');
    };
    const known = await end('1.2.5');
    assert.deepEqual([known.state, known.done], ['COMPLETE', 2]);
    await south.federator.seen(2);
    const unknown = await end('1.2.6');
    assert.deepEqual([unknown.state, unknown.detail], ['FAILED', 'Nothing is known of this study']);
  });

  it('[O4] is healthy, counts, and describes itself', async (test) => {
    const edge = await startTestEdge(test);
    await storeAll(edge, [ctObject({})]);
    const get = async (path: string) => fetch(`${edge.edge.address}${path}`);
    assert.equal((await get('/health/live')).status, 200);
    assert.equal((await get('/health/ready')).status, 200);
    assert.match(
      await (await get('/metrics')).text(),
      /isthmus_objects_received_total\{[^}]*outcome="stored"[^}]*\} 1/,
    );
    const openApi = (await (await get('/openapi.json')).json()) as { paths: object };
    assert.ok(Object.keys(openApi.paths).includes('/api/v1/retrieve-jobs'));
  });
});
