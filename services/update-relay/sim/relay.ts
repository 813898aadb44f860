import { instanceSubject } from '@isthmus/domain';
import type {
  Configuration,
  EventEnvelope,
  LinkedUpdateAnswer,
  LinkStateAnswer,
  LinkStateRequest,
  StudyCommand,
} from '@isthmus/domain';
import type { StreamName } from '@isthmus/event-log';
import { createLog, derivedUuid } from '@isthmus/service-kit';
import { createCommands } from '../src/commands.ts';
import type { CommandOutcome, Commands } from '../src/commands.ts';
import { createIsolation } from '../src/delivery-attempt.ts';
import { deliverOnce } from '../src/delivery-step.ts';
import type { DeliveryStepParts, QueueState, StepOutcome } from '../src/delivery-step.ts';
import { flushStudy } from '../src/flush-objects.ts';
import { ownLinks } from '../src/link-map.ts';
import { answerPeer, askPeer } from '../src/link-state-exchange.ts';
import type { ExchangeParts } from '../src/link-state-exchange.ts';
import { createPeerHealths } from '../src/peer-health.ts';
import { applyInstanceEvents, applyStudyEvents } from '../src/projection.ts';
import { pullStudy } from '../src/pull-study.ts';
import { receiveLinkedUpdate } from '../src/receive.ts';
import type { Incoming } from '../src/receive.ts';
import { openRoutes } from '../src/routes.ts';
import type { Routes } from '../src/routes.ts';
import type { RelayRows, RelayStore } from '../src/store/rows.ts';
import { instanceStored } from '../test/objects.ts';
import type { TestObject } from '../test/objects.ts';
import { copyTables, memoryRows } from './memory-rows.ts';
import type { Tables } from './memory-rows.ts';
import { relayLog } from './relay-log.ts';
import type { AppendFate, LogDisk, RelayLog } from './relay-log.ts';
import type { Life, Scheduler } from './scheduler.ts';

/** What of a cluster outlives its relay. */
export interface ClusterDisk {
  readonly id: string;
  tables: Tables;
  log: LogDisk;
  /** Objects, by SOP Instance UID. */
  readonly objects: Map<string, TestObject>;
  configuration: Configuration;
  /** Its wall clock minus the world's, ms. */
  skewMs: number;
}

/** What the world lends a relay. */
export interface Surroundings extends AppendFate {
  readonly scheduler: Scheduler;
  nowMs(): number;
  /** Unique and the same in every play of a schedule. */
  newId(): string;
  /** Sends a request to another cluster's edge; rejects when no answer comes. */
  readonly requests: (
    from: string,
    life: Life,
  ) => DeliveryStepParts['eventLog']['requests'] & ExchangeParts['eventLog']['requests'];
  /** Rules of the product that this world leaves out, to see that somebody notices. */
  readonly without: Mutation;
}

/** How a rule is left out: at the seams between logic, storage and log. */
export interface Mutation {
  rows?(rows: RelayRows, disk: ClusterDisk): RelayRows;
  checkpoint?(disk: ClusterDisk): number;
  /** What is stored instead of an event that the cluster decided. */
  decided?(event: EventEnvelope): EventEnvelope;
  /** Appends are acknowledged that are not stored. */
  readonly acknowledgesWhatIsLost?: boolean;
}

const silent = createLog({ service: 'update-relay', cluster: 'sim', level: 'silent' });
const never = new AbortController().signal;

/** One life of a relay: the real logic, on a simulated disk. */
export class SimulatedRelay {
  readonly life: Life;
  readonly #disk: ClusterDisk;
  readonly #around: Surroundings;
  readonly #log: RelayLog;
  readonly #store: RelayStore;
  readonly #commands: Commands;
  readonly #routes: Routes;
  readonly #healths = createPeerHealths();
  readonly #queues = new Map<string, QueueState>();
  readonly #working = new Set<string>();

  static async start(disk: ClusterDisk, around: Surroundings, life: Life): Promise<SimulatedRelay> {
    const store = storeOf(disk, around, life);
    const nowMs = (): number => around.nowMs() + disk.skewMs;
    const routes = await openRoutes({ store, self: disk.id, nowMs });
    await routes.setOwn(ownLinks(disk.configuration));
    return new SimulatedRelay(disk, around, life, store, routes);
  }

