import { AssociationRejectedError, DataSetSourceError, NoPresentationContextError } from '@isthmus/dimse';
import type { RequestedAssociation, ResponseOutcome } from '@isthmus/dimse';
import type { LocatedInstance, Station } from '@isthmus/domain';
import { sleep } from '@isthmus/service-kit';
import type { Log } from '@isthmus/service-kit';
import { TooMuchWaitingError, TranscodeFailedError } from './errors.ts';
import { Lane } from './lane.ts';
import type { EdgeMetrics } from './metrics.ts';
import type { ObjectStore } from './object-store.ts';
import { outgoingObject } from './outgoing-object.ts';
import { addressOf } from './outgoing.ts';
import type { CallingTls } from './outgoing.ts';
import { kindOf, proposalFor } from './proposal.ts';
import type { Proposal } from './proposal.ts';
import { note, sentBy } from './send.ts';
import type { Feed, Sender, Sent } from './send.ts';
import type { Transcoder } from './transcoder.ts';
import type { Turns } from './turns.ts';

/** So many objects have to wait for each association beside the first. */
const waitingPerAssociation = 4;
/** How long it is remembered that a peer did not grant a further association. */
const grantRememberedMs = 600_000;
/** A peer that serves one association after the other does not even answer the second. */
const furtherAnswerMs = 2_000;
/** An association beside the others that has had nothing to do for so long ends. */
const idleMs = 1_000;
/** An object is sent once more when its association is lost. */
const triesMax = 2;
/** So many associations lost in a row without one answer: the peer is given up. */
const lossesMax = 5;
/** A peer that says that it is busy is asked again after these pauses. */
const busyPausesMs: readonly number[] = [500, 2_000];

type MoveOriginator = { readonly aeTitle: string; readonly messageId: number };

export interface DestinationParts {
  readonly ourAeTitle: () => string;
  readonly store: Pick<ObjectStore, 'absolute'>;
  readonly transcoder: Transcoder;
  /** How stations with `tls` are called; without it they are not. */
  readonly tls?: CallingTls;
  readonly metrics: EdgeMetrics;
  readonly log: Log;
  /** Associations to all destinations that are open at once. */
  readonly sending: Turns;
  /** To one destination, unless its station says otherwise. */
  readonly associationsMax: number;
  /** Asynchronous operations window that is asked for; 1 asks for none. */
  readonly operationsInvokedMax: number;
}

export interface Destinations {
  /**
   * Sends to a station: deliveries to the same one share its associations.
   * @param options.moveOriginator - Set for sub-operations of a C-MOVE: who asked, and its message id.
   */
  sender(station: Station, options?: { readonly moveOriginator?: MoveOriginator }): Sender;
  /** Waits for the release of the associations. Deliveries have to be over. */
  stop(): Promise<void>;
}

export function createDestinations(parts: DestinationParts): Destinations {
  // Stations are configured, so few that none is ever taken out.
  const destinations = new Map<string, Destination>();
  const destinationOf = (station: Station): Destination => {
    const key = `${station.aeTitle}@${station.host}:${station.port}`;
    const destination = destinations.get(key) ?? new Destination(parts, station);
    destinations.set(key, destination);
    destination.station = station;
    return destination;
  };
  return {
    sender: (station, { moveOriginator } = {}) => ({
      sendAll: (feed) => destinationOf(station).sendAll(feed, moveOriginator),
    }),
    stop: async () => void (await Promise.all([...destinations.values()].map((one) => one.closed()))),
  };
}

interface Job {
  readonly instance: LocatedInstance;
  readonly delivery: Delivery;
  tries: number;
}

/** One call of `sendAll`. */
class Delivery {
  readonly feed: Feed;
  readonly moveOriginator: MoveOriginator | undefined;
  /** Whose association was lost. */
  readonly again: Job[] = [];
  underWay = 0;
  /** Once the destination cannot be reached, the objects behind are not tried one by one against its timeout. */
  unreachable: string | undefined;
  readonly #over = Promise.withResolvers<void>();

  constructor(feed: Feed, moveOriginator: MoveOriginator | undefined) {
    this.feed = feed;
    this.moveOriginator = moveOriginator;
  }

  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Instances that may still be sent. */
  *waiting(): Generator<LocatedInstance, void, undefined> {
    if (this.feed.signal.aborted) return;
    for (const { instance } of this.again) yield instance;
    yield* this.feed.queue.waiting();
  }

