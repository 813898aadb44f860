/**
 * What services of one cluster ask each other over NATS request/reply. Each entry names subject, request and answer;
 * streamed answers are many `Answer`s. Identifiers and rows are data sets in the DICOM JSON Model (PS3.18 Annex F.2).
 */
export type DataSetJson = {
  readonly [tag: string]: { readonly vr: string; readonly Value?: readonly unknown[] };
};

export type QueryLevel = 'PATIENT' | 'STUDY' | 'SERIES' | 'IMAGE';

/** `query.find`, streamed, answered by query-federator: rows, then exactly one `{done}`. */
export interface FindRequest {
  readonly model: 'PATIENT_ROOT' | 'STUDY_ROOT';
  readonly level: QueryLevel;
  readonly identifier: DataSetJson;
  /**
   * Who asks. `station`: another system by standard C-FIND (External Queries). `client`: our own users and prefetch
   * (Internal Queries). `cluster`: a linked cluster; answered locally and, by a hub, onwards.
   */
  readonly asker: {
    readonly kind: 'station' | 'client' | 'cluster';
    readonly aeTitle?: string;
    readonly cluster?: string;
  };
  /** Only what is here. */
  readonly localOnly?: boolean;
  /** Only these clusters (ids), when asked. */
  readonly clusters?: readonly string[];
  /** Private linked-query keys are wanted in the rows. */
  readonly linked: boolean;
  /** Cluster ids that the query has passed; it never returns to one. */
  readonly hops: readonly string[];
  readonly remainingMs: number;
}
export interface ClusterOutcome {
  readonly cluster: string;
  readonly status: 'answered' | 'failed' | 'timed-out' | 'skipped';
  readonly detail?: string;
  readonly rows: number;
  /** Tags (8 hex digits) of keys that this cluster could not apply. */
  readonly keysNotApplied: readonly string[];
}
export type FindAnswer =
  { readonly row: DataSetJson } | { readonly done: { readonly outcomes: readonly ClusterOutcome[] } };

/**
 * `query.locate`, streamed, answered by query-federator: the local objects of a retrieve, and who else holds the study.
 */
export interface LocateRequest {
  readonly level: QueryLevel;
  readonly patientId?: string;
  readonly studyInstanceUids: readonly string[];
  readonly seriesInstanceUids?: readonly string[];
  readonly sopInstanceUids?: readonly string[];
}
export interface LocatedInstance {
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly sopInstanceUid: string;
  readonly sopClassUid: string;
  readonly transferSyntaxUid: string;
  readonly file: string;
  readonly fileBytes: number;
}
export type LocateAnswer =
  | { readonly instances: readonly LocatedInstance[] }
  | {
      /** Per study asked for. `complete`: nothing known is missing here. `sources`: peers to pull from, best first. */
      readonly studies: readonly {
        readonly studyInstanceUid: string;
        readonly complete: boolean;
        readonly expectedInstances?: number;
        /** `peer` = name of the link; `aeTitle` = where to send the C-MOVE (the next hop towards the holder). */
        readonly sources: readonly {
          readonly peer: string;
          readonly aeTitle: string;
          readonly holder: string;
        }[];
      }[];
    };

/**
 * `relay.routes`, answered by update-relay: next hop (peer name) towards each cluster that is reachable over enabled
 * links.
 */
export interface RoutesAnswer {
  readonly nextHop: { readonly [cluster: string]: string };
}

/** `dimse.echo`, answered by dimse-edge. */
export interface EchoRequest {
  readonly aeTitle: string;
}
export interface EchoAnswer {
  readonly ok: boolean;
  readonly roundTripMs: number;
  readonly detail?: string;
}

/** `dimse.find`, streamed, answered by dimse-edge: a C-FIND to a station. Rows, then one `{done}`. */
export interface DimseFindRequest {
  readonly aeTitle: string;
  /** Abstract syntaxes to offer, best first; the first that the peer accepts is used. */
  readonly sopClassUids: readonly string[];
  readonly identifier: DataSetJson;
  readonly timeoutMs: number;
  readonly rowsMax: number;
}
export type DimseFindAnswer =
  | { readonly row: DataSetJson }
  | {
      readonly done: {
        readonly status: number;
        readonly errorComment?: string;
        readonly sopClassUid?: string;
      };
    };

/**
 * `dimse.store`, answered by dimse-edge: one small object (a linked update) to a station. The data set is the
 * attachment, 480 KiB at most.
 */
export interface DimseStoreRequest {
  readonly aeTitle: string;
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly transferSyntaxUid: string;
  readonly timeoutMs: number;
}
export interface DimseStoreAnswer {
  readonly status: number;
  readonly errorComment?: string;
}

/**
 * `dimse.retrieve`, streamed, answered by dimse-edge: brings objects to this cluster by C-MOVE from a peer to
 * ourselves.
 * Progress while objects arrive (at least every 5 s), then one `{done}`. Success is judged by the UID set when
 * `sopInstanceUids` is given, else by what the peer says and what arrived.
 */
