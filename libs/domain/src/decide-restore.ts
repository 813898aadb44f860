import { canonicalJson, own } from './canonical.ts';
import type { DecideContext, Decision, RestoreValue, StudyState } from './commands.ts';
import { patientOf } from './decide-change-study.ts';
import { eventWriter } from './event-writer.ts';
import { lwwRegister, mapEntries } from './holders.ts';
import { resolvePatient } from './patients.ts';
import { refuse } from './refuse.ts';
import type { LwwRegister, Register, RegisterMap } from './registers.ts';
import { patientKey } from './subjects.ts';

/** Registers that have rules of their own: a report is reopened, a home transferred, a claim taken over. */
const ownRules: ReadonlySet<string> = new Set([
  'holders',
  'home',
  'objects',
  'reports',
  'comments',
  'claim',
  'claimRenewals',
]);

const valueBytesMax = 16_384;

/** Decides that a field has again the value that lost. Refused when the field has changed since it was looked at. */
export function restoreValue(command: RestoreValue, state: StudyState, context: DecideContext): Decision {
  const { aggregate, path, value, by } = command;
  const [name = '', ...inside] = path;
  if (ownRules.has(name)) return refuse('VALUE_INVALID', 'is changed by a command of its own', '/path');
  const reference = patientOf(state.study);
  const ownKey = reference ? patientKey(reference.id, reference.issuer) : '';
  const { key } = resolvePatient(ownKey, state.patients);
  const registers = aggregate === 'study' ? state.study : (own(state.patients, key) ?? {});
  const present = registerAt(registers, path);
  if (!present) return refuse('VALUE_INVALID', 'there is no such value', '/path');
  if (kindOf(value) !== kindOf(present.value) || canonicalJson(value).length > valueBytesMax)
    return refuse('VALUE_INVALID', 'not a value that this field can have', '/value');
  if (canonicalJson(value) === canonicalJson(present.value)) return { events: [] };
  if (present.hlc !== command.replaces)
    return refuse('VALUE_CHANGED', 'the value has changed since: look at it again', '/replaces');

  const writer = eventWriter(context, [present], { by, state });
  const edited: Register = writer.edit(value, Math.max(context.rank ?? 1, present.rank), present);
  const register = inside.reduceRight<Register>(
    (inner, entry) => ({ t: 'map', entries: Object.fromEntries([[entry, inner]]) }),
    edited,
  );
  const subject = aggregate === 'study' ? command.studyInstanceUid : key;
  const change = { aggregate, registers: Object.fromEntries([[name, register]]), intent: { path, value } };
  return {
    events: [writer.event('ValueRestored', subject, { ...change, ...(by === undefined ? {} : { by }) })],
  };
}

/** The LWW register at the end of a path through maps. */
function registerAt(registers: RegisterMap, path: readonly string[]): LwwRegister | undefined {
  const maps = path.slice(0, -1);
  const within = maps.reduce(mapEntries, registers);
  return lwwRegister(within, path.at(-1) ?? '');
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value;
  return Array.isArray(value) ? 'list' : `record of ${Object.keys(value).sort().join()}`;
}
