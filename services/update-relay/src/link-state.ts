import { dimseStatus, uids } from '@isthmus/dicom';
import { requestSubjects, stationOfAeTitle, stationOfPeer } from '@isthmus/domain';
import type {
  Configuration,
  DimseFindAnswer,
  DimseFindRequest,
  LinkStateAnswer,
  LinkStateRequest,
  Station,
} from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import { backoff } from '@isthmus/service-kit';
import type { ConfigurationWatch, Log } from '@isthmus/service-kit';
import { batchFormat } from './batch.ts';
import { createBell } from './bell.ts';
import type { Bell } from './bell.ts';
import { decodeLinkState, encodeLinkState, linkStateFormat, ownLinks } from './link-map.ts';
import type { LinkStateMessage } from './link-map.ts';
import type { Routes } from './routes.ts';

/** What we know of a peer from asking it. */
export interface PeerHealth {
  /** The last Link State exchange that we began succeeded. */
  readonly reachable: boolean;
  /** It has answered Link State since this process started: it speaks our syntax, so updates may be sent. */
  readonly answered: boolean;
  /** Last exchange, begun by either side. Wall clock, ms. */
  readonly lastContactMs: number | undefined;
  readonly lastError: string | undefined;
  readonly nextAttemptMs: number | undefined;
  readonly updateFormat: number | undefined;
  readonly incarnation: string | undefined;
  readonly capabilities: readonly string[];
  /** Its wall clock minus ours, ms, give or take half the round trip. */
  readonly clockOffsetMs: number | undefined;
  readonly roundTripMs: number | undefined;
}

export interface LinkState {
  health(peer: string): PeerHealth;
  /** Asks this peer, or all peers, now. */
  askNow(peer?: string): void;
  /** A query that came in. */
  answer(request: LinkStateRequest): Promise<LinkStateAnswer>;
  stop(): Promise<void>;
}

const unknownPeer: PeerHealth = {
  reachable: false,
  answered: false,
  lastContactMs: undefined,
  lastError: undefined,
  nextAttemptMs: undefined,
  updateFormat: undefined,
  incarnation: undefined,
  capabilities: [],
  clockOffsetMs: undefined,
  roundTripMs: undefined,
};

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

/** Link State rows that one answer may have; we write one. */
const rowsMax = 4;

interface Asking {
  readonly bell: Bell;
  readonly stopping: AbortController;
  readonly done: Promise<void>;
}

/**
 * Asks every linked cluster for its Link State, every few seconds and at once after news, and answers theirs.
 */
