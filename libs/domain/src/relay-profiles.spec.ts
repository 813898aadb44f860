import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { given, holding, reportStatus, studyInstanceUid } from '../test/given-study.ts';
import type { StudyAt } from '../test/given-study.ts';
import type { ChangeStudy } from './commands.ts';
import { decidePatient } from './decide-patient.ts';
import { decideStructure } from './decide-structure.ts';
import type { StructureCommand } from './decide-structure.ts';
import { eventClasses } from './event-classes.ts';
import type { ChangeEvent } from './events.ts';
import {
  carriedManifest,
  carriedRegisters,
  comparedClasses,
  dueNow,
  profileWith,
  relayProfiles,
  timingOf,
} from './relay-profiles.ts';
import type { Timing } from './relay-profiles.ts';
import type { RegisterMap } from './registers.ts';

const { full, impax } = relayProfiles;
const ct = '1.2.840.10008.5.1.4.1.1.2';
const greyscaleState = '1.2.840.10008.5.1.4.1.1.11.1';
const colourState = '1.2.840.10008.5.1.4.1.1.11.2';
const keyObjects = '1.2.840.10008.5.1.4.1.1.88.59';
const structuredReport = '1.2.840.10008.5.1.4.1.1.88.22';

const change = (more: Partial<ChangeStudy>): ChangeStudy => ({
  type: 'ChangeStudy',
  studyInstanceUid,
  ...more,
});

/** When the events of one command cross a link with the profile `impax`. */
function crossing(events: readonly ChangeEvent[], newObjects?: readonly string[]): readonly Timing[] {
  return events.map(({ data }) => timingOf(impax, data, newObjects));
}

function announced(site: StudyAt): readonly ChangeEvent[] {
  return site.does({ type: 'AnnounceObjects', studyInstanceUid, count: 2, digest: 'ab'.repeat(32) });
}

function structural(command: StructureCommand): readonly ChangeEvent[] {
  const context = { cluster: 'north', now: new Date(1), clock: '', newId: () => 'id' };
  const decision = decideStructure(command, { study: given().study, patients: {} }, context);
  assert.ok('events' in decision);
  return decision.events;
}

const registers = (name: string): RegisterMap => ({
  [name]: { t: 'lww', value: { state: 'VERIFIED' }, rank: 1, hlc: '0000000000000001', origin: 'north' },
});

