import { databaseSettings, integer, serviceSettings } from '@isthmus/service-kit';
import type { ConfigOf } from '@isthmus/service-kit';

/** Settings of query-federator. The only reader of the environment is `main.ts`, through this schema. */
export const queryFederatorConfig = {
  ...serviceSettings,
  ...databaseSettings,
  PEER_TIMEOUT_MS: integer({
    default: 5_000,
    min: 50,
    max: 300_000,
    unit: 'ms',
    about: 'How long one peer may take to answer a linked query',
  }),
  FORWARD_MARGIN_MS: integer({
    default: 250,
    min: 0,
    max: 10_000,
    unit: 'ms',
    about: 'Part of the remaining time that is kept for the way back when a query is forwarded',
  }),
  BREAKER_FAILURES: integer({
    default: 3,
    min: 1,
    max: 100,
    unit: 'failures',
    about: 'Failures in a row after which a peer is left alone for a while',
  }),
  BREAKER_PAUSE_MS: integer({
    default: 10_000,
    min: 10,
    max: 600_000,
    unit: 'ms',
    about: 'How long a peer that keeps failing is left alone before one query tries it again',
  }),
  LOCAL_ROWS_MAX: integer({
    default: 50_000,
    min: 10,
    max: 1_000_000,
    unit: 'rows',
    about: 'Rows of this cluster in one answer; a query that matches more is too broad',
  }),
  PEER_ROWS_MAX: integer({
    default: 10_000,
    min: 10,
    max: 100_000,
    unit: 'rows',
    about: 'Rows taken from one peer in one query',
  }),
  PEERS_MAX: integer({
    default: 64,
    min: 1,
    max: 1_000,
    unit: 'peers',
    about: 'Peers asked in one query; the others are named as skipped',
  }),
  SEARCH_ROWS_MAX: integer({
    default: 5_000,
    min: 10,
    max: 100_000,
    unit: 'rows',
    about: 'Studies of one search over all clusters; a search that finds more is refused as too broad',
  }),
  SEARCHES_KEPT: integer({
    default: 32,
    min: 0,
    max: 1_000,
    unit: 'searches',
    about: 'Results kept for their next pages',
  }),
  SEARCHES_KEPT_ROWS_MAX: integer({
    default: 20_000,
    min: 0,
    max: 1_000_000,
    unit: 'studies',
    about: 'Studies in all kept results together',
  }),
  SEARCH_KEPT_MS: integer({
    default: 60_000,
    min: 0,
    max: 3_600_000,
    unit: 'ms',
    about: 'How long a result is kept for its next pages',
  }),
  QUERIES_MAX: integer({
    default: 32,
    min: 1,
    max: 1_000,
    unit: 'queries',
    about: 'Queries answered at one time; others wait',
  }),
} as const;

export type QueryFederatorConfig = ConfigOf<typeof queryFederatorConfig>;
