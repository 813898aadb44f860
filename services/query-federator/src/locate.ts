import { sql } from 'kysely';
import { element, stringOf, tags } from '@isthmus/dicom';
import { requestSubjects, stationOfPeer, uidPattern } from '@isthmus/domain';
import type {
  Configuration,
  FindRequest,
  LocateAnswer,
  LocatedInstance,
  LocateRequest,
  RoutesAnswer,
} from '@isthmus/domain';
import type { Requests } from '@isthmus/event-log';
import type { Database, Log } from '@isthmus/service-kit';
import type { Federation } from './federate.ts';
import { readLinkedFacts } from './linked-row.ts';
import type { RowHolder } from './linked-row.ts';
import { readStudies } from './local-find.ts';
import { availabilityRank } from './merge-rows.ts';
import { expectedInstances, holdersKnown, viewOf } from './rows.ts';
import type { StudyRecord } from './rows.ts';
import type { Tables } from './tables.ts';

export interface LocateParts {
  readonly cluster: string;
  readonly db: Database<Tables>;
  readonly log: Log;
  readonly requests: Requests;
  readonly configuration: () => Configuration;
  readonly federation: Federation;
  /** Resolves when the index has what the log has of what is asked for. */
  readonly upToDate: (request: LocateRequest) => Promise<void>;
  /** Time for a query about a study that nobody here knows. */
  readonly peerTimeoutMs: number;
  /** Monotonic clock, milliseconds. */
  readonly now: () => number;
}

type LocatedStudy = Extract<LocateAnswer, { studies: unknown }>['studies'][number];
type Source = LocatedStudy['sources'][number];

/** Studies that one retrieve names at most; more are cut by C-MOVE identifiers themselves (a UI value of 64 KB). */
const studiesMax = 1_000;
const instancesPerPage = 500;
/** A message carries 512 KB; a located object takes 0.4 KB or so. */
const chunkBytesMax = 400 * 1024;
const routesKeptMs = 2_000;

/**
 * Answers `query.locate` (see `LocateRequest`): what is here, then per study who has the rest.
 * @throws {IndexBehindError} Objects that the log has are not in the index, and did not come in time.
 */
export function createLocator(
  parts: LocateParts,
): (request: LocateRequest, signal: AbortSignal) => AsyncGenerator<LocateAnswer, void> {
  let routes: { readonly nextHop: RoutesAnswer['nextHop']; readonly until: number } | undefined;
  const nextHops = async (): Promise<RoutesAnswer['nextHop']> => {
    if (routes && parts.now() < routes.until) return routes.nextHop;
    try {
      const answer = await parts.requests.ask<object, RoutesAnswer>(
        requestSubjects.routes,
        {},
        { timeoutMs: 1_000 },
      );
      routes = { nextHop: answer.nextHop, until: parts.now() + routesKeptMs };
      return answer.nextHop;
    } catch (error) {
      parts.log.warn({ err: error }, 'no routes from update-relay; only direct peers are sources');
      return directPeers(parts.configuration());
    }
  };
  return (request, signal) => locate(parts, nextHops, request, signal);
}

/** Every enabled link leads to its own peer. */
function directPeers(configuration: Configuration): RoutesAnswer['nextHop'] {
  const enabled = [...configuration.links.values()].filter((link) => link.enabled);
  return Object.fromEntries(enabled.map(({ peer }) => [peer, peer]));
}

async function* locate(
  parts: LocateParts,
  nextHops: () => Promise<RoutesAnswer['nextHop']>,
  request: LocateRequest,
  signal: AbortSignal,
): AsyncGenerator<LocateAnswer, void> {
  await parts.upToDate(request);
  const uids = await studiesOf(parts, request);
  const found = new Map<string, Found>();
  for (const uid of uids) {
    const one: Found = { count: 0, sopInstanceUids: new Set() };
    found.set(uid, one);
    yield* localInstances(parts, request, uid, one, signal);
  }
  const records = await readStudies(parts.db, uids);
  const studies: LocatedStudy[] = [];
  for (const uid of uids) {
    signal.throwIfAborted();
    const here = found.get(uid) ?? { count: 0, sopInstanceUids: new Set() };
    studies.push(await locateStudy(parts, nextHops, request, uid, records.get(uid), here, signal));
  }
  yield { studies };
}