  private constructor(
    disk: ClusterDisk,
    around: Surroundings,
    life: Life,
    store: RelayStore,
    routes: Routes,
  ) {
    this.#disk = disk;
    this.#around = around;
    this.life = life;
    this.#store = store;
    this.#routes = routes;
    this.#log = relayLog(disk.log, around.scheduler, life, around);
    this.#commands = createCommands({
      cluster: disk.id,
      store,
      eventLog: this.#log,
      log: silent,
      attemptsMax: 8,
      now: () => this.#now(),
      newId: () => around.newId(),
    });
  }

  get id(): string {
    return this.#disk.id;
  }

  #now(): Date {
    return new Date(this.#around.nowMs() + this.#disk.skewMs);
  }

  /** One task of a name at a time, as in the real relay. @returns Undefined when it is at work already. */
  async #alone<Result>(name: string, work: () => Promise<Result>): Promise<Result | undefined> {
    if (this.#working.has(name)) return undefined;
    this.#working.add(name);
    try {
      return await work();
    } finally {
      this.#working.delete(name);
    }
  }

  /** Folds at most so many events of each stream. @returns Whether there was anything to fold. */
  async project(most: number): Promise<boolean> {
    const studies = await this.#projectStream('STUDY', most);
    const instances = await this.#projectStream('INSTANCES', most);
    return studies || instances;
  }

  async #projectStream(stream: StreamName, most: number): Promise<boolean> {
    const done = await this.#alone(`project ${stream}`, async () => {
      const after = this.#disk.tables.checkpoints.get(stream) ?? 0;
      const events = this.#disk.log.streams[stream].slice(after, after + most);
      if (events.length === 0) return false;
      await this.#transaction(async (rows, tables) => {
        if (stream === 'STUDY') await applyStudyEvents(rows, events, this.id);
        else await applyInstanceEvents(rows, events);
        tables.checkpoints.set(stream, after + events.length);
      });
      return true;
    });
    return done ?? false;
  }

  async #transaction(work: (rows: RelayRows, tables: Tables) => Promise<void>): Promise<void> {
    await this.#around.scheduler.turn(this.life);
    const draft = copyTables(this.#disk.tables);
    await work(mutated(memoryRows(draft), this.#disk, this.#around.without), draft);
    this.#disk.tables = draft;
    await this.#around.scheduler.turn(this.life);
  }

  async deliver(peer: string): Promise<StepOutcome> {
    const outcome = await this.#alone(`deliver ${peer}`, async () => {
      const positions = await this.#store.positions();
      const queue = this.#queues.get(peer) ?? {
        peer,
        isolation: createIsolation(3),
        position: positions.get(peer) ?? 0,
        sentUpdates: 0,
        sentItems: 0,
      };
      this.#queues.set(peer, queue);
      return deliverOnce(this.#deliveryParts(), queue, () => undefined, never);
    });
    return outcome ?? 'idle';
  }

  #deliveryParts(): DeliveryStepParts {
    const disk = this.#disk;
    const { checkpoint } = this.#around.without;
    return {
      cluster: this.id,
      store: this.#store,
      eventLog: { incarnation: disk.log.incarnation, requests: this.#around.requests(this.id, this.life) },
      log: silent,
      configuration: () => disk.configuration,
      checkpoint: () => checkpoint?.(disk) ?? disk.tables.checkpoints.get('STUDY') ?? 0,
      health: (peer) => this.#healths.of(peer),
      askLinkState: () => undefined,
      itemsMax: 4,
      timeoutMs: 1_000,
      refusalsMax: 3,
    };
  }

  /** Tells of one study whose objects changed. @returns Whether there was one. */
  async flush(): Promise<boolean> {
    const done = await this.#alone('flush', async () => {
      const [row] = await this.#store.dirtyStudies(1);
      if (!row) return false;
      const parts = {
        cluster: this.id,
        store: this.#store,
        commands: this.#commands,
        log: silent,
        nextHop: () => this.#routes.forUpdates(),
        projected: () => this.#projectStream('STUDY', 1_000),
      };
      await flushStudy(parts, row);
      return true;
    });
    return done ?? false;
  }

  #exchangeParts(): ExchangeParts {
    return {
      cluster: this.id,
      eventLog: {
        incarnation: this.#disk.log.incarnation,
        requests: this.#around.requests(this.id, this.life),
      },
      routes: this.#routes,
      healths: this.#healths,
      log: silent,
      timeoutMs: 1_000,
      configuration: () => this.#disk.configuration,
      position: () => ({ sent: 0, folded: 0 }),
      onNews: () => undefined,
      askSoon: () => undefined,
    };
  }

  async askLinkState(peer: string): Promise<void> {
    await this.#alone(`ask ${peer}`, () => askPeer(this.#exchangeParts(), peer, never));
  }

  answerLinkState(request: LinkStateRequest): Promise<LinkStateAnswer> {
    return answerPeer(this.#exchangeParts(), request);
  }

  receive(incoming: Incoming): Promise<LinkedUpdateAnswer> {
    const parts = {
      cluster: this.id,
      store: this.#store,
      eventLog: this.#log,
      configuration: () => this.#disk.configuration,
      log: silent,
      now: () => this.#now(),
      newId: () => this.#around.newId(),
      onObjects: () => undefined,
    };
    return receiveLinkedUpdate(parts, incoming);
  }

  /** Pulls what is missing of one study. @returns Whether any was to be pulled. */
  async pull(): Promise<boolean> {
    const done = await this.#alone('pull', async () => {
      const [row] = await this.#store.pulls(1);
      if (!row) return false;
      const parts = {
        cluster: this.id,
        store: this.#store,
        eventLog: { requests: this.#around.requests(this.id, this.life) },
        log: silent,
        configuration: () => this.#disk.configuration,
        nextHop: () => this.#routes.forRetrieval(),
        instancesProjected: () => this.#projectStream('INSTANCES', 1_000),
        deadlineMs: 1_000,
      };
      await pullStudy(parts, row, never);
      return true;
    });
    return done ?? false;
  }

  /** The links were configured anew. */
  async configured(): Promise<void> {
    await this.#routes.setOwn(ownLinks(this.#disk.configuration));
  }

  command(command: StudyCommand): Promise<CommandOutcome> {
    return this.#commands.execute(command);
  }

  /** What an edge does with an object that came in; the files are on the disk before the fact is in the log. */
  async store(object: TestObject, pulledFrom?: string): Promise<void> {
    this.#disk.objects.set(object.sop, object);
    const at = { cluster: this.id, ...(pulledFrom === undefined ? {} : { pulledFrom }) };
    const event = { ...instanceStored(object, at), time: this.#now().toISOString() };
    await this.#log.append('INSTANCES', instanceSubject(object.study), event);
  }
}

