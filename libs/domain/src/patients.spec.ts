import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { given, studyInstanceUid } from '../test/given-study.ts';
import { decidePatient } from './decide-patient.ts';
import type { PatientCommand } from './decide-patient.ts';
import type { ChangeEvent } from './events.ts';
import type { PatientReference } from './headers.ts';
import { mergeRegisters } from './merge.ts';
import { mergeEdge, patientComponent, resolvePatient } from './patients.ts';
import type { RegisterMap } from './registers.ts';
import { studyView } from './study-view.ts';
import { patientKey, readPatientKey } from './subjects.ts';

const at = (id: string): PatientReference => ({ id, issuer: 'NORTH' });
const key = (id: string): string => patientKey(id, 'NORTH');
const merge = (from: string, into: string): PatientCommand => ({
  type: 'MergePatients',
  from: at(from),
  into: at(into),
});
const unmerge = (id: string): PatientCommand => ({ type: 'UnmergePatient', patient: at(id) });
const renumber = (from: string, to: string): PatientCommand => ({
  type: 'ChangePatientIdentifier',
  from: at(from),
  to: at(to),
});

/** The patients that one cluster knows. */
class PatientsAt {
  readonly cluster: string;
  patients: Record<string, RegisterMap> = {};
  nowMs = 1_000_000;
  private ids = 0;

  constructor(cluster = 'north') {
    this.cluster = cluster;
  }

  takes(...events: readonly ChangeEvent[]): this {
    for (const { subject, data } of events)
      this.patients[subject] = mergeRegisters(this.patients[subject] ?? {}, data.registers);
    return this;
  }

  tries(command: PatientCommand): ReturnType<typeof decidePatient> {
    const now = new Date(++this.nowMs);
    const newId = (): string => `${this.cluster}-${++this.ids}`;
    return decidePatient(command, this.patients, { cluster: this.cluster, now, clock: '', newId });
  }

  does(command: PatientCommand): readonly ChangeEvent[] {
    const decision = this.tries(command);
    assert.ok('events' in decision, JSON.stringify(decision));
    this.takes(...decision.events);
    return decision.events;
  }

  refuses(command: PatientCommand, pointer: string): void {
    const decision = this.tries(command);
    assert.ok('refused' in decision);
    assert.deepEqual([decision.refused.code, decision.refused.pointer], ['VALUE_INVALID', pointer]);
  }

  survivor(id: string): string | undefined {
    return readPatientKey(resolvePatient(key(id), this.patients).key)?.id;
  }
}

