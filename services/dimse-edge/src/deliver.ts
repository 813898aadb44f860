import { requestSubjects } from '@isthmus/domain';
import type {
  Configuration,
  LocateAnswer,
  LocatedInstance,
  LocateRequest,
  RetrieveRequest,
  Station,
} from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import { sleep } from '@isthmus/service-kit';
import type { Destinations } from './destination.ts';
import type { Pulls } from './pulls.ts';
import type { Retrieves } from './retrieve.ts';
import type { Sender, Sent } from './send.ts';
import { workQueue } from './work-queue.ts';

export interface DeliverParts {
  readonly configuration: () => Configuration;
  readonly eventLog: Pick<EventLog, 'requests'>;
  readonly pulls: Pulls;
  readonly retrieves: Retrieves;
  readonly destinations: Pick<Destinations, 'sender'>;
}

/** What to send where. */
export interface Delivery {
  readonly scope: LocateRequest;
  /** A station that is called, or who takes the objects otherwise. */
  readonly destination: Station | Sender;
  /** False: only what is here, nothing is brought first. */
  readonly fetch: boolean;
  /** Ids of clusters that the request has passed. */
  readonly passed: readonly string[];
  /** Clusters and AE titles that are never pulled from: those passed, who asks, and the destination. */
  readonly notFrom: readonly string[];
  readonly moveOriginator?: { readonly aeTitle: string; readonly messageId: number };
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

export interface DeliveryCounts {
  readonly remaining: number;
  readonly completed: number;
  readonly failed: number;
  readonly warning: number;
}

export interface DeliveryResult extends Omit<DeliveryCounts, 'remaining'> {
  readonly remaining: number;
  /** Those that are known by UID; `failed` counts also objects that are only known to be missing. */
  readonly failedSopInstanceUids: readonly string[];
  /** Nothing of what was asked for is known here or at a linked cluster. */
  readonly unknown: boolean;
  readonly cancelled: boolean;
  /** Why something failed, the first reason met. */
  readonly detail?: string;
}

type LocatedStudy = Extract<LocateAnswer, { studies: unknown }>['studies'][number];

const locateTimeoutMs = 15_000;
/** A peer that hears nothing gives up: counts are told this often even when nothing has changed. */
const progressMs = 5_000;
/** Counts are told no more often than this: to tell of each of a thousand objects costs as much as to send some. */
const countsMs = 100;

/**
 * Sends the objects of a retrieve to a station: those that are here at once, and those of incomplete studies while they
 * arrive from the clusters that hold them. Yields counts when they have changed and every few seconds; returns what
 * became of each object, which is only `completed` when the destination took it.
 *
 * @throws {NoResponderError} {@link RequestTimeoutError} query-federator did not say what is here; nothing was sent.
 * @throws {TooMuchWaitingError} Too many deliveries wait for an association; nothing was sent.
 */
export async function* deliver(
  delivery: Delivery,
  parts: DeliverParts,
): AsyncGenerator<DeliveryCounts, DeliveryResult, undefined> {
  const { instances, studies } = await locate(delivery.scope, parts);
  const queue = workQueue<LocatedInstance>();
  const seen = new Set<string>();
  const offer = (instance: LocatedInstance): void => {
    if (seen.has(instance.sopInstanceUid)) return;
    seen.add(instance.sopInstanceUid);
    queue.push(instance);
  };
  instances.forEach(offer);
  const stopFetching = new AbortController();
  const signal = AbortSignal.any([
    delivery.signal,
    stopFetching.signal,
    AbortSignal.timeout(delivery.deadlineMs),
  ]);
  const fetched = fetchMissing(delivery, studies, instances, offer, parts, signal).finally(() =>
    queue.close(),
  );

  const counts = { completed: 0, failed: 0, warning: 0 };
  const failedUids: string[] = [];
  let detail: string | undefined;
  let done = 0;
  const changes = createBell();
  const told = (instance: LocatedInstance, sent: Sent): void => {
    done += 1;
    counts[sent.outcome === 'sent' ? 'completed' : sent.outcome] += 1;
    if (sent.outcome === 'failed') {
      failedUids.push(instance.sopInstanceUid);
      detail ??= sent.why ?? `status ${(sent.status ?? 0).toString(16)}`;
    }
    changes.ring();
  };
  const over = new AbortController();
  const sending = senderOf(delivery, parts)
    .sendAll({ queue, told, signal })
    .finally(() => over.abort());
  try {
    while (!over.signal.aborted) {
      await changes.heard(progressMs, over.signal);
      if (over.signal.aborted) break;
      yield { ...counts, remaining: seen.size - done };
      await sleep(countsMs, over.signal);
    }
    await sending;
    if (!signal.aborted || delivery.signal.aborted) stopFetching.abort();
    const missing = await fetched;
    return resultOf({ delivery, counts, failedUids, seen, missing, left: queue.waiting(), detail, signal });
  } finally {
    stopFetching.abort();
    // What is under way belongs to this delivery, also when nobody listens any more.
    await sending.catch(() => undefined);
  }
}

function senderOf({ destination, moveOriginator }: Delivery, { destinations }: DeliverParts): Sender {
  if ('sendAll' in destination) return destination;
  return destinations.sender(destination, moveOriginator ? { moveOriginator } : {});
}

/** Rung by one task, heard by another: a ring that nobody waits for is heard next time. */
function createBell(): { ring(): void; heard(waitMs: number, signal: AbortSignal): Promise<void> } {
  let rung = false;
  let hear: AbortController | undefined;
  return {
    ring: () => {
      rung = true;
      hear?.abort();
    },
    heard: async (waitMs, signal) => {
      if (!rung) {
        hear = new AbortController();
        await sleep(waitMs, AbortSignal.any([hear.signal, signal]));
      }
      rung = false;
    },
  };
}

/** What a retrieve could not bring: by UID where they are known, else by count. */
interface Missing {
  readonly uids: readonly string[];
  readonly count: number;
  readonly detail?: string;
}

function resultOf(end: {
  readonly delivery: Delivery;
  readonly counts: { readonly completed: number; readonly failed: number; readonly warning: number };
  readonly failedUids: readonly string[];
  readonly seen: ReadonlySet<string>;
  readonly missing: Missing;
  readonly left: readonly LocatedInstance[];
  readonly detail: string | undefined;
  readonly signal: AbortSignal;
}): DeliveryResult {
  const { delivery, counts, seen, missing } = end;
  const cancelled = delivery.signal.aborted;
  const asked = delivery.scope.sopInstanceUids ?? [];
  const absent = new Set([...missing.uids, ...asked].filter((uid) => !seen.has(uid)));
  const overdue = !cancelled && end.signal.aborted ? end.left.map((one) => one.sopInstanceUid) : [];
  const failedSopInstanceUids = [...end.failedUids, ...overdue, ...absent];
  const failed = Math.max(failedSopInstanceUids.length, counts.failed + missing.count);
  const detail = end.detail ?? (overdue.length > 0 ? 'The time for the retrieve is over' : missing.detail);
  return {
    completed: counts.completed,
    warning: counts.warning,
    failed: cancelled ? counts.failed : failed,
    remaining: cancelled ? end.left.length : 0,
    failedSopInstanceUids: cancelled ? end.failedUids : failedSopInstanceUids,
    unknown: seen.size === 0 && missing.count === 0 && missing.uids.length === 0,
    cancelled,
    ...(detail === undefined ? {} : { detail }),
  };
}

async function locate(
  scope: LocateRequest,
  parts: DeliverParts,
): Promise<{ instances: LocatedInstance[]; studies: LocatedStudy[] }> {
  const instances: LocatedInstance[] = [];
  const studies: LocatedStudy[] = [];
  const answers = parts.eventLog.requests.askStream<LocateRequest, LocateAnswer>(
    requestSubjects.locate,
    scope,
    {
      timeoutMs: locateTimeoutMs,
    },
  );
  for await (const answer of answers) {
    if ('instances' in answer) instances.push(...answer.instances);
    else studies.push(...answer.studies);
  }
  return { instances, studies };
}

/** Brings what is not here of each study, one retrieve per study, all at once (the retrieves themselves take turns). */
async function fetchMissing(
  delivery: Delivery,
  studies: readonly LocatedStudy[],
  here: readonly LocatedInstance[],
  offer: (instance: LocatedInstance) => void,
  parts: DeliverParts,
  signal: AbortSignal,
): Promise<Missing> {
  const incomplete = studies.filter((study) => !study.complete);
  const found = await Promise.all(
    incomplete.map((study) => {
      const local = here.filter((one) => one.studyInstanceUid === study.studyInstanceUid);
      return fetchStudy(delivery, study, local, offer, parts, signal);
    }),
  );
  return {
    uids: found.flatMap((one) => one.uids),
    count: found.reduce((sum, one) => sum + one.count, 0),
    detail: found.find((one) => one.detail !== undefined)?.detail,
  };
}

async function fetchStudy(
  delivery: Delivery,
  study: LocatedStudy,
  local: readonly LocatedInstance[],
  offer: (instance: LocatedInstance) => void,
  parts: DeliverParts,
  signal: AbortSignal,
): Promise<Missing> {
  const { scope } = delivery;
  const localUids = new Set(local.map((one) => one.sopInstanceUid));
  const wanted = scope.sopInstanceUids?.filter((uid) => !localUids.has(uid));
  if (wanted?.length === 0) return { uids: [], count: 0 };
  const whole = scope.level === 'STUDY' || scope.level === 'PATIENT';
  const sources = study.sources.filter(
    (source) => !delivery.notFrom.some((one) => [source.peer, source.aeTitle, source.holder].includes(one)),
  );
  if (!delivery.fetch) return { uids: wanted ?? [], count: 0 };
  if (sources.length === 0) {
    const short = whole
      ? Math.max((study.expectedInstances ?? 0) - local.length, Math.min(1, local.length))
      : 0;
    const detail = short > 0 ? { detail: 'Some objects are nowhere to be had' } : {};
    return { uids: wanted ?? [], count: short, ...detail };
  }

  const seen = new Set(localUids);
  const stopListening = parts.pulls.listen(study.studyInstanceUid, ({ instance }) => {
    seen.add(instance.sopInstanceUid);
    if (inScope(scope, instance)) offer(instance);
  });
  const shortBy = (): number => (whole ? Math.max(0, (study.expectedInstances ?? 0) - seen.size) : 0);
  try {
    let missing: Missing = { uids: [], count: 1, detail: 'The retrieve ended without a result' };
    // A source can send all that it has, and still have less than others are known to hold.
    for (let first = 0; first < sources.length; first++) {
      const done = await retrieveOnce(
        delivery,
        study.studyInstanceUid,
        wanted,
        sources.slice(first),
        parts,
        signal,
      );
      if (!done || signal.aborted) break;
      const { outcome, detail } = done;
      const count = Math.max(done.missing.length, shortBy(), outcome === 'complete' ? 0 : 1);
      missing = { uids: done.missing, count, ...(detail === undefined ? {} : { detail }) };
      // Not complete means that every source was tried.
      if (outcome !== 'complete' || count === 0) break;
    }
    return missing;
  } finally {
    stopListening();
  }
}

async function retrieveOnce(
  delivery: Delivery,
  studyInstanceUid: string,
  wanted: readonly string[] | undefined,
  sources: NonNullable<RetrieveRequest['sources']>,
  parts: DeliverParts,
  signal: AbortSignal,
) {
  const inSeries = delivery.scope.seriesInstanceUids;
  const series = inSeries?.map((seriesInstanceUid) => ({
    seriesInstanceUid,
    // Only of a single series can be said that it has all the objects that are asked for.
    ...(wanted && inSeries.length === 1 ? { sopInstanceUids: wanted } : {}),
  }));
  const answers = parts.retrieves.retrieve(
    {
      studyInstanceUid,
      ...(series ? { series } : {}),
      sources,
      reason: 'move',
      deadlineMs: delivery.deadlineMs,
    },
    { signal, passed: delivery.passed },
  );
  for await (const answer of answers) if ('done' in answer) return answer.done;
  return undefined;
}

function inScope(scope: LocateRequest, instance: LocatedInstance): boolean {
  if (scope.sopInstanceUids) return scope.sopInstanceUids.includes(instance.sopInstanceUid);
  if (scope.seriesInstanceUids) return scope.seriesInstanceUids.includes(instance.seriesInstanceUid);
  return true;
}
