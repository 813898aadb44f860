import { canonicalJson, own } from './canonical.ts';
import type { ChangeStudy, DecideContext, Decision, Refusal, StudyState } from './commands.ts';
import { eventWriter } from './event-writer.ts';
import type { EventWriter } from './event-writer.ts';
import type { ChangeEvent, ChangeType } from './events.ts';
import type { PatientReference } from './headers.ts';
import { lwwRegister, mapEntries } from './holders.ts';
import { carriedDemographics, resolvePatient } from './patients.ts';
import { reportKey } from './reports.ts';
import type { JsonValue, LwwRegister, MapRegister, RegisterMap } from './registers.ts';
import { patientKey } from './subjects.ts';

/** The patient that a study belongs to; undefined while that is not known. */
export function patientOf(study: RegisterMap): PatientReference | undefined {
  const value = lwwRegister(study, 'patient')?.value;
  if (typeof value !== 'object' || value === null) return undefined;
  const record = value as { readonly [key: string]: JsonValue };
  const id = own(record, 'id');
  const issuer = own(record, 'issuer');
  return typeof id === 'string' && typeof issuer === 'string' ? { id, issuer } : undefined;
}

/**
 * The patient key that a study would have after this command: whose state `decide` needs beside the present
 * one's.
 */
export function patientKeysOf(command: ChangeStudy, study: RegisterMap): readonly string[] {
  const present = patientOf(study);
  if (!present) return [];
  const wanted = wantedPatient(command, present);
  return [...new Set([patientKey(present.id, present.issuer), patientKey(wanted.id, wanted.issuer)])];
}

function wantedPatient(command: ChangeStudy, present: PatientReference): PatientReference {
  const id = command.patient?.id ?? present.id;
  return { id, issuer: command.patient?.issuer ?? present.issuer };
}

/** What a command would change, compared with what is there. */
interface Wanted {
  readonly present: PatientReference;
  readonly patient: PatientReference;
  readonly moved: boolean;
  /** Key of whoever stands for that patient. */
  readonly patientSubject: string;
  /** Registers of whoever stands for the patient that the study will belong to. */
  readonly patientState: RegisterMap;
  readonly texts: Texts;
  readonly location: Texts;
  readonly studyStatus: Texts;
  readonly demographics: Texts;
}

/** Decides `ChangeStudy` on a study that is known. One stamp covers all its events. */
export function decideChangeStudy(command: ChangeStudy, state: StudyState, context: DecideContext): Decision {
  const wanted = compare(command, state);
  const refused = invalid(command) ?? invalidIdentity(command, wanted.present);
  if (refused) return { refused };
  const writer = eventWriter(context, replacedBy(wanted, state), { by: command.by, state });
  const rank = command.fixup ? 2 : (context.rank ?? 1);
  return {
    events: [
      ...studyEvents(command, wanted, state, { writer, rank, context }),
      ...patientEvents(command, wanted, state, { writer, rank }),
    ],
  };
}

function compare(command: ChangeStudy, state: StudyState): Wanted {
  const present = patientOf(state.study) ?? { id: '', issuer: '' };
  const patient = wantedPatient(command, present);
  // What is said of a merged patient is said of whoever stands for him now; the study keeps its own key.
  const { key } = resolvePatient(patientKey(patient.id, patient.issuer), state.patients);
  const patientState = own(state.patients, key) ?? {};
  const { accessionNumber, studyDescription, patientLocation, studyStatus } = command;
  const { name, birthDate, sex } = command.patient ?? {};
  return {
    present,
    patient,
    moved: canonicalJson(present) !== canonicalJson(patient),
    patientSubject: key,
    patientState,
    texts: changedTexts(state.study, { accessionNumber, studyDescription }),
    location: changedTexts(state.study, { patientLocation }),
    studyStatus: changedTexts(state.study, { studyStatus }),
    demographics: changedTexts(patientState, { name, birthDate, sex }),
  };
}

/** The registers that the author saw and replaces; the stamp must beat them all. */
function replacedBy(wanted: Wanted, state: StudyState): readonly (LwwRegister | undefined)[] {
  const { texts, location, studyStatus, demographics, moved } = wanted;
  const moves = mapEntries(state.study, 'reportMoves');
  return [
    moved ? lwwRegister(state.study, 'patient') : undefined,
    ...[...texts, ...location, ...studyStatus].map(([name]) => lwwRegister(state.study, name)),
    ...demographics.map(([name]) => lwwRegister(wanted.patientState, name)),
    ...(texts.length > 0 ? Object.keys(moves).map((key) => lwwRegister(moves, key)) : []),
  ];
}