/** What of a study is here, as far as it was asked for. */
interface Found {
  count: number;
  readonly sopInstanceUids: Set<string>;
}

/** Study Instance UIDs of the request. At the patient level only studies that are here, of one patient. */
async function studiesOf(parts: LocateParts, request: LocateRequest): Promise<readonly string[]> {
  const named = request.studyInstanceUids.filter((uid) => uidPattern.test(uid)).slice(0, studiesMax);
  if (request.level !== 'PATIENT' || named.length > 0) return [...new Set(named)];
  const { rows } = await sql<{ uid: string; issuer: string; patient: string }>`
    select s.study_instance_uid as uid, s.issuer, s.patient_key as patient from study s
    join study_objects o using (study_instance_uid)
    where s.patient_id = ${request.patientId ?? ''} and o.instance_count > 0
    order by s.study_instance_uid limit ${studiesMax}`.execute(parts.db);
  // A C-MOVE cannot say the issuer (PS3.4 C.2.2.1.1): the same ID of two issuers is two people, and ours is meant.
  const issuers = new Set(rows.map((row) => row.issuer));
  const ours = parts.configuration().cluster?.patientDomain;
  return rows.filter((row) => issuers.size === 1 || row.issuer === ours).map((row) => row.uid);
}

async function* localInstances(
  parts: LocateParts,
  request: LocateRequest,
  studyInstanceUid: string,
  found: Found,
  signal: AbortSignal,
): AsyncGenerator<LocateAnswer, void> {
  const series = request.seriesInstanceUids ? [...request.seriesInstanceUids] : null;
  const images = request.sopInstanceUids ? [...request.sopInstanceUids] : null;
  for (let after = ['', '']; ;) {
    signal.throwIfAborted();
    const { rows } = await sql<LocatedInstance>`
      select study_instance_uid as "studyInstanceUid", series_instance_uid as "seriesInstanceUid",
        sop_instance_uid as "sopInstanceUid", sop_class_uid as "sopClassUid",
        transfer_syntax_uid as "transferSyntaxUid", file, file_bytes as "fileBytes"
      from instance where study_instance_uid = ${studyInstanceUid}
        and (${series}::text[] is null or series_instance_uid = any(${series}::text[]))
        and (${images}::text[] is null or sop_instance_uid = any(${images}::text[]))
        and (series_instance_uid, sop_instance_uid) > (${after[0]}, ${after[1]})
      order by series_instance_uid, sop_instance_uid limit ${instancesPerPage}`.execute(parts.db);
    for (const { sopInstanceUid } of rows) found.sopInstanceUids.add(sopInstanceUid);
    found.count += rows.length;
    for (const instances of chunks(rows)) yield { instances };
    const last = rows.at(-1);
    if (rows.length < instancesPerPage || !last) return;
    after = [last.seriesInstanceUid, last.sopInstanceUid];
  }
}

function* chunks(instances: readonly LocatedInstance[]): Generator<readonly LocatedInstance[]> {
  let chunk: LocatedInstance[] = [];
  let bytes = 0;
  for (const instance of instances) {
    const size = Buffer.byteLength(JSON.stringify(instance)) + 1;
    if (bytes + size > chunkBytesMax && chunk.length > 0) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(instance);
    bytes += size;
  }
  if (chunk.length > 0) yield chunk;
}

async function locateStudy(
  parts: LocateParts,
  nextHops: () => Promise<RoutesAnswer['nextHop']>,
  request: LocateRequest,
  uid: string,
  record: StudyRecord | undefined,
  here: Found,
  signal: AbortSignal,
): Promise<LocatedStudy> {
  const { sopInstanceUids } = request;
  const known = record ? stateOf(parts, record) : { expected: 0, holders: [], home: '' };
  const wanted = sopInstanceUids?.length ?? 0;
  const complete =
    wanted > 0
      ? sopInstanceUids!.every((one) => here.sopInstanceUids.has(one))
      : (record?.instanceCount ?? 0) > 0 && (record?.instanceCount ?? 0) >= known.expected;
  const expected = wanted > 0 ? wanted : known.expected;
  if (complete) return { studyInstanceUid: uid, complete, expectedInstances: expected, sources: [] };
  const hops = known.holders.length > 0 ? await nextHops() : {};
  const sources = sourcesFrom(parts, hops, known.holders, known.home);
  if (sources.length > 0) return { studyInstanceUid: uid, complete, expectedInstances: expected, sources };
  const asked = await askForSources(parts, uid, record, signal);
  const most = Math.max(expected, asked.expected);
  return {
    studyInstanceUid: uid,
    complete,
    ...(most > 0 ? { expectedInstances: most } : {}),
    sources: asked.sources,
  };
}

