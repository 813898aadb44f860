import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { given, holding, reportStatus, studyInstanceUid } from '../test/given-study.ts';
import type { StudyAt } from '../test/given-study.ts';
import type { Decision, StudyCommand } from './commands.ts';
import { conflictsBetween } from './conflicts.ts';
import { decidePatient } from './decide-patient.ts';
import type { PatientCommand } from './decide-patient.ts';
import { decideStructure } from './decide-structure.ts';
import type { StructureCommand } from './decide-structure.ts';
import type { ChangeEvent } from './events.ts';
import { lwwRegister } from './holders.ts';
import { isMalformed, parseEvent } from './parse.ts';
import { reportStatuses } from './reports.ts';
import { classDigests, stateDigest } from './state-digest.ts';
import { verificationStates } from './verification.ts';

const clusters = ['north', 'south', 'east'] as const;
const text = fc.constantFrom('', 'A', 'B');
const patient = fc.constantFrom('P1', 'P2', 'P3').map((id) => ({ id, issuer: 'NORTH' }));
const sops = fc.subarray(['1.1', '1.2'], { minLength: 1 });
const study = { studyInstanceUid } as const;

/** Commands of every kind that change a study, its structure, or its patient. */
const commands = fc.oneof(
  fc
    .record({ status: fc.constantFrom(...reportStatuses), accessionNumber: text })
    .chain((step) =>
      fc
        .constantFrom({}, { reopen: true }, { addendum: true }, { retract: true })
        .map((flag) => reportStatus(step.status, { ...step, ...flag })),
    ),
  fc
    .record({ accessionNumber: text, patientLocation: text, studyStatus: text }, { requiredKeys: [] })
    .map((more): StudyCommand => ({ type: 'ChangeStudy', ...study, ...more })),
  fc.record({ patient }).map((more): StudyCommand => ({ type: 'ChangeStudy', ...study, ...more })),
  fc.record({ name: text, reason: text }).map(({ name, reason }): StudyCommand => ({
    type: 'ChangeStudy',
    ...study,
    patient: { name },
    fixup: { reason },
  })),
  fc.record({ holds: fc.boolean(), instanceCount: fc.nat(2) }).map((more) => holding(more)),
  fc.constantFrom(...clusters).map((to): StudyCommand => ({ type: 'TransferHome', ...study, to })),
  fc
    .constantFrom(...verificationStates)
    .map((state): StudyCommand => ({ type: 'RecordVerification', ...study, state, by: 'RIS' })),
  fc.nat(3).map((count): StudyCommand => ({
    type: 'AnnounceObjects',
    ...study,
    count,
    digest: `${count}`.repeat(64),
  })),
  fc.constant<'restore'>('restore'),
  sops.map((sopInstanceUids): StructureCommand => ({
    type: 'RejectObjects',
    ...study,
    sopInstanceUids,
    reason: '113001',
  })),
  fc
    .tuple(sops, fc.constantFrom(studyInstanceUid, '1.2.9'))
    .map(([sopInstanceUids, to]): StructureCommand => ({
      type: 'MoveObjects',
      ...study,
      sopInstanceUids,
      kind: 'split',
      to,
    })),
  fc.constantFrom<StructureCommand>(
    { type: 'MergeStudies', ...study, into: '1.2.9' },
    { type: 'UnmergeStudies', ...study },
  ),
  fc.tuple(patient, patient).map(([from, into]): PatientCommand => ({ type: 'MergePatients', from, into })),
  patient.map((one): PatientCommand => ({ type: 'UnmergePatient', patient: one })),
);
type AnyCommand = StudyCommand | StructureCommand | PatientCommand | 'restore';

const structural = ['RejectObjects', 'RestoreObjects', 'MoveObjects', 'MergeStudies', 'UnmergeStudies'];
const ofPatients = ['MergePatients', 'UnmergePatient', 'ChangePatientIdentifier'];

function decided(site: StudyAt, command: AnyCommand, other: StudyAt): Decision {
  const context = {
    cluster: site.cluster,
    now: new Date((site.nowMs += 1)),
    clock: site.clock,
    newId: () => `${site.cluster}-${site.nowMs}`,
  };
  if (command === 'restore') return restored(site, other);
  if (structural.includes(command.type))
    return decideStructure(
      command as StructureCommand,
      { study: site.study, patients: site.patients },
      context,
    );
  if (ofPatients.includes(command.type))
    return decidePatient(command as PatientCommand, site.patients, context);
  return site.tries(command as StudyCommand);
}

/** Reverses the first conflict between two sites, if there is one. */
function restored(site: StudyAt, other: StudyAt): Decision {
  const [conflict] = conflictsBetween(site.study, other.study);
  const present = conflict && lwwRegister(site.study, conflict.path[0] ?? '');
  if (!conflict || !present) return { events: [] };
  const { path, loser } = conflict;
  const restore = { type: 'RestoreValue', ...study, aggregate: 'study', path, value: loser.value } as const;
  return site.tries({ ...restore, replaces: present.hlc });
}

const schedules = fc.array(
  fc.record({
    at: fc.nat(2),
    command: commands,
    hears: fc.subarray([0, 1, 2]),
    clockStep: fc.constantFrom(0, 0, 3_600_000),
  }),
  { maxLength: 25 },
);

describe('everything that can be decided, at three clusters apart', () => {
  it('[U10] may travel, and ends in the same state everywhere, whatever arrives when and how often', () => {
    fc.assert(
      fc.property(schedules, fc.gen(), (schedule, gen) => {
        const sites = clusters.map((cluster) => given(cluster));
        const events: ChangeEvent[] = [];
        for (const { at, command, hears, clockStep } of schedule) {
          const site = sites[at] as StudyAt;
          site.nowMs += clockStep;
          const decision = decided(site, command, sites[(at + 1) % 3] as StudyAt);
          if (!('events' in decision)) continue;
          for (const event of decision.events) {
            const parsed = parseEvent(JSON.parse(JSON.stringify(event)));
            assert.ok(!isMalformed(parsed), JSON.stringify([parsed, event]));
          }
          site.takes(...decision.events);
          for (const listener of hears) sites[listener]?.takes(...decision.events);
          events.push(...decision.events);
        }
        const ends = sites.map((site) => {
          const twice = [...events, ...events].map((event) => [gen(fc.nat), event] as const);
          site.takes(...twice.sort(([a], [b]) => a - b).map(([, event]) => event));
          const state = { study: site.study, patients: site.patients };
          return { whole: stateDigest(state), classes: classDigests(state), view: site.shows() };
        });
        assert.deepEqual(ends[0], ends[1]);
        assert.deepEqual(ends[0], ends[2]);
      }),
      { numRuns: 500 },
    );
  });
});
