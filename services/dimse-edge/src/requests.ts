import { decodeDataSet, dimseStatus, uids } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import type { RequestedAssociation } from '@isthmus/dimse';
import { requestSubjects } from '@isthmus/domain';
import type {
  CommitAnswer,
  CommitRequest,
  DimseFindAnswer,
  DimseFindRequest,
  DimseStoreAnswer,
  DimseStoreRequest,
  EchoAnswer,
  EchoRequest,
  NotifyAnswer,
  NotifyRequest,
  RetrieveAnswer,
  RetrieveRequest,
  SendAnswer,
  SendRequest,
  Station,
} from '@isthmus/domain';
import type { EventLog, IncomingRequest } from '@isthmus/event-log';
import type { Log } from '@isthmus/service-kit';
import { notifyAvailability } from './availability.ts';
import type { CommitmentRequests } from './commitment-requests.ts';
import { deliver } from './deliver.ts';
import type { DeliverParts } from './deliver.ts';
import { StationUnknownError } from './errors.ts';
import type { Outgoing } from './outgoing.ts';
import type { Retrieves } from './retrieve.ts';
import { thirdPartyIdentifier } from './third-party.ts';
import { workQueue } from './work-queue.ts';

/** Requests of each kind that are worked on at once; others wait in the queue of the log's server. */
const concurrencyMax = 32;
const echoTimeoutMs = 5_000;
/** Rows of a peer that wait for the asker; beyond that the peer waits. */
const rowsWaitingMax = 256;
const readable = [uids.ExplicitVrLittleEndian, uids.ImplicitVrLittleEndian] as const;

export interface RequestParts extends DeliverParts {
  readonly eventLog: Pick<EventLog, 'requests'>;
  readonly outgoing: Outgoing;
  readonly retrieves: Retrieves;
  readonly commitmentRequests: Pick<CommitmentRequests, 'ask'>;
  readonly ourAeTitle: () => string;
  readonly log: Log;
}

/**
 * What other services of the cluster ask of the only room that speaks DICOM: `dimse.echo`, `dimse.find`, `dimse.store`,
 * `dimse.retrieve`, `dimse.send`, `dimse.commit` and `dimse.notify` (libs/domain, requests.ts).
 * @returns Stops taking requests and waits for those at work.
 */
export function answerRequests(parts: RequestParts): () => Promise<void> {
  const { requests } = parts.eventLog;
  const stops = [
    requests.answer<EchoRequest, EchoAnswer>(requestSubjects.echo, ({ payload }) => echo(payload, parts), {
      concurrencyMax,
    }),
    requests.answerStream<DimseFindRequest, DimseFindAnswer>(
      requestSubjects.dimseFind,
      (one) => find(one, parts),
      {
        concurrencyMax,
      },
    ),
    requests.answer<DimseStoreRequest, DimseStoreAnswer>(
      requestSubjects.dimseStore,
      (one) => store(one, parts),
      {
        concurrencyMax,
      },
    ),
    requests.answerStream<RetrieveRequest, RetrieveAnswer>(
      requestSubjects.retrieve,
      ({ payload, signal }) => parts.retrieves.retrieve(payload, { signal }),
      // Retrieves take turns of their own; here they only wait.
      { concurrencyMax: 1_000 },
    ),
    requests.answerStream<SendRequest, SendAnswer>(requestSubjects.send, (one) => send(one, parts), {
      concurrencyMax,
    }),
    requests.answer<CommitRequest, CommitAnswer>(
      requestSubjects.commit,
      ({ payload }) => parts.commitmentRequests.ask(payload),
      { concurrencyMax },
    ),
    requests.answer<NotifyRequest, NotifyAnswer>(
      requestSubjects.notify,
      ({ payload }) => notifyAvailability(payload, parts),
      { concurrencyMax },
    ),
  ];
  return async () => void (await Promise.all(stops.map((stop) => stop())));
}

async function echo(request: EchoRequest, parts: RequestParts): Promise<EchoAnswer> {
  const from = performance.now();
  const roundTripMs = (): number => Math.round((performance.now() - from) * 10) / 10;
  try {
    const contexts = [
      { sopClassUid: uids.VerificationSopClass, transferSyntaxUids: [uids.ImplicitVrLittleEndian] },
    ];
    const timeouts = { connectMs: echoTimeoutMs, associateMs: echoTimeoutMs, responseMs: echoTimeoutMs };
    const { status } = await parts.outgoing.use(request.aeTitle, contexts, (one) => one.cEcho(), timeouts);
    const ok = status === dimseStatus.Success;
    return { ok, roundTripMs: roundTripMs(), ...(ok ? {} : { detail: `status ${hex(status)}` }) };
  } catch (error) {
    return { ok: false, roundTripMs: roundTripMs(), detail: (error as Error).message };
  }
}

/**
 * C-FIND to a station, on the first of the wanted classes that it accepts. A third party gets only the keys that every
 * archive knows (`thirdPartyIdentifier`); a cluster gets them all.
 */
