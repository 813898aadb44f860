import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { given, holding, reportStatus, studyInstanceUid } from '../test/given-study.ts';
import type { StudyAt } from '../test/given-study.ts';
import { states } from '../test/registers.ts';
import { conflictsBetween, lostTo } from './conflicts.ts';
import type { Conflict } from './conflicts.ts';
import type { ChangeStudy } from './commands.ts';
import { mergeRegisters } from './merge.ts';
import type { LwwRegister, RegisterMap } from './registers.ts';

function change(more: Partial<ChangeStudy>): ChangeStudy {
  return { type: 'ChangeStudy', studyInstanceUid, ...more };
}

/** North and south write the patient's location apart, south a moment later. */
function writtenApart(): { north: StudyAt; south: StudyAt; conflict: Conflict } {
  const north = given('north');
  const south = given('south');
  south.nowMs += 1000;
  north.does(change({ patientLocation: 'WARD 1', by: 'nurse.n' }));
  south.does(change({ patientLocation: 'WARD 2', by: 'nurse.s' }));
  const [conflict] = conflictsBetween(north.study, south.study);
  assert.ok(conflict);
  return { north, south, conflict };
}

describe('conflicts', () => {
  it('[U13] keep field, both values, who, when, and why the winner won', () => {
    const { conflict } = writtenApart();
    assert.deepEqual(conflict.path, ['patientLocation']);
    assert.deepEqual(
      [conflict.winner, conflict.loser].map(({ value, by, origin, at }) => [value, by, origin, at]),
      [
        ['WARD 2', 'nurse.s', 'south', '1970-01-01T00:16:41.001Z'],
        ['WARD 1', 'nurse.n', 'north', '1970-01-01T00:16:40.001Z'],
      ],
    );
    assert.equal(conflict.because, 'later');
  });
  it('[U13] are found alike at both clusters, whichever merges first', () => {
    const { north, south, conflict } = writtenApart();
    assert.deepEqual(conflictsBetween(south.study, north.study), [conflict]);
    const merged = mergeRegisters(north.study, south.study);
    assert.deepEqual(conflictsBetween(merged, north.study), [conflict]);
    assert.deepEqual(conflictsBetween(merged, merged), []);
  });
  it('[U13] are none when a value is corrected by somebody who saw it, whatever the clocks say', () => {
    const north = given('north');
    const south = given('south');
    north.nowMs += 86_400_000;
    const first = north.does(change({ patientLocation: 'WARD 1' }));
    south.takes(...first).does(change({ patientLocation: 'WARD 2' }));
    assert.deepEqual(conflictsBetween(north.study, south.study), []);
  });
  it('[U13] are none when the author saw the value at another cluster and brings its stamp', () => {
    const north = given('north');
    const south = given('south');
    const [event] = north.does(change({ patientLocation: 'WARD 1' }));
    south.does(change({ patientLocation: 'WARD 2' }), { seen: event?.hlc ?? '' });
    assert.deepEqual(conflictsBetween(north.study, south.study), []);
  });
  it('[U13] are not hidden by an ETag of our own, which is newer than the one field', () => {
    const north = given('north');
    const south = given('south');
    north.does(change({ patientLocation: 'WARD 1' }));
    south.nowMs += 1000;
    const [event] = south.does(change({ studyDescription: 'CT' }));
    south.does(change({ patientLocation: 'WARD 2' }), { seen: event?.hlc ?? '' });
    assert.equal(conflictsBetween(north.study, south.study).length, 1);
  });
  it('[U13] say that a RIS won by rank though a person wrote later', () => {
    const north = given('north');
    const south = given('south');
    south.nowMs += 1000;
    north.does(change({ accessionNumber: 'A7', by: 'ris' }), { rank: 2 });
    south.does(change({ accessionNumber: 'A8', by: 'dr.s' }));
    const [conflict] = conflictsBetween(north.study, south.study);
    assert.deepEqual([conflict?.winner.by, conflict?.loser.by, conflict?.because], ['ris', 'dr.s', 'rank']);
  });
  it('[U13] find a report that two people stepped forward apart', () => {
    const north = given('north');
    const south = given('south');
    north.does(reportStatus('DICTATED', { by: 'dr.n' }));
    south.does(reportStatus('DICTATED', { by: 'dr.s' }));
    const [conflict] = conflictsBetween(north.study, south.study);
    assert.deepEqual(conflict?.path, ['reports', 'A1', '1.base']);
  });
  it('are none about holders, homes and object sets, equal values, headers, and what older versions wrote', () => {
    const north = given('north');
    const south = given('south', { sopInstanceUid: '1.2.3.1.9', header: {} });
    for (const site of [north, south]) {
      site.does(holding());
      site.does({
        type: 'AnnounceObjects',
        studyInstanceUid,
        count: site === north ? 1 : 2,
        digest: 'ab'.repeat(32),
      });
    }
    assert.deepEqual(conflictsBetween(north.study, south.study), []);
    const older = (value: string, hlc: string): RegisterMap => ({
      patientLocation: { t: 'lww', value, rank: 1, hlc, origin: 'x' },
    });
    assert.deepEqual(conflictsBetween(older('A', '0000000000000001'), older('B', '0000000000000002')), []);
  });
  it('never fail, and are the same both ways, for registers of any shape', () => {
    fc.assert(
      fc.property(states, states, (a, b) => {
        const ids = (list: readonly Conflict[]): readonly string[] => list.map(({ id }) => id).sort();
        assert.deepEqual(ids(conflictsBetween(a, b)), ids(conflictsBetween(b, a)));
      }),
      { numRuns: 1000 },
    );
  });
  it('[U13] find for a late value the one that beat it, though others followed', () => {
    const register = (value: string, hlc: number, basis: number): LwwRegister => ({
      t: 'lww',
      value,
      rank: 1,
      hlc: hlc.toString(16).padStart(16, '0'),
      origin: 'north',
      basis: basis === 0 ? '' : basis.toString(16).padStart(16, '0'),
    });
    const history = [register('C', 9, 6), register('A', 2, 0), register('B', 6, 2)];
    assert.equal(lostTo(register('X', 4, 2), history, ['f'])?.winner.value, 'B');
    assert.equal(lostTo(register('A', 2, 0), history, ['f']), undefined);
    assert.equal(lostTo(register('X', 12, 2), history, ['f']), undefined);
  });
});

