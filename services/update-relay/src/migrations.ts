import { idempotencyMigration } from '@isthmus/service-kit';
import type { Migration } from '@isthmus/service-kit';
import { state0001 } from './migrations/0001-state.ts';
import { peers0002 } from './migrations/0002-peers.ts';
import { patients0003 } from './migrations/0003-patients.ts';

/** All migrations of this service, oldest first. */
export const migrations: readonly Migration[] = [idempotencyMigration, state0001, peers0002, patients0003];
