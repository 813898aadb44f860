import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { element, tags, uids } from '@isthmus/dicom';
import { requestAssociation } from '@isthmus/dimse';
import type { RequestedAssociation } from '@isthmus/dimse';
import { requestSubjects } from '@isthmus/domain';
import { startTestEdge } from '../test/start-edge.ts';
import type { TestEdge } from '../test/start-edge.ts';

/** What no service answers, unless it is of another version or has a defect. */
const garbage: readonly unknown[] = [
  null,
  42,
  'rows',
  {},
  { row: 7 },
  { row: { nonsense: true } },
  { row: { '0020000D': { vr: 'XX', Value: [{}] } } },
  { done: null },
  { done: { outcomes: 'none' } },
  { status: 'good' },
  { status: null, rows: 7 },
];

async function open(edge: TestEdge, ...sopClassUids: string[]): Promise<RequestedAssociation> {
  return requestAssociation({
    host: '127.0.0.1',
    port: edge.edge.dicomPort,
    calledAeTitle: edge.aeTitle,
    callingAeTitle: 'SOUTH',
    contexts: sopClassUids.map((sopClassUid) => ({
      sopClassUid,
      transferSyntaxUids: [uids.ExplicitVrLittleEndian],
    })),
  });
}

async function find(association: RequestedAssociation, sopClassUid: string): Promise<number> {
  const identifier = {
    [tags.QueryRetrieveLevel]: element('CS', 'STUDY'),
    [tags.StudyInstanceUID]: element('UI'),
  };
  const responses = association.cFind({ sopClassUid, identifier });
  for await (const row of responses) void row;
  return (await responses.final).status;
}

describe('[Q13] what another service of ours answers', () => {
  it('is a failure of the query when it makes no sense, or ends before its end', async (test) => {
    const edge = await startTestEdge(test);
    await edge.federator.stop();
    const answers: (readonly unknown[])[] = [[], ...garbage.map((one) => [one])];
    const expected = answers.length;
    const stop = edge.eventLog.requests.answerStream<unknown, unknown>(
      requestSubjects.find,
      async function* () {
        yield* answers.shift() ?? [];
      },
    );
    const association = await open(edge, uids.StudyRootFind);
    for (let asked = 0; asked < expected; asked++) {
      const next = JSON.stringify(answers[0]);
      assert.equal(await find(association, uids.StudyRootFind), 0xc000, next);
    }
    await association.release();
    await stop();
  });

  it('is a failure of a linked update or of Link State when it has no status', async (test) => {
    const edge = await startTestEdge(test);
    await edge.station({ aeTitle: 'SOUTH', port: 104, kind: 'cluster', cluster: 'south' });
    await edge.link({ peer: 'south' });
    let answer: unknown;
    const stops = [requestSubjects.linkedUpdate, requestSubjects.linkState].map((subject) =>
      edge.eventLog.requests.answer<unknown, unknown>(subject, async () => answer),
    );
    const association = await open(edge, uids.IsthmusLinkedUpdateStorage, uids.IsthmusLinkStateFind);
    for (answer of garbage) {
      const { status } = await association.cStore({
        sopClassUid: uids.IsthmusLinkedUpdateStorage,
        sopInstanceUid: '1.2.3.4',
        transferSyntaxUid: uids.ExplicitVrLittleEndian,
        dataSet: Buffer.from('0800180055490800312e322e332e3400', 'hex'),
      });
      assert.equal(status, 0xa700, JSON.stringify(answer));
      assert.equal(await find(association, uids.IsthmusLinkStateFind), 0xc000, JSON.stringify(answer));
    }
    await association.release();
    await Promise.all(stops.map((stop) => stop()));
  });
});
