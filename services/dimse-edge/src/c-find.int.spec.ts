import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  decodeDataSet,
  element,
  privateBlock,
  privateCreator,
  readPrivate,
  studyElements,
  tags,
  uids,
} from '@isthmus/dicom';
import { requestAssociation } from '@isthmus/dimse';
import { requestSubjects } from '@isthmus/domain';
import type {
  DataSetJson,
  FindAnswer,
  FindRequest,
  LinkStateAnswer,
  LinkStateRequest,
} from '@isthmus/domain';
import { eventually } from '@isthmus/testing';
import { missingTool, runTool } from '@isthmus/testing/dcmtk';
import { ctObject } from '../test/objects.ts';
import { startTestEdge } from '../test/start-edge.ts';
import type { TestEdge } from '../test/start-edge.ts';
import { storeAll } from '../test/store-objects.ts';

async function find(
  edge: TestEdge,
  identifier: DataSetJson,
  options: {
    sopClassUid?: string;
    callingAeTitle?: string;
    transferSyntaxUid?: string;
    signal?: AbortSignal;
  } = {},
): Promise<{ rows: DataSetJson[]; status: number; errorComment?: string }> {
  const sopClassUid = options.sopClassUid ?? uids.StudyRootFind;
  const association = await requestAssociation({
    host: '127.0.0.1',
    port: edge.edge.dicomPort,
    calledAeTitle: edge.aeTitle,
    callingAeTitle: options.callingAeTitle ?? 'WORKSTATION',
    contexts: [
      { sopClassUid, transferSyntaxUids: [options.transferSyntaxUid ?? uids.ExplicitVrLittleEndian] },
    ],
  });
  try {
    const responses = association.cFind({ sopClassUid, identifier, signal: options.signal });
    const rows: DataSetJson[] = [];
    for await (const bytes of responses) rows.push(decodeDataSet(bytes, responses.transferSyntaxUid));
    return { rows, ...(await responses.final) };
  } finally {
    await association.release();
  }
}

const level = (text: string): DataSetJson => ({ [tags.QueryRetrieveLevel]: element('CS', text) });

async function linkSouth(edge: TestEdge, switches: object = {}): Promise<void> {
  await edge.station({ aeTitle: 'SOUTH', port: 104, kind: 'cluster', cluster: 'south' });
  await edge.link({ peer: 'south', ...switches });
}

