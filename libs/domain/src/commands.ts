import type { ChangeEvent } from './events.ts';
import type { JsonValue, RegisterMap } from './registers.ts';
import type { KnownObjects, ReportStatus } from './reports.ts';
import type { VerificationState } from './verification.ts';

/** Sets a report's status (and details that belong to the step). */
export interface ChangeReportStatus {
  readonly type: 'ChangeReportStatus';
  readonly studyInstanceUid: string;
  readonly status: ReportStatus;
  /** Which report; the study's own when absent. */
  readonly accessionNumber?: string;
  /** Free: dictation started, preliminary … */
  readonly subStatus?: string;
  readonly by?: string;
  /** RFC 3339. */
  readonly at?: string;
  readonly reportId?: string;
  readonly url?: string;
  /** Lets the status go back: opens a new revision of the report. What was approved stays in view. */
  readonly reopen?: boolean;
  /** Opens an addendum to an approved report, or takes it a step further; the report itself stays approved. */
  readonly addendum?: boolean;
  /** Takes the approvals back that are there: they are no longer shown. Opens a new revision. */
  readonly retract?: boolean;
  /** Why it is opened again, for people. */
  readonly reason?: string;
  /** Fence of the claim under which it is written (see `claims.ts`). */
  readonly claim?: number;
}

/**
 * Changes who a study is of, what it is called, where its patient is; adds a comment. Absent = unchanged,
 * '' = cleared.
 */
export interface ChangeStudy {
  readonly type: 'ChangeStudy';
  readonly studyInstanceUid: string;
  readonly patient?: {
    /** Another ID or issuer moves the study to that patient. */
    readonly id?: string;
    readonly issuer?: string;
    /** PN, component groups with `=` between. */
    readonly name?: string;
    /** YYYYMMDD. */
    readonly birthDate?: string;
    readonly sex?: string;
  };
  readonly accessionNumber?: string;
  readonly studyDescription?: string;
  readonly comment?: { readonly text: string; readonly author: string };
  readonly patientLocation?: string;
  readonly studyStatus?: string;
  /** It is a correction by hand in the domain that owns the study: it ranks as the RIS does, and is remembered. */
  readonly fixup?: { readonly reason: string };
  readonly by?: string;
}

/** What this cluster has of a study now. */
export interface RecordHolding {
  readonly type: 'RecordHolding';
  readonly studyInstanceUid: string;
  readonly holds: boolean;
  readonly complete: boolean;
  readonly instanceCount: number;
  readonly scope: 'full' | 'listed';
  /**
   * Whether this cluster becomes the home of a study that has none. False for a copy from a linked cluster
   * whose state has not come yet: its home exists, we just do not know it. @default true
   */
  readonly mayBecomeHome?: boolean;
}

/** The study's object manifest changed: how many objects, and the manifest's digest. */
export interface AnnounceObjects {
  readonly type: 'AnnounceObjects';
  readonly studyInstanceUid: string;
  readonly count: number;
  readonly digest: string;
  /** How many of them are images: no presentation states, key objects, reports, waveforms or documents. */
  readonly images?: number;
}

/** Makes another holder the home: of claims, of verification, of what a third party says. */
export interface TransferHome {
  readonly type: 'TransferHome';
  readonly studyInstanceUid: string;
  /** Cluster id of a holder. */
  readonly to: string;
  readonly by?: string;
}

/** What a RIS gateway, or a person in its place, found out about the order of a study. */
export interface RecordVerification {
  readonly type: 'RecordVerification';
  readonly studyInstanceUid: string;
  readonly state: VerificationState;
  readonly by: string;
  /** RFC 3339; now when absent. */
  readonly at?: string;
}

/** Gives a field the value again that lost a conflict: a new edit, which everybody sees and which can be reversed too. */
export interface RestoreValue {
  readonly type: 'RestoreValue';
  readonly studyInstanceUid: string;
  /** Whose register: the study's, or that of its patient. */
  readonly aggregate: 'study' | 'patient';
  /** Names of the register and, inside maps, of the entries on the way to it. */
  readonly path: readonly string[];
  readonly value: JsonValue;
  /** Stamp of the value that is there now: what has changed since is not overwritten. */
  readonly replaces: string;
  readonly by?: string;
}

export type StudyCommand =
  | ChangeReportStatus
  | ChangeStudy
  | RecordHolding
  | RecordVerification
  | AnnounceObjects
  | TransferHome
  | RestoreValue;

/** Where and when a command is decided. */
export interface DecideContext {
  readonly cluster: string;
  /** Name of the deciding service. @default 'update-relay' */
  readonly service?: string;
  readonly now: Date;
  /** Last stamp that this cluster made or saw. */
  readonly clock: string;
  /** A new id for each event (and comment): UUIDv7, or derived from the Idempotency-Key. */
  readonly newId: () => string;
  /** Stamp of what the author had seen (ETag); the edit beats it. */
  readonly seen?: string;
  /** 2: the RIS or a fixup of the domain that owns the fact; 1: anybody else. @default 1 */
  readonly rank?: 1 | 2;
  readonly correlationid?: string;
  readonly causationid?: string;
  readonly traceparent?: string;
}

/** The folded state that a command is decided on. */
export interface StudyState {
  readonly study: RegisterMap;
  /** By patient key; those of the study's patient, and of the one that it moves to, at least. */
  readonly patients: { readonly [patientKey: string]: RegisterMap };
  /** The objects that this cluster knows of the study, announced or not: what an approval has seen. */
  readonly objects?: KnownObjects;
}

export type RefusalCode =
  'STUDY_UNKNOWN' | 'STATUS_WOULD_GO_BACK' | 'VALUE_CHANGED' | 'NOT_HOME' | 'VALUE_INVALID';

/** Why a command changes nothing. 404, 409 three times and 422 over HTTP, in the order of the codes. */
export interface Refusal {
  readonly code: RefusalCode;
  /** JSON pointer (RFC 6901) into the command, for VALUE_INVALID. */
  readonly pointer?: string;
  readonly detail: string;
}

/** No events: the command was right and the state is already so. */
export type Decision = { readonly events: readonly ChangeEvent[] } | { readonly refused: Refusal };
