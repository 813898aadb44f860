import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import {
  decodeDataSet,
  encodeDataSet,
  fileMetaInformation,
  readFileMeta,
  stringOf,
  tags,
} from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { freePort, temporaryFolder } from '@isthmus/testing';
import { missingTool, runTool, startTool } from '@isthmus/testing/dcmtk';
import {
  associate,
  collect,
  ctStorage,
  explicitLittle,
  implicitLittle,
  pattern,
  startAcceptor,
  studyRootFind,
} from '../test/acceptor-under-test.ts';
import { startDcmqrscp } from '../test/dcmqrscp.ts';

/** A small CT object with a private element and an odd string, in explicit VR little endian. */
function ctObject(sopInstanceUid: string, pixelBytes = 200_000): Buffer {
  const text = (vr: string, ...values: string[]) => ({ vr, Value: values });
  const dataSet: DataSetJson = {
    '00080016': text('UI', ctStorage),
    '00080018': text('UI', sopInstanceUid),
    '00080060': text('CS', 'CT'),
    '00091010': text('LO', 'private, kept as it is'),
    '00090010': text('LO', 'SOMEBODY 1.0'),
    '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Test^Patient' }] },
    '00100020': text('LO', 'P1'),
    '0020000D': text('UI', '1.2.3'),
    '0020000E': text('UI', '1.2.3.4'),
    '00200013': { vr: 'IS', Value: [7] },
    '7FE00010': { vr: 'OW', InlineBinary: pattern(pixelBytes).toString('base64') },
  } as DataSetJson;
  return encodeDataSet(dataSet, explicitLittle);
}

function fileOf(sopInstanceUid: string, dataSet: Buffer): Buffer {
  const meta = {
    sopClassUid: ctStorage,
    sopInstanceUid,
    transferSyntaxUid: explicitLittle,
    sourceAeTitle: 'TEST',
  };
  return Buffer.concat([fileMetaInformation(meta), dataSet]);
}

async function objects(t: TestContext, count: number) {
  const path = await temporaryFolder(t);
  const made = [];
  for (let index = 0; index < count; index += 1) {
    const sopInstanceUid = `1.2.3.4.${index}`;
    const dataSet = ctObject(sopInstanceUid, 100_000 + index * 2);
    const file = join(path, `object${index}.dcm`);
    await writeFile(file, fileOf(sopInstanceUid, dataSet));
    made.push({ file, sopInstanceUid, dataSet });
  }
  return made;
}

/** Each object is a file in the folder, its data set as it was. */
async function assertReceived(path: string, made: { sopInstanceUid: string; dataSet: Buffer }[]) {
  const names = await readdir(path);
  assert.equal(names.length, made.length);
  for (const name of names) {
    const bytes = await readFile(join(path, name));
    const { dataSetOffset, sopInstanceUid } = readFileMeta(bytes);
    const sent = made.find((one) => one.sopInstanceUid === sopInstanceUid);
    assert.ok(sent && bytes.subarray(dataSetOffset).equals(sent.dataSet), name);
  }
}

const to = (port: number) => ['-aec', 'ACCEPTOR', '-aet', 'DCMTK', '127.0.0.1', String(port)];

