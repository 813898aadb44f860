import type { EventEnvelope } from '@isthmus/domain';
import type { Mutation } from './relay.ts';

/**
 * Rules of the link protocol, each left out by itself. Every one of them must be missed by some schedule; if
 * one is not, either the rule is not needed or the simulation is blind.
 */
export const mutations: { readonly [rule: string]: Mutation } = {
  'success is answered only after the append is acknowledged': { acknowledgesWhatIsLost: true },
  'a position never passes the checkpoint': { checkpoint: (disk) => disk.log.streams.STUDY.length },
  'a new holder is owed the state': { rows: (rows) => ({ ...rows, oweStates: async () => undefined }) },
  'a changed route is owed the states behind it': {
    rows: (rows) => ({ ...rows, oweStatesHeldBy: async () => undefined }),
  },
  'a cluster passes on what came from elsewhere': {
    rows: (rows, { id }) => ({
      ...rows,
      effectiveEntries: async (...range) =>
        (await rows.effectiveEntries(...range)).filter(({ event }) => event.origin === id),
    }),
  },
  'a change of the links reaches every cluster': {
    rows: (rows) => ({ ...rows, setNextHops: async () => undefined }),
  },
  'who hears of a holder hears of whom': {
    decided: (event) => (event.type === 'HolderChanged' ? withoutPatients(event) : event),
  },
  'an object set that others must complete is told': {
    rows: (rows) => ({ ...rows, pullFrom: async () => undefined, pullUnlessQueued: async () => undefined }),
  },
  'a study whose objects changed is looked at': {
    rows: (rows) => ({ ...rows, markDirty: async () => undefined }),
  },
};

/** A holder's entry as it was before it named the patient. */
function withoutPatients(event: EventEnvelope): EventEnvelope {
  const named = (_: string, value: unknown): unknown =>
    typeof value === 'object' && value !== null && 'holds' in value
      ? { ...value, patient: undefined }
      : value;
  return JSON.parse(JSON.stringify(event, named)) as EventEnvelope;
}
