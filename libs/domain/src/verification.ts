import { own } from './canonical.ts';
import type { DecideContext, Decision, RecordVerification, StudyState } from './commands.ts';
import { eventWriter } from './event-writer.ts';
import { lwwRegister } from './holders.ts';
import { homeOf } from './home.ts';
import { refuse } from './refuse.ts';
import type { JsonValue, RegisterMap } from './registers.ts';

/** Whether a RIS knows the order that a study belongs to. */
export const verificationStates = ['NOT_REQUIRED', 'UNVERIFIED', 'FAILED', 'VERIFIED'] as const;
export type VerificationState = (typeof verificationStates)[number];

export interface Verification {
  readonly state: VerificationState;
  /** RIS gateway, or user; null when nobody looked. */
  readonly by: string | null;
  /** RFC 3339. */
  readonly at: string | null;
}

/** A correction by hand of whose study it is and which order it belongs to. */
export interface Fixup {
  readonly by: string;
  readonly at: string;
  readonly reason: string;
  /** Names of the registers that it corrected. */
  readonly fields: readonly string[];
}

/** NOT_REQUIRED while nothing was ever said: such a study was never subject to verification. */
export function verificationOf(study: RegisterMap): Verification {
  const record = recordOf(study, 'verification');
  const state = record && own(record, 'state');
  if (!record || !isVerificationState(state)) return { state: 'NOT_REQUIRED', by: null, at: null };
  return { state, by: textOf(record, 'by'), at: textOf(record, 'at') };
}

/** The last correction by hand; undefined when there was none. */
export function fixupOf(study: RegisterMap): Fixup | undefined {
  const record = recordOf(study, 'fixup');
  if (!record) return undefined;
  const fields = own(record, 'fields');
  return {
    by: textOf(record, 'by') ?? '',
    at: textOf(record, 'at') ?? '',
    reason: textOf(record, 'reason') ?? '',
    fields: Array.isArray(fields) ? fields.filter((field): field is string => typeof field === 'string') : [],
  };
}

function isVerificationState(text: unknown): text is VerificationState {
  return (verificationStates as readonly unknown[]).includes(text);
}

type Plain = { readonly [key: string]: JsonValue };

function recordOf(study: RegisterMap, name: string): Plain | undefined {
  const value = lwwRegister(study, name)?.value;
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Plain) : undefined;
}

function textOf(record: Plain, name: string): string | null {
  const text = own(record, name);
  return typeof text === 'string' && text !== '' ? text : null;
}

/** Decides what a RIS gateway said of a study. The study's home alone decides; a visitor's gateway has other orders. */
export function recordVerification(
  command: RecordVerification,
  state: StudyState,
  context: DecideContext,
): Decision {
  const { study } = state;
  if (!isVerificationState(command.state))
    return refuse('VALUE_INVALID', 'not a state of verification', '/state');
  if (command.by === '' || command.by.length > 256)
    return refuse('VALUE_INVALID', '1 to 256 characters', '/by');
  const home = homeOf(study);
  if (home !== undefined && home !== context.cluster)
    return refuse('NOT_HOME', `only the study's home, ${home}, verifies it`);
  const present = lwwRegister(study, 'verification');
  const before = verificationOf(study);
  if (present && before.state === command.state && before.by === command.by) return { events: [] };
  const value = { state: command.state, by: command.by, at: command.at ?? context.now.toISOString() };
  const writer = eventWriter(context, [present], { by: command.by, state });
  const rank = Math.max(context.rank ?? 1, present?.rank ?? 0);
  const registers: RegisterMap = { verification: writer.edit(value, rank, present) };
  const change = { aggregate: 'study' as const, registers, intent: value, by: command.by };
  return { events: [writer.event('StudyVerified', command.studyInstanceUid, change)] };
}
