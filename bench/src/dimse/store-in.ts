import { startEdge } from './edge.ts';
import { makeObjects } from './objects.ts';
import type { ObjectSet } from './objects.ts';
import { startOrthanc, startStoreScp } from './peers.ts';
import type { Peer } from './peers.ts';
import { secondsOf } from './programs.ts';
import { ratioFinding } from './report.ts';
import type { Rig } from './rig.ts';

const ctBytes = 512 * 1024;
const clientCounts = [1, 4, 16] as const;
type Clients = (typeof clientCounts)[number];

/** Objects per second, run by run. */
type Rates = Map<string, number[]>;

/**
 * C-STORE in: storescu, as one process and as several at once, each with its own part of the objects. Several send four
 * times as many objects in all, so that the start of the programs does not count for more.
 */
export async function storeIn(rig: Rig): Promise<void> {
  const count = rig.options.quick ? 50 : 500;
  const { edges } = rig.options;
  const one = makeObjects(rig.folder('objects-one'), count, ctBytes);
  const several = makeObjects(rig.folder('objects-several'), count * 4, ctBytes);
  const none = await startEdge(rig, { fsync: 'none', edges });
  const group = await startEdge(rig, { fsync: 'group', edges });
  const scp = await startStoreScp(rig);
  const forking = await startStoreScp(rig, { aeTitle: 'FORKING', fork: true });
  const orthanc = await startOrthanc(rig);

  const rates: Rates = new Map();
  for (let run = 0; run <= rig.options.runs; run++) {
    if (run > 1 && !rig.timeLeft) {
      rig.report.note(`C-STORE in: time for ${run - 1} runs only`);
      break;
    }
    for (const clients of clientCounts) {
      const peers = [none, group, clients === 1 ? scp : forking, ...(clients === 16 ? [] : [orthanc])];
      // Whoever comes first profits or suffers from the run before: take turns.
      for (const peer of rotated(peers, run)) {
        // Orthanc is so slow that fewer objects tell its rate well enough.
        const objects = clients === 1 || peer === orthanc ? one : several;
        const rate = await rateOf(peer, objects, clients);
        rig.say(`run ${run}, ${clients} × storescu to ${peer.name}: ${rate.toFixed(0)} objects/s`);
        if (run > 0) ratesOf(rates, peer.name, clients).push(rate);
      }
    }
  }
  report(rig, rates, orthanc.name);
}

function report(rig: Rig, rates: Rates, orthanc: string): void {
  const unit = 'objects/s';
  const asked = { none: { 1: 0.9, 4: 0.8 }, group: { 1: 0.45, 4: 0.6, 16: 0.7 } } as const;
  for (const fsync of ['none', 'group'] as const) {
    const ours = `edge, fsync ${fsync}`;
    for (const clients of clientCounts) {
      const peer = clients === 1 ? 'storescp' : 'storescp --fork';
      const what = `C-STORE in, 512 KB, fsync ${fsync}, ${clients} association${clients === 1 ? '' : 's'}`;
      const atLeast = (asked[fsync] as Partial<Record<Clients, number>>)[clients];
      const options = { unit, ...(atLeast === undefined ? {} : { atLeast }) };
      const mine = ratesOf(rates, ours, clients);
      rig.report.add(ratioFinding(`${what} / ${peer}`, mine, ratesOf(rates, peer, clients), options));
      if (clients === 16) {
        const four = ratesOf(rates, ours, 4);
        const options16 = fsync === 'none' ? { unit, atLeast: 1 } : { unit };
        rig.report.add(ratioFinding(`${what} / the same with 4`, mine, four, options16));
        continue;
      }
      const atLeastOrthanc = { unit, atLeast: clients === 1 ? 1.5 : 3 };
      rig.report.add(
        ratioFinding(`${what} / Orthanc`, mine, ratesOf(rates, orthanc, clients), atLeastOrthanc),
      );
    }
  }
}

/** 2,000 objects of 1 KB over one association: what an object costs beside its bytes. */
export async function storeSmall(rig: Rig): Promise<void> {
  const objects = makeObjects(rig.folder('objects'), rig.options.quick ? 200 : 2_000, 1_024);
  const edge = await startEdge(rig, { fsync: 'none', edges: rig.options.edges });
  const scp = await startStoreScp(rig);
  const rates: Rates = new Map();
  for (let run = 0; run <= rig.options.runs; run++) {
    if (run > 1 && !rig.timeLeft) {
      rig.report.note(`C-STORE in, 1 KB: time for ${run - 1} runs only`);
      break;
    }
    for (const peer of rotated<Peer>([edge, scp], run)) {
      const rate = await rateOf(peer, objects, 1);
      rig.say(`run ${run}, 1 KB objects to ${peer.name}: ${rate.toFixed(0)} objects/s`);
      if (run > 0) ratesOf(rates, peer.name, 1).push(rate);
    }
  }
  rig.report.add(
    ratioFinding(
      'C-STORE in, 1 KB, fsync none, 1 association / storescp',
      ratesOf(rates, edge.name, 1),
      ratesOf(rates, scp.name, 1),
      { unit: 'objects/s', atLeast: 0.5 },
    ),
  );
}

async function rateOf(peer: Peer, objects: ObjectSet, clients: number): Promise<number> {
  objects.renumber();
  const to = ['-R', '-aec', peer.aeTitle, '127.0.0.1', String(peer.port)];
  const parts = objects.split(clients).map((files) => [...to, ...files]);
  const seconds = await secondsOf('storescu', parts);
  peer.empty();
  return objects.files.length / seconds;
}

export function rotated<Item>(items: readonly Item[], by: number): Item[] {
  return items.map((_, index) => items[(index + by) % items.length]!);
}

function ratesOf(rates: Rates, name: string, clients: number): number[] {
  const key = `${name} × ${clients}`;
  const found = rates.get(key) ?? [];
  rates.set(key, found);
  return found;
}