async function* find(
  request: IncomingRequest<DimseFindRequest>,
  parts: RequestParts,
): AsyncGenerator<DimseFindAnswer, void, undefined> {
  const { aeTitle, sopClassUids, identifier, timeoutMs, rowsMax } = request.payload;
  const overdue = AbortSignal.timeout(timeoutMs);
  const left = new AbortController();
  const signal = AbortSignal.any([request.signal, overdue, left.signal]);
  const contexts = sopClassUids.map((sopClassUid) => ({ sopClassUid, transferSyntaxUids: [...readable] }));
  const rows = workQueue<{ row: DataSetJson }>();
  let drained: (() => void) | undefined;

  const ask = async (association: RequestedAssociation, station: Station): Promise<DimseFindAnswer> => {
    const sopClassUid = sopClassUids.find((uid) => association.accepted(uid).length > 0);
    if (sopClassUid === undefined) {
      const errorComment = 'The peer accepts none of the query classes';
      return { done: { status: dimseStatus.SopClassNotSupported, errorComment } };
    }
    const asked = station.kind === 'cluster' ? identifier : thirdPartyIdentifier(identifier);
    const responses = association.cFind({ sopClassUid, identifier: asked, signal });
    let count = 0;
    for await (const bytes of responses) {
      if (count === rowsMax) break;
      count += 1;
      const row = readRow(bytes, responses.transferSyntaxUid, aeTitle, parts.log);
      if (row) rows.push({ row });
      if (rows.waiting().length >= rowsWaitingMax) await new Promise<void>((resolve) => (drained = resolve));
    }
    const { status, errorComment } = await responses.final;
    return { done: { status, sopClassUid, ...(errorComment === undefined ? {} : { errorComment }) } };
  };

  const answer = parts.outgoing
    .use(aeTitle, contexts, ask, { responseMs: timeoutMs })
    .finally(() => rows.close());
  answer.catch(() => undefined);
  try {
    for (;;) {
      const next = await rows.take({ waitMs: timeoutMs, signal });
      if (next === 'closed' || next === 'aborted') break;
      if (next !== 'nothing') yield next;
      if (rows.waiting().length < rowsWaitingMax) drained?.();
    }
    if (overdue.aborted && !request.signal.aborted) {
      const errorComment = `No answer within ${timeoutMs} ms`;
      return yield { done: { status: dimseStatus.Cancel, errorComment } };
    }
    yield await answer;
  } finally {
    // The asker may have gone away: C-CANCEL, and let go of rows that nobody takes.
    left.abort();
    drained?.();
  }
}

/** A row that cannot be read is left out and logged: it must not hide the others. */
function readRow(bytes: Buffer, transferSyntaxUid: string, peer: string, log: Log): DataSetJson | undefined {
  try {
    return decodeDataSet(bytes, transferSyntaxUid);
  } catch (error) {
    log.warn({ peer, err: error }, 'c-find sent: a row cannot be read; left out');
    return undefined;
  }
}

/** C-STORE of a small object that comes with the request. */
async function store(
  request: IncomingRequest<DimseStoreRequest>,
  parts: RequestParts,
): Promise<DimseStoreAnswer> {
  const { aeTitle, sopClassUid, sopInstanceUid, transferSyntaxUid, timeoutMs } = request.payload;
  const dataSet = Buffer.from(request.attachment ?? []);
  const contexts = [{ sopClassUid, transferSyntaxUids: [transferSyntaxUid] }];
  const answer = await parts.outgoing.use(
    aeTitle,
    contexts,
    (association) => association.cStore({ sopClassUid, sopInstanceUid, transferSyntaxUid, dataSet }),
    { responseMs: timeoutMs },
  );
  const { status, errorComment } = answer;
  const facts = { peer: aeTitle, sopInstanceUid, status, bytes: dataSet.length, why: errorComment };
  parts.log.info(facts, 'linked update sent');
  return { status, ...(errorComment === undefined ? {} : { errorComment }) };
}

/** C-STORE of what is here of a study; nothing is fetched first. */
async function* send(
  request: IncomingRequest<SendRequest>,
  parts: RequestParts,
): AsyncGenerator<SendAnswer, void, undefined> {
  const { aeTitle, studyInstanceUid, sopInstanceUids, deadlineMs } = request.payload;
  const destination = parts.configuration().stations.get(aeTitle);
  if (!destination || destination.port === 0) throw new StationUnknownError(aeTitle);
  const scope = sopInstanceUids
    ? { level: 'IMAGE' as const, studyInstanceUids: [studyInstanceUid], sopInstanceUids }
    : { level: 'STUDY' as const, studyInstanceUids: [studyInstanceUid] };
  const delivery = deliver(
    { scope, destination, fetch: false, notFrom: [], passed: [], deadlineMs, signal: request.signal },
    parts,
  );
  for (;;) {
    const next = await delivery.next();
    if (!next.done) {
      yield { sent: next.value.completed + next.value.warning };
      continue;
    }
    const { failedSopInstanceUids, failed, detail } = next.value;
    const sent = next.value.completed + next.value.warning;
    const outcome = sent === 0 ? 'failed' : failedSopInstanceUids.length === 0 ? 'complete' : 'partial';
    parts.log.info({ peer: aeTitle, studyInstanceUid, outcome, sent, failed, why: detail }, 'study sent');
    return yield {
      done: { outcome, sent, failed: failedSopInstanceUids, ...(detail === undefined ? {} : { detail }) },
    };
  }
}

function hex(status: number): string {
  return status.toString(16).toUpperCase().padStart(4, '0');
}
