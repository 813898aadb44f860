/** Orthanc as a peer of a cluster, in both directions: it calls us, and we call it as a third party. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { compareContent, type ContentSource } from '@isthmus/dicom';
import { missingTool, runTool, startStoreScp, type StoreScp } from '@isthmus/testing/dcmtk';
import { syntheticStudy } from '@isthmus/testing/synthetic';
import { assertSame, Clusters } from './clusters.ts';
import { samples } from './corpus.ts';
import { fileOf, oneObject, type SentObject } from './handmade.ts';
import { startOrthanc, type Orthanc } from './orthanc.ts';

const jpegLossless = '1.2.840.10008.1.2.4.70';

describe('Orthanc', { skip: missingTool('Orthanc', 'orthanc') || missingTool('storescu') }, () => {
  let clusters: Clusters;
  let orthanc: Orthanc;
  let reader: StoreScp;

  before(async () => {
    [clusters, orthanc] = await Promise.all([Clusters.start(), startOrthanc()]);
    await orthanc.knows('NORTH', clusters.dicomPort('north'));
    await clusters.addStation('ORTHANC', orthanc.dicomPort, 'third-party');
    reader = await startStoreScp(undefined, { aeTitle: 'READER' });
    await clusters.addStation('READER', reader.port, 'workstation');
  });
  after(async () => {
    await reader?.stop();
    await orthanc?.stop();
    await clusters?.stop();
  });

  /** A study of three images of a patient of its own. */
  const study = (seed: string): readonly SentObject[] =>
    syntheticStudy({
      patient: { id: `ORTHANC-${seed}`, name: 'Archive^Anna', birthDate: '19800101', sex: 'F' },
      seed: `orthanc/${seed}`,
      modality: 'CT',
      studyDate: '20260105',
      description: seed,
      instances: 3,
      size: 32,
    }).map((object, index) => ({ name: `${seed} ${index}`, ...object }));
  const uidOf = (objects: readonly SentObject[]): string => objects[0]!.studyInstanceUid;
  const putAll = async (objects: readonly SentObject[]): Promise<void> => {
    for (const object of objects) await orthanc.put(fileOf(object));
  };

  it('[R6] stores here what it would store at a storescp, byte for byte', async (t) => {
    const objects = [
      ...study('stores'),
      oneObject('orthanc/stores', 'private elements'),
      oneObject('orthanc/stores', 'fragments', jpegLossless),
      ...samples('encodings').filter(({ name }) => name.startsWith('chrX') || name.startsWith('chrH')),
    ];
    await putAll(objects);
    const measure = await startStoreScp(t, { aeTitle: 'MEASURE' });
    await orthanc.knows('MEASURE', measure.port);
    const studies = [...new Set(objects.map(({ studyInstanceUid }) => studyInstanceUid))];
    for (const uid of studies) {
      for (const aeTitle of ['MEASURE', 'NORTH']) assert.equal(await orthanc.store(aeTitle, uid), 0, aeTitle);
    }
    const moved = await clusters.move('READER', studies);
    assert.equal(moved.code, 0, moved.output);
    const [received, expected] = [await reader.dataSets(), await measure.dataSets()];
    assert.equal(expected.size, objects.length);
    assert.deepEqual([...received.keys()].sort(), [...expected.keys()].sort());
    for (const [uid, bytes] of expected) assert.ok(received.get(uid)?.equals(bytes), uid);
    t.diagnostic(`${objects.length} objects`);
  });

  it('[Q1] finds at NORTH, at each level, what is here and what is at SOUTH', async () => {
    const [here, there] = [study('here'), study('there')];
    await clusters.store(here);
    await clusters.store(there, 'south');
    await clusters.indexed(here);
    await clusters.indexed(there, 'south');
    for (const objects of [here, there]) {
      const PatientID = `ORTHANC-${objects === here ? 'here' : 'there'}`;
      const StudyInstanceUID = uidOf(objects);
      const SeriesInstanceUID = objects[0]!.seriesInstanceUid;
      const studies = await orthanc.find('NORTH', 'Study', {
        PatientID,
        PatientName: 'ARCHIVE^*',
        StudyInstanceUID: '',
      });
      assert.deepEqual(
        studies.map((row) => [row['StudyInstanceUID'], row['PatientName'], row['RetrieveAETitle']]),
        [[StudyInstanceUID, 'Archive^Anna', 'NORTH']],
      );
      const series = await orthanc.find('NORTH', 'Series', { PatientID, StudyInstanceUID, Modality: 'CT' });
      assert.equal(series.length, 1);
      const instances = await orthanc.find('NORTH', 'Instance', {
        ...{ PatientID, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID: '' },
      });
      assert.deepEqual(
        instances.map((row) => row['SOPInstanceUID']).sort(),
        objects.map(({ sopInstanceUid }) => sopInstanceUid).sort(),
      );
    }
  });

  it('[R1] retrieves by C-MOVE from NORTH what is here, and what NORTH has to bring from SOUTH', async () => {
    const [here, there] = [study('move-here'), study('move-there')];
    await clusters.store(here);
    await clusters.store(there, 'south');
    await clusters.indexed(here);
    await clusters.indexed(there, 'south');
    for (const objects of [here, there]) {
      const query = { PatientID: '', StudyInstanceUID: uidOf(objects) };
      const found = await orthanc.find('NORTH', 'Study', query, 'retrieve');
      assert.equal(found.length, 1);
      assertSame(await orthanc.dataSets(uidOf(objects)), objects);
    }
  });

  it('[R1] takes what others move to it from here, and real objects keep every element', async (t) => {
    const objects = [
      ...study('moved'),
      oneObject('orthanc/moved', 'private elements'),
      oneObject('orthanc/moved', 'fragments', jpegLossless),
      ...samples('priors').filter(({ name }) => name.startsWith('77654033')),
    ];
    await clusters.store(objects);
    const studies = [...new Set(objects.map(({ studyInstanceUid }) => studyInstanceUid))];
    const moved = await clusters.move('ORTHANC', studies);
    assert.equal(moved.code, 0, moved.output);
    for (const uid of studies) {
      const kept = await orthanc.dataSets(uid);
      const sent = objects.filter((object) => object.studyInstanceUid === uid);
      assert.equal(kept.size, sent.length);
      for (const { sopInstanceUid, dataSet, transferSyntaxUid, name } of sent) {
        // DCMTK writes group lengths, lengths of sequences and padding its own way: compared by what they say.
        const differences = await compareContent(
          sourceOf(kept.get(sopInstanceUid)!, transferSyntaxUid),
          sourceOf(dataSet, transferSyntaxUid),
          { differencesMax: 10 },
        );
        assert.deepEqual(differences, [], name);
      }
    }
    t.diagnostic(`${objects.length} objects`);
  });

  it('[R1] is sent a study by REST', async () => {
    const objects = study('sent');
    await clusters.store(objects);
    const job = await clusters.retrieve(uidOf(objects), { destination: 'ORTHANC' });
    assert.deepEqual([job.state, job.done], ['COMPLETE', 3], job.detail);
    assertSame(await orthanc.dataSets(uidOf(objects)), objects);
  });

  it('[Q6] is asked by our queries, once for each study', async () => {
    const objects = study('asked');
    await putAll(objects);
    const keys = ['QueryRetrieveLevel=STUDY', 'PatientID=ORTHANC-asked', 'PatientName', 'StudyInstanceUID'];
    const { code, output } = await runTool('findscu', [
      ...['-v', '-S', ...keys.flatMap((key) => ['-k', key]), ...clusters.called('north')],
    ]);
    assert.equal(code, 0, output);
    assert.equal(output.split('(Pending)').length - 1, 1, output);
    assert.match(output, /\(0008,0054\) AE \[NORTH *\]/);
    assert.match(output, /\(0010,0010\) PN \[Archive\^Anna *\]/);
  });

  for (const [how, knowsUs] of [
    ['by C-MOVE', true],
    ['by C-GET, when it does not know us', false],
  ] as const) {
    it(`[R1] gives us a study ${how}`, async () => {
      const objects = study(`pulled ${how.slice(3, 9)}`);
      await putAll(objects);
      if (!knowsUs) await orthanc.knows('NORTH', undefined);
      const job = await clusters.retrieve(uidOf(objects), { from: 'ORTHANC' });
      assert.deepEqual([job.state, job.done], ['COMPLETE', 3], job.detail);
      const moved = await clusters.move('READER', [uidOf(objects)]);
      assert.equal(moved.code, 0, moved.output);
      const received = await reader.dataSets();
      for (const one of objects) assert.ok(received.get(one.sopInstanceUid)?.equals(one.dataSet), one.name);
    });
  }
});

/** A data set in memory, to be read in pieces. */
function sourceOf(dataSet: Buffer, transferSyntaxUid: string): ContentSource {
  let at = 0;
  return {
    transferSyntaxUid,
    read: async (bytesMax) => dataSet.subarray(at, (at = Math.min(dataSet.length, at + bytesMax))),
  };
}
