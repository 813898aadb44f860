import { createHash } from 'node:crypto';
import {
  element,
  keysNotAnswered,
  matchesIdentifier,
  privateCreator,
  privateTag,
  stringOf,
} from '@isthmus/dicom';
import { studyElements, tags, withoutElements } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import {
  canonicalJson,
  linkOfStation,
  own,
  patientKey,
  requestSubjects,
  stationOfAeTitle,
} from '@isthmus/domain';
import type { ClusterOutcome, Configuration, FindAnswer, FindRequest, RoutesAnswer } from '@isthmus/domain';
import type { Requests } from '@isthmus/event-log';
import type { Database, Log } from '@isthmus/service-kit';
import { askPeer } from './ask-peer.ts';
import type { PeerAnswer } from './ask-peer.ts';
import type { CircuitBreaker } from './circuit-breaker.ts';
import { answerRow, readIdentifier } from './identifier.ts';
import type { Query } from './identifier.ts';
import { readLinkedFacts } from './linked-row.ts';
import { findLocal, QueryTooBroadError, readPatients, readStudies } from './local-find.ts';
import { mergeRows } from './merge-rows.ts';
import type { IdentityConflict, MergedRow, SourceRow } from './merge-rows.ts';
import { overlayPatientRow, overlayRow } from './overlay.ts';
import { choosePeers, mayAsk, switchOf } from './peers.ts';
import type { Peer } from './peers.ts';
import { uniqueKey } from './query-keys.ts';
import type { Here } from './rows.ts';
import { keyColumn } from './state-rows.ts';
import type { Tables } from './tables.ts';

export interface FederationParts {
  readonly cluster: string;
  readonly db: Database<Tables>;
  readonly log: Log;
  readonly requests: Requests;
  readonly configuration: () => Configuration;
  readonly breaker: CircuitBreaker;
  readonly limits: {
    readonly peerTimeoutMs: number;
    readonly forwardMarginMs: number;
    readonly peersMax: number;
    readonly peerRowsMax: number;
    readonly localRowsMax: number;
  };
}

/** All that clusters know to a question, as one list. */
export interface Collected {
  readonly rows: readonly MergedRow[];
  readonly outcomes: readonly ClusterOutcome[];
  readonly conflicts: readonly IdentityConflict[];
}

export interface Federation {
  /**
   * Answers `query.find`: rows that are here at once, then those of the peers, merged, when all have answered or run
   * out of time; then one `{done}` with what every cluster did. Leaving early cancels the peers.
   */
  find(request: FindRequest, signal: AbortSignal): AsyncGenerator<FindAnswer, void>;
  /**
   * The same as one merged list with whole rows, local ones with all their holders.
   * @throws {QueryTooBroadError} More than `rowsMax` rows match here.
   */
  collect(request: FindRequest, options: { signal: AbortSignal; rowsMax: number }): Promise<Collected>;
}

export function createFederation(parts: FederationParts): Federation {
  const inFlight = new Map<string, number>();
  return {
    find: (request, signal) => find(parts, inFlight, request, signal),
    collect: (request, options) => collect(parts, inFlight, request, options),
  };
}

/** A query under way: peers are being asked, local rows are still to be read. */
interface Running {
  readonly query: Query;
  readonly privateKeys: boolean;
  readonly peers: readonly Peer[];
  readonly answers: Promise<readonly PeerAnswer[]>;
  readonly skipped: readonly ClusterOutcome[];
  readonly asksHere: boolean;
  stop(): void;
}

async function begin(
  parts: FederationParts,
  inFlight: Map<string, number>,
  request: FindRequest,
  signal: AbortSignal,
): Promise<Running> {
  const privateKeys = request.linked || request.asker.kind !== 'station';
  const query = readIdentifier(request.identifier, request.level, privateKeys);
  const configuration = parts.configuration();
  const key = questionKey(query);
  const options = {
    self: parts.cluster,
    peersMax: parts.limits.peersMax,
    nextHop: await routesFor(parts, configuration, request),
  };
  const hops = [...new Set([...request.hops, ...query.carried.hops])];
  const localOnly = request.localOnly === true || cameBack(configuration, request, inFlight.has(key));
  const { peers, skipped } = choosePeers(configuration, { ...request, hops, localOnly }, options);
  const stopping = new AbortController();
  const question = {
    query,
    internal: switchOf(request) === 'internalQueries',
    hops: [...new Set([...hops, parts.cluster, ...peers.map(({ name }) => name)])],
    timeoutMs: peerTime(parts, request, query),
    signal: AbortSignal.any([signal, stopping.signal]),
  };
  inFlight.set(key, (inFlight.get(key) ?? 0) + 1);
  const asking = { requests: parts.requests, breaker: parts.breaker, rowsMax: parts.limits.peerRowsMax };
  const answers = Promise.all(peers.map((peer) => askPeer(peer, question, asking)));
  const asksHere = request.clusters === undefined || request.clusters.includes(parts.cluster);
  return { query, privateKeys, peers, answers, skipped, asksHere, stop: () => stop(inFlight, key, stopping) };
}

