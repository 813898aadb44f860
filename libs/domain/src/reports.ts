import { compareText, own } from './canonical.ts';
import { lwwRegister, mapEntries, registerText } from './holders.ts';
import { homeOf } from './home.ts';
import { mergeRegisters } from './merge.ts';
import { hadSeen, openingsOf } from './report-openings.ts';
import type { Opening } from './report-openings.ts';
import type { JsonValue, LwwRegister, MapRegister, RegisterMap } from './registers.ts';

/** Report states, least advanced first. The place is the rank inside a report's register. */
export const reportStatuses = ['UNKNOWN', 'NEW', 'DICTATED', 'TRANSCRIBED', 'APPROVED'] as const;
export type ReportStatus = (typeof reportStatuses)[number];

export function isReportStatus(text: unknown): text is ReportStatus {
  return (reportStatuses as readonly unknown[]).includes(text);
}
export function statusRank(status: ReportStatus): number {
  return reportStatuses.indexOf(status);
}

/** One step of a report: the value of a `revision.opener` register. */
export interface ReportEntry {
  readonly status: ReportStatus;
  readonly subStatus: string;
  readonly by: string;
  /** RFC 3339, as the reporting system says; empty when it did not say. */
  readonly at: string;
  readonly reportId: string;
  readonly url: string;
  /** With APPROVED: the objects of the study that were known where it was approved. */
  readonly objects?: KnownObjects;
  /** Fence of the claim under which it was written. */
  readonly claim?: number;
}

/** How many objects of a study are known. */
export interface KnownObjects {
  readonly count: number;
  /** Those that are images; absent when only a version before this one counted. */
  readonly images?: number;
}

/** A report as it shows. */
export interface Report extends Omit<ReportEntry, 'objects' | 'claim'> {
  readonly accessionNumber: string;
  /** Counts up from 1; a reopen, an addendum or a retraction raises it. */
  readonly revision: number;
  /** What shows is an addendum: the approval before it stays valid. */
  readonly addendum: boolean;
  /** The newest approved state that nobody retracted; stays visible while the report is open again. */
  readonly lastApproved?: Approval;
  /**
   * Approvals that whoever opened the report again had not seen: an alert until the report is approved anew. Absent when
   * there are none.
   */
  readonly overtaken?: readonly Approval[];
}

/** An approved state of a report. */
export interface Approval {
  readonly revision: number;
  readonly by: string;
  readonly at: string;
  readonly reportId: string;
}

/**
 * Opener of the first revision: the same everywhere, so that two first steps of one report meet in one
 * register.
 */
export const firstOpener = 'base';

/** Greatest number of a revision that is read. */
export const revisionMax = 999_999_999;

/** One step of a report with the place where it stands. */
export interface Revision {
  readonly revision: number;
  readonly opener: string;
  readonly register: LwwRegister;
  readonly entry: ReportEntry;
}

/**
 * The key under which a report of this accession number lives now. Without a number it is the study's own
 * (or '' while the study has none). A corrected accession number takes its report along (`reportMoves`); a
 * cycle of corrections made apart ends at its smallest number.
 */
export function reportKey(study: RegisterMap, accessionNumber: string): string {
  const moves = mapEntries(study, 'reportMoves');
  const seen: string[] = [];
  let key = accessionNumber === '' ? registerText(study, 'accessionNumber') : accessionNumber;
  for (;;) {
    const again = seen.indexOf(key);
    if (again >= 0) return seen.slice(again).sort(compareText)[0] ?? key;
    seen.push(key);
    const next = lwwRegister(moves, key)?.value;
    if (typeof next !== 'string') return key;
    key = next;
  }
}

/** The registers `revision.opener` of every report, gathered under the keys where the reports live now. */
function reportMaps(study: RegisterMap): ReadonlyMap<string, RegisterMap> {
  const gathered = new Map<string, RegisterMap>();
  const entries = mapEntries(study, 'reports');
  for (const stored of Object.keys(entries).sort(compareText)) {
    const key = reportKey(study, stored);
    gathered.set(key, mergeRegisters(gathered.get(key) ?? {}, mapEntries(entries, stored)));
  }
  return gathered;
}

function revisionsOf(report: RegisterMap): readonly Revision[] {
  return Object.keys(report).flatMap((name) => {
    const match = /^([1-9][0-9]{0,8})\.(.+)$/s.exec(name);
    const register = lwwRegister(report, name);
    const entry = register && readEntry(register.value);
    if (!match?.[1] || !match[2] || !register || !entry) return [];
    return [{ revision: Number(match[1]), opener: match[2], register, entry }];
  });
}

/** A count that a peer may have sent. */
function readKnownObjects(value: JsonValue | undefined): KnownObjects | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const record = value as { readonly [key: string]: JsonValue };
  const count = own(record, 'count');
  const images = own(record, 'images');
  if (typeof count !== 'number') return undefined;
  return { count, ...(typeof images === 'number' ? { images } : {}) };
}

function readEntry(value: JsonValue): ReportEntry | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const record = value as { readonly [key: string]: JsonValue };
  const status = own(record, 'status');
  const text = (name: string): string => {
    const member = own(record, name);
    return typeof member === 'string' ? member : '';
  };
  if (!isReportStatus(status)) return undefined;
  const objects = readKnownObjects(own(record, 'objects'));
  return {
    status,
    subStatus: text('subStatus'),
    by: text('by'),
    at: text('at'),
    reportId: text('reportId'),
    url: text('url'),
    ...(objects ? { objects } : {}),
  };
}