describe('DCMTK as requestor', { skip: missingTool('storescu') }, () => {
  it('echoscu gets its answer', async (t) => {
    const { port, event } = await startAcceptor(t);
    const { code, output } = await runTool('echoscu', to(port));
    assert.equal(code, 0, output);
    assert.equal((await event('released')).association.callingAeTitle, 'DCMTK');
  });

  it('echoscu with 128 contexts gets its answer', async (t) => {
    const { port } = await startAcceptor(t);
    const { code, output } = await runTool('echoscu', ['--propose-pc', '128', '--repeat', '3', ...to(port)]);
    assert.equal(code, 0, output);
  });

  it('echoscu is told why it is rejected', async (t) => {
    const { port } = await startAcceptor(t, { aeTitles: ['OTHER'] });
    const { code, output } = await runTool('echoscu', to(port));
    assert.notEqual(code, 0);
    assert.match(output, /Called AE Title Not Recognized/);
  });

  it('[R6] storescu brings every byte of its data sets, with small PDUs and large', async (t) => {
    const stored = new Map<string, Buffer>();
    const { port } = await startAcceptor(t, {
      handlers: {
        cStore: async ({ data, sopInstanceUid, transferSyntaxUid }) => {
          assert.equal(transferSyntaxUid, explicitLittle);
          stored.set(sopInstanceUid, await collect(data));
          return { status: 0 };
        },
      },
    });
    const made = await objects(t, 5);
    for (const pduBytes of ['4096', '131072']) {
      stored.clear();
      // -R with -xe: only what is needed, explicit VR first.
      const files = made.map(({ file }) => file);
      const { code, output } = await runTool('storescu', [
        '-R',
        '-xe',
        '-pdu',
        pduBytes,
        ...to(port),
        ...files,
      ]);
      assert.equal(code, 0, output);
      for (const { sopInstanceUid, dataSet } of made) assert.ok(stored.get(sopInstanceUid)?.equals(dataSet));
    }
  });

  it('storescu sees the status of a refusal and its comment', async (t) => {
    const { port } = await startAcceptor(t, {
      handlers: { cStore: () => Promise.resolve({ status: 0xa700, errorComment: 'store is full' }) },
    });
    const [object] = await objects(t, 1);
    const { output } = await runTool('storescu', ['-v', '-xe', ...to(port), object?.file as string]);
    assert.match(output, /OutOfResources/);
  });

  it('findscu gets its rows', async (t) => {
    const queries: (string | undefined)[] = [];
    const { port } = await startAcceptor(t, {
      handlers: {
        cFind: async function* ({ identifier, transferSyntaxUid }) {
          queries.push(stringOf(decodeDataSet(identifier, transferSyntaxUid), tags.PatientID));
          for (let index = 0; index < 100; index += 1) {
            const row = {
              '00080052': { vr: 'CS', Value: ['STUDY'] },
              '0020000D': { vr: 'UI', Value: [`1.2.${index}`] },
            };
            yield { status: 0xff00, identifier: encodeDataSet(row, transferSyntaxUid) };
          }
        },
      },
    });
    const keys = ['-k', 'QueryRetrieveLevel=STUDY', '-k', 'PatientID=P*', '-k', 'StudyInstanceUID'];
    const { code, output } = await runTool('findscu', ['-v', '-S', ...keys, ...to(port)]);
    assert.equal(code, 0, output);
    assert.deepEqual(queries, ['P*']);
    assert.match(output, /\(0020,000d\) UI \[1\.2\.99\]/);
    assert.match(output, /Received Final Find Response \(Success\)/);
  });

  it('[Q13] findscu cancels an endless query', async (t) => {
    const { port, event } = await startAcceptor(t, {
      handlers: {
        cFind: async function* ({ transferSyntaxUid }) {
          const row = encodeDataSet({ '00080052': { vr: 'CS', Value: ['STUDY'] } }, transferSyntaxUid);
          for (;;) yield { status: 0xff00, identifier: row };
        },
      },
    });
    const { output } = await runTool('findscu', [
      '-v',
      '-S',
      '--cancel',
      '5',
      '-k',
      'QueryRetrieveLevel=STUDY',
      ...to(port),
    ]);
    assert.match(output, /Cancel/);
    await event('released');
  });

  it('movescu gets counts and the final status', async (t) => {
    const destinations: string[] = [];
    const { port } = await startAcceptor(t, {
      handlers: {
        cMove: async function* ({ destinationAeTitle }) {
          destinations.push(destinationAeTitle);
          yield { remaining: 1, completed: 1, failed: 0, warning: 0 };
          return {
            status: 0xb000,
            counts: { completed: 1, failed: 1, warning: 0 },
            failedSopInstanceUids: ['1.2.3.4.5'],
          };
        },
      },
    });
    const keys = ['-k', 'QueryRetrieveLevel=STUDY', '-k', 'StudyInstanceUID=1.2.3'];
    const { output } = await runTool('movescu', ['-d', '-S', '-aem', 'THIRD', ...keys, ...to(port)]);
    assert.deepEqual(destinations, ['THIRD']);
    assert.match(output, /Remaining Suboperations\s*: 1/);
    assert.match(output, /Failed Suboperations\s*: 1/);
    assert.match(output, /0xb000/);
    assert.match(output, /\(0008,0058\) UI \[1\.2\.3\.4\.5\]/);
  });

  it('[Q13] getscu gets every byte of our objects on its own association', async (t) => {
    const made = await objects(t, 4);
    const { port, event } = await startAcceptor(t, {
      admit: (request) => ({
        accept: true,
        // Explicit VR, in which our objects are, where it was offered.
        contexts: request.contexts.map(({ id, transferSyntaxUids: [first = ''], transferSyntaxUids }) => ({
          id,
          transferSyntaxUid: transferSyntaxUids.includes(explicitLittle) ? explicitLittle : first,
        })),
        roles: request.roles,
      }),
      handlers: {
        cGet: async function* (request) {
          let remaining = made.length;
          for (const { file, sopInstanceUid } of made) {
            const { dataSetOffset: offset } = readFileMeta(await readFile(file));
            const object = { sopClassUid: ctStorage, sopInstanceUid, transferSyntaxUid: explicitLittle };
            await request.store({ ...object, dataSet: { file, offset } });
            remaining -= 1;
            yield { ...request.tally().counts, remaining };
          }
          return { status: 0, counts: request.tally().counts };
        },
      },
    });
    const received = await temporaryFolder(t);
    const keys = ['-k', 'QueryRetrieveLevel=STUDY', '-k', 'StudyInstanceUID=1.2.3'];
    const { code, output } = await runTool('getscu', [
      '-v',
      '-S',
      '+B',
      '-od',
      received,
      ...keys,
      ...to(port),
    ]);
    assert.equal(code, 0, output);
    await event('released');
    await assertReceived(received, made);
  });
});

