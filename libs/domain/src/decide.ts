import type { ChangeReportStatus, DecideContext, Decision, StudyCommand, StudyState } from './commands.ts';
import { decideChangeStudy } from './decide-change-study.ts';
import { announceObjects, recordHolding, transferHome } from './decide-holding.ts';
import { eventWriter } from './event-writer.ts';
import { lwwRegister } from './holders.ts';
import { refuse } from './refuse.ts';
import type { JsonValue } from './registers.ts';
import {
  openRevisions,
  firstOpener,
  isReportStatus,
  reportChange,
  reportKey,
  statusRank,
} from './reports.ts';
import type { ReportEntry } from './reports.ts';

/**
 * Decides a command on a folded state: the events that carry it out, or why not. Pure: clock and ids are in
 * the context. No events means that the state is already as the command wants it, which is a success:
 * setting APPROVED twice is one change, and the first who approved stands.
 *
 * @param state - Folded to the sequence that the events will be appended after.
 * @returns Events whose `subject` is the aggregate: Study Instance UID, or patient key.
 */
export function decide(command: StudyCommand, state: StudyState, context: DecideContext): Decision {
  switch (command.type) {
    case 'RecordHolding':
      return recordHolding(command, state, context);
    case 'AnnounceObjects':
      return announceObjects(command, state, context);
    case 'ChangeReportStatus':
      return isKnown(state) ? changeReportStatus(command, state, context) : studyUnknown(command);
    case 'ChangeStudy':
      return isKnown(state) ? decideChangeStudy(command, state, context) : studyUnknown(command);
    case 'TransferHome':
      return isKnown(state) ? transferHome(command, state, context) : studyUnknown(command);
    default:
      throw new TypeError(`no such command: ${String((command as { type?: unknown }).type)}`);
  }
}

/** A study is known once it is known whose it is; a hub and a copy that awaits its state know less. */
function isKnown(state: StudyState): boolean {
  return lwwRegister(state.study, 'patient') !== undefined;
}

function studyUnknown(command: StudyCommand): Decision {
  return refuse('STUDY_UNKNOWN', `study ${command.studyInstanceUid} is not known here`);
}

const textLimits = { subStatus: 64, by: 256, at: 40, reportId: 64, url: 2048, accessionNumber: 16 } as const;

/** Peers refuse these as names of registers (see `parseEvent`). */
const reservedNames = new Set(['__proto__', 'constructor', 'prototype']);

function changeReportStatus(
  command: ChangeReportStatus,
  state: StudyState,
  context: DecideContext,
): Decision {
  if (!isReportStatus(command.status)) return refuse('VALUE_INVALID', 'not a report status', '/status');
  for (const [name, limit] of Object.entries(textLimits)) {
    if ((command[name as keyof typeof textLimits]?.length ?? 0) > limit)
      return refuse('VALUE_INVALID', `longer than ${limit} characters`, `/${name}`);
  }
  if (reservedNames.has(command.accessionNumber ?? ''))
    return refuse('VALUE_INVALID', 'a reserved name', '/accessionNumber');
  const key = reportKey(state.study, command.accessionNumber ?? '');
  const open = openRevisions(state.study, key);
  const [shown] = open;
  const rank = statusRank(command.status);
  const goesBack = shown !== undefined && rank < statusRank(shown.entry.status);
  if (goesBack && command.reopen !== true)
    return refuse('STATUS_WOULD_GO_BACK', `the report is ${shown.entry.status}: reopen it to go back`);

  const entry = nextEntry(command, shown?.entry, context.now);
  const isThere = !goesBack && shown?.entry.status === command.status && !bringsDetails(command, shown.entry);
  if (isThere || (!shown && rank === 0)) return { events: [] };

  const replaced = open.map(({ register }) => register);
  const writer = eventWriter(context, replaced);
  const register = writer.register(entry as unknown as JsonValue, rank);
  // Every opener of the revision that stands lower is raised: its author has seen them all as one report.
  const names = goesBack
    ? [`${shown.revision + 1}.${context.cluster}`]
    : shown
      ? open
          .filter((item) => statusRank(item.entry.status) <= rank)
          .map((item) => `${item.revision}.${item.opener}`)
      : [`1.${firstOpener}`];
  const registers = reportChange(key, Object.fromEntries(names.map((name) => [name, register])));
  const intent = { status: command.status, ...(goesBack ? { reopen: true } : {}), accessionNumber: key };
  const by = command.by;
  return {
    events: [
      writer.event('ReportStatusChanged', command.studyInstanceUid, {
        aggregate: 'study',
        registers,
        intent,
        by,
      }),
    ],
  };
}

/** Details that a repeat of the present status may add; who repeats it and when does not count. */
function bringsDetails(command: ChangeReportStatus, entry: ReportEntry): boolean {
  return (
    (command.subStatus !== undefined && command.subStatus !== entry.subStatus) ||
    (command.reportId !== undefined && command.reportId !== entry.reportId) ||
    (command.url !== undefined && command.url !== entry.url)
  );
}

function nextEntry(command: ChangeReportStatus, present: ReportEntry | undefined, now: Date): ReportEntry {
  const stays = present?.status === command.status;
  return {
    status: command.status,
    subStatus: command.subStatus ?? '',
    by: command.by ?? (stays ? present.by : ''),
    at: command.at ?? (stays ? present.at : now.toISOString()),
    reportId: command.reportId ?? present?.reportId ?? '',
    url: command.url ?? present?.url ?? '',
  };
}
