import { databaseSettings, integer, serviceSettings } from '@isthmus/service-kit';
import type { ConfigOf } from '@isthmus/service-kit';

/** Settings of ris-gateway. The only reader of the environment is `main.ts`, through this schema. */
export const risGatewayConfig = {
  ...serviceSettings,
  ...databaseSettings,
  APPEND_ATTEMPTS_MAX: integer({
    default: 8,
    min: 1,
    max: 100,
    unit: 'attempts',
    about: 'How often an order is compared anew because somebody else changed it first',
  }),
  PROJECTION_WAIT_MS: integer({
    default: 1_000,
    min: 0,
    max: 10_000,
    unit: 'ms',
    about: 'How long a write waits for the lists to show it before it answers 202',
  }),
} as const;

export type RisGatewayConfig = ConfigOf<typeof risGatewayConfig>;
