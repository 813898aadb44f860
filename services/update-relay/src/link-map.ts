import { element, linkElements, privateBlock, privateCreator, readPrivate, tags } from '@isthmus/dicom';
import { compareText, stationOfPeer } from '@isthmus/domain';
import type { Configuration, DataSetJson } from '@isthmus/domain';
import { incarnationUid } from './linked-update.ts';

/** What one cluster says of its own links. Grows by fields; the whole entry is passed on as it came. */
export interface LinkStateEntry {
  /** Counts up with each change at that cluster, for good. */
  readonly version: number;
  /** Peers of enabled links. */
  readonly neighbours: readonly string[];
  /** Those among them that it sends updates to. */
  readonly sendsTo: readonly string[];
  /** Those among them that it takes updates from. */
  readonly takesFrom: readonly string[];
}

/** The newest entry of every cluster that was heard of. */
export type LinkStateMap = { readonly [cluster: string]: LinkStateEntry };

/** What two clusters tell each other in a Link State query, both ways. */
export interface LinkStateMessage {
  readonly format: number;
  /** Highest format of linked updates that it reads. */
  readonly updateFormat: number;
  readonly cluster: string;
  readonly incarnation: string;
  /** Wall clock when it was written, ms since 1970. */
  readonly clock: number;
  readonly capabilities: readonly string[];
  readonly links: LinkStateMap;
  /** Of its log: how far it has sent to us, and how far it has folded. For people. */
  readonly position: { readonly sent: number; readonly folded: number };
}

export const linkStateFormat = 1;

const clusterPattern = /^[a-z][a-z0-9-]{0,31}$/;
/** Clusters in one map, and peers of one cluster. */
const clustersMax = 1_000;

/** Our own entry, as configured; `version` is added by who keeps it. */
export function ownLinks(configuration: Configuration): Omit<LinkStateEntry, 'version'> {
  const enabled = [...configuration.links.values()]
    .filter((link) => link.enabled && clusterPattern.test(link.peer))
    .sort((a, b) => compareText(a.peer, b.peer));
  return {
    neighbours: enabled.map(({ peer }) => peer),
    sendsTo: enabled.filter(({ updates }) => updates.out).map(({ peer }) => peer),
    takesFrom: enabled.filter(({ updates }) => updates.in).map(({ peer }) => peer),
  };
}

/** Ids of the clusters that an enabled link leads to. */
export function clusterPeers(configuration: Configuration): string[] {
  return [...configuration.links.values()]
    .filter((link) => link.enabled && stationOfPeer(configuration, link.peer)?.kind === 'cluster')
    .map((link) => link.peer);
}

/**
 * Next hop towards every cluster over links that carry updates in that direction, by fewest links; among
 * equals the peer whose name comes first. A direction counts when the one sends and the other takes, or was
 * never heard of.
 */
export function updateHops(self: string, map: LinkStateMap): { [cluster: string]: string } {
  const entry = (cluster: string): LinkStateEntry | undefined =>
    Object.hasOwn(map, cluster) ? map[cluster] : undefined;
  const onward = (from: string): string[] =>
    (entry(from)?.sendsTo ?? [])
      .filter((to) => entry(to)?.takesFrom.includes(from) ?? true)
      .sort(compareText);
  const hops = new Map<string, string>();
  let edge = onward(self).map((peer) => ({ cluster: peer, hop: peer }));
  while (edge.length > 0) {
    const reached = edge.filter(({ cluster, hop }) => {
      if (cluster === self || hops.has(cluster)) return false;
      hops.set(cluster, hop);
      return true;
    });
    edge = reached.flatMap(({ cluster, hop }) => onward(cluster).map((to) => ({ cluster: to, hop })));
  }
  return Object.fromEntries([...hops].sort(([a], [b]) => compareText(a, b)));
}

/** The identifier of a Link State query, and equally the row of its answer. */
export function encodeLinkState(message: LinkStateMessage): DataSetJson {
  return {
    [tags.SpecificCharacterSet]: element('CS', 'ISO_IR 192'),
    ...privateBlock(privateCreator.link, {
      [linkElements.format]: element('US', message.format),
      [linkElements.sender]: element('LO', message.cluster),
      [linkElements.incarnation]: element('UI', incarnationUid(message.incarnation)),
      [linkElements.payloadEncoding]: element('CS', 'JSON'),
      [linkElements.payloadJson]: element('UT', JSON.stringify(message)),
    }),
  };
}

/** Reads what a peer wrote with `encodeLinkState`. @returns What is wrong with it otherwise. */
export function decodeLinkState(identifier: DataSetJson): LinkStateMessage | string {
  const read = (byte: number): unknown => readPrivate(identifier, privateCreator.link, byte)?.Value?.[0];
  if (Number(read(linkElements.format)) !== linkStateFormat) return 'unknown format';
  const payload = read(linkElements.payloadJson);
  if (typeof payload !== 'string') return 'no payload';
  let json: unknown;
  try {
    json = JSON.parse(payload);
  } catch {
    return 'the payload is not JSON';
  }
  if (!isRecord(json)) return 'the payload is not an object';
  const { cluster, incarnation, clock, capabilities, links, position, updateFormat } = json;
  if (typeof cluster !== 'string' || !clusterPattern.test(cluster)) return 'no cluster';
  if (typeof incarnation !== 'string' || incarnation.length > 128) return 'no incarnation';
  if (!isRecord(links) || Object.keys(links).length > clustersMax) return 'no links';
  const map: [string, LinkStateEntry][] = [];
  for (const [name, value] of Object.entries(links)) {
    if (!clusterPattern.test(name) || !isEntry(value)) return 'an entry of the link map is malformed';
    map.push([name, value]);
  }
  return {
    format: linkStateFormat,
    updateFormat: isCount(updateFormat) ? updateFormat : 1,
    cluster,
    incarnation,
    clock: typeof clock === 'number' && Number.isFinite(clock) ? clock : Number.NaN,
    capabilities: isNames(capabilities) ? capabilities : [],
    links: Object.fromEntries(map),
    position: {
      sent: isRecord(position) && isCount(position['sent']) ? position['sent'] : 0,
      folded: isRecord(position) && isCount(position['folded']) ? position['folded'] : 0,
    },
  };
}

function isEntry(value: unknown): value is LinkStateEntry {
  return (
    isRecord(value) &&
    isCount(value['version']) &&
    isNames(value['neighbours']) &&
    isNames(value['sendsTo']) &&
    isNames(value['takesFrom'])
  );
}

function isNames(value: unknown): value is string[] {
  return (
    Array.isArray(value) && value.length <= clustersMax && value.every((name) => typeof name === 'string')
  );
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
