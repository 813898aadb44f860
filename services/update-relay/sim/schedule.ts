import type { ChangeEvent, StudyCommand } from '@isthmus/domain';
import { ctObject, gspsObject } from '../test/objects.ts';
import { checkConverged } from './oracles.ts';
import { seededRandom } from './random.ts';
import type { Random } from './random.ts';
import type { Mutation } from './relay.ts';
import { clustersMax, planOf, topologies } from './topology.ts';
import type { Topology } from './topology.ts';
import { noFaults, World } from './world.ts';

export interface ScheduleOptions {
  readonly seed: number;
  readonly topology?: Topology;
  readonly clusters?: number;
  /** Rules that are left out on purpose. */
  readonly without?: Mutation;
  /** Things that happen before the network heals. */
  readonly actions?: number;
}

export interface Outcome {
  readonly seed: number;
  readonly topology: Topology;
  readonly clusters: number;
  /** Changes that were accepted, and linked updates sent, while things went wrong: how much was played. */
  readonly accepted: number;
  readonly updatesSent: number;
  /** What is wrong in the end; empty = all oracles hold. */
  readonly failures: readonly string[];
}

const studies = ['1.2.840.1', '1.2.840.2'] as const;
const actionsDefault = 80;
/** Turns that processes get between two actions. */
const turnsMax = 80;
/** Healing and silence that take longer than this many rounds never come. */
const healingRoundsMax = 70;
const idleRounds = 10;

/** Plays one schedule: random actions and faults, then healing, then the oracles. */
export async function playSchedule(options: ScheduleOptions): Promise<Outcome> {
  const { seed } = options;
  const random = seededRandom(seed);
  const topology = options.topology ?? random.pick(topologies);
  const clusters = options.clusters ?? 2 + random.below(clustersMax - 1);
  const plan = planOf(topology, clusters);
  const world = new World({ plan, seed, random, faults: noFaults, without: options.without ?? {} });
  for (const id of plan.clusters) await world.start(id);
  const player = new Player(world, random);
  await player.begin();
  world.faults = {
    loss: random.pick([0, 0.1, 0.3]),
    duplication: random.pick([0, 0.2]),
    appendFailure: random.pick([0, 0.05]),
  };
  for (let at = 0; at < (options.actions ?? actionsDefault); at++) await player.act();
  const played = { accepted: world.accepted.length, updatesSent: world.updatesSent };
  return { seed, topology, clusters, ...played, failures: await heal(world) };
}

class Player {
  readonly #world: World;
  readonly #random: Random;
  #objects = 0;

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  /** Each study is stored somewhere and, perhaps, copied; everybody has heard of everybody. */
  async begin(): Promise<void> {
    for (const study of studies) {
      const at = this.#random.pick(this.#world.plan.clusters);
      for (let number = 1; number <= 2; number++)
        this.#world.begin(at, (relay) => relay.store(ctObject(study, number)));
      await this.#world.settle();
    }
    await round(this.#world);
    for (const study of studies)
      for (const [a, b] of this.#world.plan.links) {
        if (this.#random.chance(0.5)) continue;
        this.#copy(...(holdsAny(this.#world, a, study) ? ([b, a] as const) : ([a, b] as const)), study);
        await this.#world.settle();
      }
    for (let rounds = this.#random.below(3); rounds > 0; rounds--) await round(this.#world);
  }

  /** One thing begins, and some of what has begun goes on. */
  async act(): Promise<void> {
    const world = this.#world;
    const random = this.#random;
    const study = random.pick(studies);
    const dice = random.next();
    const holders = world.plan.clusters.filter((id) => holdsAny(world, id, study));
    const at = dice < 0.24 && holders.length > 0 ? random.pick(holders) : random.pick(world.plan.clusters);
    const peer = random.pick([...world.disk(at).configuration.links.keys()]);
    if (dice < 0.14) this.#change(at, study);
    else if (dice < 0.18) this.#store(at, study);
    else if (dice < 0.24) this.#copy(peer, at, study);
    else if (dice < 0.42) world.begin(at, (relay) => relay.project(1 + random.below(4)));
    else if (dice < 0.52) world.begin(at, (relay) => relay.flush());
    else if (dice < 0.72) world.begin(at, (relay) => relay.deliver(peer));
    else if (dice < 0.8) world.begin(at, (relay) => relay.askLinkState(peer));
    else if (dice < 0.83) world.begin(at, (relay) => relay.pull());
    else if (dice < 0.88) world.cutLink(at, peer, !world.isCut(at, peer));
    else if (dice < 0.91) this.#switchLink(at, peer);
    else if (dice < 0.97) await this.#killOrStart(at);
    for (let turns = random.below(turnsMax); turns > 0; turns--) await world.step();
  }

  #change(at: string, study: string): void {
    const world = this.#world;
    const command = this.#command(study);
    world.begin(at, async (relay) => {
      const log = world.disk(at).log.streams.STUDY;
      const outcome = await relay.command(command);
      if ('refused' in outcome) return;
      for (const id of outcome.eventIds) {
        const stored = log.find(({ event }) => event.id === id);
        if (stored) world.accepted.push({ cluster: at, event: stored.event as ChangeEvent });
        else world.surprises.push(`LOST: a change that ${at} accepted is not in its log`);
      }
    });
  }

  #command(studyInstanceUid: string): StudyCommand {
    const random = this.#random;
    const text = String(random.below(1_000));
    switch (random.below(5)) {
      case 0:
        return { type: 'ChangeStudy', studyInstanceUid, patientLocation: `WARD ${text}` };
      case 1:
        return { type: 'ChangeStudy', studyInstanceUid, comment: { text, author: 'somebody' } };
      case 2:
        return { type: 'ChangeStudy', studyInstanceUid, patient: { name: `Invented^${text}` } };
      case 3:
        return { type: 'ChangeStudy', studyInstanceUid, patient: { id: `P-${random.below(3)}` } };
      default: {
        const status = random.pick(['DICTATED', 'TRANSCRIBED', 'APPROVED', 'NEW'] as const);
        return { type: 'ChangeReportStatus', studyInstanceUid, status, reopen: random.chance(0.5) };
      }
    }
  }

  #copy(to: string, from: string, study: string): void {
    this.#world.begin(to, () => this.#world.copy(to, from, study));
  }

