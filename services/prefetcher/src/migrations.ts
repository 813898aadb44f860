import type { Migration } from '@isthmus/service-kit';
import { jobs } from './migrations/0001-jobs.ts';

/** In order; a name is for good. */
export const migrations: readonly Migration[] = [jobs];