describe('the profile impax, sentence by sentence of topic 10713', () => {
  it('[U5] “handles study, series, and object-level changes”', () => {
    const north = given();
    assert.deepEqual(crossing(north.does(change({ studyStatus: 'READ' }))), ['immediate']);
    assert.deepEqual(crossing(announced(north), [ct]), ['immediate']);
  });
  it('[U5] updates at the object level “contain all series and objects”: GSPS, summaries, new objects, image data', () => {
    const objects = (sopClass: string, uid: string) => [uid, sopClass] as const;
    const manifest = {
      studyInstanceUid,
      series: [
        { seriesInstanceUid: '1.1', modality: 'CT', instances: [objects(ct, '1.1.1')] },
        { seriesInstanceUid: '1.2', modality: 'PR', instances: [objects(greyscaleState, '1.2.1')] },
        { seriesInstanceUid: '1.3', modality: 'SR', instances: [objects(structuredReport, '1.3.1')] },
      ],
    };
    assert.deepEqual(carriedManifest(impax, manifest), manifest);
    for (const sopClass of [ct, greyscaleState, colourState, structuredReport])
      assert.deepEqual(crossing(announced(given()), [sopClass]), ['immediate']);
  });
  it('[U5] synchronizes “status changes to patient and study demographic data coming from the HIS or RIS”', () => {
    const north = given();
    const events = north.does(change({ patient: { birthDate: '19700203', sex: 'F' } }), { rank: 2 });
    assert.deepEqual(crossing(events), ['immediate']);
    assert.deepEqual(crossing(north.does(change({ studyDescription: 'CT HEAD' }), { rank: 2 })), [
      'immediate',
    ]);
  });
  it('[U5] synchronizes “state changes such as patient location and study status”, report status among them', () => {
    const north = given();
    assert.deepEqual(crossing(north.does(change({ patientLocation: 'ICU' }))), ['immediate']);
    assert.deepEqual(crossing(north.does(change({ studyStatus: 'COMPLETED' }))), ['immediate']);
    assert.deepEqual(crossing(north.does(reportStatus('APPROVED'))), ['immediate']);
  });
  it('[U5] synchronizes “presentation states”', () => {
    assert.deepEqual(crossing(announced(given()), [greyscaleState]), ['immediate']);
  });
  it('[U5] does not synchronize “key image notes”, alone or beside other objects', () => {
    assert.deepEqual(crossing(announced(given()), [keyObjects]), ['never']);
    assert.deepEqual(crossing(announced(given()), [keyObjects, ct]), ['immediate']);
    const key = { seriesInstanceUid: '1.2', modality: 'KO', instances: [['1.2.1', keyObjects] as const] };
    const mixed = {
      seriesInstanceUid: '1.1',
      modality: 'CT',
      instances: [['1.1.1', ct] as const, ['1.1.2', keyObjects] as const],
    };
    assert.deepEqual(carriedManifest(impax, { studyInstanceUid, series: [key, mixed] }).series, [
      { ...mixed, instances: [['1.1.1', ct]] },
    ]);
  });
  it('[U5] does not synchronize “structural changes … such as split, segment, merge, and delete”', () => {
    const objects = { studyInstanceUid, sopInstanceUids: ['1.1'] };
    const commands: readonly StructureCommand[] = [
      { type: 'MoveObjects', ...objects, kind: 'split', to: '1.9' },
      { type: 'MoveObjects', ...objects, kind: 'segment', to: '1.9' },
      { type: 'MergeStudies', studyInstanceUid, into: '1.9' },
      { type: 'RejectObjects', ...objects, reason: '113001' },
    ];
    for (const command of commands) {
      const events = structural(command);
      assert.deepEqual(crossing(events), ['never'], command.type);
      assert.deepEqual(carriedRegisters(impax, 'study', events[0]?.data.registers ?? {}), {});
    }
  });
  it('[U5] does not make an update of, and includes in the next one, “HIS verification or fixup”', () => {
    for (const name of ['verification', 'fixup'])
      assert.equal(timingOf(impax, { aggregate: 'study', registers: registers(name) }), 'piggyback');
  });
  it('[U5] does not make an update of, and includes in the next one, “Patient ID, Patient Name, and Accession Number”', () => {
    const north = given();
    assert.deepEqual(crossing(north.does(change({ accessionNumber: 'A2' }))), ['piggyback']);
    assert.deepEqual(crossing(north.does(change({ patient: { name: 'ROE^JANE' } }))), ['piggyback']);
    const moved = north.does(change({ patient: { id: 'P2' } }));
    assert.equal(crossing(moved)[0], 'piggyback');
    const merged = decidePatient(
      { type: 'MergePatients', from: { id: 'P1', issuer: 'N' }, into: { id: 'P2', issuer: 'N' } },
      { 'P2^^^N': registers('name') },
      { cluster: 'north', now: new Date(1), clock: '', newId: () => 'id' },
    );
    assert.ok('events' in merged);
    assert.deepEqual(crossing(merged.events), ['piggyback']);
  });
  it('[U5] lets a change that is both be an update, with everything in it', () => {
    const events = given().does(change({ accessionNumber: 'A2', studyDescription: 'CT HEAD' }));
    assert.deepEqual(crossing(events), ['immediate']);
    const { registers: all } = events[0]?.data ?? { registers: {} };
    assert.equal(carriedRegisters(impax, 'study', all), all);
  });
  it('[U16] lets what it does not name ride along, and who holds a study always through', () => {
    const comment = given().does(change({ comment: { text: 'x', author: 'y' } }));
    assert.deepEqual(crossing(comment), ['piggyback']);
    assert.equal(timingOf(impax, { aggregate: 'study', registers: registers('hologram') }), 'piggyback');
    assert.deepEqual(crossing(given().does(holding())), ['immediate']);
  });
});

describe('relay profiles', () => {
  it('[U5] send everything at once by default', () => {
    assert.deepEqual(comparedClasses(full), eventClasses);
    assert.equal(timingOf(full, { aggregate: 'study', registers: registers('hologram') }), 'immediate');
  });
  it('[U6] can be changed for one link class by class, except who holds what', () => {
    const profile = profileWith(full, { 'key-images': 'never', structure: 'piggyback', holders: 'never' });
    assert.equal(timingOf(profile, announced(given())[0]?.data as never, [keyObjects]), 'never');
    assert.deepEqual(
      eventClasses.filter((one) => !comparedClasses(profile).includes(one)),
      ['key-images', 'structure'],
    );
  });
  it('carry a change without the registers that never cross, and the announcement of objects always', () => {
    const site = given();
    announced(site);
    const state = { ...site.study, ...registers('rejections'), ...registers('hologram') };
    const carried = Object.keys(carriedRegisters(impax, 'study', state));
    assert.deepEqual(
      Object.keys(state).filter((name) => !carried.includes(name)),
      ['rejections'],
    );
    assert.equal(timingOf(impax, { aggregate: 'study', registers: {} }), 'never');
  });
  it('[U5] let go what rides along only with an update of the same study, in order', () => {
    const waiting = fc.array(
      fc.record({
        n: fc.nat(),
        studies: fc.uniqueArray(fc.constantFrom('1', '2', '3'), { maxLength: 2 }),
        timing: fc.constantFrom<Timing>('immediate', 'piggyback', 'never'),
      }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(waiting, (items) => {
        const due = dueNow(items);
        assert.deepEqual(
          due,
          items.filter((item) => due.includes(item)),
        );
        for (const item of items) {
          const update = items.some(
            (other) =>
              other.timing === 'immediate' && other.studies.some((study) => item.studies.includes(study)),
          );
          const goes = item.timing === 'immediate' || (item.timing === 'piggyback' && update);
          assert.equal(due.includes(item), goes);
        }
      }),
    );
  });
});
