import type { ChangeReportStatus, DecideContext, Decision, Refusal, StudyState } from './commands.ts';
import { eventWriter } from './event-writer.ts';
import type { EventWriter } from './event-writer.ts';
import { refuse } from './refuse.ts';
import type { JsonValue, LwwRegister, RegisterMap } from './registers.ts';
import { openingRegister } from './report-openings.ts';
import type { OpeningKind } from './report-openings.ts';
import {
  allRevisions,
  firstOpener,
  isReportStatus,
  openRevisions,
  reportChange,
  reportKey,
  reportsOf,
  revisionMax,
  statusRank,
} from './reports.ts';
import type { Report, ReportEntry, Revision } from './reports.ts';

const textLimits = {
  subStatus: 64,
  by: 256,
  at: 40,
  reportId: 64,
  url: 2048,
  accessionNumber: 16,
  reason: 256,
} as const;

/** Peers refuse these as names of registers (see `parseEvent`). */
const reservedNames = new Set(['__proto__', 'constructor', 'prototype']);

/** What a step does: raises what is open, or opens a new revision and why. */
type Step = { readonly opens?: OpeningKind } | 'nothing' | { readonly refused: Refusal };

/** Decides a step of a report: forward, again (reopen), in addition (addendum), or taking approvals back (retract). */
export function changeReportStatus(
  command: ChangeReportStatus,
  state: StudyState,
  context: DecideContext,
): Decision {
  const invalid = invalidCommand(command);
  if (invalid) return invalid;
  const key = reportKey(state.study, command.accessionNumber ?? '');
  const open = openRevisions(state.study, key);
  const shown = reportsOf(state.study).find(({ accessionNumber }) => accessionNumber === key);
  const step = stepOf(command, shown);
  if (step === 'nothing') return { events: [] };
  if ('refused' in step) return step;

  if (step.opens && (open[0]?.revision ?? 0) >= revisionMax)
    return refuse('VALUE_INVALID', 'the report has no further revision', `/${flagOf[step.opens]}`);

  const writer = eventWriter(
    context,
    open.map(({ register }) => register),
    { by: command.by, state },
  );
  const entry = nextEntry(command, open[0]?.entry, step.opens !== undefined, state, context.now);
  const registers = reportChange(
    key,
    step.opens
      ? opened(
          step.opens,
          command,
          { writer, entry, cluster: context.cluster },
          allRevisions(state.study, key),
        )
      : raised(open, writer, entry),
  );
  const opens = step.opens ? { [flagOf[step.opens]]: true } : {};
  const intent = { status: command.status, ...opens, accessionNumber: key };
  const change = { aggregate: 'study' as const, registers, intent, by: command.by };
  return { events: [writer.event('ReportStatusChanged', command.studyInstanceUid, change)] };
}

const flagOf = { reopen: 'reopen', addendum: 'addendum', retraction: 'retract' } as const;

function invalidCommand(command: ChangeReportStatus): Decision | undefined {
  if (!isReportStatus(command.status)) return refuse('VALUE_INVALID', 'not a report status', '/status');
  for (const [name, limit] of Object.entries(textLimits)) {
    if ((command[name as keyof typeof textLimits]?.length ?? 0) > limit)
      return refuse('VALUE_INVALID', `longer than ${limit} characters`, `/${name}`);
  }
  if (reservedNames.has(command.accessionNumber ?? ''))
    return refuse('VALUE_INVALID', 'a reserved name', '/accessionNumber');
  if (command.claim !== undefined && !Number.isSafeInteger(command.claim))
    return refuse('VALUE_INVALID', 'not the fence of a claim', '/claim');
  const asked = [command.reopen, command.addendum, command.retract].filter((flag) => flag === true);
  if (asked.length > 1)
    return refuse('VALUE_INVALID', 'one of reopen, addendum and retract at a time', '/retract');
  return undefined;
}

function stepOf(command: ChangeReportStatus, shown: Report | undefined): Step {
  if (command.retract === true) return retraction(command, shown);
  if (command.addendum === true) return addendum(command, shown);
  const rank = statusRank(command.status);
  if (!shown) return rank === 0 ? 'nothing' : {};
  if (rank < statusRank(shown.status)) {
    if (command.reopen === true) return { opens: 'reopen' };
    return refuse('STATUS_WOULD_GO_BACK', `the report is ${shown.status}: reopen it to go back`);
  }
  return shown.status === command.status && !bringsDetails(command, shown) ? 'nothing' : {};
}

