import type { AssociationPool, ContextProposal, RequestedAssociation, RequestTimeouts } from '@isthmus/dimse';
import type { Configuration, Station } from '@isthmus/domain';
import { StationUnknownError, TlsNotSupportedError } from './errors.ts';

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
}): Outgoing {
  return {
    use: async (aeTitle, contexts, work, timeouts = {}) => {
      const station = parts.configuration().stations.get(aeTitle);
      if (!station || station.port === 0) throw new StationUnknownError(aeTitle);
      return parts.pool.use(
        { ...addressOf(station), callingAeTitle: parts.ourAeTitle(), contexts, timeouts },
        (association) => work(association, station),
      );
    },
  };
}

/** Where a station is called. @throws {TlsNotSupportedError} */
export function addressOf(station: Station): { host: string; port: number; calledAeTitle: string } {
  if (station.tls) throw new TlsNotSupportedError(station.aeTitle);
  return { host: station.host, port: station.port, calledAeTitle: station.aeTitle };
}
