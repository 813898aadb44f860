import type { EventEnvelope, RegisterMap } from '@isthmus/domain';
import type { BatchItem } from '../batch.ts';
import type { LinkStateEntry, LinkStateMap } from '../link-map.ts';

/** State of one aggregate, and the last sequence of its subject in the STUDY log that is in it (0 = none). */
export interface Folded {
  readonly registers: RegisterMap;
  readonly lastSequence: number;
}

/** A row in hand, locked; both members are replaced while folding. */
export interface HeldRow {
  registers: RegisterMap;
  lastSequence: number;
}

export type Aggregate = 'study' | 'patient';

/** What tells events apart: an id means nothing without its aggregate. */
export interface EventIdentity {
  /** Study Instance UID or patient key. */
  readonly subject: string;
  readonly id: string;
}

/** `EventIdentity` as the key of a set. */
export function identityKey({ subject, id }: EventIdentity): string {
  return JSON.stringify([subject, id]);
}

/** An entry of the timeline. */
export interface EntryRow {
  readonly sequence: number;
  readonly aggregate: Aggregate;
  readonly subject: string;
  readonly type: string;
  readonly path: readonly string[];
  readonly event: EventEnvelope;
}

/** An object of a study, known here or elsewhere. */
export interface NamedObject {
  readonly study: string;
  readonly seriesInstanceUid: string;
  readonly sopInstanceUid: string;
  readonly sopClassUid: string;
  readonly modality: string;
}

export interface ObjectRow extends NamedObject {
  /** The file is in this cluster's object store. */
  readonly local: boolean;
  /** Came as a copy from a linked cluster. */
  readonly pulled: boolean;
  /** Part of a manifest that somebody announced. */
  readonly announced: boolean;
}

/** A fact of the INSTANCES log as the object set takes it. */
export interface StoredObject extends NamedObject {
  /** Came as a copy from a linked cluster. */
  readonly pulled: boolean;
}

/** A whole state that a peer is owed, as of this version of the debt. */
export interface StateDebt {
  readonly study: string;
  readonly version: number;
}

export interface DirtyStudy {
  readonly study: string;
  readonly headerChanged: boolean;
  /** Grows with each change: only the version that was read is cleared. */
  readonly version: number;
}

export interface PullRow {
  readonly study: string;
  /** The peer that told of the objects: asked first. */
  readonly peer: string;
  readonly attempts: number;
  /** Until it may be tried; 0 = now. */
  readonly waitMs: number;
}

/** Why an update is not sent any more. */
export interface ParkReason {
  readonly reason: string;
  /** The peer's status word; 0 when it was never sent. */
  readonly status: number;
  readonly refusals: number;
}

export interface ParkedItem {
  readonly id: string;
  readonly item: BatchItem;
}

export interface NextHops {
  readonly [cluster: string]: string;
}