interface Writing {
  readonly writer: EventWriter;
  readonly rank: number;
}

function studyEvents(
  command: ChangeStudy,
  wanted: Wanted,
  { study }: StudyState,
  writing: Writing & { readonly context: DecideContext },
): readonly ChangeEvent[] {
  const { writer, rank, context } = writing;
  const { texts, location, studyStatus, moved } = wanted;
  const { id, issuer } = wanted.patient;
  const before = lwwRegister(study, 'patient');
  const keptRank = Math.max(rank, before?.rank ?? 0);
  const demographics = {
    ...written(writer, rank, study, texts),
    ...(moved ? { patient: writer.edit({ id, issuer }, keptRank, before) } : {}),
    ...movedReports(study, texts, writer, rank),
  };
  const intent = { ...Object.fromEntries(texts), ...(moved ? { patient: { id, issuer } } : {}) };
  const comment = command.comment ? commentRegister(command.comment, context, writer) : {};
  const parts: readonly (readonly [ChangeType, RegisterMap, { readonly [key: string]: unknown }])[] = [
    ['StudyDemographicsChanged', demographics, intent],
    ['PatientLocationChanged', written(writer, rank, study, location), Object.fromEntries(location)],
    ['StudyStatusChanged', written(writer, rank, study, studyStatus), Object.fromEntries(studyStatus)],
    ['StudyCommented', comment, { ...command.comment }],
    ['StudyFixedUp', fixupRegister(command, wanted, study, writing), { ...command.fixup }],
  ];
  return parts.flatMap(([type, registers, meant]) => {
    if (Object.keys(registers).length === 0) return [];
    const change = { aggregate: 'study' as const, registers, intent: meant, by: command.by };
    return [writer.event(type, command.studyInstanceUid, change)];
  });
}

/** That somebody corrected by hand, and what; nothing when nothing changes. */
function fixupRegister(
  { fixup, by }: ChangeStudy,
  wanted: Wanted,
  study: RegisterMap,
  { writer, rank, context }: Writing & { readonly context: DecideContext },
): RegisterMap {
  const texts = [...wanted.texts, ...wanted.demographics].map(([name]) => name);
  const fields = [...(wanted.moved ? ['patient'] : []), ...texts];
  if (!fixup || fields.length === 0) return {};
  const value = { by: by ?? '', at: context.now.toISOString(), reason: fixup.reason, fields };
  return { fixup: writer.edit(value, rank, lwwRegister(study, 'fixup')) };
}

function patientEvents(
  command: ChangeStudy,
  wanted: Wanted,
  state: StudyState,
  { writer, rank }: Writing,
): readonly ChangeEvent[] {
  const registers = {
    ...(wanted.moved ? carriedOver(state, wanted.present, wanted.patient) : {}),
    ...written(writer, rank, wanted.patientState, wanted.demographics),
  };
  if (Object.keys(registers).length === 0) return [];
  const intent = Object.fromEntries(wanted.demographics);
  const change = { aggregate: 'patient' as const, registers, intent, by: command.by };
  return [writer.event('PatientDemographicsChanged', wanted.patientSubject, change)];
}

/** A study without Patient ID gets one only together with an issuer: nobody issued the one that it has. */
function invalidIdentity(command: ChangeStudy, present: PatientReference): Refusal | undefined {
  const { id, issuer } = command.patient ?? {};
  if (present.id !== '' || (id === undefined && issuer === undefined)) return undefined;
  const pointer = id === undefined ? '/patient/id' : '/patient/issuer';
  if (id !== undefined && issuer !== undefined) return undefined;
  return {
    code: 'VALUE_INVALID',
    pointer,
    detail: 'the study has no Patient ID yet: id and issuer go together',
  };
}

type Texts = readonly (readonly [name: string, text: string])[];

/** The wanted texts that differ from what the registers say. */
function changedTexts(
  registers: RegisterMap,
  wanted: { readonly [name: string]: string | undefined },
): Texts {
  return Object.entries(wanted).flatMap(([name, text]) => {
    if (text === undefined) return [];
    const present = lwwRegister(registers, name);
    return (present?.value ?? '') === text ? [] : [[name, text] as const];
  });
}