/** The openers of the highest revision, least advanced first. */
export function openRevisions(study: RegisterMap, key: string): readonly Revision[] {
  return highest(revisionsOf(reportMaps(study).get(key) ?? {}));
}

/** All steps of one report that are there, of older revisions too. */
export function allRevisions(study: RegisterMap, key: string): readonly Revision[] {
  return revisionsOf(reportMaps(study).get(key) ?? {});
}

function highest(revisions: readonly Revision[]): readonly Revision[] {
  const top = Math.max(0, ...revisions.map(({ revision }) => revision));
  return revisions.filter(({ revision }) => revision === top).sort(leastAdvanced);
}

function leastAdvanced(a: Revision, b: Revision): number {
  return statusRank(a.entry.status) - statusRank(b.entry.status) || compareText(a.opener, b.opener);
}

/** All reports of a study, by accession number. */
export function reportsOf(study: RegisterMap): readonly Report[] {
  return [...reportMaps(study).entries()].flatMap(([accessionNumber, map]) => {
    const report = shownReport(accessionNumber, map);
    return report ? [report] : [];
  });
}

function shownReport(accessionNumber: string, map: RegisterMap): Report | undefined {
  const revisions = revisionsOf(map);
  const openings = openingsOf(map);
  const [shown] = highest(revisions);
  if (!shown) return undefined;
  const { status, subStatus, by, at, reportId, url } = shown.entry;
  const approved = standingApprovals(revisions, openings).at(0);
  const overtaken = status === 'APPROVED' ? [] : overtakenApprovals(shown.revision, revisions, openings);
  const opened = openings.filter(({ revision }) => revision === shown.revision);
  return {
    accessionNumber,
    revision: shown.revision,
    addendum: opened.length > 0 && opened.every(({ kind }) => kind === 'addendum'),
    ...{ status, subStatus, by, at, reportId, url },
    ...(approved ? { lastApproved: approvalOf(approved) } : {}),
    ...(overtaken.length > 0 ? { overtaken: overtaken.map(approvalOf) } : {}),
  };
}

/** Approved steps that no retraction took back, newest first. */
function standingApprovals(
  revisions: readonly Revision[],
  openings: readonly Opening[],
): readonly Revision[] {
  const retractions = openings.filter(({ kind }) => kind === 'retraction');
  return revisions
    .filter(({ entry }) => entry.status === 'APPROVED')
    .filter((step) => !retractions.some((opening) => sawStep(opening, step)))
    .sort(newestFirst);
}

/** Approvals in or below a revision that somebody who reopened or retracted it had not before him. */
function overtakenApprovals(
  revision: number,
  revisions: readonly Revision[],
  openings: readonly Opening[],
): readonly Revision[] {
  const blind = openings.filter((opening) => opening.revision === revision && opening.kind !== 'addendum');
  return revisions
    .filter(({ entry }) => entry.status === 'APPROVED')
    .filter((step) => blind.some((opening) => !isOwnStep(opening, step) && !sawStep(opening, step)))
    .sort(newestFirst);
}

function newestFirst(a: Revision, b: Revision): number {
  return (
    b.revision - a.revision || compareText(b.register.hlc, a.register.hlc) || compareText(a.opener, b.opener)
  );
}

function sawStep(opening: Opening, { revision, opener, register }: Revision): boolean {
  return hadSeen(opening, `${revision}.${opener}`, register.hlc);
}

function isOwnStep(opening: Opening, step: Revision): boolean {
  return opening.revision === step.revision && opening.opener === step.opener;
}

function approvalOf({ revision, entry: { by, at, reportId } }: Revision): Approval {
  return { revision, by, at, reportId };
}

/**
 * Objects that came after the newest approvals and that nobody has approved a report on: images, when both sides
 * counted them (a report or a key object is not to be read), else objects. 0 for a study that was never approved, and
 * where only older versions approved, which did not say what they saw.
 *
 * @param here - What this cluster knows beside what was announced.
 */
export function objectsSinceApproval(study: RegisterMap, here?: KnownObjects): number {
  const seen = [...reportMaps(study).values()].flatMap((map) =>
    standingApprovals(revisionsOf(map), openingsOf(map)).flatMap(({ entry }) => entry.objects ?? []),
  );
  const known = [readKnownObjects(lwwRegister(study, 'objects')?.value), here].filter(
    (one) => one !== undefined,
  );
  if (seen.length === 0 || known.length === 0) return 0;
  const images =
    seen.every((one) => one.images !== undefined) && known.every((one) => one.images !== undefined);
  const most = (list: readonly KnownObjects[]): number =>
    Math.max(...list.map((one) => (images ? (one.images ?? 0) : one.count)));
  return Math.max(0, most(known) - most(seen));
}

/**
 * The study's report status: that of its least advanced report. A study without a report is NEW when a cluster of ours
 * is its home, since that one would know; from elsewhere it is UNKNOWN.
 */
export function studyReportStatus(study: RegisterMap): ReportStatus {
  const [least] = reportsOf(study)
    .map(({ status }) => status)
    .sort((a, b) => statusRank(a) - statusRank(b));
  return least ?? (homeOf(study) === undefined ? 'UNKNOWN' : 'NEW');
}

/** The change that sets these revisions of a report. */
export function reportChange(key: string, entries: RegisterMap): RegisterMap {
  const report: MapRegister = { t: 'map', entries };
  return { reports: { t: 'map', entries: Object.fromEntries([[key, report]]) } };
}
