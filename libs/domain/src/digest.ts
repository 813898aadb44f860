import { createHash } from 'node:crypto';
import { canonicalJson } from './canonical.ts';
import type { RegisterMap } from './registers.ts';

/**
 * SHA-256 (hex) over the canonical bytes of a state: equal exactly when the states are, unknown registers
 * included.
 */
export function digest(state: RegisterMap): string {
  return sha256(canonicalJson(state));
}

/** SHA-256 (hex) of a text's UTF-8 bytes. */
export function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
