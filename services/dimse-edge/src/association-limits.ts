import type { DimseLimits } from '@isthmus/dimse';
import type { Log } from '@isthmus/service-kit';
import type { DimseEdgeConfig } from './config.ts';

/** Which setting decides on which bound of the associations that come in; all other bounds are fixed. */
export const limitSettings = {
  associationsMax: 'ASSOCIATIONS_MAX',
  associationsPerAddressMax: 'ASSOCIATIONS_PER_ADDRESS_MAX',
  unknownPerAddressMax: 'ASSOCIATIONS_UNKNOWN_PER_ADDRESS_MAX',
  associationsPerAeTitleMax: 'ASSOCIATIONS_PER_AE_TITLE_MAX',
  tlsHandshakeMs: 'FIRST_PDU_TIMEOUT_MS',
  firstPduMs: 'FIRST_PDU_TIMEOUT_MS',
  idleMs: 'ASSOCIATION_IDLE_TIMEOUT_MS',
  betweenPdusMs: 'BETWEEN_PDUS_TIMEOUT_MS',
  messageMs: 'MESSAGE_TIMEOUT_MS',
  bytesPerSecondMin: 'MESSAGE_BYTES_PER_SECOND_MIN',
} as const satisfies { readonly [Limit in keyof DimseLimits]?: keyof DimseEdgeConfig };

/** The bounds that the settings give. */
export function associationLimits(config: DimseEdgeConfig): Partial<DimseLimits> {
  return Object.fromEntries(
    Object.entries(limitSettings).map(([limit, setting]) => [limit, config[setting]]),
  );
}

/** Settings that are legal one by one may still let one address, or strangers on it, keep out everybody else. */
export function warnOfGreed(config: DimseEdgeConfig, log: Pick<Log, 'warn'>): void {
  const all = config.ASSOCIATIONS_MAX;
  for (const setting of ['ASSOCIATIONS_PER_ADDRESS_MAX', 'ASSOCIATIONS_UNKNOWN_PER_ADDRESS_MAX'] as const) {
    const max = config[setting];
    if (max < all) continue;
    log.warn({ setting, max, ASSOCIATIONS_MAX: all }, 'one address can take every association');
    return;
  }
}
