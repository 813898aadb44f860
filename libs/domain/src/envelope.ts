/**
 * One thing that happened, as it stands in the log and travels between clusters: the attributes of CloudEvents 1.0
 * and ours. Identity is `id`, never a stream position: a restored server hands out the same positions again.
 */
export interface EventEnvelope<Type extends string = string, Data = unknown> {
  /** UUIDv7 for a decision; derived from the content for a fact from the wire, so that a re-send is the same event. */
  readonly id: string;
  /** Noun and past verb, e.g. `ReportStatusChanged`. */
  readonly type: Type;
  /** `<cluster>/<service>` that wrote it first. */
  readonly source: string;
  /** The aggregate: a Study Instance UID, a patient key, an order number, a configuration name. */
  readonly subject: string;
  /** Wall clock of the origin, RFC 3339 UTC. For people; never used for ordering. */
  readonly time: string;
  /** Cluster id where it happened. */
  readonly origin: string;
  /** Hybrid logical clock, see `hlc.ts`. */
  readonly hlc: string;
  /** Cluster ids that have it already, the origin first. Economy only: it is never the duplicate check. */
  readonly path: readonly string[];
  /** The stamp (hlc) of the value that this one replaced, when the writer had seen one. */
  readonly basis?: string;
  readonly correlationid?: string;
  readonly causationid?: string;
  readonly traceparent?: string;
  /** Version of `data`. Unknown versions are stored, merged and passed on untouched. */
  readonly v: number;
  readonly data: Data;
}

/** An event with its place in the local log. `sequence` is local and means nothing elsewhere. */
export interface StoredEvent<E extends EventEnvelope = EventEnvelope> {
  readonly sequence: number;
  /** NATS subject that it was stored under. */
  readonly logSubject: string;
  readonly event: E;
}
