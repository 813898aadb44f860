/** Ids of events that the log has acknowledged to this process lately. */
export interface AcknowledgedIds {
  has(id: string): boolean;
  add(id: string): void;
}

/**
 * Remembers the last `max` ids. It only spares the log a second append of the same event when an object is sent again;
 * after a restart the append is repeated, and the projections ignore a second (subject, id).
 */
export function acknowledgedIds(max = 20_000): AcknowledgedIds {
  const ids = new Set<string>();
  return {
    has: (id) => ids.has(id),
    add: (id) => {
      ids.delete(id);
      ids.add(id);
      if (ids.size > max) ids.delete(ids.values().next().value as string);
    },
  };
}
