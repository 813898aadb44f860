import { uids } from '@isthmus/dicom';
import { requestSubjects } from '@isthmus/domain';
import type {
  DimseFindAnswer,
  DimseFindRequest,
  DimseStoreAnswer,
  DimseStoreRequest,
  LinkedUpdateAnswer,
  LinkedUpdateReceived,
  LinkStateAnswer,
  LinkStateRequest,
  RetrieveAnswer,
  RetrieveRequest,
} from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import { decodeLinkedUpdate } from '../src/linked-update.ts';
import type { Batch } from '../src/batch.ts';
import type { TestObject } from './objects.ts';

/** What the wire does to one linked update. */
export type Fate =
  | 'deliver'
  /** It never arrives. */
  | 'lose'
  /** It arrives, the answer does not come back. */
  | 'lose-answer'
  | 'duplicate'
  /** The peer's edge refuses it with this status. */
  | { readonly status: number };

export interface Crossing {
  readonly from: string;
  readonly to: string;
  readonly batch: Batch;
}

/** One cluster as the bridge sees it. */
export interface BridgeEnd {
  readonly id: string;
  readonly aeTitle: string;
  readonly eventLog: EventLog;
  /** Objects that its edge has on disk, by SOP Instance UID. */
  readonly disk: Map<string, TestObject>;
  take(object: TestObject, pulledFrom: string): Promise<void>;
}

export interface Bridge {
  connect(end: BridgeEnd): void;
  /** Decides what happens to each update; `deliver` unless set. */
  fate: (crossing: Crossing) => Fate;
  /** Clusters that nobody can reach, and that reach nobody. */
  readonly down: Set<string>;
  /** Every update that arrived at a relay. */
  readonly crossings: Crossing[];
  /** Every retrieval that was asked for. */
  readonly retrievals: { readonly by: string; readonly request: RetrieveRequest }[];
}

/**
 * Stands for the DIMSE edges and the network between clusters: takes `dimse.store`, `dimse.find` and
 * `dimse.retrieve` of one cluster to `relay.receive` and `relay.link-state` of another, as told.
 */
export function createBridge(): Bridge {
  const ends = new Map<string, BridgeEnd>();
  const bridge: Bridge = {
    fate: () => 'deliver',
    down: new Set(),
    crossings: [],
    retrievals: [],
    connect: (end) => {
      ends.set(end.aeTitle, end);
      const { requests } = end.eventLog;
      requests.answer<DimseStoreRequest, DimseStoreAnswer>(
        requestSubjects.dimseStore,
        ({ payload, attachment }) => store(end, payload, Buffer.from(attachment ?? [])),
      );
      requests.answerStream<DimseFindRequest, DimseFindAnswer>(requestSubjects.dimseFind, ({ payload }) =>
        find(end, payload),
      );
      requests.answerStream<RetrieveRequest, RetrieveAnswer>(requestSubjects.retrieve, ({ payload }) =>
        retrieve(end, payload),
      );
    },
  };

  const reach = (from: BridgeEnd, aeTitle: string): BridgeEnd => {
    const to = ends.get(aeTitle);
    if (!to || bridge.down.has(from.id) || bridge.down.has(to.id)) throw new Error('association failed');
    return to;
  };

  const hand = (
    from: BridgeEnd,
    to: BridgeEnd,
    request: DimseStoreRequest,
    bytes: Buffer,
  ): Promise<LinkedUpdateAnswer> =>
    to.eventLog.requests.ask<LinkedUpdateReceived, LinkedUpdateAnswer>(
      requestSubjects.linkedUpdate,
      {
        callingAeTitle: from.aeTitle,
        sopInstanceUid: request.sopInstanceUid,
        transferSyntaxUid: request.transferSyntaxUid,
      },
      { timeoutMs: 5_000, attachment: bytes },
    );

  const store = async (
    from: BridgeEnd,
    request: DimseStoreRequest,
    bytes: Buffer,
  ): Promise<DimseStoreAnswer> => {
    const to = reach(from, request.aeTitle);
    const decoded = decodeLinkedUpdate(bytes, request.transferSyntaxUid);
    if (!('batch' in decoded)) throw new Error('the relay sent something that it cannot read itself');
    const crossing = { from: from.id, to: to.id, batch: decoded.batch };
    const fate = bridge.fate(crossing);
    if (fate === 'lose') throw new Error('association lost');
    if (typeof fate === 'object') return fate;
    const answer = await hand(from, to, request, bytes);
    bridge.crossings.push(crossing);
    if (fate === 'lose-answer') throw new Error('association lost');
    return fate === 'duplicate' ? hand(from, to, request, bytes) : answer;
  };

  async function* find(from: BridgeEnd, request: DimseFindRequest): AsyncGenerator<DimseFindAnswer> {
    const to = reach(from, request.aeTitle);
    const answer = await to.eventLog.requests.ask<LinkStateRequest, LinkStateAnswer>(
      requestSubjects.linkState,
      { callingAeTitle: from.aeTitle, identifier: request.identifier },
      { timeoutMs: 5_000 },
    );
    for (const row of answer.rows) yield { row };
    yield { done: { status: answer.status, sopClassUid: uids.IsthmusLinkStateFind } };
  }

  async function* retrieve(by: BridgeEnd, request: RetrieveRequest): AsyncGenerator<RetrieveAnswer> {
    bridge.retrievals.push({ by: by.id, request });
    const wanted = new Set(request.series?.flatMap((series) => series.sopInstanceUids ?? []));
    let arrived = 0;
    for (const { aeTitle, peer } of request.sources ?? []) {
      const source = reach(by, aeTitle);
      // A hub streams from whoever has the object.
      const disks = [source, ...[...ends.values()].filter((end) => end !== by && end !== source)];
      for (const { disk } of disks) {
        for (const object of disk.values()) {
          if (!wanted.delete(object.sop)) continue;
          await by.take(object, peer);
          arrived += 1;
          yield { arrived };
        }
      }
    }
    const outcome = wanted.size === 0 ? 'complete' : 'partial';
    yield { done: { outcome, arrived, missing: [...wanted] } };
  }

  return bridge;
}
