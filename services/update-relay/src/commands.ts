import {
  decide,
  isImageModality,
  isStamp,
  observe,
  patientKeysOf,
  patientSubject,
  studyStamp,
  studySubject,
} from '@isthmus/domain';
import type {
  ChangeEvent,
  DecideContext,
  KnownObjects,
  Refusal,
  StudyCommand,
  StudyState,
} from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import { derivedUuid, newUuid } from '@isthmus/service-kit';
import type { Log } from '@isthmus/service-kit';
import { foldPatient, foldStudy, patientKeyOf } from './state.ts';
import type { SubjectLog } from './state.ts';
import { identityKey } from './store/rows.ts';
import type { Folded, ReadableRows } from './store/rows.ts';
import { columnText } from './tables.ts';

/** How a command came. */
export interface CommandOptions {
  /**
   * Derived from the Idempotency-Key when there is one: ids of events follow from it, so a retry is the same
   * events.
   */
  readonly commandId?: string;
  /** What the author had seen (stamp inside the ETag): the edit beats it. */
  readonly seen?: string;
  /** Guards the write: the state's `studyStamp` must satisfy it, or nothing is written. */
  readonly ifMatch?: (stamp: string) => void;
  readonly rank?: 1 | 2;
}

export type CommandOutcome =
  | {
      /** Last sequence that the state follows from: wait for it before reading. */
      readonly sequence: number;
      /** Ids of the events appended; none when the state was already so. */
      readonly eventIds: readonly string[];
    }
  | { readonly refused: Refusal };

/**
 * Others kept writing to the study first. Nothing of this attempt is stored, or a part that a retry
 * completes.
 */
export class ContendedError extends Error {
  readonly code = 'STUDY_CONTENDED';
  readonly remedy = 'Send the command again.';
  constructor(studyInstanceUid: string, attempts: number) {
    super(`study ${studyInstanceUid}: somebody else wrote first, ${attempts} times`);
    this.name = 'ContendedError';
  }
}

export interface Commands {
  /**
   * Folds the study to exactly its last event, decides, and appends on condition that nothing came between;
   * decides again when something did. Resolves after the log has acknowledged every event.
   *
   * @throws {ContendedError} After `attemptsMax` conflicts.
   * @throws {LogFullError | LogUnavailableError} From the log; a part may be stored, the same command completes it.
   */
  execute(command: StudyCommand, options?: CommandOptions): Promise<CommandOutcome>;
}

export function createCommands(parts: {
  readonly cluster: string;
  readonly store: ReadableRows;
  readonly eventLog: SubjectLog & Pick<EventLog, 'appendExpecting'>;
  readonly log: Log;
  readonly attemptsMax: number;
  readonly now?: () => Date;
  readonly newId?: (nowMs: number) => string;
}): Commands {
  const { cluster, store, eventLog, log, attemptsMax } = parts;
  const now = parts.now ?? (() => new Date());
  const newId = parts.newId ?? newUuid;
  /** Last stamp that we made; registers bring their own, so that it need not outlive us. */
  let clock = '';

  const attempt = async (
    command: StudyCommand,
    options: CommandOptions,
    written: Written,
  ): Promise<CommandOutcome | 'conflict'> => {
    const state = await foldFor(store, eventLog, command);
    options.ifMatch?.(
      studyStamp(state.study.registers, state.patients.get(state.patientKey ?? '')?.registers ?? {}),
    );
    const decision = decide(
      command,
      stateOf(state),
      contextOf({ cluster, clock, now: now(), newId }, options),
    );
    if ('refused' in decision) return decision;
    const events = decision.events.map((event) => withStableId(event, options.commandId));
    clock = observe(clock, ...events.map((event) => event.hlc));
    const fresh = await unwritten(store, events, options.commandId);
    for (const event of fresh) {
      const { subject, expected } = placeOf(event, state, written);
      const appended = await eventLog.appendExpecting(subject, event, expected);
      if (!appended.ok) return 'conflict';
      written.last.set(subject, appended.sequence);
      written.ids.push(event.id);
      written.highest = appended.sequence;
      log.info(
        { subject, eventId: event.id, type: event.type, sequence: appended.sequence },
        'command: appended',
      );
    }
    const sequence = Math.max(state.study.lastSequence, written.highest);
    return { sequence, eventIds: written.ids };
  };

  const executeOne = async (command: StudyCommand, options: CommandOptions): Promise<CommandOutcome> => {
    const written: Written = { last: new Map(), ids: [], highest: 0 };
    for (let tries = 1; tries <= attemptsMax; tries++) {
      // Once a part is written, what was seen has changed by our own hand.
      const guarded = written.ids.length === 0 ? options : { ...options, ifMatch: undefined };
      const outcome = await attempt(command, guarded, written);
      if (outcome !== 'conflict') return outcome;
      written.last.clear();
      log.debug({ study: command.studyInstanceUid, tries }, 'command: somebody wrote first; deciding again');
    }
    throw new ContendedError(command.studyInstanceUid, attemptsMax);
  };

  return {
    execute: async (command, options = {}) => {
      const [first, second] = partsOf(command);
      if (!second) return executeOne(first, options);
      // All of it is decided once before any part is written: a bad comment refuses the whole.
      const state = await foldFor(store, eventLog, command);
      const whole = decide(
        command,
        stateOf(state),
        contextOf({ cluster, clock, now: now(), newId }, options),
      );
      if ('refused' in whole) return whole;
      const done = await executeOne(first, options);
      if ('refused' in done) return done;
      const rest = await executeOne(second, { ...options, ifMatch: undefined });
      if ('refused' in rest) return rest;
      return {
        sequence: Math.max(done.sequence, rest.sequence),
        eventIds: [...done.eventIds, ...rest.eventIds],
      };
    },
  };
}

