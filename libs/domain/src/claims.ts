import { own } from './canonical.ts';
import { lwwRegister, mapEntries } from './holders.ts';
import type { JsonValue, RegisterMap } from './registers.ts';

/** Who works on a study, as its home granted it: the value of the study's register `claim`, whose rank is the fence. */
export interface Claim {
  /** Grows with every grant; what is written under a claim carries it. */
  readonly fence: number;
  readonly user: string;
  /** Cluster where the owner works. */
  readonly cluster: string;
  readonly role: string;
  /** How long it holds without a renewal, milliseconds: a duration, counted by whoever looks at it. */
  readonly leaseMs: number;
  /** `released`: by its owner; `expired`: the home heard nothing of it for a lease. */
  readonly state: 'held' | 'released' | 'expired';
  /** Steps written under earlier claims that the home had seen when it granted: `<accession>/<revision>.<opener>`, and their stamps. */
  readonly seen: { readonly [step: string]: string };
}

/** The claim that the home spoke of last; undefined when nobody ever claimed the study. */
export function claimOf(study: RegisterMap): Claim | undefined {
  const register = lwwRegister(study, 'claim');
  const value = register?.value;
  if (!register || typeof value !== 'object' || value === null) return undefined;
  const record = value as { readonly [key: string]: JsonValue };
  const text = (name: string): string => {
    const member = own(record, name);
    return typeof member === 'string' ? member : '';
  };
  const leaseMs = own(record, 'leaseMs');
  const state = own(record, 'state');
  return {
    fence: register.rank,
    user: text('user'),
    cluster: text('cluster'),
    role: text('role'),
    leaseMs: typeof leaseMs === 'number' ? leaseMs : 0,
    state: state === 'released' || state === 'expired' ? state : 'held',
    seen: readSeen(own(record, 'seen')),
  };
}

function readSeen(value: JsonValue | undefined): { readonly [step: string]: string } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([step, stamp]) => (typeof stamp === 'string' ? [[step, stamp]] : [])),
  );
}

/**
 * Whether the owner may still count on a claim. He counts from the moment at which he sent the request, the home from
 * the one at which it granted: his end comes first, however long messages take and whatever the wall clocks say.
 *
 * @param lease - Readings of one monotonic clock, milliseconds. `marginMs`: stopped counting before the end.
 */
export function mayCountOn(lease: {
  readonly askedAtMs: number;
  readonly nowMs: number;
  readonly leaseMs: number;
  readonly marginMs: number;
}): boolean {
  return lease.nowMs < lease.askedAtMs + lease.leaseMs - lease.marginMs;
}

/** A step of a report that was written under a claim which was no longer its author's. */
export interface LostClaim {
  readonly accessionNumber: string;
  /** `<revision>.<opener>` */
  readonly step: string;
  readonly by: string;
  readonly fence: number;
  readonly hlc: string;
  /** Whose claim it is now: to be told, as is the author. */
  readonly claim: Claim;
}

/**
 * Steps that carry the fence of an older claim and that the home had not seen when it granted the present one. They
 * stand; the author and the present owner are to be told. Names only what the newest claim shows.
 */
export function lostClaims(study: RegisterMap): readonly LostClaim[] {
  const claim = claimOf(study);
  if (!claim) return [];
  return reportSteps(study).flatMap(({ accessionNumber, step, hlc, fence, by }) => {
    const seen = own(claim.seen, `${accessionNumber}/${step}`);
    const known = seen !== undefined && seen >= hlc;
    return fence === undefined || fence >= claim.fence || known
      ? []
      : [{ accessionNumber, step, by, fence, hlc, claim }];
  });
}

interface ReportStep {
  readonly accessionNumber: string;
  readonly step: string;
  readonly hlc: string;
  readonly by: string;
  readonly fence: number | undefined;
}

/** The steps of all reports, under the accession numbers that they were written with. */
export function reportSteps(study: RegisterMap): readonly ReportStep[] {
  const reports = mapEntries(study, 'reports');
  return Object.keys(reports)
    .sort()
    .flatMap((accessionNumber) => {
      const steps = mapEntries(reports, accessionNumber);
      return Object.keys(steps)
        .filter((step) => /^[1-9][0-9]*\./.test(step))
        .sort()
        .flatMap((step) => {
          const register = lwwRegister(steps, step);
          const value = register?.value;
          if (!register || typeof value !== 'object' || value === null) return [];
          const record = value as { readonly [key: string]: JsonValue };
          const [fence, by] = [own(record, 'claim'), own(record, 'by')];
          return [
            {
              accessionNumber,
              step,
              hlc: register.hlc,
              by: typeof by === 'string' ? by : '',
              fence: typeof fence === 'number' ? fence : undefined,
            },
          ];
        });
    });
}
