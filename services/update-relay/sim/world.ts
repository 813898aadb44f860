import { requestSubjects } from '@isthmus/domain';
import type {
  ChangeEvent,
  DimseFindAnswer,
  DimseFindRequest,
  DimseStoreAnswer,
  DimseStoreRequest,
  InstanceStored,
  LinkStateAnswer,
  RetrieveAnswer,
  RetrieveRequest,
} from '@isthmus/domain';
import { LogUnavailableError, RequestTimeoutError } from '@isthmus/event-log';
import type { RequestOptions } from '@isthmus/event-log';
import { ContendedError } from '../src/commands.ts';
import { emptyTables } from './memory-rows.ts';
import { emptyLogDisk } from './relay-log.ts';
import type { TestObject } from '../test/objects.ts';
import type { Random } from './random.ts';
import { SimulatedRelay, worldId } from './relay.ts';
import type { ClusterDisk, Mutation, Surroundings } from './relay.ts';
import { createScheduler } from './scheduler.ts';
import type { Life, Scheduler } from './scheduler.ts';
import { aeTitleOf, clusterOf, configurationOf, linkTo } from './topology.ts';
import type { Plan } from './topology.ts';

/** What can go wrong on its own, each with a probability per occasion. */
export interface Faults {
  /** A request or its answer gets lost. */
  readonly loss: number;
  /** A request arrives twice. */
  readonly duplication: number;
  /** An append is stored or not, and its acknowledgement lost. */
  readonly appendFailure: number;
}

export const noFaults: Faults = { loss: 0, duplication: 0, appendFailure: 0 };

/** How far the clocks of clusters may be apart, ms. */
const skewMs = 3_600_000;
const turnMs = 20;

interface Site {
  readonly disk: ClusterDisk;
  relay: SimulatedRelay | undefined;
}

/** Clusters, their network and their time. Everything that happens follows from the seed. */
export class World {
  readonly plan: Plan;
  readonly random: Random;
  readonly scheduler: Scheduler;
  /** Linked updates that were sent, whether they arrived or not. */
  updatesSent = 0;
  /** Changes that were accepted: an answer of success was given for each. */
  readonly accepted: { readonly cluster: string; readonly event: ChangeEvent }[] = [];
  /** What nobody expected: errors of tasks that are no fault that we made. */
  readonly surprises: string[] = [];
  faults: Faults;
  readonly #sites = new Map<string, Site>();
  readonly #cut = new Set<string>();
  readonly #around: Surroundings;
  #nowMs = Date.UTC(2026, 0, 1);
  #ids = 0;

