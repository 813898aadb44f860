import { dimseStatus } from '@isthmus/dicom';
import { stationOfAeTitle, stationOfPeer } from '@isthmus/domain';
import type { Configuration, LinkStateAnswer, LinkStateRequest } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import { backoff } from '@isthmus/service-kit';
import type { ConfigurationWatch, Log } from '@isthmus/service-kit';
import { askLinkState } from './ask-link-state.ts';
import { batchFormat } from './batch.ts';
import { createBell } from './bell.ts';
import type { Bell } from './bell.ts';
import { decodeLinkState, encodeLinkState, linkStateFormat, ownLinks } from './link-map.ts';
import type { LinkStateMessage } from './link-map.ts';
import { createPeerHealths } from './peer-health.ts';
import type { PeerHealth, PeerHealths } from './peer-health.ts';
import type { Routes } from './routes.ts';

export interface LinkState {
  health(peer: string): PeerHealth;
  /** Asks this peer, or all peers, now. */
  askNow(peer?: string): void;
  /** A query that came in. */
  answer(request: LinkStateRequest): Promise<LinkStateAnswer>;
  stop(): Promise<void>;
}

export interface LinkStateParts {
  readonly cluster: string;
  readonly configuration: ConfigurationWatch;
  readonly eventLog: EventLog;
  readonly routes: Routes;
  readonly log: Log;
  readonly everyMs: number;
  readonly timeoutMs: number;
  readonly backoffMaxMs: number;
  /** How far we have sent to a peer and folded our own log; for people. */
  position(peer: string): { readonly sent: number; readonly folded: number };
  /** A peer that was away answers (its name), or the links changed. */
  onNews(peer?: string): void;
}

interface Asking {
  readonly bell: Bell;
  readonly stopping: AbortController;
  readonly done: Promise<void>;
}

/** What all that follows works on. */
interface Exchange extends LinkStateParts {
  readonly healths: PeerHealths;
  /** One loop per peer that is asked. */
  readonly asking: Map<string, Asking>;
}

/**
 * Asks every linked cluster for its Link State, every few seconds and at once after news, and answers theirs.
 */
export function startLinkState(parts: LinkStateParts): LinkState {
  const { configuration, log } = parts;
  const exchange: Exchange = { ...parts, healths: createPeerHealths(), asking: new Map() };
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
    answer: (request) => answer(exchange, request),
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
      await askOnce(exchange, peer, signal);
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

async function askOnce(exchange: Exchange, peer: string, signal: AbortSignal): Promise<void> {
  const { healths, eventLog, timeoutMs, log } = exchange;
  const station = stationOfPeer(exchange.configuration.current(), peer);
  if (!station) throw new Error('no station is configured for this peer');
  const startedAt = performance.now();
  const { aeTitle } = station;
  const message = await askLinkState({ aeTitle, eventLog, timeoutMs }, ownMessage(exchange, peer), signal);
  const roundTripMs = Math.round(performance.now() - startedAt);
  if (message.cluster !== peer) throw new Error('another cluster answered at this station');
  const clockOffsetMs = Math.round(message.clock + roundTripMs / 2 - Date.now());
  const wasAway = !healths.of(peer).reachable;
  await take(exchange, peer, message);
  if (signal.aborted) return;
  healths.note(peer, { reachable: true, answered: true, lastError: undefined, roundTripMs, clockOffsetMs });
  if (!wasAway) return;
  log.info({ peer, roundTripMs }, 'link state: the peer answers');
  exchange.onNews(peer);
}

function ownMessage(exchange: Exchange, peer: string): LinkStateMessage {
  return {
    format: linkStateFormat,
    updateFormat: batchFormat,
    cluster: exchange.cluster,
    incarnation: exchange.eventLog.incarnation,
    clock: Date.now(),
    capabilities: [],
    links: exchange.routes.map(),
    position: exchange.position(peer),
  };
}

/** Takes in what a peer said, asked or unasked. News is passed on at once: that is how the map floods. */
async function take(exchange: Exchange, peer: string, message: LinkStateMessage): Promise<void> {
  const { healths, routes, log } = exchange;
  const { updateFormat, incarnation, capabilities } = message;
  healths.note(peer, { lastContactMs: Date.now(), updateFormat, incarnation, capabilities });
  const news = await routes.learn(message.links);
  if (await routes.meet(peer, incarnation)) {
    log.warn({ peer }, 'link state: the peer has a new log; it is owed the state of all that it holds');
    exchange.onNews(peer);
  }
  if (!news) return;
  log.info({ peer, clusters: Object.keys(message.links).length }, 'link state: the link map changed');
  ring(exchange, (name) => name !== peer);
  exchange.onNews();
}

/** A query that came in. */
async function answer(exchange: Exchange, request: LinkStateRequest): Promise<LinkStateAnswer> {
  const peer = admitted(exchange.configuration.current(), request.callingAeTitle);
  if (typeof peer === 'number') return { status: peer, rows: [] };
  const message = decodeLinkState(request.identifier);
  if (typeof message === 'string' || message.cluster !== peer) {
    return { status: dimseStatus.IdentifierDoesNotMatch, rows: [] };
  }
  await take(exchange, peer, message);
  // Who asks is alive: no need to sit out the pause after a failure.
  if (!exchange.healths.of(peer).reachable) ring(exchange, (name) => name === peer);
  return { status: dimseStatus.Success, rows: [encodeLinkState(ownMessage(exchange, peer))] };
}

/** Ids of the clusters that an enabled link leads to. */
export function clusterPeers(configuration: Configuration): string[] {
  return [...configuration.links.values()]
    .filter((link) => link.enabled && stationOfPeer(configuration, link.peer)?.kind === 'cluster')
    .map((link) => link.peer);
}

/** The peer that asks under this AE title, or the status word that refuses it. */
function admitted(configuration: Configuration, callingAeTitle: string): string | number {
  const station = stationOfAeTitle(configuration, callingAeTitle);
  if (station?.kind !== 'cluster' || station.cluster === undefined) return dimseStatus.NotAuthorised;
  return configuration.links.get(station.cluster)?.enabled === true ? station.cluster : dimseStatus.LinkOff;
}