function stop(inFlight: Map<string, number>, key: string, stopping: AbortController): void {
  stopping.abort();
  const left = (inFlight.get(key) ?? 1) - 1;
  if (left > 0) inFlight.set(key, left);
  else inFlight.delete(key);
}

/** The same keys at the same level, whoever asks. */
function questionKey(query: Query): string {
  return createHash('sha256')
    .update(`${query.level}\n${canonicalJson(query.matching)}`)
    .digest('base64');
}

/**
 * A linked station that speaks only the standard classes cannot carry hops: when it asks what we are just asking, it is
 * passing our own question on, and gets what is here.
 */
function cameBack(configuration: Configuration, request: FindRequest, inFlight: boolean): boolean {
  if (!inFlight || request.linked || request.asker.kind === 'client' || request.hops.length > 0) return false;
  const station = stationOfAeTitle(configuration, request.asker.aeTitle ?? '');
  return linkOfStation(configuration, station) !== undefined;
}

/** Time for the peers: their own limit, or what is left for an asker that waits, less the way back. */
function peerTime(parts: FederationParts, request: FindRequest, query: Query): number {
  const remaining = Math.min(request.remainingMs, query.carried.remainingMs ?? Infinity);
  return Math.min(parts.limits.peerTimeoutMs, remaining - parts.limits.forwardMarginMs);
}

/** Routes are only needed when a cluster is named that is no peer of ours. */
async function routesFor(
  parts: FederationParts,
  configuration: Configuration,
  request: FindRequest,
): Promise<RoutesAnswer['nextHop']> {
  const far = request.clusters?.some(
    (cluster) => cluster !== parts.cluster && !configuration.links.has(cluster),
  );
  if (!far) return {};
  try {
    const options = { timeoutMs: Math.min(1_000, Math.max(1, request.remainingMs)) };
    const answer = await parts.requests.ask<object, RoutesAnswer>(requestSubjects.routes, {}, options);
    return answer.nextHop;
  } catch (error) {
    parts.log.warn({ err: error }, 'no routes from update-relay; clusters behind a hub are not asked');
    return {};
  }
}

async function* find(
  parts: FederationParts,
  inFlight: Map<string, number>,
  request: FindRequest,
  signal: AbortSignal,
): AsyncGenerator<FindAnswer, void> {
  if (!mayAsk(parts.configuration(), request)) {
    yield { done: { outcomes: [refused(parts, request)] } };
    return;
  }
  const running = await begin(parts, inFlight, request, signal);
  const { query, privateKeys } = running;
  try {
    const here = hereOf(parts);
    const emitted = new Map<string, string>();
    const held: SourceRow[] = [];
    const local = localOutcome(parts, query);
    const answered = (row: DataSetJson): FindAnswer => ({
      row: answerRow(row, query, privateKeys && request.linked),
    });
    for await (const row of localRows(parts, running, local, signal)) {
      if (heldBack(running, row)) held.push({ source: parts.cluster, local: true, row });
      else {
        emitted.set(keyOf(query, row), identityOf(row));
        yield answered(row);
      }
    }
    const answers = await running.answers;
    signal.throwIfAborted();
    const { rows, outcomes } = await peerRows(parts, query, answers, here);
    const fresh = rows.filter(({ row }) => !emitted.has(keyOf(query, row)));
    const conflicts = rows.flatMap((row) => conflictWith(query, emitted, row) ?? []);
    const merged = mergeRows(query.level, [...held, ...fresh]);
    for (const one of merged.rows) {
      if (inClusters(request, one, parts.cluster)) yield answered(asSeenHere(one, here));
    }
    logConflicts(parts, [...conflicts, ...merged.conflicts]);
    const all = uniteOutcomes([...(running.asksHere ? [local] : []), ...outcomes, ...running.skipped]);
    yield { done: { outcomes: all } };
  } finally {
    running.stop();
  }
}

