import type { ContextProposal } from '@isthmus/dimse';
import type { LocatedInstance } from '@isthmus/domain';

/** PS3.8 9.3.2.2: presentation context ids are the odd numbers from 1 to 255. */
const contextsMax = 128;

/** What an association is opened with to send objects. */
export interface Proposal {
  /** Kinds of objects (`kindOf`) that it was made for, whatever the peer answers. */
  readonly kinds: ReadonlySet<string>;
  readonly contexts: readonly ContextProposal[];
}

/** Objects of one kind need the same presentation contexts. */
export function kindOf({
  sopClassUid,
  transferSyntaxUid,
}: Pick<LocatedInstance, 'sopClassUid' | 'transferSyntaxUid'>): string {
  return `${sopClassUid} ${transferSyntaxUid}`;
}

/**
 * A context for each SOP class with each stored transfer syntax, so that the peer says of each alone whether it takes it.
 * Kinds beyond the 128 contexts of an association are left to another one.
 *
 * @param wanted - In the order of their importance.
 */
export function proposalFor(
  wanted: Iterable<Pick<LocatedInstance, 'sopClassUid' | 'transferSyntaxUid'>>,
): Proposal {
  const kinds = new Set<string>();
  const contexts: ContextProposal[] = [];
  for (const one of wanted) {
    const kind = kindOf(one);
    if (kinds.has(kind)) continue;
    const { sopClassUid, transferSyntaxUid } = one;
    if (contexts.length + 1 > contextsMax) continue;
    kinds.add(kind);
    contexts.push({ sopClassUid, transferSyntaxUids: [transferSyntaxUid] });
  }
  return { kinds, contexts };
}