describe('merging patients', () => {
  it('[U6] lets the survivor stand for the other, through chains, and takes it back', () => {
    const north = new PatientsAt();
    north.does(merge('P1', 'P2'));
    north.does(merge('P2', 'P3'));
    assert.deepEqual([north.survivor('P1'), north.survivor('P2'), north.survivor('P3')], ['P3', 'P3', 'P3']);
    assert.deepEqual(resolvePatient(key('P1'), north.patients).through, [key('P1'), key('P2')]);
    north.does(unmerge('P2'));
    assert.deepEqual([north.survivor('P1'), north.survivor('P2')], ['P2', 'P2']);
    assert.deepEqual(north.does(unmerge('P2')), []);
    assert.deepEqual(north.does(merge('P1', 'P2')), []);
  });
  it('keeps what is left of a number, so that what still comes with it is found under the new one', () => {
    const north = new PatientsAt();
    const events = north.does(renumber('P1', 'P9'));
    assert.deepEqual(
      events.map(({ type, subject }) => [type, subject]),
      [
        ['PatientIdentifierChanged', key('P1')],
        ['PatientDemographicsChanged', key('P9')],
      ],
    );
    assert.equal(mergeEdge(north.patients[key('P1')])?.kind, 'identifier');
    assert.equal(north.survivor('P1'), 'P9');
  });
  it('refuses a circle that it can see, a patient with himself, and what is no identity', () => {
    const north = new PatientsAt();
    north.does(merge('P1', 'P2'));
    north.does(merge('P2', 'P3'));
    north.refuses(merge('P3', 'P1'), '/into');
    north.refuses(merge('P3', 'P3'), '/into');
    north.refuses(renumber('P1', ''), '/to/id');
    north.refuses({ ...merge('P1', 'P2'), from: { id: 'P1', issuer: '' } } as PatientCommand, '/from/issuer');
    north.refuses(merge('P1', 'x'.repeat(65)), '/into/id');
    north.refuses(unmerge('P\n1'), '/patient/id');
  });
  it('[U10] cuts a circle of merges made apart at its lowest stamp, and says so, at every cluster', () => {
    const north = new PatientsAt('north');
    const south = new PatientsAt('south');
    south.nowMs += 60_000;
    const atNorth = north.does(merge('P1', 'P2'));
    const atSouth = south.does(merge('P2', 'P1'));
    for (const site of [north.takes(...atSouth), south.takes(...atNorth)]) {
      // The first merge is the one that gives way: P1 stands for both.
      assert.deepEqual([site.survivor('P1'), site.survivor('P2')], ['P1', 'P1']);
      assert.deepEqual(resolvePatient(key('P2'), site.patients).cycle, [key('P1'), key('P2')]);
    }
    north.does(unmerge('P1'));
    assert.deepEqual(resolvePatient(key('P2'), north.patients), { key: key('P1'), through: [key('P2')] });
  });
  it('[U10] resolves alike everywhere, to a patient of the component, after any merges in any order', () => {
    const steps = fc.array(fc.tuple(fc.nat(2), fc.nat(4), fc.nat(4), fc.boolean(), fc.nat(2)), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(steps, fc.gen(), (schedule, gen) => {
        const sites = ['north', 'south', 'east'].map((cluster) => new PatientsAt(cluster));
        const events: ChangeEvent[] = [];
        for (const [place, from, into, undo, hears] of schedule) {
          const site = sites[place] as PatientsAt;
          const decision = site.tries(undo ? unmerge(`P${from}`) : merge(`P${from}`, `P${into}`));
          if (!('events' in decision)) continue;
          site.takes(...decision.events);
          events.push(...decision.events);
          sites[hears]?.takes(...decision.events);
        }
        const resolved = sites.map((site) => {
          const order = events.map((event) => [gen(fc.nat), event] as const).sort(([a], [b]) => a - b);
          site.takes(...order.map(([, event]) => event));
          return [0, 1, 2, 3, 4].map((n) => {
            const found = resolvePatient(key(`P${n}`), site.patients);
            assert.ok(patientComponent(key(`P${n}`), site.patients).includes(found.key));
            // Whoever is asked on the way gives the same answer.
            for (const one of found.through) assert.equal(resolvePatient(one, site.patients).key, found.key);
            assert.equal(resolvePatient(found.key, site.patients).key, found.key);
            return found;
          });
        });
        assert.deepEqual(resolved[0], resolved[1]);
        assert.deepEqual(resolved[0], resolved[2]);
      }),
      { numRuns: 300 },
    );
  });
  it('has a component that a merge taken back still belongs to', () => {
    const north = new PatientsAt();
    north.does(merge('P1', 'P2'));
    north.does(merge('P4', 'P2'));
    north.does(merge('P5', 'P6'));
    north.does(unmerge('P4'));
    assert.deepEqual(patientComponent(key('P1'), north.patients), [key('P1'), key('P2'), key('P4')]);
    assert.deepEqual(patientComponent(key('P7'), north.patients), [key('P7')]);
  });
  it('survives what peers may send', () => {
    for (const value of [null, 7, {}, { key: 7 }, []]) {
      const odd = { t: 'lww', value, rank: 1, hlc: '0000000000000001', origin: 'x' };
      const patients = { [key('P1')]: { mergedInto: odd } } as unknown as { [key: string]: RegisterMap };
      assert.equal(resolvePatient(key('P1'), patients).key, key('P1'));
    }
    const constructor = { mergedInto: { t: 'lww', value: { key: 'constructor' } } } as unknown as RegisterMap;
    assert.equal(resolvePatient('a', { a: constructor }).key, 'constructor');
  });
});

describe('a study of a merged patient', () => {
  it('[U3] shows the survivor, takes corrections of him, keeps its own key, and shows its own again', () => {
    const site = given();
    const sites = new PatientsAt();
    sites.patients = site.patients;
    sites.does(merge('P1', 'P2'));
    assert.deepEqual([site.shows().patient.id, site.shows().patient.name], ['P2', 'DOE^JANE']);
    const events = site.does({ type: 'ChangeStudy', studyInstanceUid, patient: { name: 'ROE^JANE' } });
    assert.deepEqual(
      events.map(({ subject }) => subject),
      [key('P2')],
    );
    assert.equal(site.shows().patient.name, 'ROE^JANE');
    sites.does(unmerge('P1'));
    assert.deepEqual([site.shows().patient.id, site.shows().patient.name], ['P1', 'DOE^JANE']);
  });
  it('shows the number of a survivor of whom nothing else is known here', () => {
    const site = given();
    const [edge] = new PatientsAt().does(merge('P1', 'P^2'));
    site.takes(edge as ChangeEvent);
    assert.deepEqual(studyView(site.study, site.patients).patient, {
      ...{ id: 'P^2', issuer: 'NORTH', name: '', birthDate: '', sex: '', globalId: '' },
    });
  });
});

describe('patient keys', () => {
  it('are read back as they were made', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('^', '\\', 'S', 'E', 'a') }),
        fc.string(),
        (id, issuer) => {
          assert.deepEqual(readPatientKey(patientKey(id, issuer)), { id, issuer });
        },
      ),
    );
    assert.equal(readPatientKey('no key'), undefined);
  });
});