  constructor(parts: {
    readonly plan: Plan;
    readonly seed: number;
    readonly random: Random;
    readonly faults: Faults;
    readonly without: Mutation;
  }) {
    const { plan, seed, random } = parts;
    this.plan = plan;
    this.random = random;
    this.faults = parts.faults;
    this.scheduler = createScheduler(random);
    this.#around = {
      scheduler: this.scheduler,
      nowMs: () => this.#nowMs,
      newId: () => worldId(seed, (this.#ids += 1)),
      appendFails: () => this.#appendFails(),
      requests: (from, life) => this.#requestsOf(from, life),
      without: parts.without,
    };
    for (const id of plan.clusters) {
      const disk: ClusterDisk = {
        id,
        tables: emptyTables(),
        log: emptyLogDisk(worldId(seed, (this.#ids += 1))),
        objects: new Map(),
        configuration: configurationOf(plan, id),
        skewMs: (random.below(3) - 1) * skewMs,
      };
      this.#sites.set(id, { disk, relay: undefined });
    }
  }

  disk(id: string): ClusterDisk {
    return this.#site(id).disk;
  }

  relay(id: string): SimulatedRelay | undefined {
    return this.#site(id).relay;
  }

  #site(id: string): Site {
    const site = this.#sites.get(id);
    if (!site) throw new RangeError(`no cluster ${id}`);
    return site;
  }

  /** Starts a relay on what its last life left. */
  async start(id: string): Promise<void> {
    const site = this.#site(id);
    const life: Life = { name: id, alive: true, onDeath: new Set() };
    let done = false;
    const starting = SimulatedRelay.start(site.disk, this.#around, life).finally(() => (done = true));
    while (!done && (await this.scheduler.step()));
    site.relay = await starting;
  }

  /** SIGKILL: whatever it was about to do never happens. */
  kill(id: string): void {
    const site = this.#site(id);
    if (!site.relay) return;
    const { life } = site.relay;
    life.alive = false;
    site.relay = undefined;
    for (const tell of life.onDeath) tell();
  }

  /** Lets one process go on, and time with it. @returns Whether anybody had anything to do. */
  async step(): Promise<boolean> {
    this.#nowMs += turnMs;
    return this.scheduler.step();
  }

  /** Runs until nobody waits for anything. */
  async settle(): Promise<void> {
    while (await this.step());
  }

  /** Begins something at a relay that is up; its failure is its own affair, unless it is a bug. */
  begin(id: string, work: (relay: SimulatedRelay) => Promise<unknown>): void {
    const { relay } = this.#site(id);
    if (!relay) return;
    work(relay).catch((error: Error) => {
      if (!isExpected(error)) this.surprises.push(`${id}: ${error.stack ?? error.message}`);
    });
  }

  cutLink(a: string, b: string, cut: boolean): void {
    if (cut) this.#cut.add(pairOf(a, b));
    else this.#cut.delete(pairOf(a, b));
  }

  isCut(a: string, b: string): boolean {
    return this.#cut.has(pairOf(a, b));
  }

  /** The master switch of a link, at one end. */
  switchLink(at: string, peer: string, enabled: boolean): void {
    const { disk } = this.#site(at);
    const links = new Map(disk.configuration.links).set(peer, linkTo(peer, enabled));
    disk.configuration = { ...disk.configuration, links };
    this.begin(at, (relay) => relay.configured());
  }

  /** Objects that a cluster has and knows of: a file without its fact was never acknowledged. */
  objectsAt(id: string, study: string): readonly TestObject[] {
    const { log, objects } = this.disk(id);
    return log.streams.INSTANCES.flatMap(({ event }) => {
      const { studyInstanceUid, sopInstanceUid } = event.data as InstanceStored;
      const object = studyInstanceUid === study ? objects.get(sopInstanceUid) : undefined;
      return object ? [object] : [];
    });
  }

  /** Copies what a neighbour has of a study, as a C-MOVE would. */
  async copy(to: string, from: string, study: string, sops?: readonly string[]): Promise<number> {
    const relay = this.relay(to);
    if (!relay || this.isCut(to, from)) return 0;
    let arrived = 0;
    const present = new Set(this.objectsAt(to, study).map(({ sop }) => sop));
    for (const object of this.objectsAt(from, study)) {
      if (present.has(object.sop)) continue;
      if (sops && !sops.includes(object.sop)) continue;
      await relay.store(object, from);
      arrived += 1;
    }
    return arrived;
  }

  #appendFails(): 'no' | 'stored' | 'lost' {
    if (!this.random.chance(this.faults.appendFailure)) return 'no';
    return this.random.chance(0.5) ? 'stored' : 'lost';
  }

  #requestsOf(from: string, life: Life): ReturnType<Surroundings['requests']> {
    // The generic interface of requests: which question gets which answer, the subject says.
    const ask = async <Request, Answer>(
      subject: string,
      payload: Request,
      options: RequestOptions,
    ): Promise<Answer> => {
      if (subject !== requestSubjects.dimseStore) throw new Error(`nobody answers ${subject}`);
      const answer = await this.#store(from, life, payload as DimseStoreRequest, options.attachment);
      return answer as Answer;
    };
    const find = (request: DimseFindRequest): Promise<DimseFindAnswer[]> => this.#find(from, life, request);
    const retrieve = (request: RetrieveRequest): Promise<RetrieveAnswer[]> =>
      this.#retrieve(from, life, request);
    const askStream = async function* <Request, Answer>(
      subject: string,
      payload: Request,
    ): AsyncIterable<Answer> {
      if (subject === requestSubjects.dimseFind) yield* (await find(payload as DimseFindRequest)) as Answer[];
      else if (subject === requestSubjects.retrieve)
        yield* (await retrieve(payload as RetrieveRequest)) as Answer[];
      else throw new Error(`nobody answers ${subject}`);
    };
    return { ask, askStream };
  }

  async #store(
    from: string,
    life: Life,
    request: DimseStoreRequest,
    dataSet: Uint8Array = new Uint8Array(),
  ): Promise<DimseStoreAnswer> {
    this.updatesSent += 1;
    const { sopInstanceUid, transferSyntaxUid } = request;
    const incoming = { callingAeTitle: aeTitleOf(from), sopInstanceUid, transferSyntaxUid, dataSet };
    const to = clusterOf(request.aeTitle);
    const deliver = (relay: SimulatedRelay): Promise<DimseStoreAnswer> => relay.receive(incoming);
    // The copy arrives some time; nobody waits for its answer.
    if (this.random.chance(this.faults.duplication))
      void this.#call(from, life, to, deliver).catch(() => undefined);
    return this.#call(from, life, to, deliver);
  }

  async #find(from: string, life: Life, request: DimseFindRequest): Promise<DimseFindAnswer[]> {
    const question = { callingAeTitle: aeTitleOf(from), identifier: request.identifier };
    const answer: LinkStateAnswer = await this.#call(from, life, clusterOf(request.aeTitle), (relay) =>
      relay.answerLinkState(question),
    );
    return [...answer.rows.map((row) => ({ row })), { done: { status: answer.status } }];
  }

  /** One call over the network: each way can fail, and the other side can die over it. */
  async #call<Answer>(
    from: string,
    life: Life,
    to: string,
    work: (relay: SimulatedRelay) => Promise<Answer>,
  ): Promise<Answer> {
    await this.scheduler.turn(life);
    const relay = this.relay(to);
    const lost = (): boolean => this.isCut(from, to) || this.random.chance(this.faults.loss);
    if (!relay || lost()) throw new RequestTimeoutError('dimse', 'no answer');
    const death = new Promise<typeof died>((resolve) => relay.life.onDeath.add(() => resolve(died)));
    const answer = await Promise.race([work(relay), death]);
    await this.scheduler.turn(life);
    if (answer === died || lost()) throw new RequestTimeoutError('dimse', 'no answer');
    return answer as Answer;
  }

  async #retrieve(from: string, life: Life, request: RetrieveRequest): Promise<RetrieveAnswer[]> {
    await this.scheduler.turn(life);
    let arrived = 0;
    for (const { peer } of request.sources ?? []) {
      const sops = request.series?.flatMap((series) => series.sopInstanceUids ?? []);
      if (!this.random.chance(this.faults.loss))
        arrived += await this.copy(from, peer, request.studyInstanceUid, sops);
    }
    const outcome = arrived > 0 ? ('complete' as const) : ('failed' as const);
    return [{ done: { outcome, arrived, missing: [] } }];
  }
}

const died = Symbol('died');

function pairOf(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}

/** What a cut network, a failing log and an unlucky moment do to a task; anything else is a bug. */
function isExpected(error: Error): boolean {
  if (error instanceof RequestTimeoutError || error instanceof LogUnavailableError) return true;
  if (error instanceof ContendedError) return true;
  // Reasons that Link State and pulls give for trying again later.
  return /^(status [0-9A-F]{4}|complete|failed|no linked holder|this cluster is not known)/.test(
    error.message,
  );
}