export function startLinkState(parts: LinkStateParts): LinkState {
  const { cluster, configuration, routes, log } = parts;
  const known = new Map<string, PeerHealth>();
  const asking = new Map<string, Asking>();
  const health = (peer: string): PeerHealth => known.get(peer) ?? unknownPeer;
  const note = (peer: string, facts: Partial<PeerHealth>): void => {
    known.set(peer, { ...health(peer), ...facts });
  };

  const askNow = (peer?: string): void => {
    for (const [name, { bell }] of asking) if (peer === undefined || name === peer) bell.ring();
  };

  /** Takes in what a peer said, asked or unasked. News is passed on at once: that is how the map floods. */
  const take = async (peer: string, message: LinkStateMessage): Promise<void> => {
    const before = health(peer).incarnation;
    note(peer, {
      lastContactMs: Date.now(),
      updateFormat: message.updateFormat,
      incarnation: message.incarnation,
      capabilities: message.capabilities,
    });
    const news = await routes.learn(message.links);
    if (before !== undefined && before !== message.incarnation) {
      log.warn({ peer }, 'link state: the peer has a new log; it is owed the state of all that it holds');
      await routes.oweAll(peer);
      parts.onNews(peer);
    }
    if (!news) return;
    log.info({ peer, clusters: Object.keys(message.links).length }, 'link state: the link map changed');
    for (const [name, { bell }] of asking) if (name !== peer) bell.ring();
    parts.onNews();
  };

  const own = (peer: string): LinkStateMessage => ({
    format: linkStateFormat,
    updateFormat: batchFormat,
    cluster,
    incarnation: parts.eventLog.incarnation,
    clock: Date.now(),
    capabilities: [],
    links: routes.map(),
    position: parts.position(peer),
  });

  const exchange = async (peer: string, signal: AbortSignal): Promise<void> => {
    const station = stationOfPeer(configuration.current(), peer);
    if (!station) throw new Error('no station is configured for this peer');
    const startedAt = performance.now();
    const message = await ask(parts, station, own(peer), signal);
    const roundTripMs = Math.round(performance.now() - startedAt);
    if (message.cluster !== peer) throw new Error('another cluster answered at this station');
    const clockOffsetMs = Math.round(message.clock + roundTripMs / 2 - Date.now());
    const wasAway = !health(peer).reachable;
    await take(peer, message);
    note(peer, { reachable: true, answered: true, lastError: undefined, roundTripMs, clockOffsetMs });
    if (!wasAway) return;
    log.info({ peer, roundTripMs }, 'link state: the peer answers');
    parts.onNews(peer);
  };

  const askFor = async (peer: string, bell: Bell, signal: AbortSignal): Promise<void> => {
    const pause = backoff({ baseMs: Math.min(200, parts.everyMs), maxMs: parts.backoffMaxMs });
    while (!signal.aborted) {
      let waitMs = parts.everyMs;
      try {
        await exchange(peer, signal);
        pause.reset();
      } catch (error) {
        if (signal.aborted) return;
        waitMs = pause.next();
        const reason = (error as Error).message;
        if (health(peer).reachable || pause.attempts === 1)
          log.warn({ peer, reason }, 'link state: no answer');
        note(peer, { reachable: false, lastError: reason });
      }
      note(peer, { nextAttemptMs: Date.now() + waitMs });
      await bell.wait(waitMs, signal);
    }
  };

  const begin = (peer: string): void => {
    const bell = createBell();
    const stopping = new AbortController();
    asking.set(peer, { bell, stopping, done: askFor(peer, bell, stopping.signal) });
  };

  /** Follows the configuration: who is asked, and what our own entry says. */
  const follow = async (now: Configuration): Promise<void> => {
    const wanted = new Set(clusterPeers(now));
    for (const [peer, one] of asking) {
      if (wanted.has(peer)) continue;
      one.stopping.abort();
      asking.delete(peer);
      note(peer, { reachable: false, answered: false, nextAttemptMs: undefined });
    }
    await routes.setOwn(ownLinks(now));
    for (const peer of wanted) if (!asking.has(peer)) begin(peer);
    askNow();
    parts.onNews();
  };
  const ending = new AbortController();
  let following: Promise<void> = Promise.resolve();
  const followInTurn = (now: Configuration): void => {
    following = following.then(async () => {
      const pause = backoff({ baseMs: 100, maxMs: 5_000 });
      while (!ending.signal.aborted && now === configuration.current()) {
        try {
          return await follow(now);
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
    health,
    askNow,
    answer: async (request) => {
      const peer = admitted(configuration.current(), request.callingAeTitle);
      if (typeof peer === 'number') return { status: peer, rows: [] };
      const message = decodeLinkState(request.identifier);
      if (typeof message === 'string' || message.cluster !== peer) {
        return { status: dimseStatus.IdentifierDoesNotMatch, rows: [] };
      }
      await take(peer, message);
      // Who asks is alive: no need to sit out the pause after a failure.
      if (!health(peer).reachable) askNow(peer);
      return { status: dimseStatus.Success, rows: [encodeLinkState(own(peer))] };
    },
    stop: async () => {
      unsubscribe();
      ending.abort();
      // A change that is being applied may still begin to ask somebody.
      await following;
      for (const { stopping } of asking.values()) stopping.abort();
      await Promise.allSettled([...asking.values()].map(({ done }) => done));
    },
  };
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

async function ask(
  parts: LinkStateParts,
  station: Station,
  message: LinkStateMessage,
  signal: AbortSignal,
): Promise<LinkStateMessage> {
  const request: DimseFindRequest = {
    aeTitle: station.aeTitle,
    sopClassUids: [uids.IsthmusLinkStateFind],
    identifier: encodeLinkState(message),
    timeoutMs: parts.timeoutMs,
    rowsMax,
  };
  const answers = parts.eventLog.requests.askStream<DimseFindRequest, DimseFindAnswer>(
    requestSubjects.dimseFind,
    request,
    // The edge keeps the deadline; a little more here lets its own, better reason arrive.
    { timeoutMs: parts.timeoutMs + 1_000, signal },
  );
  let answered: LinkStateMessage | undefined;
  for await (const answer of answers) {
    if ('row' in answer) {
      const read = decodeLinkState(answer.row);
      if (typeof read === 'string') throw new Error(`the answer cannot be read: ${read}`);
      answered = read;
    } else if (answer.done.status !== dimseStatus.Success) {
      const status = answer.done.status.toString(16).padStart(4, '0').toUpperCase();
      throw new Error(`status ${status}${answer.done.errorComment ? `: ${answer.done.errorComment}` : ''}`);
    }
  }
  if (!answered) throw new Error('no row in the answer');
  return answered;
}