function retraction(command: ChangeReportStatus, shown: Report | undefined): Step {
  if (command.status === 'APPROVED')
    return refuse('VALUE_INVALID', 'what is retracted is not approved', '/status');
  if (shown?.lastApproved) return { opens: 'retraction' };
  if (shown?.status === command.status) return 'nothing';
  return refuse('VALUE_INVALID', 'there is no approval to retract', '/retract');
}

/** An addendum is opened on an approved report, then goes its way as any report; its steps may say addendum again. */
function addendum(command: ChangeReportStatus, shown: Report | undefined): Step {
  if (command.status === 'UNKNOWN') return refuse('VALUE_INVALID', 'an addendum has a status', '/status');
  const present = shown?.addendum === true ? shown : undefined;
  if (present && present.status !== 'APPROVED') return stepOf({ ...command, addendum: false }, present);
  if (shown?.status !== 'APPROVED')
    return refuse('VALUE_INVALID', 'the report is not approved: there is nothing to add to', '/addendum');
  // Said twice, with the id of its report: the same addendum.
  const repeated =
    command.status === 'APPROVED' && command.reportId && command.reportId === present?.reportId;
  return repeated ? 'nothing' : { opens: 'addendum' };
}

/** Details that a repeat of the present status may add; who repeats it and when does not count. */
function bringsDetails(command: ChangeReportStatus, present: Report): boolean {
  return (
    (command.subStatus !== undefined && command.subStatus !== present.subStatus) ||
    (command.reportId !== undefined && command.reportId !== present.reportId) ||
    (command.url !== undefined && command.url !== present.url)
  );
}

function nextEntry(
  command: ChangeReportStatus,
  present: ReportEntry | undefined,
  opens: boolean,
  state: StudyState,
  now: Date,
): ReportEntry {
  const stays = !opens && present?.status === command.status;
  const seen = stays ? present.objects : state.objects;
  return {
    status: command.status,
    subStatus: command.subStatus ?? '',
    by: command.by ?? (stays ? present.by : ''),
    at: command.at ?? (stays ? present.at : now.toISOString()),
    reportId: command.reportId ?? present?.reportId ?? '',
    url: command.url ?? present?.url ?? '',
    ...(command.status === 'APPROVED' && seen ? { objects: seen } : {}),
    ...(command.claim === undefined ? {} : { claim: command.claim }),
  };
}

/** Registers of a new revision: its first step, and why it was opened. */
function opened(
  kind: OpeningKind,
  command: ChangeReportStatus,
  step: { readonly writer: EventWriter; readonly entry: ReportEntry; readonly cluster: string },
  steps: readonly Revision[],
): RegisterMap {
  const { writer, entry, cluster } = step;
  const highest = Math.max(0, ...steps.map(({ revision }) => revision));
  const name = `${highest + 1}.${cluster}`;
  // Only approvals can be overtaken or taken back.
  const approved = steps.filter((one) => one.entry.status === 'APPROVED');
  const named = approved.map((one) => ({ name: `${one.revision}.${one.opener}`, register: one.register }));
  const opening = { kind, by: command.by ?? '', reason: command.reason ?? '' };
  return {
    [name]: writer.edit(entry as unknown as JsonValue, statusRank(command.status), undefined),
    ...openingRegister(name, opening, named, writer.register),
  };
}

/** Every opener of the revision that stands lower is raised: the author has seen them all as one report. */
function raised(open: readonly Revision[], writer: EventWriter, entry: ReportEntry): RegisterMap {
  const rank = statusRank(entry.status);
  const edit = (replaced: Revision | undefined): LwwRegister =>
    writer.edit(entry as unknown as JsonValue, rank, replaced?.register);
  if (open.length === 0) return { [`1.${firstOpener}`]: edit(undefined) };
  return Object.fromEntries(
    open
      .filter((item) => statusRank(item.entry.status) <= rank)
      .map((item) => [`${item.revision}.${item.opener}`, edit(item)]),
  );
}