  #store(at: string, study: string): void {
    if (!holdsAny(this.#world, at, study)) return;
    this.#objects += 1;
    const object = gspsObject(study, this.#objects);
    this.#world.begin(at, (relay) => relay.store(object));
  }

  #switchLink(at: string, peer: string): void {
    const enabled = this.#world.disk(at).configuration.links.get(peer)?.enabled ?? false;
    this.#world.switchLink(at, peer, !enabled);
  }

  async #killOrStart(at: string): Promise<void> {
    if (this.#world.relay(at)) this.#world.kill(at);
    else await this.#world.start(at);
  }
}

export function holdsAny(world: World, at: string, study: string): boolean {
  return world.objectsAt(at, study).length > 0;
}

/** Ends all faults, lets everybody do all there is to do, and looks what became of it. */
async function heal(world: World): Promise<readonly string[]> {
  world.faults = noFaults;
  await world.settle();
  for (const [a, b] of world.plan.links) {
    world.cutLink(a, b, false);
    for (const [at, peer] of [
      [a, b],
      [b, a],
    ] as const)
      if (world.disk(at).configuration.links.get(peer)?.enabled !== true) world.switchLink(at, peer, true);
  }
  for (const id of world.plan.clusters) if (!world.relay(id)) await world.start(id);
  world.scheduler.beFair();
  await world.settle();
  const silent = await fallsSilent(world);
  return [
    ...world.surprises,
    ...(silent ? [] : ['NOT SILENT: updates are still sent long after the network has healed']),
    ...checkConverged(world, studies),
  ];
}

/** @returns Whether nobody has anything to do or to send for so many rounds of Link State on end. */
async function fallsSilent(world: World): Promise<boolean> {
  let quiet = 0;
  for (let rounds = 0; quiet < idleRounds && rounds < healingRoundsMax; rounds++) {
    const before = world.updatesSent;
    const worked = await round(world);
    quiet = worked || world.updatesSent > before ? 0 : quiet + 1;
  }
  return quiet >= idleRounds;
}

/** Everybody does everything once. @returns Whether anybody had anything to do. */
async function round(world: World): Promise<boolean> {
  let worked = false;
  const note = async (work: Promise<boolean>): Promise<void> => {
    worked = (await work) || worked;
  };
  for (const id of world.plan.clusters) {
    for (const peer of world.disk(id).configuration.links.keys())
      world.begin(id, (relay) => relay.askLinkState(peer));
    world.begin(id, (relay) => note(relay.project(1_000)));
    await world.settle();
    world.begin(id, (relay) => note(relay.flush()));
    await world.settle();
    world.begin(id, (relay) => note(relay.pull()));
    await world.settle();
    for (const peer of world.disk(id).configuration.links.keys())
      world.begin(id, (relay) => note(relay.deliver(peer).then((outcome) => outcome === 'sent')));
    await world.settle();
  }
  return worked;
}
