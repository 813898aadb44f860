import type { EventEnvelope } from './envelope.ts';

/** This cluster. */
export interface ClusterConfiguration {
  /** Lower case, `[a-z][a-z0-9-]{0,31}`: names the cluster everywhere. */
  readonly id: string;
  readonly name: string;
  readonly aeTitle: string;
  /** Issuer of Patient ID for objects that name none and come from a station that names none. */
  readonly patientDomain: string;
}

export type StationKind = 'modality' | 'workstation' | 'cluster' | 'third-party' | 'ris-gateway';

/** A DICOM node that this cluster knows. */
export interface Station {
  readonly aeTitle: string;
  readonly host: string;
  readonly port: number;
  /** It is called by TLS, and comes by TLS alone. */
  readonly tls: boolean;
  /**
   * Certificates that it may show over TLS, each by SHA-256 fingerprint (`AB:CD:…`) or subject (`CN=CT1,O=Hospital`; see
   * `isCertificateOf`). Several, so that one can follow the other. Without any, every trusted certificate that
   * is no other station's will do.
   */
  readonly certificates?: readonly string[];
  readonly kind: StationKind;
  /** Cluster id, for `kind: "cluster"`. */
  readonly cluster?: string;
  readonly stationName?: string;
  readonly institution?: string;
  readonly department?: string;
  /** Default issuer of Patient IDs that it sends. */
  readonly patientDomain?: string;
  readonly archive: boolean;
  /** Other AE titles that it sends as. */
  readonly alsoSendsAs: readonly string[];
  readonly keepsStatus: boolean;
  /** Associations to it that objects are sent over at once; absent: as the edge is set up. */
  readonly associationsMax?: number;
  /**
   * Transfer syntax UIDs, best first, that an object is converted to when the station does not take the one that it is
   * kept in; absent or empty: never, such an object fails.
   */
  readonly transcodeTo?: readonly string[];
}

/** A switch, in each direction: `out` = we send to the peer, `in` = we take from the peer. */
export interface LinkSwitch {
  readonly in: boolean;
  readonly out: boolean;
}

/** A link to a peer: the master switch and the four below it. */
export interface Link {
  /** Cluster id, or the AE title of a third-party station. */
  readonly peer: string;
  readonly enabled: boolean;
  readonly internalQueries: LinkSwitch;
  readonly externalQueries: LinkSwitch;
  readonly updates: LinkSwitch;
  readonly prefetching: LinkSwitch;
}

export type ConfigurationKind = 'cluster' | 'station' | 'link';

/** The whole new value, with who and why. `value: null` removes the entity. */
export interface ConfigurationChange<Value = unknown> {
  readonly kind: ConfigurationKind;
  readonly name: string;
  readonly value: Value | null;
  /** Counts up from 1 with each change of this entity; its ETag. */
  readonly version: number;
  readonly author: string;
  readonly reason: string;
}
export type ConfigurationChangedEvent = EventEnvelope<'ConfigurationChanged', ConfigurationChange>;

/** Everything configured, as one immutable value. */
export interface Configuration {
  readonly cluster: ClusterConfiguration | undefined;
  readonly stations: ReadonlyMap<string, Station>;
  readonly links: ReadonlyMap<string, Link>;
  /** Version of each entity by `<kind>/<name>`. */
  readonly versions: ReadonlyMap<string, number>;
}

export const emptyConfiguration: Configuration = {
  cluster: undefined,
  stations: new Map(),
  links: new Map(),
  versions: new Map(),
};

