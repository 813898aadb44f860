import { associateTarget } from './target-associate.ts';
import { commandTarget } from './target-command.ts';
import { decodeTarget, walkerTarget } from './target-data-set.ts';
import { framerTarget } from './target-framer.ts';
import type { Target } from './target.ts';

/** Everything that reads bytes of a peer before it is known who the peer is and what it wants. */
export const targets: readonly Target[] = [
  framerTarget,
  associateTarget,
  commandTarget,
  walkerTarget,
  decodeTarget,
];
