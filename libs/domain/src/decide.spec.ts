import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { given, instanceStored, reportStatus, StudyAt, studyInstanceUid } from '../test/given-study.ts';
import { announcedObjects } from './decide-holding.ts';
import { homeOf } from './home.ts';

const holding = {
  type: 'RecordHolding',
  studyInstanceUid,
  holds: true,
  complete: true,
  instanceCount: 1,
  scope: 'full',
} as const;

describe('deciding a report status', () => {
  it('[U1] shows the status that was set, on the report of the study’s accession number', () => {
    const north = given();
    const [event] = north.does(reportStatus('APPROVED', { by: 'dr.a' }));
    assert.equal(event?.type, 'ReportStatusChanged');
    assert.equal(event?.subject, studyInstanceUid);
    assert.deepEqual(event?.path, ['north']);
    assert.equal(north.shows().reportStatus, 'APPROVED');
    assert.deepEqual(
      north.shows().reports.map(({ accessionNumber, status, by }) => [accessionNumber, status, by]),
      [['A1', 'APPROVED', 'dr.a']],
    );
  });
  it('answers APPROVED set twice with success and no second event: the first who approved stands', () => {
    const north = given();
    north.does(reportStatus('APPROVED', { by: 'dr.a' }));
    assert.deepEqual(north.does(reportStatus('APPROVED', { by: 'dr.b' })), []);
    assert.equal(north.shows().reports[0]?.by, 'dr.a');
  });
  it('takes a sub-status that a repeat of the same status brings', () => {
    const north = given();
    north.does(reportStatus('DICTATED', { by: 'dr.a' }));
    assert.equal(north.does(reportStatus('DICTATED', { subStatus: 'trainee dictated' })).length, 1);
    assert.equal(north.shows().reports[0]?.subStatus, 'trainee dictated');
    assert.equal(north.shows().reports[0]?.by, 'dr.a');
  });
  it('refuses to go back without reopen', () => {
    const north = given();
    north.does(reportStatus('APPROVED'));
    north.refuses(reportStatus('NEW'), 'STATUS_WOULD_GO_BACK');
  });
  it('raises the revision on reopen and keeps the last approved state in view', () => {
    const north = given();
    north.does(reportStatus('APPROVED', { by: 'dr.a' }));
    north.does(reportStatus('NEW', { reopen: true }));
    const [report] = north.shows().reports;
    assert.deepEqual([report?.status, report?.revision, report?.lastApproved?.by], ['NEW', 2, 'dr.a']);
    assert.deepEqual(north.does(reportStatus('NEW', { reopen: true })), []);
  });
  it('refuses an unknown study, and one whose patient is not known yet', () => {
    new StudyAt('north').refuses(reportStatus('NEW'), 'STUDY_UNKNOWN');
    given('north', { provisional: true }).refuses(reportStatus('NEW'), 'STUDY_UNKNOWN');
  });
  it('refuses a status that is none, naming the field', () => {
    given().refuses(reportStatus('FINISHED' as 'NEW'), 'VALUE_INVALID', '/status');
  });
  it('shows the least advanced report of several', () => {
    const north = given();
    north.does(reportStatus('APPROVED'));
    north.does(reportStatus('DICTATED', { accessionNumber: 'B7' }));
    assert.equal(north.shows().reportStatus, 'DICTATED');
    assert.equal(north.shows().reports.length, 2);
  });
  it('[Q3] shows NEW for a study without reports that has its home in a cluster of ours', () => {
    const north = given();
    north.does({
      type: 'RecordHolding',
      studyInstanceUid,
      holds: true,
      complete: true,
      instanceCount: 1,
      scope: 'full',
    });
    assert.equal(north.shows().homeCluster, 'north');
    assert.equal(north.shows().reportStatus, 'NEW');
  });
  it('[Q7] shows UNKNOWN for a study without reports or home, and takes UNKNOWN for one as done', () => {
    const north = given();
    assert.equal(north.shows().reportStatus, 'UNKNOWN');
    assert.deepEqual(north.does(reportStatus('UNKNOWN')), []);
  });
});

