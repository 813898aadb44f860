import { own } from './canonical.ts';
import type { DecideContext, Decision, Refusal } from './commands.ts';
import { eventWriter } from './event-writer.ts';
import type { ChangeEvent } from './events.ts';
import type { PatientReference } from './headers.ts';
import { lwwRegister } from './holders.ts';
import { carriedDemographics, mergeEdge, resolvePatient } from './patients.ts';
import type { MergeKind, PatientStates } from './patients.ts';
import { refuse } from './refuse.ts';
import type { JsonValue, RegisterMap } from './registers.ts';
import { patientKey } from './subjects.ts';

/** Two records are one person: `into` stands for `from` (HL7 ADT A40). */
export interface MergePatients {
  readonly type: 'MergePatients';
  readonly from: PatientReference;
  readonly into: PatientReference;
  readonly by?: string;
}

/** Takes a merge, or a change of identifier, back: the patient stands for himself. */
export interface UnmergePatient {
  readonly type: 'UnmergePatient';
  readonly patient: PatientReference;
  readonly by?: string;
}

/** The record has another ID from now on (HL7 ADT A47); what still comes with the old one is found under the new. */
export interface ChangePatientIdentifier {
  readonly type: 'ChangePatientIdentifier';
  readonly from: PatientReference;
  readonly to: PatientReference;
  readonly by?: string;
}

export type PatientCommand = MergePatients | UnmergePatient | ChangePatientIdentifier;

/**
 * Decides a command about who a patient is. Nothing is re-keyed: studies keep the patient that they have, and readers
 * resolve him. Merges are refused only here, to whoever asks; one that comes from elsewhere always stands.
 *
 * @param patients - Folded to the sequences that the events will be appended after: the patients named, and those that
 *   they were merged into.
 */
export function decidePatient(
  command: PatientCommand,
  patients: PatientStates,
  context: DecideContext,
): Decision {
  switch (command.type) {
    case 'MergePatients':
      return connect(command.from, command.into, 'merge', '/into', { command, patients, context });
    case 'ChangePatientIdentifier':
      return connect(command.from, command.to, 'identifier', '/to', { command, patients, context });
    case 'UnmergePatient':
      return unmerge(command, patients, context);
    default:
      throw new TypeError(`no such command: ${String((command as { type?: unknown }).type)}`);
  }
}

interface Deciding {
  readonly command: PatientCommand;
  readonly patients: PatientStates;
  readonly context: DecideContext;
}

function connect(
  from: PatientReference,
  to: PatientReference,
  kind: MergeKind,
  pointer: string,
  { command, patients, context }: Deciding,
): Decision {
  const refused = invalid(from, '/from') ?? invalid(to, pointer);
  if (refused) return { refused };
  const [fromKey, toKey] = [patientKey(from.id, from.issuer), patientKey(to.id, to.issuer)];
  if (fromKey === toKey) return refuse('VALUE_INVALID', 'is the same patient', pointer);
  const present = own(patients, fromKey) ?? {};
  const edge = mergeEdge(present);
  if (edge?.key === toKey && edge.kind === kind) return { events: [] };
  const survivor = resolvePatient(toKey, patients);
  if (survivor.key === fromKey || survivor.through.includes(fromKey))
    return refuse('VALUE_INVALID', 'is merged into the patient already: take that back first', pointer);

  const known = own(patients, toKey) ?? {};
  const started = Object.keys(known).length > 0 ? [] : [carriedDemographics(present, to)];
  return {
    events: [
      edgeEvent(
        kind === 'merge' ? 'PatientMerged' : 'PatientIdentifierChanged',
        fromKey,
        { key: toKey, kind },
        {
          command,
          patients,
          context,
        },
      ),
      ...started.map((registers) => startEvent(toKey, registers, command, context)),
    ],
  };
}

function unmerge(command: UnmergePatient, patients: PatientStates, context: DecideContext): Decision {
  const refused = invalid(command.patient, '/patient');
  if (refused) return { refused };
  const key = patientKey(command.patient.id, command.patient.issuer);
  const edge = mergeEdge(own(patients, key));
  if (!edge) return { events: [] };
  // Whom it was merged into stays written, so that this news reaches whoever holds the other side.
  return { events: [edgeEvent('PatientUnmerged', key, { was: edge.key }, { command, patients, context })] };
}

function edgeEvent(
  type: 'PatientMerged' | 'PatientUnmerged' | 'PatientIdentifierChanged',
  key: string,
  value: { readonly [member: string]: string },
  { command, patients, context }: Deciding,
): ChangeEvent {
  const present = lwwRegister(own(patients, key) ?? {}, 'mergedInto');
  const state = { study: {}, patients };
  const writer = eventWriter(context, [present], { by: command.by, state });
  const rank = Math.max(context.rank ?? 1, present?.rank ?? 0);
  const registers: RegisterMap = { mergedInto: writer.edit(value as JsonValue, rank, present) };
  return writer.event(type, key, { ...changeOf(registers, command), intent: value });
}

/** A patient of whom nothing is known begins with what is known of the other. */
function startEvent(
  key: string,
  registers: RegisterMap,
  command: PatientCommand,
  context: DecideContext,
): ChangeEvent {
  return eventWriter(context, []).event('PatientDemographicsChanged', key, changeOf(registers, command));
}

function changeOf(
  registers: RegisterMap,
  { by }: PatientCommand,
): { readonly aggregate: 'patient'; readonly registers: RegisterMap; readonly by?: string } {
  return { aggregate: 'patient', registers, ...(by === undefined ? {} : { by }) };
}

/** LO holds 64 characters (PS3.5 §6.2). */
const charactersMax = 64;

function invalid({ id, issuer }: PatientReference, pointer: string): Refusal | undefined {
  for (const [name, text] of Object.entries({ id, issuer })) {
    const place = `${pointer}/${name}`;
    if (text === '') return { code: 'VALUE_INVALID', detail: 'must not be empty', pointer: place };
    if ([...text].length > charactersMax)
      return { code: 'VALUE_INVALID', detail: `longer than ${charactersMax} characters`, pointer: place };
    if (/\p{Cc}/u.test(text))
      return { code: 'VALUE_INVALID', detail: 'contains a control character', pointer: place };
  }
  return undefined;
}
