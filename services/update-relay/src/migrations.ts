import { idempotencyMigration } from '@isthmus/service-kit';
import type { Migration } from '@isthmus/service-kit';
import { state0001 } from './migrations/0001-state.ts';

/** All migrations of this service, oldest first. */
export const migrations: readonly Migration[] = [idempotencyMigration, state0001];
