import { mergeLinkMaps, nextHops } from '@isthmus/domain';
import type { LinkMap } from '@isthmus/domain';
import { updateHops } from './link-map.ts';
import type { LinkStateEntry, LinkStateMap } from './link-map.ts';
import type { RelayStore } from './store/rows.ts';

/** The link map and the routes that follow from it, kept across restarts. */
export interface Routes {
  map(): LinkStateMap;
  /** Next hops for updates. */
  forUpdates(): { readonly [cluster: string]: string };
  /** Next hops over enabled links, whatever they carry: for retrieval. */
  forRetrieval(): { readonly [cluster: string]: string };
  /** Our own links, as configured now. @returns Whether that is news. */
  setOwn(links: Omit<LinkStateEntry, 'version'>): Promise<boolean>;
  /** What a peer knows; the newer entry of each cluster is kept. @returns Whether anything was news. */
  learn(map: LinkStateMap): Promise<boolean>;
  /**
   * Notes which life of its log a peer is in. A peer with another log than before has lost it, and perhaps all that we
   * sent: it is owed the state of every study that it, or somebody behind it, holds.
   *
   * @returns Whether it has a new log.
   */
  meet(peer: string, incarnation: string): Promise<boolean>;
}

/** Reads what was known before the last stop. */
export async function openRoutes(parts: {
  readonly store: RelayStore;
  readonly self: string;
  readonly nowMs?: () => number;
}): Promise<Routes> {
  const { store, self } = parts;
  const nowMs = parts.nowMs ?? Date.now;
  let map = await store.linkMap();
  const incarnations = new Map(await store.incarnations());
  let hops = updateHops(self, map);
  let turn: Promise<unknown> = Promise.resolve();

  /** One change at a time: each compares with what the one before it wrote. */
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const result = turn.then(work);
    turn = result.catch(() => undefined);
    return result;
  };

  const adopt = async (next: LinkStateMap): Promise<boolean> => {
    if (next === map) return false;
    const news = Object.entries(next).filter(([cluster, entry]) => map[cluster] !== entry);
    const nextHop = updateHops(self, next);
    await store.write(async (rows) => {
      await rows.setLinkEntries(news);
      // Waits for projections that read the old routes, and makes the next ones wait: none misses a changed
      // route.
      const was = await rows.holdNextHops('change');
      await rows.setNextHops(nextHop);
      for (const [cluster, peer] of Object.entries(nextHop)) {
        if (was[cluster] !== peer) await rows.oweStatesHeldBy(peer, [cluster]);
      }
    });
    map = next;
    hops = nextHop;
    return true;
  };

  return {
    map: () => map,
    forUpdates: () => hops,
    forRetrieval: () => nextHops(self, map as LinkMap),
    setOwn: (links) =>
      inTurn(async () => {
        const { version = 0, ...own } = map[self] ?? {};
        if (JSON.stringify({ ...own }) === JSON.stringify(sorted(links))) return false;
        // A version that was given out is never given again, not even by a database that was restored.
        return adopt({ ...map, [self]: { version: Math.max(version + 1, nowMs()), ...sorted(links) } });
      }),
    learn: (theirs) =>
      inTurn(async () => {
        const { [self]: ofUs, ...others } = theirs;
        const merged = mergeLinkMaps(map as LinkMap, others as LinkMap) as LinkStateMap;
        const own = map[self];
        // They remember a later self than we are: go above it, or they would never believe us again.
        if (ofUs && own && ofUs.version > own.version) {
          return adopt({ ...merged, [self]: { ...own, version: ofUs.version + 1 } });
        }
        return adopt(merged);
      }),
    meet: async (peer, incarnation) => {
      if (incarnations.get(peer) === incarnation) return false;
      return inTurn(async () => {
        const before = incarnations.get(peer);
        if (before === incarnation) return false;
        const behind = Object.entries(hops).flatMap(([cluster, hop]) => (hop === peer ? [cluster] : []));
        await store.write(async (rows) => {
          await rows.setIncarnation(peer, incarnation);
          if (before !== undefined) await rows.oweStatesHeldBy(peer, behind);
        });
        incarnations.set(peer, incarnation);
        return before !== undefined;
      });
    },
  };
}

function sorted(links: Omit<LinkStateEntry, 'version'>): Omit<LinkStateEntry, 'version'> {
  const { neighbours, sendsTo, takesFrom } = links;
  return { neighbours, sendsTo, takesFrom };
}