/** Applies one change; older or equal versions than the one held change nothing. */
export function evolveConfiguration(
  configuration: Configuration,
  change: ConfigurationChange,
): Configuration {
  const key = `${change.kind}/${change.name}`;
  if ((configuration.versions.get(key) ?? 0) >= change.version) return configuration;
  const versions = new Map(configuration.versions).set(key, change.version);
  switch (change.kind) {
    case 'cluster':
      return {
        ...configuration,
        versions,
        cluster: (change.value ?? undefined) as ClusterConfiguration | undefined,
      };
    case 'station':
      return { ...configuration, versions, stations: replaced(configuration.stations, change) };
    case 'link':
      return { ...configuration, versions, links: replaced(configuration.links, change) };
    default:
      return { ...configuration, versions };
  }
}

function replaced<Value>(
  entities: ReadonlyMap<string, Value>,
  change: ConfigurationChange,
): ReadonlyMap<string, Value> {
  const next = new Map(entities);
  if (change.value === null) next.delete(change.name);
  else next.set(change.name, change.value as Value);
  return next;
}

/** The station that answers for a peer: the cluster's edge, or the third-party station itself. */
export function stationOfPeer(configuration: Configuration, peer: string): Station | undefined {
  for (const station of configuration.stations.values()) {
    if (station.kind === 'cluster' ? station.cluster === peer : station.aeTitle === peer) return station;
  }
  return undefined;
}

/** The station that sends under this AE title, by its own name or by one it `alsoSendsAs`. */
export function stationOfAeTitle(configuration: Configuration, aeTitle: string): Station | undefined {
  const named = configuration.stations.get(aeTitle);
  if (named) return named;
  for (const station of configuration.stations.values())
    if (station.alsoSendsAs.includes(aeTitle)) return station;
  return undefined;
}

/** Of a certificate, what a station can be bound to. */
export interface CertificateName {
  /** `CN=…,O=…`; a comma or backslash in a value has a backslash before it. */
  readonly subject: string;
  /** SHA-256, upper-case hexadecimal pairs with colons. */
  readonly fingerprintSha256: string;
}

/**
 * Whether a certificate is one that the station may show: by its fingerprint, or by a subject all of whose
 * attributes it has, in any order. That its chain is trusted is not looked at here.
 */
export function isCertificateOf(station: Station, certificate: CertificateName): boolean {
  const shown = new Set(attributesOf(certificate.subject));
  return (station.certificates ?? []).some((one) => {
    if (!one.includes('=')) return one.toUpperCase() === certificate.fingerprintSha256;
    return attributesOf(one).every((attribute) => shown.has(attribute));
  });
}

/**
 * Why a station may not show a certificate, for the log; `undefined` when it may. A station without certificates of
 * its own may show any but those that are bound to another.
 */
export function certificateMismatch(
  configuration: Configuration,
  station: Station,
  certificate: CertificateName,
): string | undefined {
  if (isCertificateOf(station, certificate)) return undefined;
  const shown = `certificate ${certificate.subject} (SHA-256 ${certificate.fingerprintSha256})`;
  if ((station.certificates ?? []).length > 0) return `${shown} is none of station ${station.aeTitle}`;
  for (const other of configuration.stations.values()) {
    if (isCertificateOf(other, certificate)) {
      return `${shown} is that of station ${other.aeTitle}, not of ${station.aeTitle}`;
    }
  }
  return undefined;
}

/** `CN=CT1`, `O=Hospital` … of a subject. */
function attributesOf(subject: string): string[] {
  return subject.match(/(?:\\.|[^,\\])+/g) ?? [];
}

/** Peer name (cluster id or AE title) of the link that governs traffic with this station, if there is one. */
export function linkOfStation(configuration: Configuration, station: Station | undefined): Link | undefined {
  if (!station) return undefined;
  return configuration.links.get(station.kind === 'cluster' ? (station.cluster ?? '') : station.aeTitle);
}

export type LinkOption = 'internalQueries' | 'externalQueries' | 'updates' | 'prefetching';

/** Whether one option is on in one direction; the master switch rules. */
export function linkAllows(link: Link | undefined, option: LinkOption, direction: 'in' | 'out'): boolean {
  return link !== undefined && link.enabled && link[option][direction];
}
