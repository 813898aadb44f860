import { uidPattern } from '@isthmus/dicom';
import { own } from './canonical.ts';
import type { DecideContext, Decision, Refusal, StudyState } from './commands.ts';
import { eventWriter } from './event-writer.ts';
import type { ChangeType } from './events.ts';
import { lwwRegister, mapEntries } from './holders.ts';
import { refuse } from './refuse.ts';
import type { JsonValue, LwwRegister, RegisterMap } from './registers.ts';
import { isRejectionReason, rejectionOf } from './structure.ts';
import type { RejectionReason } from './structure.ts';

/** Objects that no longer count, or count again. A deletion at a cluster that is only visited is a rejection, too. */
export interface RejectObjects {
  readonly type: 'RejectObjects';
  /** The study that the objects came with, here and below. */
  readonly studyInstanceUid: string;
  readonly sopInstanceUids: readonly string[];
  readonly reason: RejectionReason;
  readonly by?: string;
}
export interface RestoreObjects {
  readonly type: 'RestoreObjects';
  readonly studyInstanceUid: string;
  readonly sopInstanceUids: readonly string[];
  readonly by?: string;
}

/** Objects of a study that belong to another; to the study itself: back again. */
export interface MoveObjects {
  readonly type: 'MoveObjects';
  readonly studyInstanceUid: string;
  readonly sopInstanceUids: readonly string[];
  /**
   * `split`: into a new study, of whichever patient. `segment`: into a new study of the same patient. `move`: into one
   * that is there.
   */
  readonly kind: 'split' | 'segment' | 'move';
  readonly to: string;
  /** What is said of a new study; the rest it has from the one it is taken out of. */
  readonly patient?: { readonly id: string; readonly issuer: string };
  readonly accessionNumber?: string;
  readonly studyDescription?: string;
  readonly by?: string;
}

/** All objects of a study, also those to come, belong to another; its UID leads there. */
export interface MergeStudies {
  readonly type: 'MergeStudies';
  readonly studyInstanceUid: string;
  readonly into: string;
  readonly by?: string;
}
export interface UnmergeStudies {
  readonly type: 'UnmergeStudies';
  readonly studyInstanceUid: string;
  readonly by?: string;
}

export type StructureCommand = RejectObjects | RestoreObjects | MoveObjects | MergeStudies | UnmergeStudies;

/** Objects in one command; more take several. An event stays below what the log takes. */
export const objectsPerCommandMax = 1000;

/**
 * Decides a change of what belongs to a study: one event on the study that the objects came with, each object a register
 * of its own, so that every part can be reversed and two clusters that move different objects do not meet. No report goes
 * along: a status is of what it was given to.
 */
export function decideStructure(
  command: StructureCommand,
  state: StudyState,
  context: DecideContext,
): Decision {
  const deciding = { command, state, context };
  switch (command.type) {
    case 'RejectObjects':
      if (!isRejectionReason(command.reason))
        return refuse('VALUE_INVALID', 'not a reason of IOCM', '/reason');
      return objects(command.sopInstanceUids, 'ObjectsRejected', { reason: command.reason }, deciding);
    case 'RestoreObjects':
      return objects(command.sopInstanceUids, 'ObjectsRestored', { reason: null }, deciding);
    case 'MoveObjects':
      return moveObjects(command, deciding);
    case 'MergeStudies':
      return mergeStudies(command, deciding);
    case 'UnmergeStudies':
      return unmergeStudies(deciding);
    default:
      throw new TypeError(`no such command: ${String((command as { type?: unknown }).type)}`);
  }
}

interface Deciding {
  readonly command: StructureCommand;
  readonly state: StudyState;
  readonly context: DecideContext;
}

function objects(
  uids: readonly string[],
  type: ChangeType,
  value: { readonly reason: RejectionReason | null },
  deciding: Deciding,
): Decision {
  const refused = invalidObjects(uids);
  if (refused) return { refused };
  const { study } = deciding.state;
  const changing = uids.filter((uid) => (rejectionOf(study, uid) ?? null) !== value.reason);
  return written(type, { rejections: entriesOf(changing, value) }, {}, deciding);
}

function moveObjects(command: MoveObjects, deciding: Deciding): Decision {
  const { sopInstanceUids: uids, to, kind, studyInstanceUid } = command;
  const refused = invalidObjects(uids) ?? invalidTarget(command);
  if (refused) return { refused };
  const back = to === studyInstanceUid;
  const targets = mapEntries(deciding.state.study, 'objectTargets');
  const wanted = back ? null : to;
  const changing = uids.filter((uid) => {
    const present = lwwRegister(targets, uid)?.value as { readonly study?: unknown } | null | undefined;
    return (present?.study ?? null) !== wanted;
  });
  if (changing.length === 0) return { events: [] };
  const { patient, accessionNumber, studyDescription } = command;
  const said = {
    kind,
    ...(patient ? { patient: { id: patient.id, issuer: patient.issuer } } : {}),
    ...(accessionNumber === undefined ? {} : { accessionNumber }),
    ...(studyDescription === undefined ? {} : { studyDescription }),
  };
  const isNew = kind !== 'move' && !back && !lwwRegister(mapEntries(deciding.state.study, 'targets'), to);
  return written(
    'ObjectsMoved',
    {
      objectTargets: entriesOf(changing, { study: wanted, kind }),
      ...(isNew ? { targets: [[to, said]] } : {}),
    },
    {},
    deciding,
  );
}

