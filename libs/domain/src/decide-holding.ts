import { canonicalJson, own } from './canonical.ts';
import type {
  AnnounceObjects,
  DecideContext,
  Decision,
  RecordHolding,
  StudyState,
  TransferHome,
} from './commands.ts';
import { eventWriter } from './event-writer.ts';
import { patientOf } from './decide-change-study.ts';
import { holdersOf, holdingOf, lwwRegister, mapEntries, patientHeldAt } from './holders.ts';
import { homeOf, homeRegister, homeTerm } from './home.ts';
import { refuse } from './refuse.ts';
import type { JsonValue, Register, RegisterMap } from './registers.ts';
import { patientKey } from './subjects.ts';

/** Decides what this cluster says of its copy, and whether it becomes the home of a study that has none. */
export function recordHolding(command: RecordHolding, state: StudyState, context: DecideContext): Decision {
  const holding = {
    holds: command.holds,
    complete: command.complete,
    instanceCount: command.instanceCount,
    scope: command.scope,
  };
  const patient = patientOf(state.study);
  const patientHeld = patient && patientKey(patient.id, patient.issuer);
  const present = holdingOf(state.study, context.cluster);
  const becomesHome = command.holds && command.mayBecomeHome !== false && homeOf(state.study) === undefined;
  const changed =
    canonicalJson(present ?? { ...holding, holds: false }) !== canonicalJson(holding) ||
    (present === undefined && command.holds) ||
    (command.holds && patientHeldAt(state.study, context.cluster) !== patientHeld);
  if (!changed && !becomesHome) return { events: [] };

  const ours = lwwRegister(mapEntries(state.study, 'holders'), context.cluster);
  const writer = eventWriter(context, [ours]);
  // Who hears of a holder hears of whom: changes to that patient, made anywhere, are then sent to it.
  const said = { ...holding, ...(patientHeld === undefined ? {} : { patient: patientHeld }) };
  const entry: Register = writer.register(said, 1);
  const registers: RegisterMap = {
    holders: { t: 'map', entries: Object.fromEntries([[context.cluster, entry]]) },
    ...(becomesHome ? { home: homeRegister(context.cluster, 1, writer.stamp) } : {}),
  };
  return {
    events: [
      writer.event('HolderChanged', command.studyInstanceUid, {
        aggregate: 'study',
        registers,
        intent: { cluster: context.cluster, ...holding },
      }),
    ],
  };
}

/** Decides that another holder is the home from now on. Of two transfers made apart, the first stands. */
export function transferHome(command: TransferHome, state: StudyState, context: DecideContext): Decision {
  const { to, by, studyInstanceUid } = command;
  if (homeOf(state.study) === to) return { events: [] };
  if (!holdersOf(state.study).includes(to))
    return refuse('VALUE_INVALID', 'not a holder of the study', '/to');
  const term = homeTerm(state.study) + 1;
  if (!Number.isSafeInteger(term)) return refuse('VALUE_INVALID', 'the home has no next term', '/to');
  const writer = eventWriter(context, []);
  const registers: RegisterMap = { home: homeRegister(to, term, writer.stamp) };
  const intent = { cluster: to };
  const change = { aggregate: 'study' as const, registers, intent, ...(by === undefined ? {} : { by }) };
  return { events: [writer.event('HomeTransferred', studyInstanceUid, change)] };
}

/** Decides that the study has another object manifest than was announced last. */
export function announceObjects(
  command: AnnounceObjects,
  state: StudyState,
  context: DecideContext,
): Decision {
  if (!/^[0-9a-f]{64}$/.test(command.digest)) return refuse('VALUE_INVALID', 'not a SHA-256', '/digest');
  const { count, images } = command;
  const value = { count, digest: command.digest, ...(images === undefined ? {} : { images }) };
  const present = lwwRegister(state.study, 'objects');
  const announced = announcedObjects(state.study);
  if (announced?.count === count && announced.digest === command.digest) return { events: [] };
  const writer = eventWriter(context, [present]);
  const registers: RegisterMap = { objects: writer.register(value, 1) };
  return {
    events: [
      writer.event('StudyObjectsChanged', command.studyInstanceUid, {
        aggregate: 'study',
        registers,
        intent: value,
      }),
    ],
  };
}

/** Digest of the newest object manifest that was announced, with its count. */
export function announcedObjects(
  study: RegisterMap,
): { readonly count: number; readonly digest: string } | undefined {
  const value = lwwRegister(study, 'objects')?.value;
  if (typeof value !== 'object' || value === null) return undefined;
  const record = value as { readonly [key: string]: JsonValue };
  const count = own(record, 'count');
  const manifest = own(record, 'digest');
  return typeof count === 'number' && typeof manifest === 'string' ? { count, digest: manifest } : undefined;
}
