import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { element, stringOf, tags } from '@isthmus/dicom';
import { greatestStamp } from '@isthmus/domain';
import type { RegisterMap } from '@isthmus/domain';
import { holder, lww, reportStatus } from '../test/facts.ts';
import { linkedElements, readLinkedFacts } from './linked-row.ts';
import { overlayPatientRow, overlayRow, withIssuer } from './overlay.ts';
import type { StudyRecord } from './rows.ts';

const here = { cluster: 'north', aeTitle: 'NORTH' };
const record = (registers: RegisterMap, patientRegisters: RegisterMap = {}): StudyRecord => ({
  studyInstanceUid: '1.1',
  registers,
  patientRegisters,
  stamp: greatestStamp(registers, greatestStamp(patientRegisters)),
  instanceCount: 0,
  imageCount: 0,
  seriesCount: 0,
  modalities: [],
  sopClasses: [],
  header: {},
});
const row = (name: string, rest = {}) => ({
  [tags.StudyInstanceUID]: element('UI', '1.1'),
  [tags.PatientID]: element('LO', 'P1'),
  [tags.IssuerOfPatientID]: element('LO', 'NORTH'),
  [tags.PatientName]: element('PN', name),
  ...rest,
});
const linked = (stateAsOf: string) =>
  linkedElements({ ...readLinkedFacts({}), reportStatus: 'NEW', homeCluster: 'south', stateAsOf });
const nameOf = (found: ReturnType<typeof row>): string | undefined => stringOf(found, tags.PatientName);
const patient = (id: string, rank = 0) => ({ patient: lww({ id, issuer: 'NORTH' }, 1, rank) });
const corrected = { name: lww('Right^Name') };

describe('laying known state over a row of a peer', () => {
  it('[Q14] a corrected value wins over a stale row, and over one of a third party', () => {
    const known = record({ ...patient('P1'), ...reportStatus('APPROVED'), ...holder('west', 4) }, corrected);
    assert.equal(nameOf(overlayRow(row('Wrong'), known, here) as never), 'Right^Name');
    const over = overlayRow(row('Wrong', linked('2020-01-01T00:00:00.000Z')), known, here);
    assert.equal(nameOf(over as never), 'Right^Name');
    assert.equal(readLinkedFacts(over).reportStatus, 'APPROVED');
    assert.deepEqual(
      readLinkedFacts(over).holders.map(({ cluster }) => cluster),
      ['west'],
    );
  });

  it('leaves a row whose sender knows a newer state, and one that nobody here changed', () => {
    const known = record(patient('P1'), corrected);
    const newer = row('Newest', linked('2999-01-01T00:00:00.000Z'));
    assert.equal(overlayRow(newer, known, here), newer);
    const untouched = row('Header');
    assert.equal(
      overlayRow(
        untouched,
        record({ patient: { ...lww({ id: 'P1', issuer: 'NORTH' }), hlc: '' } as never }),
        here,
      ),
      untouched,
    );
    assert.equal(overlayRow(untouched, undefined, here), untouched);
  });

  it('never mixes two patients, unless somebody here moved the study to the one that we know', () => {
    const other = row('Somebody^Else');
    assert.equal(overlayRow(other, record(patient('P7'), corrected), here), other);
    const moved = overlayRow(other, record(patient('P7', 1), corrected), here);
    assert.equal(stringOf(moved, tags.PatientID), 'P7');
    assert.equal(nameOf(moved as never), 'Right^Name');
  });

  it('lays a corrected name over a row of the patient level', () => {
    assert.equal(nameOf(overlayPatientRow(row('Wrong'), corrected) as never), 'Right^Name');
    assert.equal(nameOf(overlayPatientRow(row('Header'), undefined) as never), 'Header');
  });

  it('names the issuer of a bare Patient ID, and of nothing else', () => {
    const bare = { [tags.PatientID]: element('LO', 'P1') };
    assert.equal(stringOf(withIssuer(bare, 'CLINIC'), tags.IssuerOfPatientID), 'CLINIC');
    assert.equal(stringOf(withIssuer(row('x'), 'CLINIC'), tags.IssuerOfPatientID), 'NORTH');
    assert.deepEqual(withIssuer({}, 'CLINIC'), {});
  });
});
