import { peersTowards } from '@isthmus/domain';

/** What decides who gets an entry: nothing here reads a clock, a socket or a table. */
export interface RoutingFacts {
  /** This cluster. */
  readonly self: string;
  /** Next hop (peer) towards each cluster, over links that carry updates. */
  readonly nextHop: { readonly [cluster: string]: string };
  /** Peers that we may send to now: link on, `updates.out` on. */
  readonly served: readonly string[];
}

/** An entry as far as its audience goes. */
export interface Addressed {
  /** Clusters that hold the study, or any study of the patient. */
  readonly holders: readonly string[];
  /** Becoming or ceasing to be a holder is told to every linked peer. */
  readonly announcement: boolean;
  /** Clusters that have it already. */
  readonly path: readonly string[];
}

/**
 * Peers that this entry goes to: next hops to its holders, all of them for an announcement, never one on its
 * path.
 */
export function audienceOf(entry: Addressed, facts: RoutingFacts): string[] {
  const candidates = entry.announcement
    ? facts.served
    : peersTowards(
        facts.nextHop,
        entry.holders.filter((holder) => holder !== facts.self),
        entry.path,
      );
  const served = new Set(facts.served);
  const passed = new Set(entry.path);
  return [...candidates].filter((peer) => served.has(peer) && !passed.has(peer)).sort();
}

/**
 * The path that an entry travels on with to one peer: whom it passed, us, and everyone else that we serve
 * with it. The peer itself is not on it: who finds itself on a path passes the entry over.
 */
export function onwardPath(
  path: readonly string[],
  self: string,
  audience: readonly string[],
  peer: string,
): string[] {
  return [...new Set([...path, self, ...audience.filter((other) => other !== peer)])];
}
