import { batchFormat, batchLimits, manifestParts } from './batch.ts';
import type { Batch, BatchItem } from './batch.ts';
import { encodeLinkedUpdate } from './linked-update.ts';
import type { EncodedUpdate } from './linked-update.ts';
import type { Unit } from './outbox.ts';

/** One C-STORE, and the units that are done once it is acknowledged. */
export interface Shipment {
  readonly update: EncodedUpdate;
  readonly items: number;
  /** Empty for a part of a manifest that travels ahead of its unit. */
  readonly units: readonly Unit[];
}

export interface ComposeFacts {
  readonly sender: string;
  readonly incarnation: string;
  readonly after: number;
  readonly upto: number;
}

export type Composed =
  | { readonly shipments: readonly Shipment[] }
  /** The first unit cannot be sent at all. */
  | { readonly oversized: Unit };

/**
 * Packs the first units, as many as fit, into one C-STORE; a unit whose manifest does not fit is sent as
 * several, the manifest's parts first. Never reorders.
 */
export function compose(units: readonly Unit[], facts: ComposeFacts): Composed {
  for (let count = units.length; count > 0; count = Math.floor(count / 2)) {
    const some = units.slice(0, count);
    const items = some.flatMap((unit) => [...manifestItems(unit), unit.item]);
    const update = encode(items, facts);
    if (update !== 'tooLarge') return { shipments: [{ update, items: items.length, units: some }] };
  }
  const [first] = units;
  return first ? composeAlone(first, facts) : { shipments: [] };
}

function composeAlone(unit: Unit, facts: ComposeFacts): Composed {
  const update = encode([unit.item], facts);
  if (update === 'tooLarge') return { oversized: unit };
  for (
    let objectsMax: number = batchLimits.manifestObjectsMax;
    objectsMax >= 1;
    objectsMax = Math.floor(objectsMax / 2)
  ) {
    const parts = manifestItems(unit, objectsMax).map((item) => encode([item], facts));
    if (parts.includes('tooLarge')) continue;
    const ahead = parts.map((part) => ({ update: part as EncodedUpdate, items: 1, units: [] }));
    return { shipments: [...ahead, { update, items: 1, units: [unit] }] };
  }
  return { oversized: unit };
}

function manifestItems(unit: Unit, objectsMax?: number): BatchItem[] {
  if (!unit.manifest) return [];
  return manifestParts(unit.manifest, objectsMax).map((manifest) => ({ kind: 'manifest', manifest }));
}

function encode(items: readonly BatchItem[], facts: ComposeFacts): EncodedUpdate | 'tooLarge' {
  const batch: Batch = { format: batchFormat, ...facts, items };
  return encodeLinkedUpdate(batch);
}
