import { idempotencyMigration } from '@isthmus/service-kit';
import type { Migration } from '@isthmus/service-kit';
import { records } from './migrations/0001-records.ts';

/** In order; a name is for good. */
export const migrations: readonly Migration[] = [idempotencyMigration, records];
