import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { element, stringOf, stringsOf, numberOf, tags } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import type { ProblemBody } from '@isthmus/testing';
import { change, holder, instanceStored, jane, lww, reportStatus } from '../test/facts.ts';
import { startFederator } from '../test/start-federator.ts';

const key = (vr: string, ...values: unknown[]) => element(vr, ...values);
const studyKeys: DataSetJson = {
  [tags.StudyInstanceUID]: key('UI'),
  [tags.PatientID]: key('LO'),
  [tags.PatientName]: key('PN'),
  [tags.AccessionNumber]: key('SH'),
  [tags.StudyDate]: key('DA'),
  [tags.ModalitiesInStudy]: key('CS'),
  [tags.NumberOfStudyRelatedInstances]: key('IS'),
  [tags.InterpretationStatusID]: key('CS'),
};
const uidsOf = (rows: readonly DataSetJson[], tag: string = tags.StudyInstanceUID): string[] =>
  rows.map((row) => stringOf(row, tag) ?? '');

describe('queries that this cluster answers alone', () => {
  it('[Q1] [Q13] answers a C-FIND at every level by single value, wildcard, range and UID list', async (t) => {
    const north = await startFederator(t);
    await north.append(
      instanceStored({ study: '1.1', sop: '1.1.1.1' }),
      instanceStored({ study: '1.1', sop: '1.1.1.2' }),
      instanceStored({ study: '1.1', series: '1.1.2', sop: '1.1.2.1', modality: 'PR' }),
      instanceStored({
        study: '1.2',
        sop: '1.2.1.1',
        modality: 'MR',
        studyDate: '20230101',
        accession: 'B7',
      }),
      instanceStored({ study: '1.3', sop: '1.3.1.1', patientId: 'P2', name: 'Müller^Änne', accession: 'C9' }),
    );
    const studies = async (keys: DataSetJson): Promise<string[]> =>
      uidsOf((await north.find({ identifier: { ...studyKeys, ...keys } })).rows);
    assert.deepEqual(await studies({}), ['1.1', '1.2', '1.3']);
    assert.deepEqual(await studies({ [tags.PatientID]: key('LO', 'P1') }), ['1.1', '1.2']);
    assert.deepEqual(await studies({ [tags.PatientName]: key('PN', 'müller*') }), ['1.3']);
    assert.deepEqual(await studies({ [tags.PatientName]: key('PN', '*JANE') }), ['1.1', '1.2']);
    assert.deepEqual(await studies({ [tags.StudyDate]: key('DA', '20240101-20241231') }), ['1.1', '1.3']);
    assert.deepEqual(await studies({ [tags.AccessionNumber]: key('SH', 'B*') }), ['1.2']);
    assert.deepEqual(await studies({ [tags.ModalitiesInStudy]: key('CS', 'PR') }), ['1.1']);
    assert.deepEqual(await studies({ [tags.StudyInstanceUID]: key('UI', '1.1', '1.3') }), ['1.1', '1.3']);
    assert.deepEqual(await studies({ [tags.NumberOfStudyRelatedInstances]: key('IS', 3) }), ['1.1']);

    const [row] = (
      await north.find({ identifier: { ...studyKeys, [tags.StudyInstanceUID]: key('UI', '1.1') } })
    ).rows;
    assert.ok(row);
    assert.deepEqual(stringsOf(row, tags.ModalitiesInStudy), ['CT', 'PR']);
    assert.equal(numberOf(row, tags.NumberOfStudyRelatedInstances), 3);
    assert.equal(stringOf(row, tags.RetrieveAETitle), 'NORTH');
    assert.equal(stringOf(row, tags.InstanceAvailability), 'ONLINE');
    assert.equal(stringOf(row, tags.QueryRetrieveLevel), 'STUDY');
    assert.equal(row[tags.StudyDescription], undefined, 'a key that was not asked for');

    const series = await north.find({
      level: 'SERIES',
      identifier: { [tags.StudyInstanceUID]: key('UI', '1.1'), [tags.Modality]: key('CS', 'CT') },
    });
    assert.deepEqual(uidsOf(series.rows), ['1.1']);
    const images = await north.find({
      level: 'IMAGE',
      identifier: {
        [tags.StudyInstanceUID]: key('UI', '1.1'),
        [tags.SeriesInstanceUID]: key('UI', '1.1.1'),
        [tags.SOPInstanceUID]: key('UI'),
        [tags.InstanceNumber]: key('IS'),
      },
    });
    assert.deepEqual(uidsOf(images.rows, tags.SOPInstanceUID), ['1.1.1.1', '1.1.1.2']);
    const patients = await north.find({
      model: 'PATIENT_ROOT',
      level: 'PATIENT',
      identifier: { [tags.PatientID]: key('LO'), [tags.NumberOfPatientRelatedStudies]: key('IS') },
    });
    assert.deepEqual(
      patients.rows.map((one) => [
        stringOf(one, tags.PatientID),
        numberOf(one, tags.NumberOfPatientRelatedStudies),
      ]),
      [
        ['P1', 2],
        ['P2', 1],
      ],
    );
  });

  it('[Q3] [Q5] [Q14] shows and matches the newest state: corrected name, report status, comments', async (t) => {
    const north = await startFederator(t);
    await north.append(
      instanceStored({ study: '1.1', sop: '1.1.1' }),
      change('study', '1.1', reportStatus('APPROVED')),
      change('study', '1.1', { studyStatus: lww('READ'), anythingNewer: lww({ a: 1 }) }),
      change('patient', jane, { name: lww('Roe^Jane') }),
      change('study', '1.1', { accessionNumber: lww('', 9) }),
    );
    const identifier = { ...studyKeys, [tags.StudyStatusID]: key('CS'), [tags.StudyComments]: key('LT') };
    const approved = await north.find({
      identifier: { ...identifier, [tags.InterpretationStatusID]: key('CS', 'APPROVED') },
    });
    assert.equal(stringOf(approved.rows[0]!, tags.PatientName), 'Roe^Jane');
    assert.equal(stringOf(approved.rows[0]!, tags.StudyStatusID), 'READ');
    assert.deepEqual(
      approved.rows[0]![tags.AccessionNumber],
      { vr: 'SH' },
      'cleared, whatever the header says',
    );
    assert.deepEqual(approved.rows[0]![tags.StudyComments], { vr: 'LT' }, 'empty, since it was asked for');
    const created = await north.find({
      identifier: { ...identifier, [tags.InterpretationStatusID]: key('CS', 'CREATED') },
    });
    assert.deepEqual(created.rows, []);
    const former = await north.find({ identifier: { ...identifier, [tags.PatientName]: key('PN', 'Doe*') } });
    assert.deepEqual(former.rows, []);

    const study = await north.get('/api/v1/studies/1.1');
    assert.equal(study.status, 200);
    assert.equal(study.body.reportStatus, 'APPROVED');
    assert.equal(study.body.patient.name, 'Roe^Jane');
    assert.equal(study.body.instanceCount, 1);
    assert.deepEqual(study.body.holders, [
      { cluster: 'north', availability: 'ONLINE', instanceCount: 1, complete: true, scope: 'full' },
    ]);
    assert.match(study.headers.get('etag') ?? '', /^"[0-9a-f]{16}-[0-9a-f]{16}"$/);
  });

  it('[H2] shows whether a RIS knows the order, by whom and when', async (t) => {
    const north = await startFederator(t);
    const found = { state: 'VERIFIED', by: 'RIS1', at: '2024-02-01T10:00:00Z' };
    await north.append(instanceStored({ study: '1.1', sop: '1.1.1' }));
    const shown = async (): Promise<unknown> => (await north.get('/api/v1/studies/1.1')).body.verification;
    assert.deepEqual(await shown(), { state: 'NOT_REQUIRED', by: null, at: null });
    await north.append(change('study', '1.1', { verification: lww(found) }));
    assert.deepEqual(await shown(), found);
  });

  it('[U17] shows that objects came after the approval, until somebody approves with them', async (t) => {
    const north = await startFederator(t);
    const approvedWith = (images: number, hlc: number) =>
      change('study', '1.1', {
        reports: {
          t: 'map',
          entries: {
            A1: {
              t: 'map',
              entries: {
                '1.base': lww({ status: 'APPROVED', objects: { count: images, images } }, hlc, 4),
              },
            },
          },
        },
      });
    const since = async (): Promise<unknown> =>
      (await north.get('/api/v1/studies/1.1')).body.objectsSinceApproval;
    await north.append(instanceStored({ study: '1.1', sop: '1.1.1' }), approvedWith(1, 1));
    assert.equal(await since(), false);
    await north.append(instanceStored({ study: '1.1', sop: '1.1.2' }));
    assert.equal(await since(), true);
    await north.append(approvedWith(2, 2));
    assert.equal(await since(), false);
  });

  it('lists a provisional copy only when the sender has said who the patient is', async (t) => {
    const north = await startFederator(t);
    await north.append(instanceStored({ study: '1.1', sop: '1.1.1', provisional: true }));
    assert.deepEqual((await north.find({ identifier: studyKeys })).rows, []);
    assert.equal((await north.get('/api/v1/studies/1.1')).status, 404);
    await north.append(
      change('study', '1.1', { patient: lww({ id: 'S7', issuer: 'SOUTH' }) }),
      change('patient', 'S7^^^SOUTH', { name: lww('Corrected^Name') }),
    );
    const [row] = (await north.find({ identifier: studyKeys })).rows;
    assert.equal(stringOf(row!, tags.PatientID), 'S7');
    assert.equal(stringOf(row!, tags.PatientName), 'Corrected^Name');
  });

  it('says that a query is too broad after the rows that it may give', async (t) => {
    const north = await startFederator(t, 'north', { LOCAL_ROWS_MAX: '10', SEARCH_ROWS_MAX: '10' });
    await north.append(
      ...Array.from({ length: 12 }, (_, n) => instanceStored({ study: `1.${n}`, sop: `1.${n}.1.1` })),
    );
    const { rows, outcomes } = await north.find({ identifier: studyKeys });
    assert.equal(rows.length, 10);
    assert.equal(outcomes[0]?.status, 'failed');
    assert.match(outcomes[0]?.detail ?? '', /more than 10 rows/);
    const search = await north.post<ProblemBody>('/api/v1/studies:search', {});
    assert.equal(search.status, 422);
    assert.equal(search.body.code, 'QUERY_TOO_BROAD');
  });

  it('answers problems for a study that is not known and for a bad body', async (t) => {
    const north = await startFederator(t);
    assert.equal((await north.get('/api/v1/studies/9.9.9')).status, 404);
    const bad = await north.post('/api/v1/studies:search', { reportStatus: 'DONE' });
    assert.equal(bad.status, 422);
    assert.match(JSON.stringify(bad.body), /reportStatus/);
  });

  it('bears what no header should hold: NUL, lone surrogates, endless names', async (t) => {
    const north = await startFederator(t);
    await north.append(
      instanceStored({
        study: '1.1',
        sop: '1.1.1',
        name: `Do\0e\ud800^${'x'.repeat(5000)}`,
        patientId: 'P'.repeat(4000),
      }),
      instanceStored({ study: '1.2', sop: '1.2.1' }),
    );
    assert.deepEqual(uidsOf((await north.find({ identifier: studyKeys })).rows), ['1.1', '1.2']);
  });

  it('gives the same state in any order of the two logs, and again after a rebuild of both projections', async (t) => {
    const north = await startFederator(t);
    const first = await startFederator(t);
    const objects = [
      instanceStored({ study: '1.1', sop: '1.1.2', name: 'Doe^Janet' }),
      instanceStored({ study: '1.1', sop: '1.1.1' }),
    ];
    const changes = [
      change('study', '1.1', reportStatus('DICTATED', 'A1', 2)),
      change('study', '1.1', { ...holder('south', 2), accessionNumber: lww('A1', 5) }),
      change('patient', jane, { sex: lww('O', 3, 2) }),
    ];
    await north.append(...objects);
    await north.append(...changes);
    await first.append(...changes.toReversed());
    await first.append(...objects.toReversed());
    const before = (await north.get('/api/v1/studies/1.1')).body;
    assert.deepEqual((await first.get('/api/v1/studies/1.1')).body, before);
    for (const name of ['instances', 'changes'])
      assert.equal((await north.post(`/api/v1/projections/query-federator/${name}:rebuild`)).status, 200);
    assert.deepEqual((await north.get('/api/v1/studies/1.1')).body, before);
    assert.equal((await north.post('/api/v1/projections/query-federator/nothing:rebuild')).status, 404);
  });

  it('counts an object once, however often it is stored', async (t) => {
    const north = await startFederator(t);
    const fact = instanceStored({ study: '1.1', sop: '1.1.1' });
    await north.append(fact, { ...fact, id: 'stored-again' }, { ...fact, id: 'stored-once-more' });
    assert.equal((await north.get('/api/v1/studies/1.1')).body.instanceCount, 1);
  });
});
