import { databaseSettings, integer, serviceSettings, text } from '@isthmus/service-kit';
import type { ConfigOf } from '@isthmus/service-kit';

/** Settings of config-store. The only reader of the environment is `main.ts`, through this schema. */
export const configStoreConfig = {
  ...serviceSettings,
  ...databaseSettings,
  CLUSTER_FILE: text({
    optional: true,
    about: 'A cluster.yaml; what it names and the log has never known is added at start',
  }),
  OWN_VIEW_WAIT_MS: integer({
    default: 1_000,
    min: 1,
    max: 30_000,
    unit: 'ms',
    about: 'How long a write waits until it is seen by this service itself; after that the answer is 202',
  }),
} as const;

export type ConfigStoreConfig = ConfigOf<typeof configStoreConfig>;
