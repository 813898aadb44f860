import { isStamp } from './hlc.ts';
import { lwwRegister } from './holders.ts';
import type { JsonValue, LwwRegister, RegisterMap } from './registers.ts';

/**
 * The stamp that every register `home` carries: the tie between two homes of one term is not broken by the later
 * stamp, as elsewhere, but by `origin` (ADR-0004).
 */
const noStamp = '0000000000000000';

const allOnes = 0xffff_ffff_ffff_ffffn;

/**
 * Register `home` of a term: the greater term wins, and within one term whoever was first. The stamp of the decision
 * stands in `origin`, counted down from the end of the scale, so that the ordinary order of registers, which older
 * versions apply too, lets the lower stamp win; then the greater cluster id.
 *
 * @param term - 1 for the first durable store, one more with each transfer.
 * @param stamp - Stamp of the decision.
 */
export function homeRegister(cluster: string, term: number, stamp: string): LwwRegister {
  const countedDown = (allOnes - BigInt(`0x${isStamp(stamp) ? stamp : noStamp}`)).toString(16);
  return {
    t: 'lww',
    value: { cluster },
    rank: term,
    hlc: noStamp,
    origin: `${countedDown.padStart(16, '0')}.${cluster}`,
  };
}

/** The cluster that is the study's home; undefined while none is known. */
export function homeOf(study: RegisterMap): string | undefined {
  const value = lwwRegister(study, 'home')?.value;
  if (typeof value !== 'object' || value === null) return undefined;
  const { cluster } = value as { readonly [key: string]: JsonValue };
  return typeof cluster === 'string' ? cluster : undefined;
}

/** Term of the home; 0 while none is known. */
export function homeTerm(study: RegisterMap): number {
  return homeOf(study) === undefined ? 0 : (lwwRegister(study, 'home')?.rank ?? 0);
}
