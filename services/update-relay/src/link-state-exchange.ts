import { dimseStatus } from '@isthmus/dicom';
import { stationOfAeTitle, stationOfPeer } from '@isthmus/domain';
import type { Configuration, LinkStateAnswer, LinkStateRequest } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import type { Log } from '@isthmus/service-kit';
import { askLinkState } from './ask-link-state.ts';
import { batchFormat } from './batch.ts';
import { decodeLinkState, encodeLinkState, linkStateFormat } from './link-map.ts';
import type { LinkStateMessage } from './link-map.ts';
import type { PeerHealths } from './peer-health.ts';
import type { Routes } from './routes.ts';

/** What one Link State exchange needs of its cluster. */
export interface ExchangeParts {
  readonly cluster: string;
  readonly eventLog: Pick<EventLog, 'incarnation'> & {
    readonly requests: Pick<EventLog['requests'], 'askStream'>;
  };
  readonly routes: Routes;
  readonly healths: PeerHealths;
  readonly log: Log;
  readonly timeoutMs: number;
  configuration(): Configuration;
  /** How far we have sent to a peer and folded our own log; for people. */
  position(peer: string): { readonly sent: number; readonly folded: number };
  /** A peer that was away answers (its name), or the links changed. */
  onNews(peer?: string): void;
  /** Those are to be asked soon: that is how news of the link map floods. */
  askSoon(whom: (peer: string) => boolean): void;
}

/**
 * Asks one peer for its Link State, and takes in what it says.
 *
 * @throws When the peer cannot be reached, refuses, or is another than its station says.
 */
export async function askPeer(parts: ExchangeParts, peer: string, signal: AbortSignal): Promise<void> {
  const { healths, eventLog, timeoutMs, log } = parts;
  const station = stationOfPeer(parts.configuration(), peer);
  if (!station) throw new Error('no station is configured for this peer');
  const startedAt = performance.now();
  const { aeTitle } = station;
  const message = await askLinkState({ aeTitle, eventLog, timeoutMs }, ownMessage(parts, peer), signal);
  const roundTripMs = Math.round(performance.now() - startedAt);
  if (message.cluster !== peer) throw new Error('another cluster answered at this station');
  const clockOffsetMs = Math.round(message.clock + roundTripMs / 2 - Date.now());
  const wasAway = !healths.of(peer).reachable;
  await take(parts, peer, message);
  if (signal.aborted) return;
  healths.note(peer, { reachable: true, answered: true, lastError: undefined, roundTripMs, clockOffsetMs });
  if (!wasAway) return;
  log.info({ peer, roundTripMs }, 'link state: the peer answers');
  parts.onNews(peer);
}

function ownMessage(parts: ExchangeParts, peer: string): LinkStateMessage {
  return {
    format: linkStateFormat,
    updateFormat: batchFormat,
    cluster: parts.cluster,
    incarnation: parts.eventLog.incarnation,
    clock: Date.now(),
    capabilities: [],
    links: parts.routes.map(),
    position: parts.position(peer),
  };
}

/** Takes in what a peer said, asked or unasked. News is passed on at once: that is how the map floods. */
async function take(parts: ExchangeParts, peer: string, message: LinkStateMessage): Promise<void> {
  const { healths, routes, log } = parts;
  const { updateFormat, incarnation, capabilities } = message;
  healths.note(peer, { lastContactMs: Date.now(), updateFormat, incarnation, capabilities });
  const news = await routes.learn(message.links);
  if (await routes.meet(peer, incarnation)) {
    log.warn({ peer }, 'link state: the peer has a new log; it is owed the state of all that it holds');
    parts.onNews(peer);
  }
  if (!news) return;
  log.info({ peer, clusters: Object.keys(message.links).length }, 'link state: the link map changed');
  parts.askSoon((name) => name !== peer);
  parts.onNews();
}

/** Answers a query that came in, and takes in what it says. */
export async function answerPeer(parts: ExchangeParts, request: LinkStateRequest): Promise<LinkStateAnswer> {
  const peer = admitted(parts.configuration(), request.callingAeTitle);
  if (typeof peer === 'number') return { status: peer, rows: [] };
  const message = decodeLinkState(request.identifier);
  if (typeof message === 'string' || message.cluster !== peer) {
    return { status: dimseStatus.IdentifierDoesNotMatch, rows: [] };
  }
  await take(parts, peer, message);
  // Who asks is alive: no need to sit out the pause after a failure.
  if (!parts.healths.of(peer).reachable) parts.askSoon((name) => name === peer);
  return { status: dimseStatus.Success, rows: [encodeLinkState(ownMessage(parts, peer))] };
}

/** The peer that asks under this AE title, or the status word that refuses it. */
function admitted(configuration: Configuration, callingAeTitle: string): string | number {
  const station = stationOfAeTitle(configuration, callingAeTitle);
  if (station?.kind !== 'cluster' || station.cluster === undefined) return dimseStatus.NotAuthorised;
  return configuration.links.get(station.cluster)?.enabled === true ? station.cluster : dimseStatus.LinkOff;
}
