import { databaseSettings, integer, serviceSettings } from '@isthmus/service-kit';
import type { ConfigOf } from '@isthmus/service-kit';

/** Settings of prefetcher. The only reader of the environment is `main.ts`, through this schema. */
export const prefetcherConfig = {
  ...serviceSettings,
  ...databaseSettings,
  PRIORS_MAX: integer({
    default: 3,
    min: 1,
    max: 50,
    unit: 'studies',
    about: 'Newest priors of the patient that are brought to where an order will be read',
  }),
  CANDIDATES_MAX: integer({
    default: 500,
    min: 10,
    max: 10_000,
    unit: 'studies',
    about: 'Studies of one patient that are looked at; the newest of them count',
  }),
  JOBS_AT_ONCE_MAX: integer({ default: 2, min: 1, max: 32, unit: 'jobs', about: 'Jobs at work at one time' }),
  JOBS_POLL_MS: integer({
    default: 1_000,
    min: 10,
    max: 60_000,
    unit: 'ms',
    about: 'How often the table is asked for jobs whose time has come; new triggers wake it at once',
  }),
  JOB_LEASE_MS: integer({
    default: 60_000,
    min: 1_000,
    max: 3_600_000,
    unit: 'ms',
    about: 'After this long without a sign of life a job at work is taken up by another instance',
  }),
  JOB_ATTEMPTS_MAX: integer({
    default: 200,
    min: 1,
    max: 10_000,
    unit: 'attempts',
    about: 'Tries of a job before it is left FAILED; with the pauses between them, about two days',
  }),
  RETRY_BASE_MS: integer({
    default: 2_000,
    min: 10,
    max: 600_000,
    unit: 'ms',
    about: 'Pause after the first failure',
  }),
  RETRY_MAX_MS: integer({
    default: 900_000,
    min: 10,
    max: 86_400_000,
    unit: 'ms',
    about: 'Longest pause between two tries',
  }),
  QUERY_TIMEOUT_MS: integer({
    default: 15_000,
    min: 100,
    max: 300_000,
    unit: 'ms',
    about: 'How long the clusters may take to name the priors',
  }),
  TRANSFER_DEADLINE_MS: integer({
    default: 1_800_000,
    min: 1_000,
    max: 86_400_000,
    unit: 'ms',
    about: 'How long the transfer of one prior may take',
  }),
  TRANSFER_SILENCE_MS: integer({
    default: 60_000,
    min: 1_000,
    max: 3_600_000,
    unit: 'ms',
    about: 'How long the DICOM edge may be silent during a transfer',
  }),
} as const;

export type PrefetcherConfig = ConfigOf<typeof prefetcherConfig>;