  get waitingCount(): number {
    return this.feed.signal.aborted ? 0 : this.again.length + this.feed.queue.waiting().length;
  }

  get isOver(): boolean {
    const { queue, signal } = this.feed;
    if (this.underWay + this.again.length > 0) return false;
    return signal.aborted || (queue.isClosed && queue.waiting().length === 0);
  }

  take(fits: (instance: LocatedInstance) => boolean): Job | undefined {
    if (this.feed.signal.aborted) return undefined;
    const at = this.again.findIndex(({ instance }) => fits(instance));
    if (at >= 0) return this.again.splice(at, 1)[0];
    const instance = this.feed.queue.takeNow(fits);
    return instance && { instance, delivery: this, tries: 0 };
  }

  end(error?: Error): void {
    if (error === undefined) this.#over.resolve();
    else this.#over.reject(error);
  }
}

/**
 * The associations to one station and what is sent over them. The first is opened when there is something to send, others
 * beside it while enough waits, up to what is configured and what the peer grants. An object goes over whichever has
 * its context and room; it is taken from the deliveries in turn, so that a large one does not hold up a small one.
 */
class Destination {
  /** As it is configured now. */
  station: Station;
  readonly #parts: DestinationParts;
  readonly #lanes = new Set<Lane<Job>>();
  readonly #ending = new Set<Promise<unknown>>();
  #deliveries: Delivery[] = [];
  #nextDelivery = 0;
  #granted = { max: Infinity, until: 0 };
  #openedInMs = 0;
  #lossesInARow = 0;

  constructor(parts: DestinationParts, station: Station) {
    this.#parts = parts;
    this.station = station;
  }

  async sendAll(feed: Feed, moveOriginator: MoveOriginator | undefined): Promise<void> {
    const delivery = new Delivery(feed, moveOriginator);
    const onChange = (): void => this.#more();
    const stopListening = feed.queue.onChange(onChange);
    feed.signal.addEventListener('abort', onChange, { once: true });
    this.#deliveries.push(delivery);
    this.#more();
    try {
      await delivery.over;
    } finally {
      stopListening();
      feed.signal.removeEventListener('abort', onChange);
    }
  }

  async closed(): Promise<void> {
    await Promise.all(this.#ending);
  }

  // ------------------------------------------------------------------------------------------------ what next

  /** Something has changed: an object, a delivery, an association. */
  #more(): void {
    for (const delivery of this.#deliveries) this.#look(delivery);
    this.#deliveries = this.#deliveries.filter((delivery) => {
      if (!delivery.isOver) return true;
      delivery.end();
      return false;
    });
    for (const lane of [...this.#lanes]) this.#feed(lane);
    this.#openAsNeeded();
  }

  /** What cannot be sent any more fails. */
  #look(delivery: Delivery): void {
    const { unreachable: why, feed } = delivery;
    if (why === undefined && !feed.signal.aborted) return;
    for (const { instance } of delivery.again.splice(0)) {
      this.#tell(delivery, instance, { outcome: 'failed', why: why ?? 'Cancelled' });
    }
    if (why === undefined) return;
    for (;;) {
      const instance = feed.signal.aborted ? undefined : feed.queue.takeNow();
      if (instance === undefined) return;
      this.#tell(delivery, instance, { outcome: 'failed', why });
    }
  }