/** What the relay keeps, read as of one moment. */
export interface ReadableRows {
  /** Next hops that debts of state were last computed with. */
  nextHops(): Promise<NextHops>;
  /** Those without a row are left out; the same for patients, under the keys that were asked for. */
  studies(uids: readonly string[]): Promise<ReadonlyMap<string, Folded>>;
  patients(keys: readonly string[]): Promise<ReadonlyMap<string, Folded>>;
  /** Keys (`identityKey`) of those events that the timeline has. */
  knownEvents(events: readonly EventIdentity[]): Promise<Set<string>>;
  /** Effective entries after a sequence, up to and with another, in order. */
  effectiveEntries(after: number, upto: number, limit: number): Promise<readonly EntryRow[]>;
  holdersOfStudies(uids: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>>;
  /** Clusters that hold any study of the patient. */
  holdersOfPatients(keys: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>>;
  /** Oldest debt first. */
  statesDue(peer: string, limit: number): Promise<readonly StateDebt[]>;
  /** Parked updates that an operator wants sent again. */
  replays(peer: string, limit: number): Promise<readonly ParkedItem[]>;
  /** Objects of these studies, in no order. */
  objects(studies: readonly string[]): Promise<readonly ObjectRow[]>;
  /** Oldest change first. */
  dirtyStudies(limit: number): Promise<readonly DirtyStudy[]>;
  /** How far each peer has our effective entries. */
  positions(): Promise<ReadonlyMap<string, number>>;
  linkMap(): Promise<LinkStateMap>;
  /** The life that each peer's log was in when we last heard. */
  incarnations(): Promise<ReadonlyMap<string, string>>;
  /** What is to be pulled, soonest first. */
  pulls(limit: number): Promise<readonly PullRow[]>;
}

/** What the relay keeps, within one transaction: all of it is written, or nothing. */
export interface RelayRows extends ReadableRows {
  /**
   * As `nextHops`, and nobody changes them before this transaction ends (`share`), or nobody reads them to
   * compute debts either (`change`): thus no holder falls between old and new routes.
   */
  holdNextHops(mode: 'share' | 'change'): Promise<NextHops>;
  setNextHops(nextHop: NextHops): Promise<void>;
  /**
   * Locks study rows and then patient rows, each in order of their key, making those that are not there.
   * Everybody who writes them comes through here, so that nobody waits in a circle.
   */
  holdStates(
    studyUids: Iterable<string>,
    patientKeys: Iterable<string>,
  ): Promise<{ readonly studies: Map<string, HeldRow>; readonly patients: Map<string, HeldRow> }>;
  writeStudies(studies: ReadonlyMap<string, HeldRow>): Promise<void>;
  writePatients(patients: ReadonlyMap<string, HeldRow>): Promise<void>;
  addEntries(
    entries: readonly {
      readonly sequence: number;
      readonly effective: boolean;
      readonly identity: EventIdentity;
      readonly event: EventEnvelope;
      readonly aggregate: Aggregate;
    }[],
  ): Promise<void>;
  /** Peers that are owed the state of a study; a debt that is there already becomes a newer one. */
  oweStates(debts: readonly { readonly peer: string; readonly study: string }[]): Promise<void>;
  /** As `oweStates`, for every study that any of these clusters holds. */
  oweStatesHeldBy(peer: string, clusters: readonly string[]): Promise<void>;
  /** The peer has these versions; debts that grew meanwhile stay. */
  settleStates(peer: string, debts: readonly StateDebt[]): Promise<void>;
  setPosition(peer: string, sequence: number): Promise<void>;
  /** Studies whose objects or own holders entry must be looked at. */
  markDirty(studies: ReadonlyMap<string, { readonly headerChanged: boolean }>): Promise<void>;
  clearDirty(study: string, version: number): Promise<void>;
  /** Objects whose files are here. */
  addStoredObjects(objects: readonly StoredObject[]): Promise<void>;
  /**
   * Objects that a manifest of a peer names. An original of ours stays unannounced until we announce it: that the
   * peer knows of it does not mean that the others do.
   *
   * @returns Studies of which one was news, in order.
   */
  addNamedObjects(objects: readonly NamedObject[]): Promise<readonly string[]>;
  markAnnounced(study: string, sopInstanceUids: readonly string[]): Promise<void>;
  setLinkEntries(entries: readonly (readonly [cluster: string, entry: LinkStateEntry])[]): Promise<void>;
  setIncarnation(peer: string, incarnation: string): Promise<void>;
  /** Sets an update aside for good. */
  park(peer: string, subject: string, item: BatchItem, why: ParkReason): Promise<void>;
  /** A replay was refused again. */
  parkAgain(id: string, why: ParkReason): Promise<void>;
  unpark(id: string): Promise<void>;
  /** Studies, of which something must be here, that this peer told of: tried at once, this peer first. */
  pullFrom(peer: string, studies: readonly string[]): Promise<void>;
  /** Unless somebody is after it already. */
  pullUnlessQueued(peer: string, study: string): Promise<void>;
  postponePull(study: string, waitMs: number, reason: string): Promise<void>;
  /** @param when - `complete`: only while no known object of the study is missing. */
  endPull(study: string, when: 'always' | 'complete'): Promise<void>;
}

/** What the relay keeps. Its own reads are each by itself, as of the moment of the call. */
export interface RelayStore extends ReadableRows {
  /** All that `work` reads is as of one moment. */
  snapshot<Result>(work: (rows: ReadableRows) => Promise<Result>): Promise<Result>;
  /** One transaction: what `work` writes is there when this resolves, and nothing of it when it rejects. */
  write<Result>(work: (rows: RelayRows) => Promise<Result>): Promise<Result>;
}
