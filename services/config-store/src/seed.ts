import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { emptyConfiguration } from '@isthmus/domain';
import type { Configuration, ConfigurationKind } from '@isthmus/domain';
import { derivedUuid } from '@isthmus/service-kit';
import type { Log } from '@isthmus/service-kit';
import { parseClusterFile } from './cluster-file.ts';
import type { ClusterFile } from './cluster-file.ts';
import { clusterOf, linkOf, stationOf } from './entities.ts';
import { ClusterFileError } from './errors.ts';
import { isThirdParty, refuseCluster, refuseLink, refuseStation } from './rules.ts';
import type { Refusal } from './rules.ts';
import type { ConfigurationStore } from './store.ts';

/** Name of the one cluster entity, the cluster itself. */
export const selfName = 'self';

interface Seed {
  readonly kind: ConfigurationKind;
  readonly name: string;
  /** Place in the file, for messages. */
  readonly place: string;
  value(configuration: Configuration): object;
  refuse(configuration: Configuration): Refusal | undefined;
}

/**
 * Adds what the file names and the log has never known. What was changed or removed since stays as it is: the
 * file only begins a configuration, the log has it.
 *
 * @throws {ClusterFileError} The file cannot be read, or is wrong in itself. Nothing was added.
 */
export async function seedFromFile(
  file: string,
  cluster: string,
  store: ConfigurationStore,
  log: Log,
): Promise<void> {
  const name = path.basename(file);
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new ClusterFileError(name, [`it cannot be read (${(cause as { code?: string }).code})`], { cause });
  });
  const parsed = parseClusterFile(text, name);
  const seeds = seedsOf(parsed, cluster);
  checkAlone(seeds, name);
  let added = 0;
  for (const seed of seeds) if (await addSeed(seed, name, cluster, store, log)) added += 1;
  log.info({ file: name, named: seeds.length, added }, 'seeded the configuration');
}

async function addSeed(
  seed: Seed,
  file: string,
  cluster: string,
  store: ConfigurationStore,
  log: Log,
): Promise<boolean> {
  const { kind, name } = seed;
  if (await store.isKnown(kind, name)) return false;
  const refusal = seed.refuse(store.current());
  if (refusal) {
    // Right in the file, but not beside what was configured since. The log has it: the file does not stop the
    // cluster.
    log.warn(
      { kind, entity: name, code: refusal.code, detail: refusal.detail },
      'not seeded: the configuration has moved on',
    );
    return false;
  }
  const eventId = derivedUuid('config-store', cluster, 'seed', kind, name);
  const context = { author: 'cluster-file', reason: `seeded from ${file}`, eventId };
  const outcome = await store.change(kind, name, context, (_held, configuration) =>
    seed.value(configuration),
  );
  return outcome.done && outcome.changed;
}

function seedsOf(file: ClusterFile, id: string): Seed[] {
  const seeds: Seed[] = [];
  const cluster = clusterOf(file.cluster);
  seeds.push({
    kind: 'cluster',
    name: selfName,
    place: '/cluster',
    value: () => cluster,
    refuse: (configuration) => refuseCluster(configuration, id, cluster),
  });
  for (const [at, input] of (file.stations ?? []).entries()) {
    const station = stationOf(input);
    seeds.push({
      kind: 'station',
      name: station.aeTitle,
      place: `/stations/${at}`,
      value: () => station,
      refuse: (configuration) => refuseStation(configuration, id, station),
    });
  }
  for (const [at, input] of (file.links ?? []).entries()) {
    const link = (now: Configuration) => linkOf(input, isThirdParty(now, input.peer));
    seeds.push({
      kind: 'link',
      name: input.peer,
      place: `/links/${at}`,
      value: link,
      refuse: (configuration) => refuseLink(configuration, id, link(configuration)),
    });
  }
  return seeds;
}

/** The rules, applied to the file as if nothing else were configured. */
function checkAlone(seeds: readonly Seed[], name: string): void {
  let alone: Configuration = { ...emptyConfiguration };
  const faults: string[] = [];
  const seen = new Set<string>();
  for (const seed of seeds) {
    const key = `${seed.kind}/${seed.name}`;
    const refusal = seed.refuse(alone);
    if (seen.has(key)) faults.push(`${seed.place}: is there twice`);
    else if (refusal) faults.push(`${seed.place}${refusal.pointer}: ${refusal.detail}`);
    seen.add(key);
    alone = withEntity(alone, seed);
  }
  if (faults.length > 0) throw new ClusterFileError(name, faults);
}

function withEntity(configuration: Configuration, { kind, name, value }: Seed): Configuration {
  const entity = value(configuration) as never;
  if (kind === 'cluster') return { ...configuration, cluster: entity };
  if (kind === 'station')
    return { ...configuration, stations: new Map(configuration.stations).set(name, entity) };
  return { ...configuration, links: new Map(configuration.links).set(name, entity) };
}