export interface RetrieveRequest {
  readonly studyInstanceUid: string;
  /** Exactly the objects wanted, by series; absent: the whole study. */
  readonly series?: readonly {
    readonly seriesInstanceUid: string;
    readonly sopInstanceUids?: readonly string[];
  }[];
  /** AE titles to pull from, in order; absent: asked of `query.locate`. */
  readonly sources?: readonly { readonly peer: string; readonly aeTitle: string }[];
  readonly reason: 'user' | 'move' | 'objects-missing' | 'prefetch';
  readonly deadlineMs: number;
}
export type RetrieveAnswer =
  | { readonly arrived: number }
  | {
      readonly done: {
        readonly outcome: 'complete' | 'partial' | 'failed';
        readonly arrived: number;
        readonly missing: readonly string[];
        readonly detail?: string;
      };
    };

/**
 * `dimse.send`, streamed, answered by dimse-edge: C-STORE of the objects of a study that are here to a station (a
 * linked cluster's edge, or any other). Progress (at least every 5 s), then one `{done}`. Sends originals as they
 * lie on disk; objects of the study that are elsewhere are not fetched first.
 */
export interface SendRequest {
  readonly aeTitle: string;
  readonly studyInstanceUid: string;
  /** Exactly these objects; absent: all that are here. */
  readonly sopInstanceUids?: readonly string[];
  readonly reason: 'user' | 'prefetch';
  readonly deadlineMs: number;
}
export type SendAnswer =
  | { readonly sent: number }
  | {
      readonly done: {
        /** `complete`: the station answered success (or a warning) to every object, and there was at least one. */
        readonly outcome: 'complete' | 'partial' | 'failed';
        readonly sent: number;
        /** SOP Instance UIDs that the station refused or that could not be offered. */
        readonly failed: readonly string[];
        readonly detail?: string;
      };
    };

/**
 * `dimse.commit`, answered by dimse-edge: asks a station to commit to the storage of objects (N-ACTION), and waits for
 * its report.
 */
export interface CommitRequest {
  readonly aeTitle: string;
  readonly instances: readonly { readonly sopClassUid: string; readonly sopInstanceUid: string }[];
  /** From the acceptance of the request to the report. */
  readonly timeoutMs: number;
}
export interface CommitAnswer {
  /** `refused`: the station did not take the request. `no-report`: it did, and said no more in time. */
  readonly outcome: 'reported' | 'refused' | 'no-report';
  /** Of the N-ACTION response. */
  readonly status: number;
  readonly errorComment?: string;
  readonly committed: readonly { readonly sopClassUid: string; readonly sopInstanceUid: string }[];
  /** `reason`: Failure Reason (0008,1197); 0 when the station gave none. */
  readonly failed: readonly {
    readonly sopClassUid: string;
    readonly sopInstanceUid: string;
    readonly reason: number;
  }[];
}

/** `dimse.notify`, answered by dimse-edge: an Instance Availability Notification (N-CREATE) to a station. */
export interface NotifyRequest {
  readonly aeTitle: string;
  readonly studyInstanceUid: string;
  readonly series: readonly {
    readonly seriesInstanceUid: string;
    readonly instances: readonly {
      readonly sopClassUid: string;
      readonly sopInstanceUid: string;
      readonly availability: 'ONLINE' | 'NEARLINE' | 'OFFLINE' | 'UNAVAILABLE';
    }[];
  }[];
  readonly timeoutMs: number;
}
export interface NotifyAnswer {
  readonly status: number;
  readonly errorComment?: string;
}

/**
 * `relay.receive`, answered by update-relay: a linked update that came in by C-STORE. The data set is the attachment.
 */
export interface LinkedUpdateReceived {
  readonly callingAeTitle: string;
  readonly sopInstanceUid: string;
  readonly transferSyntaxUid: string;
}
export interface LinkedUpdateAnswer {
  readonly status: number;
  readonly errorComment?: string;
}

/** `relay.link-state`, answered by update-relay: a Link State C-FIND that came in. */
export interface LinkStateRequest {
  readonly callingAeTitle: string;
  readonly identifier: DataSetJson;
}
export interface LinkStateAnswer {
  readonly status: number;
  readonly rows: readonly DataSetJson[];
}

/** Subjects, in one place. */
export const requestSubjects = {
  find: 'query.find',
  locate: 'query.locate',
  routes: 'relay.routes',
  echo: 'dimse.echo',
  dimseFind: 'dimse.find',
  dimseStore: 'dimse.store',
  retrieve: 'dimse.retrieve',
  send: 'dimse.send',
  commit: 'dimse.commit',
  notify: 'dimse.notify',
  linkedUpdate: 'relay.receive',
  linkState: 'relay.link-state',
} as const;
