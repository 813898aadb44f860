import { integer, serviceSettings, url } from '@isthmus/service-kit';
import type { ConfigOf } from '@isthmus/service-kit';

const serviceUrl = (service: string) =>
  url({
    schemes: ['http'],
    optional: true,
    about: `Where ${service} listens; without it, its part is missing here`,
  });

/** Settings of the console. The only reader of the environment is `main.ts`, through this schema. */
export const consoleConfig = {
  ...serviceSettings,
  DIMSE_EDGE_URL: serviceUrl('dimse-edge'),
  UPDATE_RELAY_URL: serviceUrl('update-relay'),
  QUERY_FEDERATOR_URL: serviceUrl('query-federator'),
  PREFETCHER_URL: serviceUrl('prefetcher'),
  CONFIG_STORE_URL: serviceUrl('config-store'),
  RIS_GATEWAY_URL: serviceUrl('ris-gateway'),
  ANSWER_TIMEOUT_MS: integer({
    default: 60_000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    about: 'How long a service may take to begin its answer',
  }),
  UPSTREAM_CONNECTIONS_MAX: integer({
    default: 64,
    min: 1,
    max: 1_000,
    unit: 'connections',
    about: 'Connections to one service at most; further requests wait',
  }),
} as const;

export type ConsoleConfig = ConfigOf<typeof consoleConfig>;

/** A service behind the console. */
export interface Upstream {
  readonly name: string;
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
}

export function upstreamsOf(config: ConsoleConfig): Upstream[] {
  const urls: [string, string | undefined][] = [
    ['dimse-edge', config.DIMSE_EDGE_URL],
    ['update-relay', config.UPDATE_RELAY_URL],
    ['query-federator', config.QUERY_FEDERATOR_URL],
    ['prefetcher', config.PREFETCHER_URL],
    ['config-store', config.CONFIG_STORE_URL],
    ['ris-gateway', config.RIS_GATEWAY_URL],
  ];
  return urls.flatMap(([name, address]) =>
    address === undefined ? [] : [{ name, url: new URL(address).origin }],
  );
}