  #feed(lane: Lane<Job>): void {
    const yields = this.#standing > 1 && this.#parts.sending.isWanted;
    while (lane.hasRoom && !yields) {
      const job = this.#takeFor(lane);
      if (job === undefined) break;
      void this.#send(lane, job);
    }
    if (lane.underWay.size > 0) return;
    if (lane.isOpening && this.#deliveries.length === 0) return lane.giveUp();
    if (!lane.isStanding) return;
    clearTimeout(lane.idleTimer);
    if (this.#deliveries.length === 0 || yields) return this.#close(lane);
    const next = this.#firstWaiting();
    if (next !== undefined && ![...this.#lanes].some((one) => one.isOpening || one.fits(next))) {
      return this.#renegotiate(lane);
    }
    if (this.#standing > 1) lane.idleTimer = setTimeout(() => this.#close(lane), idleMs);
  }

  #takeFor(lane: Lane<Job>): Job | undefined {
    const count = this.#deliveries.length;
    for (let tried = 0; tried < count; tried++) {
      const at = (this.#nextDelivery + tried) % count;
      const job = this.#deliveries[at]?.take((instance) => lane.fits(instance));
      if (job === undefined) continue;
      this.#nextDelivery = at + 1;
      return job;
    }
    return undefined;
  }

  #openAsNeeded(): void {
    const waiting = this.#deliveries.reduce((sum, delivery) => sum + delivery.waitingCount, 0);
    if (waiting === 0) return;
    if (this.#lanes.size === 0) return this.#openFirst();
    const isBusy = [...this.#lanes].every((lane) => lane.isStanding);
    const isWorthIt = waiting >= this.#lanes.size * waitingPerAssociation;
    if (!isBusy || !isWorthIt || this.#lanes.size >= this.#associationsMax) return;
    const place = this.#parts.sending.takeNow();
    if (place !== undefined) this.#openFurther(place);
  }

  get #associationsMax(): number {
    const wanted = this.station.associationsMax ?? this.#parts.associationsMax;
    return performance.now() < this.#granted.until ? Math.min(wanted, this.#granted.max) : wanted;
  }

  get #standing(): number {
    let count = 0;
    for (const lane of this.#lanes) if (lane.isStanding) count += 1;
    return count;
  }

  #firstWaiting(): LocatedInstance | undefined {
    for (const delivery of this.#deliveries) {
      const [first] = delivery.waiting();
      if (first !== undefined) return first;
    }
    return undefined;
  }

  // --------------------------------------------------------------------------------------------- associations

  #openFirst(): void {
    const lane = this.#added();
    const opening = async (): Promise<void> => {
      lane.giveBack = await this.#parts.sending.take(lane.signal);
      await this.#openUnlessBusy(lane);
    };
    this.#follow(lane, opening());
  }

  /** Others stand already, so it may take long: a peer that serves one at a time answers when that has ended. */
  #openFurther(place: () => void): void {
    const lane = this.#added();
    lane.giveBack = place;
    const waitMs = Math.max(furtherAnswerMs, 2 * this.#openedInMs);
    const timer = setTimeout(() => lane.giveUp(new Error(`no answer within ${waitMs} ms`)), waitMs);
    this.#follow(
      lane,
      this.#open(lane).finally(() => clearTimeout(timer)),
    );
  }

  #renegotiate(lane: Lane<Job>): void {
    const opening = async (): Promise<void> => {
      await lane.renegotiate();
      await this.#openUnlessBusy(lane);
    };
    this.#follow(lane, opening());
  }