function mergeStudies({ into, studyInstanceUid }: MergeStudies, deciding: Deciding): Decision {
  if (!uidPattern.test(into)) return refuse('VALUE_INVALID', 'not a UID', '/into');
  if (into === studyInstanceUid) return refuse('VALUE_INVALID', 'is the same study', '/into');
  if (mergedKey(deciding.state.study) === into) return { events: [] };
  return written('StudyMerged', {}, { mergedInto: { key: into, kind: 'merge' } }, deciding);
}

function unmergeStudies(deciding: Deciding): Decision {
  const key = mergedKey(deciding.state.study);
  if (key === undefined) return { events: [] };
  return written('StudyUnmerged', {}, { mergedInto: { was: key } }, deciding);
}

function mergedKey(study: RegisterMap): string | undefined {
  const value = lwwRegister(study, 'mergedInto')?.value;
  const key =
    typeof value === 'object' && value !== null ? own(value as { key?: JsonValue }, 'key') : undefined;
  return typeof key === 'string' ? key : undefined;
}

type Entries = readonly (readonly [name: string, value: JsonValue])[];

function entriesOf(uids: readonly string[], value: JsonValue): Entries {
  return uids.map((uid) => [uid, value] as const);
}

/** One event with entries of maps and single registers, each an edit of what is there. */
function written(
  type: ChangeType,
  maps: { readonly [name: string]: Entries },
  singles: { readonly [name: string]: JsonValue },
  { command, state, context }: Deciding,
): Decision {
  const { study } = state;
  const present = (name: string, entry: string): LwwRegister | undefined =>
    lwwRegister(mapEntries(study, name), entry);
  const replaced = [
    ...Object.entries(maps).flatMap(([name, entries]) => entries.map(([entry]) => present(name, entry))),
    ...Object.keys(singles).map((name) => lwwRegister(study, name)),
  ];
  if (replaced.length === 0) return { events: [] };
  const writer = eventWriter(context, replaced, { by: command.by, state });
  const edit = (value: JsonValue, before: LwwRegister | undefined): LwwRegister =>
    writer.edit(value, Math.max(context.rank ?? 1, before?.rank ?? 0), before);
  const registers: RegisterMap = {
    ...Object.fromEntries(
      Object.entries(maps).map(([name, list]) => {
        const entries = list.map(([entry, value]) => [entry, edit(value, present(name, entry))] as const);
        return [name, { t: 'map' as const, entries: Object.fromEntries(entries) }];
      }),
    ),
    ...Object.fromEntries(
      Object.entries(singles).map(([name, value]) => [name, edit(value, lwwRegister(study, name))]),
    ),
  };
  const { by, type: _, studyInstanceUid, ...intent } = command;
  const change = { aggregate: 'study' as const, registers, intent, ...(by === undefined ? {} : { by }) };
  return { events: [writer.event(type, studyInstanceUid, change)] };
}

function invalidObjects(uids: readonly string[]): Refusal | undefined {
  const refusal = (detail: string, pointer: string): Refusal => ({ code: 'VALUE_INVALID', detail, pointer });
  if (uids.length === 0 || uids.length > objectsPerCommandMax)
    return refusal(`1 to ${objectsPerCommandMax} objects`, '/sopInstanceUids');
  const odd = uids.findIndex((uid) => !uidPattern.test(uid));
  return odd < 0 ? undefined : refusal('not a UID', `/sopInstanceUids/${odd}`);
}

function invalidTarget(command: MoveObjects): Refusal | undefined {
  const refusal = (detail: string, pointer: string): Refusal => ({ code: 'VALUE_INVALID', detail, pointer });
  const { to, kind, patient, accessionNumber, studyDescription } = command;
  if (!uidPattern.test(to)) return refusal('not a UID', '/to');
  if (kind !== 'split' && patient) return refusal('only a split goes to another patient', '/patient');
  if (kind === 'move' && (accessionNumber !== undefined || studyDescription !== undefined))
    return refusal('a study that is there is changed by itself', '/to');
  if (patient && (patient.id === '' || [...patient.id].length > 64 || [...patient.issuer].length > 64))
    return refusal('not a patient', '/patient');
  if ((accessionNumber?.length ?? 0) > 16) return refusal('longer than 16 characters', '/accessionNumber');
  if ([...(studyDescription ?? '')].length > 64)
    return refusal('longer than 64 characters', '/studyDescription');
  return undefined;
}
