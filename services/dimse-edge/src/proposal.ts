import { canTranscode } from '@isthmus/dicom';
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
 * A context for each SOP class with each stored transfer syntax, so that the peer says of each alone whether it takes it;
 * and for each class one for each syntax that its objects may be converted to. Kinds beyond the 128 contexts of an
 * association are left to another one.
 *
 * @param wanted - In the order of their importance.
 * @param transcodeTo - Transfer syntax UIDs.
 */
export function proposalFor(
  wanted: Iterable<Pick<LocatedInstance, 'sopClassUid' | 'transferSyntaxUid'>>,
  transcodeTo: readonly string[] = [],
): Proposal {
  const kinds = new Set<string>();
  /** What was proposed, as kinds. */
  const proposed = new Set<string>();
  const contexts: ContextProposal[] = [];
  for (const one of wanted) {
    const kind = kindOf(one);
    if (kinds.has(kind)) continue;
    const { sopClassUid, transferSyntaxUid } = one;
    const convertible = transcodeTo.filter((uid) => canTranscode(transferSyntaxUid, uid));
    const missing = [...new Set([transferSyntaxUid, ...convertible])]
      .map((uid) => ({ sopClassUid, transferSyntaxUid: uid }))
      .filter((context) => !proposed.has(kindOf(context)));
    if (contexts.length + missing.length > contextsMax) continue;
    kinds.add(kind);
    for (const context of missing) {
      proposed.add(kindOf(context));
      contexts.push({ sopClassUid, transferSyntaxUids: [context.transferSyntaxUid] });
    }
  }
  return { kinds, contexts };
}
