import { compareText, own } from './canonical.ts';
import { lwwRegister, mapEntries, registerText } from './holders.ts';
import { homeOf } from './home.ts';
import { mergeRegisters } from './merge.ts';
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
}

/** A report as it shows. */
export interface Report extends ReportEntry {
  readonly accessionNumber: string;
  /** Counts up from 1; a reopen or addendum raises it. */
  readonly revision: number;
  /** The newest approved state, which stays visible under an addendum. */
  readonly lastApproved?: {
    readonly revision: number;
    readonly by: string;
    readonly at: string;
    readonly reportId: string;
  };
}

/**
 * Opener of the first revision: the same everywhere, so that two first steps of one report meet in one
 * register.
 */
export const firstOpener = 'base';

interface Revision {
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

function readEntry(value: JsonValue): ReportEntry | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const record = value as { readonly [key: string]: JsonValue };
  const status = own(record, 'status');
  const text = (name: string): string => {
    const member = own(record, name);
    return typeof member === 'string' ? member : '';
  };
  if (!isReportStatus(status)) return undefined;
  return {
    status,
    subStatus: text('subStatus'),
    by: text('by'),
    at: text('at'),
    reportId: text('reportId'),
    url: text('url'),
  };
}

/** The openers of the highest revision, least advanced first. */
export function openRevisions(study: RegisterMap, key: string): readonly Revision[] {
  const revisions = revisionsOf(reportMaps(study).get(key) ?? {});
  const highest = Math.max(0, ...revisions.map(({ revision }) => revision));
  return revisions.filter(({ revision }) => revision === highest).sort(leastAdvanced);
}

function leastAdvanced(a: Revision, b: Revision): number {
  return statusRank(a.entry.status) - statusRank(b.entry.status) || compareText(a.opener, b.opener);
}

/** All reports of a study, by accession number. */
export function reportsOf(study: RegisterMap): readonly Report[] {
  return [...reportMaps(study).entries()].flatMap(([accessionNumber, map]) => {
    const [shown] = openRevisions(study, accessionNumber);
    if (!shown) return [];
    const approved = lastApproved(revisionsOf(map));
    return [
      {
        accessionNumber,
        revision: shown.revision,
        ...shown.entry,
        ...(approved ? { lastApproved: approved } : {}),
      },
    ];
  });
}

function lastApproved(revisions: readonly Revision[]): Report['lastApproved'] {
  const [newest] = revisions
    .filter(({ entry }) => entry.status === 'APPROVED')
    .sort((a, b) => b.revision - a.revision || compareText(b.register.hlc, a.register.hlc));
  if (!newest) return undefined;
  const { by, at, reportId } = newest.entry;
  return { revision: newest.revision, by, at, reportId };
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