describe('DCMTK as acceptor', { skip: missingTool('storescp') }, () => {
  it('[R6] storescp +B gets every byte of our data sets, from file and from memory', async (t) => {
    const port = await freePort();
    const received = await temporaryFolder(t);
    await startTool(t, 'storescp', ['+B', '-od', received, String(port)], port);
    const contexts = [{ sopClassUid: ctStorage, transferSyntaxUids: [explicitLittle] }];
    const association = await associate(t, port, { contexts });
    const made = await objects(t, 4);
    for (const [index, { file, sopInstanceUid, dataSet }] of made.entries()) {
      const { dataSetOffset: offset } = readFileMeta(await readFile(file));
      const answer = await association.cStore({
        sopClassUid: ctStorage,
        sopInstanceUid,
        transferSyntaxUid: explicitLittle,
        dataSet: index % 2 === 0 ? { file, offset } : dataSet,
      });
      assert.equal(answer.status, 0);
    }
    await association.release();
    await assertReceived(received, made);
  });

  it('dcmqrscp answers our C-FIND, and sends what our C-MOVE asks for to our acceptor', async (t) => {
    const stored: string[] = [];
    const { port: ourPort } = await startAcceptor(t, {
      handlers: {
        cStore: async ({ data, sopInstanceUid, moveOriginator }) => {
          await collect(data);
          stored.push(`${sopInstanceUid} for ${moveOriginator?.aeTitle}`);
          return { status: 0 };
        },
      },
    });
    const port = await startDcmqrscp(t, ourPort);
    const studyRootMove = '1.2.840.10008.5.1.4.1.2.2.2';
    const association = await associate(t, port, {
      calledAeTitle: 'ARCHIVE',
      contexts: [
        { sopClassUid: ctStorage, transferSyntaxUids: [explicitLittle] },
        { sopClassUid: studyRootFind, transferSyntaxUids: [explicitLittle, implicitLittle] },
        { sopClassUid: studyRootMove, transferSyntaxUids: [implicitLittle] },
      ],
    });
    const made = await objects(t, 3);
    for (const { sopInstanceUid, dataSet } of made) {
      const object = { sopClassUid: ctStorage, sopInstanceUid, transferSyntaxUid: explicitLittle, dataSet };
      assert.equal((await association.cStore(object)).status, 0);
    }
    const level = { vr: 'CS', Value: ['IMAGE'] };
    const study = { '0020000D': { vr: 'UI', Value: ['1.2.3'] } };
    const series = { '0020000E': { vr: 'UI', Value: ['1.2.3.4'] } };
    const identifier = { '00080052': level, '00080018': { vr: 'UI' }, ...study, ...series };
    const responses = association.cFind({ sopClassUid: studyRootFind, identifier });
    const found: (string | undefined)[] = [];
    for await (const row of responses) {
      found.push(stringOf(decodeDataSet(row, responses.transferSyntaxUid), tags.SOPInstanceUID));
    }
    assert.equal((await responses.final).status, 0);
    assert.deepEqual(
      found.sort(),
      made.map(({ sopInstanceUid }) => sopInstanceUid),
    );

    const outcome = await association.cMove({
      sopClassUid: studyRootMove,
      identifier: { '00080052': { vr: 'CS', Value: ['STUDY'] }, ...study },
      destinationAeTitle: 'ACCEPTOR',
    });
    assert.equal(outcome.status, 0);
    assert.equal(outcome.counts.completed, 3);
    assert.deepEqual(
      stored.sort(),
      made.map(({ sopInstanceUid }) => `${sopInstanceUid} for REQUESTOR`),
    );
  });

  it('[Q13] dcmqrscp brings what our C-GET asks for, on that association', async (t) => {
    const port = await startDcmqrscp(t, 1);
    const studyRootGet = '1.2.840.10008.5.1.4.1.2.2.3';
    const association = await associate(t, port, {
      calledAeTitle: 'ARCHIVE',
      contexts: [
        { sopClassUid: ctStorage, transferSyntaxUids: [explicitLittle], role: 'both' },
        { sopClassUid: studyRootGet, transferSyntaxUids: [implicitLittle] },
      ],
    });
    const made = await objects(t, 5);
    for (const { sopInstanceUid, dataSet } of made) {
      const object = { sopClassUid: ctStorage, sopInstanceUid, transferSyntaxUid: explicitLittle, dataSet };
      assert.equal((await association.cStore(object)).status, 0);
    }
    const received = new Map<string, Buffer>();
    const outcome = await association.cGet({
      sopClassUid: studyRootGet,
      identifier: {
        '00080052': { vr: 'CS', Value: ['STUDY'] },
        '0020000D': { vr: 'UI', Value: ['1.2.3'] },
      },
      onStore: async ({ data, sopInstanceUid }) => {
        received.set(sopInstanceUid, await collect(data));
        return { status: 0 };
      },
    });
    assert.equal(outcome.status, 0);
    assert.equal(outcome.counts.completed, made.length);
    for (const { sopInstanceUid, dataSet } of made) {
      const got = received.get(sopInstanceUid);
      assert.deepEqual(decodeDataSet(got as Buffer, explicitLittle), decodeDataSet(dataSet, explicitLittle));
    }
  });
});