interface KnownState {
  readonly expected: number;
  /** Other clusters. */
  readonly holders: readonly RowHolder[];
  readonly home: string;
}

function stateOf(parts: LocateParts, record: StudyRecord): KnownState {
  const view = viewOf(record);
  const here = { cluster: parts.cluster, aeTitle: '' };
  return {
    expected: expectedInstances(record, view),
    holders: holdersKnown(record, view, here).filter((holder) => holder.cluster !== parts.cluster),
    home: view.homeCluster ?? '',
  };
}

/**
 * Best first: complete, home, most available, reached directly, by name. Each by its next hop; one that has none is
 * no source.
 */
function sourcesFrom(
  parts: LocateParts,
  nextHop: RoutesAnswer['nextHop'],
  holders: readonly RowHolder[],
  home: string,
): readonly Source[] {
  const configuration = parts.configuration();
  const candidates = holders.flatMap((holder) => {
    const peer = Object.hasOwn(nextHop, holder.cluster) ? nextHop[holder.cluster] : undefined;
    const link = peer === undefined ? undefined : configuration.links.get(peer);
    const station = peer === undefined ? undefined : stationOfPeer(configuration, peer);
    if (peer === undefined || !station || link?.enabled !== true) return [];
    return [{ holder, source: { peer, aeTitle: station.aeTitle, holder: holder.cluster } }];
  });
  return candidates
    .sort(
      (a, b) =>
        Number(b.holder.complete) - Number(a.holder.complete) ||
        Number(b.holder.cluster === home) - Number(a.holder.cluster === home) ||
        availabilityRank(a.holder.availability) - availabilityRank(b.holder.availability) ||
        Number(b.source.peer === b.source.holder) - Number(a.source.peer === a.source.holder) ||
        (a.holder.cluster < b.holder.cluster ? -1 : 1),
    )
    .map(({ source }) => source);
}

/** Nobody here knows who holds it: asks the peers for this one study, and takes those that answer as sources. */
async function askForSources(
  parts: LocateParts,
  uid: string,
  record: StudyRecord | undefined,
  signal: AbortSignal,
): Promise<{ readonly sources: readonly Source[]; readonly expected: number }> {
  const request = (kind: 'client' | 'station'): FindRequest => ({
    model: 'STUDY_ROOT',
    level: 'STUDY',
    identifier: { [tags.StudyInstanceUID]: element('UI', uid) },
    asker: { kind },
    linked: kind === 'client',
    hops: [],
    remainingMs: parts.peerTimeoutMs * 2,
  });
  const options = { signal, rowsMax: 10 };
  // A peer is asked by whichever of the two query switches is on.
  const answers = await Promise.all([
    parts.federation.collect(request('client'), options),
    parts.federation.collect(request('station'), options),
  ]);
  const patient = record ? viewOf(record).patient : undefined;
  const configuration = parts.configuration();
  const sources = new Map<string, Source>();
  let expected = 0;
  for (const { row, sources: answered } of answers.flatMap(({ rows }) => rows)) {
    const id = stringOf(row, tags.PatientID) ?? '';
    // Another patient under this UID: never a source.
    if (patient && patient.id !== '' && id !== '' && id !== patient.id) continue;
    const facts = readLinkedFacts(row);
    for (const holder of facts.holders) expected = Math.max(expected, holder.instanceCount);
    for (const peer of answered) {
      const station = stationOfPeer(configuration, peer);
      if (peer === parts.cluster || !station || sources.has(peer)) continue;
      const holds = facts.holders.some(({ cluster }) => cluster === peer);
      const behind = facts.holders.find(({ cluster }) => cluster !== parts.cluster)?.cluster;
      sources.set(peer, { peer, aeTitle: station.aeTitle, holder: holds ? peer : (behind ?? peer) });
    }
  }
  const direct = (source: Source): number => Number(source.peer !== source.holder);
  return { sources: [...sources.values()].sort((a, b) => direct(a) - direct(b)), expected };
}
