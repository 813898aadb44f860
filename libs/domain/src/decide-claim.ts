import type { DecideContext } from './commands.ts';
import { compareText } from './canonical.ts';
import { claimOf, reportSteps } from './claims.ts';
import type { Claim } from './claims.ts';
import { eventWriter } from './event-writer.ts';
import type { ChangeEvent, ChangeType } from './events.ts';
import { lwwRegister } from './holders.ts';
import { homeOf } from './home.ts';
import type { JsonValue, RegisterMap } from './registers.ts';

/** Who asks, and as what. */
interface Claimant {
  readonly studyInstanceUid: string;
  readonly user: string;
  readonly cluster: string;
}

/** Wants to work on a study alone; from the owner himself it renews the lease. */
export interface ClaimStudy extends Claimant {
  readonly type: 'ClaimStudy';
  readonly role: string;
}
/** Wants it though somebody else has it. */
export interface TakeOverClaim extends Claimant {
  readonly type: 'TakeOverClaim';
  readonly role: string;
}
/** Still at work. */
export interface RenewClaim extends Claimant {
  readonly type: 'RenewClaim';
  readonly fence: number;
}
/** Done. */
export interface ReleaseClaim extends Claimant {
  readonly type: 'ReleaseClaim';
  readonly fence: number;
}
/** The home looks whether a lease has ended. */
export interface ExpireClaim {
  readonly type: 'ExpireClaim';
  readonly studyInstanceUid: string;
}

export type ClaimCommand = ClaimStudy | TakeOverClaim | RenewClaim | ReleaseClaim | ExpireClaim;

/** What the home knows beside the state. Durations are of its monotonic clock. */
export interface ClaimContext extends DecideContext {
  /** How long a claim holds without a renewal; no home grants longer ones. */
  readonly leaseMs: number;
  /** The longest lease that any home of this study may have granted. */
  readonly leaseMaxMs: number;
  /**
   * How long this cluster has been the study's home in its present incarnation. Until it is one longest lease, a claim may
   * be out that it does not know of, and it grants nothing.
   */
  readonly homeForMs: number;
  /** Since the present claim was granted or renewed; since the start of the service when that was before. */
  readonly heldForMs: number;
  /** Roles that may take a claim over. */
  readonly takeoverRoles: readonly string[];
}

export type ClaimRefusal =
  | { readonly code: 'NOT_HOME'; readonly home: string | undefined }
  | { readonly code: 'NOT_YET'; readonly retryAfterMs: number }
  | { readonly code: 'HELD'; readonly claim: Claim; readonly remainingMs: number }
  | { readonly code: 'ROLE_MAY_NOT' }
  /** Somebody sent a claim with the greatest fence that there is: none can follow it. */
  | { readonly code: 'NO_FENCE_LEFT' }
  | { readonly code: 'CLAIM_LOST'; readonly claim: Claim | undefined };

/** `claim`: what the asker holds now; undefined after a release or an expiry. No events: it was already so. */
export type ClaimDecision =
  | { readonly events: readonly ChangeEvent[]; readonly claim: Claim | undefined }
  | { readonly refused: ClaimRefusal };

/**
 * Decides about a claim, at the study's home alone: so there is one owner at a time. A lease is a duration and no point in
 * time, since clocks differ.
 */
export function decideClaim(command: ClaimCommand, study: RegisterMap, context: ClaimContext): ClaimDecision {
  const home = homeOf(study);
  if (home !== context.cluster) return { refused: { code: 'NOT_HOME', home } };
  const present = claimOf(study);
  const deciding = { command, study, context, present };
  switch (command.type) {
    case 'ClaimStudy':
      return claimStudy(command, deciding);
    case 'TakeOverClaim':
      return takeOver(command, deciding);
    case 'RenewClaim':
      return isOwner(command, present, command.fence) && !hasEnded(present, context)
        ? renewed(present, deciding)
        : { refused: { code: 'CLAIM_LOST', claim: present } };
    case 'ReleaseClaim':
      return isOwner(command, present, command.fence)
        ? ended('released', present, deciding)
        : { refused: { code: 'CLAIM_LOST', claim: present } };
    case 'ExpireClaim':
      return present?.state === 'held' && hasEnded(present, context)
        ? ended('expired', present, deciding)
        : { events: [], claim: undefined };
    default:
      throw new TypeError(`no such command: ${String((command as { type?: unknown }).type)}`);
  }
}

