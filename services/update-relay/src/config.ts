import { databaseSettings, integer, serviceSettings } from '@isthmus/service-kit';
import type { ConfigOf } from '@isthmus/service-kit';

/** Settings of update-relay. The only reader of the environment is `main.ts`, through this schema. */
export const updateRelayConfig = {
  ...serviceSettings,
  ...databaseSettings,
  LINK_STATE_EVERY_MS: integer({
    default: 3_000,
    min: 50,
    max: 600_000,
    unit: 'ms',
    about: 'Time between two Link State exchanges with a peer',
  }),
  LINK_REQUEST_TIMEOUT_MS: integer({
    default: 10_000,
    min: 100,
    max: 300_000,
    unit: 'ms',
    about: 'How long a peer may take to answer one Link State query or one linked update',
  }),
  DELIVERY_BACKOFF_MAX_MS: integer({
    default: 30_000,
    min: 50,
    max: 3_600_000,
    unit: 'ms',
    about: 'Longest pause before a peer that failed is tried again',
  }),
  BATCH_ITEMS_MAX: integer({
    default: 256,
    min: 1,
    max: 2_000,
    unit: 'items',
    about: 'Events and states in one linked update at most',
  }),
  REFUSALS_MAX: integer({
    default: 5,
    min: 1,
    max: 100,
    unit: 'refusals',
    about: 'Definite refusals of one item by a peer after which it is parked and passed by',
  }),
  OBJECTS_QUIET_MS: integer({
    default: 2_000,
    min: 10,
    max: 60_000,
    unit: 'ms',
    about: 'No new object for this long: the study has stopped arriving, and its objects are announced',
  }),
  OBJECTS_ANNOUNCE_MAX_MS: integer({
    default: 10_000,
    min: 10,
    max: 600_000,
    unit: 'ms',
    about: 'A study that keeps arriving is announced at least this often',
  }),
  PULL_DEADLINE_MS: integer({
    default: 600_000,
    min: 1_000,
    max: 3_600_000,
    unit: 'ms',
    about: 'How long one retrieval of missing objects may take in all',
  }),
  PULLS_MAX: integer({
    default: 2,
    min: 1,
    max: 32,
    unit: 'retrievals',
    about: 'Retrievals of missing objects at one time',
  }),
  COMMAND_ATTEMPTS_MAX: integer({
    default: 8,
    min: 1,
    max: 100,
    unit: 'attempts',
    about: 'How often a command is decided again because somebody else wrote to the study first',
  }),
} as const;

export type UpdateRelayConfig = ConfigOf<typeof updateRelayConfig>;