/** What this command has appended so far: a conflict in its middle decides the rest again. */
interface Written {
  readonly last: Map<string, number>;
  readonly ids: string[];
  highest: number;
}

interface FoldedFor {
  readonly study: Folded;
  readonly patientKey: string | undefined;
  readonly patients: ReadonlyMap<string, Folded>;
  readonly objects: KnownObjects | undefined;
}

async function foldFor(store: ReadableRows, eventLog: SubjectLog, command: StudyCommand): Promise<FoldedFor> {
  const study = await foldStudy(store, eventLog, command.studyInstanceUid);
  const own = patientKeyOf(study.registers);
  const wanted = command.type === 'ChangeStudy' ? patientKeysOf(command, study.registers) : own ? [own] : [];
  const keys = command.type === 'RecordHolding' || command.type === 'AnnounceObjects' ? [] : wanted;
  const patients = new Map<string, Folded>();
  for (const key of keys) patients.set(key, await foldPatient(store, eventLog, key));
  // Only an approval says what objects it has seen.
  const approves = command.type === 'ChangeReportStatus' && command.status === 'APPROVED';
  const objects = approves ? await knownObjects(store, command.studyInstanceUid) : undefined;
  return { study, patientKey: own, patients, objects };
}

async function knownObjects(store: ReadableRows, study: string): Promise<KnownObjects> {
  const objects = await store.objects([study]);
  return {
    count: objects.length,
    images: objects.filter(({ modality }) => isImageModality(modality)).length,
  };
}

function stateOf({ study, patients, objects }: FoldedFor): StudyState {
  return {
    study: study.registers,
    patients: Object.fromEntries([...patients].map(([key, folded]) => [key, folded.registers])),
    ...(objects ? { objects } : {}),
  };
}

function contextOf(
  at: {
    readonly cluster: string;
    readonly clock: string;
    readonly now: Date;
    readonly newId: (nowMs: number) => string;
  },
  options: CommandOptions,
): DecideContext {
  const { cluster, clock, now, newId } = at;
  const { commandId, seen, rank } = options;
  let ids = 0;
  return {
    cluster,
    now,
    clock,
    newId: () => (commandId === undefined ? newId(now.getTime()) : derivedUuid(commandId, `id ${ids++}`)),
    ...(isStamp(seen) ? { seen } : {}),
    ...(rank === undefined ? {} : { rank }),
    ...(commandId === undefined ? {} : { correlationid: commandId }),
  };
}

/**
 * With a key, an event's id follows from the key, its type and its aggregate, not from its place among the
 * others: a retry that finds the first of two events done decides only the second, and must not give it the
 * first one's id.
 */
function withStableId(event: ChangeEvent, commandId: string | undefined): ChangeEvent {
  return commandId === undefined
    ? event
    : { ...event, id: derivedUuid(commandId, event.type, event.subject) };
}

/** A comment is decided by itself, so that with a key its own id is always the same. */
function partsOf(command: StudyCommand): [StudyCommand, StudyCommand?] {
  if (command.type !== 'ChangeStudy' || !command.comment) return [command];
  const { comment, ...rest } = command;
  const { type, studyInstanceUid, by } = command;
  const changes = Object.keys(rest).some((name) => !['type', 'studyInstanceUid', 'by'].includes(name));
  const commented = { type, studyInstanceUid, comment, ...(by === undefined ? {} : { by }) };
  return changes ? [rest, commented] : [commented];
}

function placeOf(
  event: ChangeEvent,
  state: FoldedFor,
  written: Written,
): { readonly subject: string; readonly expected: number } {
  if (event.data.aggregate === 'study') {
    const subject = studySubject(event.subject);
    return { subject, expected: written.last.get(subject) ?? state.study.lastSequence };
  }
  const subject = patientSubject(event.subject);
  return {
    subject,
    expected: written.last.get(subject) ?? state.patients.get(event.subject)?.lastSequence ?? 0,
  };
}

/**
 * Leaves out what an earlier try with the same key has stored already (long ago: the log itself knows two
 * minutes).
 */
async function unwritten(
  store: ReadableRows,
  events: readonly ChangeEvent[],
  commandId: string | undefined,
): Promise<readonly ChangeEvent[]> {
  if (commandId === undefined || events.length === 0) return events;
  const identities = events.map(({ subject, id }) => ({ subject: columnText(subject), id }));
  const known = await store.knownEvents(identities);
  return events.filter((_, index) => !known.has(identityKey(identities[index] ?? { subject: '', id: '' })));
}