async function collect(
  parts: FederationParts,
  inFlight: Map<string, number>,
  request: FindRequest,
  options: { readonly signal: AbortSignal; readonly rowsMax: number },
): Promise<Collected> {
  const running = await begin(parts, inFlight, request, options.signal);
  const { query } = running;
  try {
    const here = hereOf(parts);
    const local = localOutcome(parts, query);
    const rows: SourceRow[] = [];
    if (running.asksHere) {
      const finding = { db: parts.db, here, rowsMax: options.rowsMax, signal: options.signal };
      for await (const row of findLocal(query, finding))
        rows.push({ source: parts.cluster, local: true, row });
      local.rows = rows.length;
    }
    const answered = await peerRows(parts, query, await running.answers, here);
    const merged = mergeRows(query.level, [...rows, ...answered.rows]);
    logConflicts(parts, merged.conflicts);
    return {
      rows: merged.rows
        .filter((one) => inClusters(request, one, parts.cluster))
        .map((one) => ({ ...one, row: asSeenHere(one, here) })),
      outcomes: uniteOutcomes([
        ...(running.asksHere ? [local] : []),
        ...answered.outcomes,
        ...running.skipped,
      ]),
      conflicts: merged.conflicts,
    };
  } finally {
    running.stop();
  }
}

/** This cluster as rows name it. */
export function hereOf(parts: Pick<FederationParts, 'cluster' | 'configuration'>): Here {
  return {
    cluster: parts.cluster,
    aeTitle: parts.configuration().cluster?.aeTitle ?? parts.cluster.toUpperCase(),
  };
}

type MutableOutcome = { -readonly [name in keyof ClusterOutcome]: ClusterOutcome[name] };

function localOutcome(parts: FederationParts, query: Query): MutableOutcome {
  return { cluster: parts.cluster, status: 'answered', rows: 0, keysNotApplied: query.notApplied };
}

function refused(parts: FederationParts, request: FindRequest): ClusterOutcome {
  const detail = `${switchOf(request)} from this peer is switched off`;
  return { cluster: parts.cluster, status: 'skipped', detail, rows: 0, keysNotApplied: [] };
}

/** Rows that are here, counted into the outcome. A query that is too broad ends them and says so there. */
async function* localRows(
  parts: FederationParts,
  running: Running,
  outcome: MutableOutcome,
  signal: AbortSignal,
): AsyncGenerator<DataSetJson, void> {
  if (!running.asksHere) return;
  const options = {
    db: parts.db,
    here: hereOf(parts),
    rowsMax: parts.limits.localRowsMax,
    privateBlock: running.privateKeys,
    signal,
  };
  try {
    for await (const row of findLocal(running.query, options)) {
      outcome.rows++;
      yield row;
    }
  } catch (error) {
    if (!(error instanceof QueryTooBroadError)) throw error;
    outcome.status = 'failed';
    outcome.detail = `${error.message}. ${error.remedy}`;
  }
}

/**
 * Local rows wait for the peers only where they change with them: counts of a patient, and a study of which something
 * is elsewhere.
 */
function heldBack(running: Running, row: DataSetJson): boolean {
  if (running.peers.length === 0) return false;
  return running.query.level === 'PATIENT' || stringOf(row, tags.InstanceAvailability) !== 'ONLINE';
}

/** What tells a row from others in one answer: the patient, or the UIDs (one study is one row, whoever's it is). */
function keyOf(query: Query, row: DataSetJson): string {
  if (query.level === 'PATIENT') return identityOf(row);
  return stringOf(row, uniqueKey[query.level]) ?? '';
}

function identityOf(row: DataSetJson): string {
  return patientKey(stringOf(row, tags.PatientID) ?? '', stringOf(row, tags.IssuerOfPatientID) ?? '');
}

function conflictWith(
  query: Query,
  emitted: ReadonlyMap<string, string>,
  { source, row }: SourceRow,
): IdentityConflict | undefined {
  const identity = emitted.get(keyOf(query, row));
  if (query.level !== 'STUDY' || identity === undefined || identity === identityOf(row)) return undefined;
  return { studyInstanceUid: keyOf(query, row), shown: 'local', hidden: [source] };
}