describe('deciding at two clusters apart', () => {
  it('[U10] lets the more advanced of two statuses win in either order', () => {
    const north = given('north');
    const south = given('south');
    south.nowMs += 1_000_000;
    const approved = north.does(reportStatus('APPROVED'));
    const dictated = south.does(reportStatus('DICTATED'));
    assert.deepEqual(north.takes(...dictated).shows(), south.takes(...approved).shows());
    assert.equal(north.shows().reportStatus, 'APPROVED');
  });
  it('[U10] shows the lower of two reopened reports until both are finished', () => {
    const north = given('north');
    const south = given('south').takes(...north.does(reportStatus('APPROVED')));
    const atNorth = north.does(reportStatus('NEW', { reopen: true }));
    const atSouth = south.does(reportStatus('DICTATED', { reopen: true }));
    const finished = south.does(reportStatus('APPROVED'));
    north.takes(...atSouth, ...finished);
    south.takes(...atNorth);
    assert.equal(north.shows().reportStatus, 'NEW');
    assert.equal(south.shows().reportStatus, 'NEW');
    south.takes(...north.does(reportStatus('APPROVED')));
    assert.equal(south.shows().reportStatus, 'APPROVED');
    assert.deepEqual(north.shows(), south.shows());
  });
  it('[U10] lets an edit made after seeing a value beat it, though its clock is a year behind', () => {
    const north = given('north');
    const south = given('south');
    north.nowMs += 365 * 86_400_000;
    south.takes(...north.does({ type: 'ChangeStudy', studyInstanceUid, patientLocation: 'WARD 1' }));
    north.takes(...south.does({ type: 'ChangeStudy', studyInstanceUid, patientLocation: 'WARD 2' }));
    assert.equal(north.shows().patientLocation, 'WARD 2');
  });
  it('beats what its author saw elsewhere (ETag), though that has not arrived here', () => {
    const seen = '00ffffff00000000';
    const [event] = given().does({ type: 'ChangeStudy', studyInstanceUid, patientLocation: 'X' }, { seen });
    assert.equal(event?.hlc, '00ffffff00000001');
  });
});

describe('deciding a change of a study', () => {
  it('[U1] changes demographics on the patient, location, status and description on the study', () => {
    const north = given();
    const events = north.does({
      type: 'ChangeStudy',
      studyInstanceUid,
      patient: { name: 'ROE^JANE', birthDate: '19700203', sex: 'F' },
      studyDescription: 'CT CHEST',
      patientLocation: 'ICU',
      studyStatus: 'VERIFIED',
      comment: { text: 'call me', author: 'dr.a' },
    });
    assert.deepEqual(
      events.map(({ type, subject }) => [type, subject]),
      [
        ['StudyDemographicsChanged', studyInstanceUid],
        ['PatientLocationChanged', studyInstanceUid],
        ['StudyStatusChanged', studyInstanceUid],
        ['StudyCommented', studyInstanceUid],
        ['PatientDemographicsChanged', 'P1^^^NORTH'],
      ],
    );
    const shown = north.shows();
    assert.deepEqual(
      [shown.patient.name, shown.patient.birthDate, shown.patient.sex],
      ['ROE^JANE', '19700203', 'F'],
    );
    assert.deepEqual(
      [shown.studyDescription, shown.patientLocation, shown.studyStatus],
      ['CT CHEST', 'ICU', 'VERIFIED'],
    );
    assert.equal(shown.comments[0]?.text, 'call me');
  });
  it('says nothing when all is so already', () => {
    assert.deepEqual(
      given().does({ type: 'ChangeStudy', studyInstanceUid, patient: { name: 'DOE^JANE' } }),
      [],
    );
  });
  it('moves the study to another patient, who takes the demographics along when nobody knows him', () => {
    const north = given();
    north.does({ type: 'ChangeStudy', studyInstanceUid, patient: { id: 'P2' } });
    assert.deepEqual(
      [north.shows().patient.id, north.shows().patient.issuer, north.shows().patient.name],
      ['P2', 'NORTH', 'DOE^JANE'],
    );
  });
  it('takes the demographics of a patient that is known when a study moves to him', () => {
    const north = given();
    const header = {
      '00100020': { vr: 'LO', Value: ['P2'] },
      '00100010': { vr: 'PN', Value: ['KNOWN^BILL'] },
    };
    north.stores(instanceStored({ studyInstanceUid: '9', header }));
    north.stores(instanceStored());
    north.does({ type: 'ChangeStudy', studyInstanceUid, patient: { id: 'P2' } });
    assert.equal(north.patients['P2^^^NORTH']?.['name']?.t, 'lww');
    assert.equal(north.shows().patient.name, 'KNOWN^BILL');
  });
  it('takes the report along when the accession number is corrected, and back again', () => {
    const north = given();
    north.does(reportStatus('DICTATED'));
    north.does({ type: 'ChangeStudy', studyInstanceUid, accessionNumber: 'A2' });
    north.does(reportStatus('APPROVED'));
    assert.deepEqual(
      north.shows().reports.map(({ accessionNumber, status }) => [accessionNumber, status]),
      [['A2', 'APPROVED']],
    );
    north.does({ type: 'ChangeStudy', studyInstanceUid, accessionNumber: 'A1' });
    assert.deepEqual(
      north.shows().reports.map(({ accessionNumber, status }) => [accessionNumber, status]),
      [['A1', 'APPROVED']],
    );
  });
  it('gives a study without Patient ID one only together with an issuer', () => {
    const north = given('north', { header: {} });
    north.refuses(
      { type: 'ChangeStudy', studyInstanceUid, patient: { id: 'P2' } },
      'VALUE_INVALID',
      '/patient/issuer',
    );
    north.refuses(
      { type: 'ChangeStudy', studyInstanceUid, patient: { issuer: 'X' } },
      'VALUE_INVALID',
      '/patient/id',
    );
    north.does({ type: 'ChangeStudy', studyInstanceUid, patient: { id: 'P2', issuer: 'X' } });
    assert.deepEqual([north.shows().patient.id, north.shows().patient.issuer], ['P2', 'X']);
  });
  it('lets a correction of a value from the RIS stand as a fixup', () => {
    const north = given();
    north.does({ type: 'ChangeStudy', studyInstanceUid, patient: { name: 'FROM^RIS' } }, { rank: 2 });
    north.does({ type: 'ChangeStudy', studyInstanceUid, patient: { name: 'BY^HAND' } });
    assert.equal(north.shows().patient.name, 'BY^HAND');
  });
  it('never lets a late object undo a correction', () => {
    const north = given();
    north.does({ type: 'ChangeStudy', studyInstanceUid, patient: { name: 'ROE^JANE' } });
    north.stores(instanceStored({ sopInstanceUid: '9.9.9' }));
    assert.equal(north.shows().patient.name, 'ROE^JANE');
  });
  for (const [pointer, command] of [
    ['/patient/birthDate', { patient: { birthDate: '19700231' } }],
    ['/patient/sex', { patient: { sex: 'X' } }],
    ['/patient/id', { patient: { id: '' } }],
    ['/accessionNumber', { accessionNumber: '12345678901234567' }],
    ['/comment/text', { comment: { text: '', author: 'a' } }],
    ['/studyDescription', { studyDescription: 'a\nb' }],
  ] as const) {
    it(`refuses a wrong value and names ${pointer}`, () => {
      given().refuses({ type: 'ChangeStudy', studyInstanceUid, ...command }, 'VALUE_INVALID', pointer);
    });
  }
});

