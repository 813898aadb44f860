import type { DecideContext, Decision, StudyCommand, StudyState } from './commands.ts';
import { decideChangeStudy } from './decide-change-study.ts';
import { announceObjects, recordHolding, transferHome } from './decide-holding.ts';
import { changeReportStatus } from './decide-report.ts';
import { restoreValue } from './decide-restore.ts';
import { lwwRegister } from './holders.ts';
import { refuse } from './refuse.ts';
import { recordVerification } from './verification.ts';

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
    case 'RecordVerification':
      return isKnown(state) ? recordVerification(command, state, context) : studyUnknown(command);
    case 'RestoreValue':
      return isKnown(state) ? restoreValue(command, state, context) : studyUnknown(command);
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