/** Rows of the peers with what is known here laid over them, filtered again, and what each peer did. */
async function peerRows(
  parts: FederationParts,
  query: Query,
  answers: readonly PeerAnswer[],
  here: Here,
): Promise<{ readonly rows: readonly SourceRow[]; readonly outcomes: readonly ClusterOutcome[] }> {
  const lay = await overlayOf(parts, query, answers, here);
  const rows: SourceRow[] = [];
  const outcomes: ClusterOutcome[] = [];
  for (const answer of answers) {
    const notApplied = new Set(query.notApplied);
    let kept = 0;
    for (const original of answer.rows) {
      const row = lay(original);
      const known = withoutUnknown(row);
      if (!matchesIdentifier(query.matching, known, { absent: 'match' })) continue;
      for (const tag of keysNotAnswered(query.matching, known)) notApplied.add(tag);
      kept++;
      rows.push({ source: answer.peer.name, local: false, row });
    }
    outcomes.push(
      { ...answer.outcome, rows: kept, keysNotApplied: [...notApplied].sort() },
      ...answer.behind,
    );
  }
  return { rows, outcomes };
}

const statusKeys: readonly string[] = [
  tags.InterpretationStatusID,
  privateTag(privateCreator.study, studyElements.reportStatus),
];

/**
 * The row as the second filter sees it. A status that nobody keeps is no answer to a key, also when a linked cluster
 * passes on the row of a third party: such a row is kept and marked.
 */
function withoutUnknown(row: DataSetJson): DataSetJson {
  const status = readLinkedFacts(row).reportStatus;
  return status === '' || status === 'UNKNOWN' ? withoutElements(row, ...statusKeys) : row;
}

const overlayChunk = 1_000;

async function overlayOf(
  parts: FederationParts,
  query: Query,
  answers: readonly PeerAnswer[],
  here: Here,
): Promise<(row: DataSetJson) => DataSetJson> {
  const rows = answers.flatMap((answer) => answer.rows);
  if (query.level === 'PATIENT') {
    const keys = [...new Set(rows.map((row) => keyColumn(identityOf(row))))];
    const patients = new Map(await inChunks(keys, (some) => readPatients(parts.db, some)));
    return (row) => overlayPatientRow(row, patients.get(keyColumn(identityOf(row))));
  }
  const uids = [...new Set(rows.flatMap((row) => stringOf(row, tags.StudyInstanceUID) ?? []))];
  const studies = new Map(await inChunks(uids, (some) => readStudies(parts.db, some)));
  return (row) => overlayRow(row, studies.get(stringOf(row, tags.StudyInstanceUID) ?? ''), here);
}

async function inChunks<Value>(
  keys: readonly string[],
  read: (some: readonly string[]) => Promise<ReadonlyMap<string, Value>>,
): Promise<[string, Value][]> {
  const found: [string, Value][] = [];
  for (let at = 0; at < keys.length; at += overlayChunk) {
    found.push(...(await read(keys.slice(at, at + overlayChunk))));
  }
  return found;
}

/** Only rows that a named cluster answered or holds. */
function inClusters(request: FindRequest, merged: MergedRow, self: string): boolean {
  const { clusters } = request;
  if (!clusters) return true;
  const named = [...merged.sources, ...readLinkedFacts(merged.row).holders.map((holder) => holder.cluster)];
  return named.some((cluster) => clusters.includes(cluster)) && (clusters.includes(self) || !merged.local);
}

/** Objects are retrieved from us; what is only at a peer has to be fetched first (NEARLINE). */
function asSeenHere(merged: MergedRow, here: Here): DataSetJson {
  const availability = stringOf(merged.row, tags.InstanceAvailability);
  const far = availability === undefined || availability === 'ONLINE' ? 'NEARLINE' : availability;
  return {
    ...merged.row,
    [tags.RetrieveAETitle]: element('AE', here.aeTitle),
    [tags.InstanceAvailability]: element('CS', merged.local ? availability : far),
  };
}

/** One outcome per cluster: an answer counts more than a failure on another way to the same cluster. */
function uniteOutcomes(outcomes: readonly ClusterOutcome[]): readonly ClusterOutcome[] {
  const byCluster: Record<string, ClusterOutcome> = {};
  for (const outcome of outcomes) {
    const present = own(byCluster, outcome.cluster);
    if (!present || (present.status !== 'answered' && outcome.status === 'answered'))
      byCluster[outcome.cluster] = outcome;
  }
  return Object.values(byCluster);
}

/** One line per query, whatever it found. */
function logConflicts(parts: FederationParts, conflicts: readonly IdentityConflict[]): void {
  const [first] = conflicts;
  if (!first) return;
  const facts = { conflicts: conflicts.length, ...first };
  parts.log.warn(facts, 'one Study Instance UID, several patients: only one is answered');
}