describe('deciding what a cluster holds', () => {
  it('makes the first holder the home, and says a holding once', () => {
    const north = given();
    assert.equal(north.does(holding).length, 1);
    assert.deepEqual(north.does(holding), []);
    assert.equal(north.shows().homeCluster, 'north');
    assert.deepEqual(
      north.shows().holders.map(({ cluster, complete, instanceCount }) => [cluster, complete, instanceCount]),
      [['north', true, 1]],
    );
  });
  it('leaves the home of a copy alone', () => {
    const north = given('north');
    const south = given('south', { provisional: true });
    const copied = south.does({ ...holding, mayBecomeHome: false });
    assert.equal(homeOf(south.study), undefined);
    north.does(holding);
    assert.deepEqual(
      north
        .takes(...copied)
        .shows()
        .holders.map(({ cluster }) => cluster),
      ['north', 'south'],
    );
    assert.equal(north.shows().homeCluster, 'north');
  });
  it('shows no holder that gave its copy up, and says nothing of a copy that never was', () => {
    const north = given();
    assert.deepEqual(north.does({ ...holding, holds: false, instanceCount: 0 }), []);
    north.does(holding);
    north.does({ ...holding, holds: false, instanceCount: 0 });
    assert.deepEqual(north.shows().holders, []);
  });
  it('announces a manifest once', () => {
    const north = given();
    const announce = {
      type: 'AnnounceObjects',
      studyInstanceUid,
      count: 2,
      digest: 'ab'.repeat(32),
    } as const;
    assert.equal(north.does(announce).length, 1);
    assert.deepEqual(north.does(announce), []);
    assert.deepEqual(announcedObjects(north.study), { count: 2, digest: 'ab'.repeat(32) });
  });
});
