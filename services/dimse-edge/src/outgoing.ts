import type {
  AssociationPool,
  ContextProposal,
  RequestAssociationOptions,
  RequestedAssociation,
  RequestTimeouts,
} from '@isthmus/dimse';
import type { Configuration, Station } from '@isthmus/domain';
import { StationUnknownError, TlsNotConfiguredError } from './errors.ts';
import type { EdgeTls } from './tls.ts';

/** Associations to configured stations, kept open for a while and shared by short requests. */
export interface Outgoing {
  /**
   * Runs the work on an association to the station.
   * @throws {StationUnknownError} No such station, or it has no port.
   * @throws What `AssociationPool.use` throws.
   */
  use<Result>(
    aeTitle: string,
    contexts: readonly ContextProposal[],
    work: (association: RequestedAssociation, station: Station) => Promise<Result>,
    timeouts?: Partial<RequestTimeouts>,
  ): Promise<Result>;
}

export function createOutgoing(parts: {
  readonly configuration: () => Configuration;
  readonly ourAeTitle: () => string;
  readonly pool: AssociationPool;
  readonly tls: CallingTls;
}): Outgoing {
  return {
    use: async (aeTitle, contexts, work, timeouts = {}) => {
      const station = parts.configuration().stations.get(aeTitle);
      if (!station || station.port === 0) throw new StationUnknownError(aeTitle);
      return parts.pool.use(
        { ...addressOf(station, parts.tls), callingAeTitle: parts.ourAeTitle(), contexts, timeouts },
        (association) => work(association, station),
      );
    },
  };
}

/** Undefined when this edge has no certificate. */
export type CallingTls = Pick<EdgeTls, 'calling'> | undefined;

/** Where and how a station is called. @throws {TlsNotConfiguredError} */
export function addressOf(
  station: Station,
  tls: CallingTls,
): Pick<RequestAssociationOptions, 'host' | 'port' | 'calledAeTitle' | 'tls'> {
  const address = { host: station.host, port: station.port, calledAeTitle: station.aeTitle };
  if (!station.tls) return address;
  if (tls === undefined) throw new TlsNotConfiguredError(station.aeTitle);
  return { ...address, tls: tls.calling(station) };
}