  #added(): Lane<Job> {
    const lane = new Lane<Job>();
    this.#lanes.add(lane);
    return lane;
  }

  #follow(lane: Lane<Job>, opening: Promise<void>): void {
    this.#end(
      opening.then(
        () => this.#more(),
        (error: unknown) => this.#notOpened(lane, error as Error),
      ),
    );
  }

  async #openUnlessBusy(lane: Lane<Job>): Promise<void> {
    for (const pauseMs of [...busyPausesMs, undefined]) {
      try {
        return await this.#open(lane);
      } catch (error) {
        const isBusy = error instanceof AssociationRejectedError && error.result === 2;
        if (!isBusy || pauseMs === undefined || lane.signal.aborted) throw error;
        await sleep(pauseMs, lane.signal);
      }
    }
  }

  async #open(lane: Lane<Job>): Promise<void> {
    lane.signal.throwIfAborted();
    const proposal = this.#proposal();
    // Others have taken meanwhile what it was meant for.
    if (proposal.contexts.length === 0) return this.#remove(lane);
    const from = performance.now();
    await lane.open(
      proposal,
      {
        ...addressOf(this.station, this.#parts.tls),
        callingAeTitle: this.#parts.ourAeTitle(),
        operationsInvokedMax: this.#parts.operationsInvokedMax,
      },
      () => this.#lost(lane),
    );
    this.#openedInMs = performance.now() - from;
  }

  /** For all that waits: first those that no association has yet. */
  #proposal(): Proposal {
    const waiting = this.#deliveries.flatMap((delivery) => [...delivery.waiting()]);
    const standing = [...this.#lanes].filter((lane) => lane.isStanding);
    const kinds = new Map(waiting.map((instance) => [kindOf(instance), instance]));
    const all = [...kinds.values()];
    const isNew = (instance: LocatedInstance): boolean => !standing.some((lane) => lane.fits(instance));
    return proposalFor([...all.filter(isNew), ...all], this.station.transcodeTo);
  }

  #notOpened(lane: Lane<Job>, error: Error): void {
    this.#remove(lane);
    const associations = this.#lanes.size;
    if (associations === 0 && !lane.isUnwanted) this.#unreachable(error);
    if (associations > 0 && !lane.isUnwanted) {
      this.#granted = { max: associations, until: performance.now() + grantRememberedMs };
      const facts = { peer: this.station.aeTitle, associations, why: error.message };
      this.#parts.log.info(facts, 'no further association');
    }
    this.#more();
  }

  #unreachable(error: Error): void {
    this.#lossesInARow = 0;
    for (const delivery of this.#deliveries) delivery.unreachable = error.message;
    if (!(error instanceof TooMuchWaitingError)) return;
    // Nothing is under way, since there is no association.
    for (const delivery of this.#deliveries.splice(0)) delivery.end(error);
  }

  /** The association has ended, and we did not want it. */
  #lost(lane: Lane<Job>, error?: Error): void {
    if (!this.#lanes.has(lane)) return;
    if (lane.hasAnswered) this.#lossesInARow = 0;
    else if (lane.underWay.size > 0) this.#lossesInARow += 1;
    // Those that had not begun are not counted as tried.
    [...lane.underWay].slice(0, lane.window).forEach((job) => (job.tries += 1));
    lane.abort();
    this.#remove(lane);
    if (this.#lossesInARow >= lossesMax) {
      this.#unreachable(error ?? new Error('its associations end without an answer'));
    }
    this.#more();
  }

  #close(lane: Lane<Job>): void {
    if (!lane.isStanding) return;
    this.#end(
      lane.close().then(() => {
        this.#remove(lane);
        this.#more();
      }),
    );
  }

  #remove(lane: Lane<Job>): void {
    this.#lanes.delete(lane);
    lane.giveBack?.();
    lane.giveBack = undefined;
  }

  #end(ending: Promise<unknown>): void {
    this.#ending.add(ending);
    void ending.finally(() => this.#ending.delete(ending));
  }

  // -------------------------------------------------------------------------------------------------- objects

  async #send(lane: Lane<Job>, job: Job): Promise<void> {
    const { delivery, instance } = job;
    lane.underWay.add(job);
    delivery.underWay += 1;
    const sent = await this.#store(lane, job);
    lane.underWay.delete(job);
    delivery.underWay -= 1;
    if (sent === undefined) delivery.again.push(job);
    else this.#tell(delivery, instance, sent);
    this.#more();
  }

  /** What became of it; `undefined` when it is to be sent again. Never rejects. */
  async #store(lane: Lane<Job>, job: Job): Promise<Sent | undefined> {
    try {
      return sentBy(await lane.use((association) => this.#storeOn(association, job)));
    } catch (error) {
      const { message: why } = error as Error;
      if (error instanceof DataSetSourceError) {
        return { outcome: 'failed', why: 'The stored object cannot be read' };
      }
      if (error instanceof NoPresentationContextError || error instanceof TranscodeFailedError) {
        return { outcome: 'failed', why };
      }
      this.#lost(lane, error as Error);
      return job.tries >= triesMax ? { outcome: 'failed', why } : undefined;
    }
  }

  async #storeOn(association: RequestedAssociation, { instance, delivery }: Job): Promise<ResponseOutcome> {
    const { sopClassUid, sopInstanceUid } = instance;
    const accepted = association.accepted(sopClassUid);
    const transcodeTo = this.station.transcodeTo ?? [];
    const outgoing = await outgoingObject(instance, accepted, transcodeTo, this.#parts);
    const { transferSyntaxUid, dataSet, done } = outgoing;
    try {
      const { moveOriginator } = delivery;
      return await association.cStore({
        sopClassUid,
        sopInstanceUid,
        transferSyntaxUid,
        dataSet,
        moveOriginator,
      });
    } finally {
      await done();
    }
  }

  #tell({ feed }: Delivery, instance: LocatedInstance, sent: Sent): void {
    note(this.station.aeTitle, instance, sent, this.#parts);
    feed.told(instance, sent);
  }
}
