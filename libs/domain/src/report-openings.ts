import { compareText, own } from './canonical.ts';
import { lwwRegister } from './holders.ts';
import type { JsonValue, LwwRegister, RegisterMap } from './registers.ts';

/**
 * Why a revision was opened. `reopen`: the report is worked on again. `addendum`: something is added to an approved
 * report, which stays valid. `retraction`: the approvals that its author saw no longer hold.
 */
export type OpeningKind = 'reopen' | 'addendum' | 'retraction';

/** How a revision of a report came to be: the value of the register `opened.<revision>.<opener>`. */
export interface Opening {
  readonly revision: number;
  readonly opener: string;
  readonly kind: OpeningKind;
  readonly by: string;
  readonly reason: string;
  /** The approvals that its author had before him: name of the register, and its stamp. */
  readonly seen: { readonly [name: string]: string };
}

/** Approvals that an opening can remember to have seen; the newest ones count. */
const seenMax = 64;

const pattern = /^opened\.([1-9][0-9]{0,8})\.(.+)$/s;

/** The register beside a new revision that says why it was opened; versions that do not know it pass it on. */
export function openingRegister(
  name: string,
  opening: Pick<Opening, 'kind' | 'by' | 'reason'>,
  approvals: readonly { readonly name: string; readonly register: LwwRegister }[],
  register: (value: JsonValue, rank: number) => LwwRegister,
): RegisterMap {
  const newest = [...approvals].sort((a, b) => compareText(b.register.hlc, a.register.hlc)).slice(0, seenMax);
  const seen = Object.fromEntries(newest.map((step) => [step.name, step.register.hlc]));
  const { kind, by, reason } = opening;
  return Object.fromEntries([[`opened.${name}`, register({ kind, by, reason, seen }, 1)]]);
}

/** The openings that one report's registers tell of; a revision without one was opened by an older version. */
export function openingsOf(report: RegisterMap): readonly Opening[] {
  return Object.keys(report)

    .sort(compareText)
    .flatMap((name): readonly Opening[] => {
      const match = pattern.exec(name);
      const value = lwwRegister(report, name)?.value;
      if (!match?.[1] || !match[2] || typeof value !== 'object' || value === null) return [];
      const record = value as { readonly [key: string]: JsonValue };
      const kind = own(record, 'kind');
      if (!isOpeningKind(kind)) return [];
      const text = (member: string): string => {
        const found = own(record, member);
        return typeof found === 'string' ? found : '';
      };
      const opening = { kind, by: text('by'), reason: text('reason'), seen: readSeen(own(record, 'seen')) };
      return [{ revision: Number(match[1]), opener: match[2], ...opening }];
    });
}

function isOpeningKind(text: unknown): text is OpeningKind {
  return text === 'reopen' || text === 'addendum' || text === 'retraction';
}

function readSeen(value: JsonValue | undefined): { readonly [name: string]: string } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {};
  return Object.fromEntries(Object.entries(value).filter(([, stamp]) => typeof stamp === 'string')) as {
    [name: string]: string;
  };
}

/** Whether the author of an opening had this step before him. */
export function hadSeen(opening: Opening, name: string, stamp: string): boolean {
  const seen = own(opening.seen, name);
  return seen !== undefined && seen >= stamp;
}
