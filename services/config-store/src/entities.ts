import type { ClusterConfiguration, Link, LinkSwitch, Station } from '@isthmus/domain';
import type { Static } from 'typebox';
import type { clusterEntity, linkEntity, stationEntity } from './schemas.ts';

export type ClusterInput = Static<typeof clusterEntity>;
export type StationInput = Static<typeof stationEntity>;
export type LinkInput = Static<typeof linkEntity>;

const options = ['internalQueries', 'externalQueries', 'updates', 'prefetching'] as const;

export function clusterOf({ id, name, aeTitle, patientDomain }: ClusterInput): ClusterConfiguration {
  return { id, name, aeTitle, patientDomain };
}

/** A station with all its values. Fields that it does not have stay away. */
export function stationOf(input: StationInput): Station {
  const { aeTitle, host, port, kind, cluster, stationName, institution, department, patientDomain } = input;
  const { associationsMax, transcodeTo } = input;
  const certificates = input.certificates?.length ? input.certificates : undefined;
  return {
    aeTitle,
    host,
    port,
    tls: input.tls ?? false,
    kind,
    ...defined({ certificates, cluster, stationName, institution, department, patientDomain }),
    archive: input.archive ?? true,
    alsoSendsAs: input.alsoSendsAs ?? [],
    keepsStatus: input.keepsStatus ?? keepsStatusByDefault(kind),
    ...defined({ associationsMax, transcodeTo }),
  };
}

/**
 * A link with all its switches: what is not said is on.
 * @param thirdParty - The peer is a third-party station: updates, which it does not speak, are off unless
 * asked for.
 */
export function linkOf(input: LinkInput, thirdParty: boolean): Link {
  return {
    peer: input.peer,
    enabled: input.enabled ?? true,
    internalQueries: switchOf(input.internalQueries, true),
    externalQueries: switchOf(input.externalQueries, true),
    updates: switchOf(input.updates, !thirdParty),
    prefetching: switchOf(input.prefetching, true),
  };
}

/** A station as a person would write it: without what is the default. `stationOf` gives the whole back. */
export function briefStation(station: Station): StationInput {
  const { tls, certificates, archive, alsoSendsAs, keepsStatus, transcodeTo, ...rest } = station;
  const { aeTitle, host, port, kind, ...names } = rest;
  return {
    aeTitle,
    host,
    port,
    ...(tls ? { tls } : {}),
    ...(certificates ? { certificates: [...certificates] } : {}),
    kind,
    ...names,
    ...(archive ? {} : { archive }),
    ...(alsoSendsAs.length > 0 ? { alsoSendsAs: [...alsoSendsAs] } : {}),
    ...(keepsStatus === keepsStatusByDefault(kind) ? {} : { keepsStatus }),
    ...(transcodeTo === undefined ? {} : { transcodeTo: [...transcodeTo] }),
  };
}

/** A link as a person would write it. `linkOf` with the same `thirdParty` gives the whole back. */
export function briefLink(link: Link, thirdParty: boolean): LinkInput {
  const brief: { -readonly [Key in keyof LinkInput]: LinkInput[Key] } = { peer: link.peer };
  if (!link.enabled) brief.enabled = false;
  for (const option of options) {
    const usual = !(option === 'updates' && thirdParty);
    if (link[option].in !== usual || link[option].out !== usual) brief[option] = { ...link[option] };
  }
  return brief;
}

function keepsStatusByDefault(kind: Station['kind']): boolean {
  return kind === 'cluster';
}

function switchOf(input: { in?: boolean; out?: boolean } | undefined, usual: boolean): LinkSwitch {
  return { in: input?.in ?? usual, out: input?.out ?? usual };
}

function defined<Fields extends object>(fields: Fields): Partial<Fields> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Partial<Fields>;
}
