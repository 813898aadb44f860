/** DCMTK's tools as peers of a cluster, in both directions. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { eventually, freePort, temporaryFolder } from '@isthmus/testing';
import { missingTool, runTool, startStoreScp, type StoreScp } from '@isthmus/testing/dcmtk';
import { syntheticStudy, type SyntheticInstance } from '@isthmus/testing/synthetic';
import { assertSame, Clusters, dataSetsIn } from './clusters.ts';
import { startDcmqrscp, type Dcmqrscp } from './dcmqrscp.ts';
import {
  fileOf,
  namesInCharacterSets,
  oneObject,
  oneOfEachCharacterSet,
  type SentObject,
} from './handmade.ts';
import { compressed, uncompressed, video, type Proposal } from './transfer-syntaxes.ts';

/** How storescu forms its presentation contexts: all or only what the files need, syntaxes apart or together. */
const forms = [[], ['-R'], ['+C'], ['-R', '+C']] as const;

describe('DCMTK', { skip: missingTool('storescu') }, () => {
  let clusters: Clusters;
  let reader: StoreScp;
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-dcmtk-'));
    clusters = await Clusters.start();
    reader = await startStoreScp(undefined, { aeTitle: 'READER' });
    await clusters.addStation('READER', reader.port, 'workstation');
  });
  after(async () => {
    await reader?.stop();
    await clusters?.stop();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  const mr = (seed: string, instances: number, patientId = `DCMTK-${seed}`): readonly SyntheticInstance[] =>
    syntheticStudy({
      patient: { id: patientId, name: 'Toolkit^Tom', birthDate: '19700101', sex: 'M' },
      seed: `dcmtk/${seed}`,
      modality: 'MR',
      studyDate: '20260104',
      description: seed,
      instances,
      size: 32,
    });
  const named = (objects: readonly SyntheticInstance[]) =>
    objects.map((object, index) => ({ name: `object ${index}`, ...object }));
  /** Writes objects as files. @returns Their paths. */
  const filesOf = (objects: readonly { readonly file: Buffer }[], name: string): string[] => {
    mkdirSync(join(folder, name));
    return objects.map(({ file }, index) => {
      const path = join(folder, name, `${index}.dcm`);
      writeFileSync(path, file);
      return path;
    });
  };
  const find = (...args: readonly string[]) =>
    runTool('findscu', ['-v', ...args, ...clusters.called('north')]);
  const keys = (...given: readonly string[]): string[] => given.flatMap((key) => ['-k', key]);
  const pendings = (output: string): number => output.split('(Pending)').length - 1;

  it('storescu stores what it proposes, in every transfer syntax and form of proposal, as at a storescp', async (t) => {
    const measure = await startStoreScp(t, { aeTitle: 'MEASURE' });
    const made: SentObject[] = [];
    const proposed: (readonly [options: readonly string[], Proposal | undefined])[] = [
      ...[...uncompressed, ...compressed, ...video].map((one) => [[one.storescu], one] as const),
      ...forms.map((form) => [form, undefined] as const),
      ...forms
        .slice(1)
        .flatMap((form) =>
          [compressed[0]!, compressed[6]!, uncompressed[3]!].map(
            (one) => [[...form, one.storescu], one] as const,
          ),
        ),
    ];
    for (const [index, [options, syntax]] of proposed.entries()) {
      const study = `dcmtk/proposals/${index}`;
      const objects = [oneObject(study, 'uncompressed')];
      if (syntax !== undefined) objects.push(oneObject(study, syntax.name, syntax.uid));
      const files = filesOf(
        objects.map((object) => ({ file: fileOf(object) })),
        `proposal-${index}`,
      );
      const [here, there] = await Promise.all(
        [clusters.called('north'), ['-aec', 'MEASURE', '127.0.0.1', String(measure.port)]].map((called) =>
          runTool('storescu', ['-nh', '-v', ...options, ...called, ...files]),
        ),
      );
      const outcomes = [here!, there!].map(({ code, output }) => [
        code,
        output.split('(Success)').length - 1,
      ]);
      made.push(...objects);
      assert.deepEqual(outcomes[0], outcomes[1], `storescu ${options.join(' ')}: ${here!.output}`);
    }
    const expected = await measure.dataSets();
    const taken = made.filter(({ sopInstanceUid }) => expected.has(sopInstanceUid));
    const studies = new Set(taken.map(({ studyInstanceUid }) => studyInstanceUid));
    const moved = await clusters.move('READER', [...studies]);
    const received = await reader.dataSets();
    assert.ok(expected.size >= proposed.length, 'each proposal brings at least one object');
    assert.deepEqual([...received.keys()].sort(), [...expected.keys()].sort(), moved.output);
    for (const [uid, bytes] of expected) assert.ok(received.get(uid)?.equals(bytes), uid);
    assert.equal(moved.code, 0, moved.output);
    t.diagnostic(`${proposed.length} proposals, ${received.size} objects`);
  });

  it('storescu stores with small and large PDUs, with a user identity, and again on one association', async () => {
    const objects = mr('associations', 3);
    const files = filesOf(objects, 'associations');
    for (const options of [
      ['-pdu', '4096'],
      ['-pdu', '131072', '--max-send-pdu', '131072'],
      ['-usr', 'somebody', '-pwd', 'secret'],
      ['--repeat', '3'],
    ]) {
      const { code, output } = await runTool('storescu', [...options, ...clusters.called('north'), ...files]);
      assert.equal(code, 0, `${options.join(' ')}: ${output}`);
    }
    await moveAndCompare(objects);
  });

  it('[Q1] findscu finds at every level of both models, and each match once', async () => {
    const patientId = 'DCMTK-LEVELS';
    const objects = [...mr('levels/1', 3, patientId), ...mr('levels/2', 2, patientId)];
    await storeFiles(objects, 'levels');
    await clusters.indexed(objects);
    const study = `StudyInstanceUID=${objects[0]!.studyInstanceUid}`;
    const series = `SeriesInstanceUID=${objects[0]!.seriesInstanceUid}`;
    const id = `PatientID=${patientId}`;
    const expected = [
      [['-P', 'QueryRetrieveLevel=PATIENT', id], 1],
      [['-P', 'QueryRetrieveLevel=STUDY', id], 2],
      [['-P', 'QueryRetrieveLevel=SERIES', id, study], 1],
      [['-P', 'QueryRetrieveLevel=IMAGE', id, study, series], 3],
      [['-S', 'QueryRetrieveLevel=STUDY', 'PatientName=toolkit^*', id, 'StudyDate=20260101-20260131'], 2],
      [['-S', 'QueryRetrieveLevel=STUDY', id, 'StudyDate=20250101-20250131'], 0],
      [['-S', 'QueryRetrieveLevel=SERIES', study, 'Modality=MR'], 1],
      [['-S', 'QueryRetrieveLevel=IMAGE', study, series, 'InstanceNumber=2'], 1],
    ] as const;
    for (const [[model, ...given], rows] of expected) {
      const { code, output } = await find(model, ...keys(...given));
      assert.equal(code, 0, output);
      assert.match(output, /Final Find Response \(Success\)/, given.join(' '));
      assert.equal(pendings(output), rows, `${model} ${given.join(' ')}`);
    }
  });

  it('findscu is told what is wrong with its identifier', async () => {
    const patient = await find('-S', ...keys('QueryRetrieveLevel=PATIENT', 'PatientID=1'));
    assert.match(patient.output, /DataSetDoesNotMatchSOPClass/);
    const none = await find('-S', ...keys('PatientID=1'));
    assert.match(none.output, /DataSetDoesNotMatchSOPClass/);
  });

  it('[Q4] findscu cancels a query that still waits for a peer', async () => {
    const objects = mr('cancelled', 1);
    await storeFiles(objects, 'cancelled');
    // An archive that takes connections and never says anything.
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    await clusters.addStation('SILENT', (silent.address() as AddressInfo).port, 'third-party');
    try {
      await eventually('the match comes, then C-CANCEL is answered', async () => {
        const given = keys('QueryRetrieveLevel=STUDY', `StudyInstanceUID=${objects[0]!.studyInstanceUid}`);
        const { output } = await find('-S', '--cancel', '1', ...given);
        return pendings(output) === 1 && /Final Find Response \(Cancel/.test(output);
      });
    } finally {
      await clusters.removeLink('SILENT');
      silent.close();
      for (const socket of sockets) socket.destroy();
    }
  });

  it('findscu reads names of every character set in ISO_IR 192', async (t) => {
    const objects = oneOfEachCharacterSet('dcmtk/character-sets');
    await clusters.store(objects);
    const output = await eventually('all are indexed', async () => {
      const asked = await find(
        '-S',
        ...keys('QueryRetrieveLevel=STUDY', 'PatientID=INTEROP-CS-*', 'PatientName'),
      );
      return pendings(asked.output) === objects.length && asked.output;
    });
    const responses = output.split('(Pending)').slice(1);
    const textOf = (response: string, tag: string): string | undefined =>
      new RegExp(`\\(${tag}\\) .. \\[(.*?) *\\]`).exec(response)?.[1];
    const found = new Map(responses.map((one) => [textOf(one, '0010,0020'), textOf(one, '0010,0010')]));
    namesInCharacterSets.forEach(({ characterSet, text }, index) => {
      assert.equal(found.get(`INTEROP-CS-${index}`), text, characterSet);
    });
    for (const response of responses) assert.equal(textOf(response, '0008,0005'), 'ISO_IR 192');
    t.diagnostic(`${objects.length} character sets`);
  });

  it('[R1] movescu takes objects on a port of its own', async (t) => {
    const objects = mr('to-movescu', 4);
    await storeFiles(objects, 'to-movescu');
    const port = await freePort();
    await clusters.addStation('MOVER', port, 'workstation');
    const directory = await temporaryFolder(t);
    const { code, output } = await runTool('movescu', [
      // Not with +B, which in 3.6.7 writes into the working folder.
      ...['-v', '-P', '-aet', 'MOVER', '-aem', 'MOVER', '+P', String(port), '-od', directory],
      ...keys('QueryRetrieveLevel=STUDY', 'PatientID=DCMTK-to-movescu'),
      ...keys(`StudyInstanceUID=${objects[0]!.studyInstanceUid}`),
      ...clusters.called('north'),
    ]);
    assert.equal(code, 0, output);
    assertSame(dataSetsIn(directory), named(objects));
  });

  it('movescu is told when the destination or the study is unknown', async () => {
    const destination = await clusters.move('NOBODY', ['1.2.3']);
    assert.match(destination.output, /MoveDestinationUnknown/);
    const study = await clusters.move('READER', ['1.2.3.4.5.6.7.8.9']);
    assert.match(study.output, /UnableToProcess/);
  });

  it('[R1] getscu gets a study, a series and an object, by both models', async (t) => {
    const objects = mr('getscu', 3);
    await storeFiles(objects, 'getscu');
    const [object] = objects;
    const study = `StudyInstanceUID=${object!.studyInstanceUid}`;
    const series = `SeriesInstanceUID=${object!.seriesInstanceUid}`;
    const patient = 'PatientID=DCMTK-getscu';
    for (const [asked, count] of [
      [['-P', 'QueryRetrieveLevel=PATIENT', patient], 3],
      [['-P', 'QueryRetrieveLevel=STUDY', patient, study], 3],
      [['-S', 'QueryRetrieveLevel=STUDY', study], 3],
      [['-S', 'QueryRetrieveLevel=SERIES', study, series], 3],
      [['-S', 'QueryRetrieveLevel=IMAGE', study, series, `SOPInstanceUID=${object!.sopInstanceUid}`], 1],
    ] as const) {
      const [model, ...given] = asked;
      const directory = await temporaryFolder(t);
      const { code, output } = await runTool('getscu', [
        ...['-v', model, '+B', '-aet', 'READER', '-od', directory, ...keys(...given)],
        ...clusters.called('north'),
      ]);
      assert.equal(code, 0, output);
      assertSame(dataSetsIn(directory), named(objects.slice(0, count)));
    }
  });

  describe('dcmqrscp', () => {
    let archive: Dcmqrscp;
    /** Does not know NORTH as a move destination. */
    let stranger: Dcmqrscp;

    before(async () => {
      archive = await startDcmqrscp('DCMQR', { NORTH: clusters.dicomPort('north') });
      stranger = await startDcmqrscp('STRANGER', {});
      for (const { aeTitle, port } of [archive, stranger]) {
        await clusters.addStation(aeTitle, port, 'third-party');
      }
    });
    after(async () => {
      await archive?.stop();
      await stranger?.stop();
    });

    const storeAt = async (peer: Dcmqrscp, objects: readonly SyntheticInstance[], name: string) => {
      const files = filesOf(objects, name);
      const called = ['-aec', peer.aeTitle, '127.0.0.1', String(peer.port)];
      const { code, output } = await runTool('storescu', [...called, ...files]);
      assert.equal(code, 0, output);
    };

    it('[R1] takes what is moved to it', async () => {
      const objects = mr('to-dcmqrscp', 3);
      await storeFiles(objects, 'to-dcmqrscp');
      const { code, output } = await clusters.move('DCMQR', [objects[0]!.studyInstanceUid]);
      assert.equal(code, 0, output);
      assertSame(archive.dataSets(), named(objects));
    });

    for (const [how, peer] of [
      ['by C-MOVE', () => archive],
      ['by C-GET, since it does not know us', () => stranger],
    ] as const) {
      it(`[Q6] [R1] is asked by our queries, and a study is pulled from it ${how}`, async () => {
        const { aeTitle } = peer();
        const objects = mr(`from-${aeTitle}`, 3);
        const { studyInstanceUid } = objects[0]!;
        await storeAt(peer(), objects, `from-${aeTitle}`);
        const asked = await find(
          '-S',
          ...keys('QueryRetrieveLevel=STUDY', `PatientID=DCMTK-from-${aeTitle}`),
        );
        assert.equal(pendings(asked.output), 1, asked.output);
        const job = await clusters.retrieve(studyInstanceUid, { from: aeTitle });
        assert.deepEqual([job.state, job.done], ['COMPLETE', 3], job.detail);
        await moveAndCompare(objects);
      });
    }

    it('[R1] has what READER asks of us', async () => {
      const objects = mr('through', 2);
      await storeAt(archive, objects, 'through');
      await moveAndCompare(objects);
    });
  });

  async function storeFiles(objects: readonly SyntheticInstance[], name: string): Promise<void> {
    const { code, output } = await runTool('storescu', [
      ...clusters.called('north'),
      ...filesOf(objects, name),
    ]);
    assert.equal(code, 0, output);
  }

  /** C-MOVE of a study from NORTH to READER, and a look at what came. */
  async function moveAndCompare(objects: readonly SyntheticInstance[]): Promise<void> {
    const { code, output } = await clusters.move('READER', [objects[0]!.studyInstanceUid]);
    assert.equal(code, 0, output);
    const received = await reader.dataSets();
    for (const { sopInstanceUid, dataSet } of objects)
      assert.ok(received.get(sopInstanceUid)?.equals(dataSet));
  }
});