describe('C-FIND', () => {
  it('[Q1] answers the keys that were asked for, and level, source and availability unasked', async (test) => {
    const edge = await startTestEdge(test);
    const object = ctObject({ study: '1.2.5' }, { [tags.PatientName]: element('PN', 'Müller^Jörg') });
    await storeAll(edge, [object]);
    for (const transferSyntaxUid of [uids.ExplicitVrLittleEndian, uids.ImplicitVrLittleEndian]) {
      const keys = {
        [tags.PatientName]: element('PN'),
        [tags.StudyInstanceUID]: element('UI'),
        [tags.StudyID]: element('SH'),
      };
      const { rows, status } = await find(edge, { ...level('STUDY'), ...keys }, { transferSyntaxUid });
      assert.equal(status, 0x0000);
      assert.deepEqual(rows, [
        {
          [tags.SpecificCharacterSet]: element('CS', 'ISO_IR 192'),
          [tags.QueryRetrieveLevel]: element('CS', 'STUDY'),
          [tags.RetrieveAETitle]: element('AE'),
          [tags.PatientName]: element('PN', 'Müller^Jörg'),
          [tags.StudyInstanceUID]: element('UI', '1.2.5'),
          [tags.StudyID]: element('SH'),
        },
      ]);
    }
    const asked = edge.federator.asked[0];
    assert.deepEqual([asked?.model, asked?.level, asked?.linked], ['STUDY_ROOT', 'STUDY', false]);
    assert.deepEqual(asked?.asker, { kind: 'station', aeTitle: 'WORKSTATION' });
    assert.equal(asked?.identifier[tags.QueryRetrieveLevel], undefined);
  });

  it('refuses an identifier without a level, or with one that the model does not have', async (test) => {
    const edge = await startTestEdge(test);
    assert.equal((await find(edge, {})).status, 0xa900);
    assert.equal((await find(edge, level('PATIENT'))).status, 0xa900);
    assert.equal((await find(edge, level('STUDIES'))).status, 0xa900);
    assert.equal((await find(edge, level('PATIENT'), { sopClassUid: uids.PatientRootFind })).status, 0x0000);
    assert.equal(edge.federator.asked.length, 1);
  });

  it('[Q8] fails with the reason when our own index could not answer in full', async (test) => {
    const edge = await startTestEdge(test);
    const detail = 'more than 10 rows match';
    edge.federator.outcomes = [{ cluster: 'north', status: 'failed', detail, rows: 10, keysNotApplied: [] }];
    const { status, errorComment } = await find(edge, level('STUDY'));
    assert.deepEqual([status, errorComment], [0xa700, detail]);
  });

  it('[Q2] takes hops and time left from a linked query, and ends it with the outcome of each cluster', async (test) => {
    const edge = await startTestEdge(test);
    await linkSouth(edge);
    edge.federator.outcomes = [
      { cluster: 'north', status: 'answered', rows: 1, keysNotApplied: [] },
      { cluster: 'east', status: 'timed-out', detail: 'no answer', rows: 0, keysNotApplied: ['00180015'] },
    ];
    await storeAll(edge, [ctObject({ study: '1.2.5' })]);
    const identifier = {
      ...level('STUDY'),
      [tags.StudyInstanceUID]: element('UI'),
      ...privateBlock(privateCreator.study, {
        [studyElements.hops]: element('LO', 'west'),
        [studyElements.remainingMs]: element('UL', 4_000),
      }),
    };
    const sopClassUid = uids.IsthmusLinkedQueryFind;
    const { rows, status } = await find(edge, identifier, { sopClassUid, callingAeTitle: 'SOUTH' });
    assert.equal(status, 0x0000);
    assert.equal(rows.length, 2);
    const outcomes = readPrivate(rows[1] ?? {}, privateCreator.study, studyElements.outcomes)
      ?.Value as DataSetJson[];
    const read = (item: DataSetJson, byte: number): unknown =>
      readPrivate(item, privateCreator.study, byte)?.Value?.[0];
    assert.deepEqual(
      outcomes.map((item) => [read(item, studyElements.cluster), read(item, studyElements.outcomeStatus)]),
      [
        ['north', 'ANSWERED'],
        ['east', 'TIMED_OUT'],
      ],
    );
    assert.equal(read(outcomes[1] ?? {}, studyElements.keysNotApplied), '00180015');
    const asked = edge.federator.asked[0];
    assert.deepEqual(asked?.asker, { kind: 'cluster', aeTitle: 'SOUTH', cluster: 'south' });
    assert.deepEqual([asked?.linked, asked?.hops, asked?.remainingMs], [true, ['west', 'south'], 4_000]);
  });

  it('[Q2] offers the linked query to linked clusters only, and refuses it when the switch is off', async (test) => {
    const edge = await startTestEdge(test);
    const sopClassUid = uids.IsthmusLinkedQueryFind;
    await assert.rejects(find(edge, level('STUDY'), { sopClassUid }), {
      code: 'DIMSE_NO_PRESENTATION_CONTEXT',
    });
    await linkSouth(edge, { internalQueries: { in: false, out: true } });
    const linked = await find(edge, level('STUDY'), { sopClassUid, callingAeTitle: 'SOUTH' });
    assert.equal(linked.status, 0x0124);
    assert.equal((await find(edge, level('STUDY'), { callingAeTitle: 'SOUTH' })).status, 0x0000);
    assert.equal(edge.federator.asked.length, 1);
  });

  it('passes Link State to the relay and its rows back', async (test) => {
    const edge = await startTestEdge(test);
    await linkSouth(edge);
    const row = privateBlock(privateCreator.link, { 2: element('LO', 'north') });
    const stop = edge.eventLog.requests.answer<LinkStateRequest, LinkStateAnswer>(
      requestSubjects.linkState,
      async ({ payload }) => ({ status: 0, rows: payload.callingAeTitle === 'SOUTH' ? [row] : [] }),
    );
    const answered = async () =>
      find(edge, {}, { sopClassUid: uids.IsthmusLinkStateFind, callingAeTitle: 'SOUTH' }).catch(
        () => undefined,
      );
    assert.deepEqual((await answered())?.rows, [row]);
    await stop();
    assert.equal((await answered())?.status, 0xa700);
  });

  it('[Q13] stops the query when the peer cancels it', async (test) => {
    const edge = await startTestEdge(test);
    await edge.federator.stop();
    let stopped = false;
    const cancel = new AbortController();
    const stop = edge.eventLog.requests.answerStream<FindRequest, FindAnswer>(
      requestSubjects.find,
      async function* ({ signal }) {
        try {
          for (let n = 0; !signal.aborted; n++) {
            if (n === 100) cancel.abort();
            yield { row: { [tags.StudyInstanceUID]: element('UI', `1.2.${n}`) } };
          }
        } finally {
          stopped = true;
        }
      },
    );
    const finding = find(
      edge,
      { ...level('STUDY'), [tags.StudyInstanceUID]: element('UI') },
      { signal: cancel.signal },
    );
    const { status } = await finding;
    assert.equal(status, 0xfe00);
    await eventually('the handler has stopped', () => stopped);
    await stop();
  });

  it('[Q1] answers findscu', { skip: missingTool('findscu') }, async (test) => {
    const edge = await startTestEdge(test);
    await storeAll(edge, [ctObject({ study: '1.2.5' }), ctObject({ study: '1.2.6' })]);
    const { code, output } = await runTool('findscu', [
      ...[
        '-S',
        '-aec',
        edge.aeTitle,
        '-k',
        'QueryRetrieveLevel=STUDY',
        '-k',
        'StudyInstanceUID',
        '-k',
        'PatientName',
      ],
      ...['127.0.0.1', String(edge.edge.dicomPort)],
    ]);
    assert.equal(code, 0, output);
    assert.match(output, /\[1\.2\.5\0?\]/);
    assert.match(output, /\[1\.2\.6\0?\]/);
    assert.match(output, /Doe\^Jane/);
    assert.equal(
      (await runTool('echoscu', ['-aec', edge.aeTitle, '127.0.0.1', String(edge.edge.dicomPort)])).code,
      0,
    );
  });
});