describe('reversing a conflict', () => {
  const restore = ({ path, loser, winner }: Conflict) =>
    ({
      type: 'RestoreValue',
      studyInstanceUid,
      aggregate: 'study',
      path,
      value: loser.value,
      replaces: winner.hlc,
      by: 'operator',
    }) as const;

  it('[U13] is a new edit that wins everywhere and is no conflict itself', () => {
    const { north, south, conflict } = writtenApart();
    north.study = mergeRegisters(north.study, south.study);
    const events = north.does(restore(conflict));
    assert.deepEqual(
      events.map(({ type, data }) => [type, data.by]),
      [['ValueRestored', 'operator']],
    );
    assert.deepEqual(conflictsBetween(south.study, north.study), []);
    assert.equal(south.takes(...events).shows().patientLocation, 'WARD 1');
    assert.deepEqual(north.does(restore(conflict)), []);
  });
  it('[U13] reverses the patient’s fields too, keeping the rank of what it replaces', () => {
    const north = given('north');
    const south = given('south');
    south.nowMs += 1000;
    north.does(change({ patient: { name: 'ROE^JANE' } }));
    south.does(change({ patient: { name: 'FROM^RIS' } }), { rank: 2 });
    const ours = north.patients['P1^^^NORTH'] ?? {};
    const theirs = south.patients['P1^^^NORTH'] ?? {};
    const [conflict] = conflictsBetween(ours, theirs);
    assert.ok(conflict);
    south.does({ ...restore(conflict), aggregate: 'patient' });
    assert.equal(south.shows().patient.name, 'ROE^JANE');
  });
  it('is refused when the field has changed since', () => {
    const { north, south, conflict } = writtenApart();
    north.study = mergeRegisters(north.study, south.study);
    north.does(change({ patientLocation: 'WARD 3' }));
    north.refuses(restore(conflict), 'VALUE_CHANGED', '/replaces');
  });
  it('is refused for what has a command of its own, what is not there, and a value of another kind', () => {
    const { north, conflict } = writtenApart();
    const command = { ...restore(conflict), replaces: conflict.loser.hlc };
    north.refuses({ ...command, path: ['home'] }, 'VALUE_INVALID', '/path');
    north.refuses({ ...command, path: ['nothing', 'here'] }, 'VALUE_INVALID', '/path');
    north.refuses({ ...command, path: [] }, 'VALUE_INVALID', '/path');
    north.refuses({ ...command, value: 7 }, 'VALUE_INVALID', '/value');
    north.refuses({ ...command, value: 'x'.repeat(20_000) }, 'VALUE_INVALID', '/value');
  });
});