/** An edit never ranks below the value that its author saw and replaces: correcting the RIS is a fixup. */
function written(writer: EventWriter, rank: number, registers: RegisterMap, changes: Texts): RegisterMap {
  return Object.fromEntries(
    changes.map(([name, text]) => {
      const present = lwwRegister(registers, name);
      return [name, writer.edit(text, Math.max(rank, present?.rank ?? 0), present)];
    }),
  );
}

function commentRegister(
  comment: { readonly text: string; readonly author: string },
  context: DecideContext,
  writer: EventWriter,
): RegisterMap {
  const value = { text: comment.text, author: comment.author, at: context.now.toISOString() };
  const entries = Object.fromEntries([[context.newId(), writer.register(value, 1)]]);
  return { comments: { t: 'map', entries } };
}

/** A corrected accession number takes its report along; correcting back clears the way. */
function movedReports(study: RegisterMap, texts: Texts, writer: EventWriter, rank: number): RegisterMap {
  const to = texts.find(([name]) => name === 'accessionNumber')?.[1];
  const from = reportKey(study, '');
  const reports = mapEntries(study, 'reports');
  if (!to || from === '' || from === to) return {};
  const hasReport = Object.keys(reports).some((key) => reportKey(study, key) === from);
  const returns = lwwRegister(mapEntries(study, 'reportMoves'), to) !== undefined;
  if (!hasReport && !returns) return {};
  const entries: [string, LwwRegister][] = [[from, writer.register(to, rank)]];
  if (returns) entries.push([to, writer.register(null, rank)]);
  const reportMoves: MapRegister = { t: 'map', entries: Object.fromEntries(entries) };
  return { reportMoves };
}

/** A study that moves to a patient of whom nothing is known takes the demographics along. */
function carriedOver(state: StudyState, present: PatientReference, wanted: PatientReference): RegisterMap {
  if (Object.keys(own(state.patients, patientKey(wanted.id, wanted.issuer)) ?? {}).length > 0) return {};
  return carriedDemographics(own(state.patients, patientKey(present.id, present.issuer)) ?? {}, wanted);
}

const limits: readonly (readonly [
  pointer: string,
  of: (command: ChangeStudy) => string | undefined,
  limit: number,
])[] = [
  ['/patient/id', (command) => command.patient?.id, 64],
  ['/patient/issuer', (command) => command.patient?.issuer, 64],
  ['/patient/name', (command) => command.patient?.name, 324],
  ['/accessionNumber', (command) => command.accessionNumber, 16],
  ['/studyDescription', (command) => command.studyDescription, 64],
  ['/patientLocation', (command) => command.patientLocation, 64],
  ['/studyStatus', (command) => command.studyStatus, 16],
  ['/comment/text', (command) => command.comment?.text, 10_240],
  ['/comment/author', (command) => command.comment?.author, 256],
  ['/fixup/reason', (command) => command.fixup?.reason, 256],
];

/** Longest values are those of the VRs (PS3.5 §6.2): LO 64, SH 16, CS 16, PN 3 × 64 and more, LT 10 240. */
function invalid(command: ChangeStudy): Refusal | undefined {
  const refusal = (pointer: string, detail: string): Refusal => ({ code: 'VALUE_INVALID', pointer, detail });
  for (const [pointer, of, limit] of limits) {
    const text = of(command);
    if (text === undefined) continue;
    if ([...text].length > limit) return refusal(pointer, `longer than ${limit} characters`);
    if (pointer !== '/comment/text' && hasControls(text))
      return refusal(pointer, 'contains a control character');
  }
  const { birthDate, sex } = command.patient ?? {};
  if (command.patient?.id === '') return refusal('/patient/id', 'must not be empty');
  if (command.comment?.text === '') return refusal('/comment/text', 'must not be empty');
  if (birthDate && !isDate(birthDate)) return refusal('/patient/birthDate', 'not a date YYYYMMDD');
  if (sex && !['M', 'F', 'O'].includes(sex)) return refusal('/patient/sex', 'not one of M, F, O');
  return undefined;
}

function hasControls(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

function isDate(text: string): boolean {
  const match = /^(\d{4})(\d\d)(\d\d)$/.exec(text);
  if (!match) return false;
  const date = new Date(`${match[1]}-${match[2]}-${match[3]}T00:00:00Z`);
  return (
    !Number.isNaN(date.getTime()) && date.toISOString().startsWith(`${match[1]}-${match[2]}-${match[3]}`)
  );
}