function mutated(rows: RelayRows, disk: ClusterDisk, without: Mutation): RelayRows {
  return without.rows?.(rows, disk) ?? rows;
}

function storeOf(disk: ClusterDisk, around: Surroundings, life: Life): RelayStore {
  const { scheduler, without } = around;
  const reading = (): RelayRows => mutated(memoryRows(disk.tables), disk, without);
  const reads = Object.fromEntries(
    readNames.map((name) => [
      name,
      async (...given: never[]) => {
        await scheduler.turn(life);
        return (reading()[name] as (...all: never[]) => Promise<unknown>)(...given);
      },
    ]),
  ) as unknown as Pick<RelayRows, (typeof readNames)[number]>;
  return {
    ...reads,
    snapshot: async (work) => {
      await scheduler.turn(life);
      return work(mutated(memoryRows(copyTables(disk.tables)), disk, without));
    },
    write: async (work) => {
      await scheduler.turn(life);
      const draft = copyTables(disk.tables);
      const result = await work(mutated(memoryRows(draft), disk, without));
      disk.tables = draft;
      await scheduler.turn(life);
      return result;
    },
  };
}

const readNames = [
  'nextHops',
  'studies',
  'patients',
  'knownEvents',
  'effectiveEntries',
  'holdersOfStudies',
  'holdersOfPatients',
  'statesDue',
  'replays',
  'objects',
  'dirtyStudies',
  'positions',
  'linkMap',
  'incarnations',
  'pulls',
] as const;

/** A stable id for the n-th thing that a world makes. */
export function worldId(seed: number, count: number): string {
  return derivedUuid('simulation', String(seed), String(count));
}
