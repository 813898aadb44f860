import type { Configuration, LinkStateAnswer, LinkStateRequest } from '@isthmus/domain';
import { backoff } from '@isthmus/service-kit';
import type { ConfigurationWatch } from '@isthmus/service-kit';
import { createBell } from './bell.ts';
import type { Bell } from './bell.ts';
import { clusterPeers, ownLinks } from './link-map.ts';
import { answerPeer, askPeer } from './link-state-exchange.ts';
import type { ExchangeParts } from './link-state-exchange.ts';
import { createPeerHealths } from './peer-health.ts';
import type { PeerHealth } from './peer-health.ts';

export interface LinkState {
  health(peer: string): PeerHealth;
  /** Asks this peer, or all peers, now. */
  askNow(peer?: string): void;
  /** A query that came in. */
  answer(request: LinkStateRequest): Promise<LinkStateAnswer>;
  stop(): Promise<void>;
}

export interface LinkStateParts extends Omit<ExchangeParts, 'configuration' | 'healths' | 'askSoon'> {
  readonly configuration: ConfigurationWatch;
  readonly everyMs: number;
  readonly backoffMaxMs: number;
}

interface Asking {
  readonly bell: Bell;
  readonly stopping: AbortController;
  readonly done: Promise<void>;
}

/** What all that follows works on. */
interface Exchange extends ExchangeParts {
  readonly everyMs: number;
  readonly backoffMaxMs: number;
  /** One loop per peer that is asked. */
  readonly asking: Map<string, Asking>;
}

/**
 * Asks every linked cluster for its Link State, every few seconds and at once after news, and answers theirs.
 */
export function startLinkState(parts: LinkStateParts): LinkState {
  const { configuration, log } = parts;
  const exchange: Exchange = {
    ...parts,
    configuration: () => configuration.current(),
    healths: createPeerHealths(),
    asking: new Map(),
    askSoon: (whom) => ring(exchange, whom),
  };
  const ending = new AbortController();
  let following: Promise<void> = Promise.resolve();
  const followInTurn = (now: Configuration): void => {
    following = following.then(async () => {
      const pause = backoff({ baseMs: 100, maxMs: 5_000 });
      while (!ending.signal.aborted && now === configuration.current()) {
        try {
          return await follow(exchange, now);
        } catch (error) {
          log.warn({ err: error }, 'link state: a configuration change cannot be applied yet; trying again');
          await pause.wait(ending.signal);
        }
      }
    });
  };
  const unsubscribe = configuration.onChange(followInTurn);
  if (configuration.isReady()) followInTurn(configuration.current());
  return {
    health: (peer) => exchange.healths.of(peer),
    askNow: (peer) => ring(exchange, (name) => peer === undefined || name === peer),
    answer: (request) => answerPeer(exchange, request),
    stop: async () => {
      unsubscribe();
      ending.abort();
      // A change that is being applied may still begin to ask somebody.
      await following;
      for (const { stopping } of exchange.asking.values()) stopping.abort();
      await Promise.allSettled([...exchange.asking.values()].map(({ done }) => done));
    },
  };
}

function ring(exchange: Exchange, whom: (peer: string) => boolean): void {
  for (const [peer, { bell }] of exchange.asking) if (whom(peer)) bell.ring();
}

/** Follows the configuration: who is asked, and what our own entry of the link map says. */
async function follow(exchange: Exchange, now: Configuration): Promise<void> {
  const { asking, healths } = exchange;
  const wanted = new Set(clusterPeers(now));
  for (const [peer, one] of asking) {
    if (wanted.has(peer)) continue;
    one.stopping.abort();
    asking.delete(peer);
    healths.note(peer, { reachable: false, answered: false, nextAttemptMs: undefined });
  }
  await exchange.routes.setOwn(ownLinks(now));
  for (const peer of wanted) {
    if (asking.has(peer)) continue;
    const bell = createBell();
    const stopping = new AbortController();
    asking.set(peer, { bell, stopping, done: askForEver(exchange, peer, bell, stopping.signal) });
  }
  ring(exchange, () => true);
  exchange.onNews();
}

async function askForEver(exchange: Exchange, peer: string, bell: Bell, signal: AbortSignal): Promise<void> {
  const { healths, log, everyMs, backoffMaxMs } = exchange;
  const pause = backoff({ baseMs: Math.min(200, everyMs), maxMs: backoffMaxMs });
  while (!signal.aborted) {
    let waitMs = everyMs;
    try {
      await askPeer(exchange, peer, signal);
      pause.reset();
    } catch (error) {
      if (signal.aborted) return;
      waitMs = pause.next();
      const reason = (error as Error).message;
      const isNew = healths.of(peer).reachable || pause.attempts === 1;
      if (isNew) log.warn({ peer, reason }, 'link state: no answer');
      healths.note(peer, { reachable: false, lastError: reason });
    }
    healths.note(peer, { nextAttemptMs: Date.now() + waitMs });
    await bell.wait(waitMs, signal);
  }
}