interface Deciding {
  readonly command: ClaimCommand;
  readonly study: RegisterMap;
  readonly context: ClaimContext;
  readonly present: Claim | undefined;
}

function claimStudy(command: ClaimStudy, deciding: Deciding): ClaimDecision {
  const { present, context } = deciding;
  if (present?.state === 'held' && !hasEnded(present, context)) {
    if (isOwner(command, present, present.fence)) return renewed(present, deciding);
    const remainingMs = Math.max(0, present.leaseMs - context.heldForMs);
    return { refused: { code: 'HELD', claim: present, remainingMs } };
  }
  return tooNew(context) ?? granted(command, deciding);
}

function takeOver(command: TakeOverClaim, deciding: Deciding): ClaimDecision {
  const { context } = deciding;
  if (!context.takeoverRoles.includes(command.role)) return { refused: { code: 'ROLE_MAY_NOT' } };
  return tooNew(context) ?? granted(command, deciding);
}

function tooNew({ homeForMs, leaseMaxMs }: ClaimContext): ClaimDecision | undefined {
  return homeForMs < leaseMaxMs
    ? { refused: { code: 'NOT_YET', retryAfterMs: leaseMaxMs - homeForMs } }
    : undefined;
}

function isOwner(
  { user, cluster }: Claimant,
  claim: Claim | undefined,
  fence: number,
): claim is Claim & { readonly state: 'held' } {
  return claim?.state === 'held' && claim.user === user && claim.cluster === cluster && claim.fence === fence;
}

function hasEnded(claim: Claim, { heldForMs }: ClaimContext): boolean {
  return heldForMs >= claim.leaseMs;
}

const seenMax = 64;

function granted(command: ClaimStudy | TakeOverClaim, deciding: Deciding): ClaimDecision {
  const { study, context, present } = deciding;
  // The wall clock lets it grow on after a log was lost, too.
  const fence = Math.max((present?.fence ?? 0) + 1, context.now.getTime());
  if (!Number.isSafeInteger(fence)) return { refused: { code: 'NO_FENCE_LEFT' } };
  const newest = reportSteps(study)
    .filter((step) => step.fence !== undefined)
    .sort((a, b) => compareText(b.hlc, a.hlc))
    .slice(0, seenMax);
  const claim: Claim = {
    fence,
    user: command.user,
    cluster: command.cluster,
    role: command.role,
    leaseMs: Math.min(context.leaseMs, context.leaseMaxMs),
    state: 'held',
    seen: Object.fromEntries(
      newest.map(({ accessionNumber, step, hlc }) => [`${accessionNumber}/${step}`, hlc]),
    ),
  };
  return { events: [claimEvent('ClaimGranted', claim, deciding)], claim };
}

function ended(state: 'released' | 'expired', present: Claim, deciding: Deciding): ClaimDecision {
  return { events: [claimEvent('ClaimReleased', { ...present, state }, deciding)], claim: undefined };
}

function claimEvent(type: ChangeType, claim: Claim, { study, context, command }: Deciding): ChangeEvent {
  const writer = eventWriter(context, [lwwRegister(study, 'claim')]);
  const { fence, ...value } = claim;
  const registers: RegisterMap = { claim: writer.register(value as unknown as JsonValue, fence) };
  const { user, cluster, state } = claim;
  const change = {
    aggregate: 'study' as const,
    registers,
    intent: { user, cluster, fence, state },
    by: user,
  };
  return writer.event(type, command.studyInstanceUid, change);
}

/** A renewal is an event, so that everybody sees that somebody is at work; no digest knows it. */
function renewed(claim: Claim, { study, context, command }: Deciding): ClaimDecision {
  const writer = eventWriter(context, [lwwRegister(study, 'claim')]);
  const value = `${String(claim.fence).padStart(16, '0')}.${writer.stamp}`;
  const registers: RegisterMap = { claimRenewals: { t: 'max', value } };
  const change = { aggregate: 'study' as const, registers, intent: { fence: claim.fence }, by: claim.user };
  return { events: [writer.event('ClaimRenewed', command.studyInstanceUid, change)], claim };
}
