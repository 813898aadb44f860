import type { LocatedInstance } from '@isthmus/domain';

/** An object that has become durable here: stored just now, or sent again. */
export interface Arrival {
  readonly instance: LocatedInstance;
  readonly callingAeTitle: string;
  readonly peer: string | undefined;
}

/** One C-MOVE of ours to ourselves that is under way, by whichever process. */
export interface PullFacts {
  readonly studyInstanceUid: string;
  /** Name of the link: cluster id, or AE title of a third party. */
  readonly peer: string;
  /** AE titles that the objects may come from. */
  readonly aeTitles: readonly string[];
}

/** One of this process. */
export interface Pull extends PullFacts {
  /** SOP Instance UIDs that have arrived. */
  readonly arrived: ReadonlySet<string>;
}

export interface Pulls {
  /** Notes a pull. Call `close` when the peer has given its final answer. */
  open(facts: PullFacts, onArrival?: (arrival: Arrival) => void): Pull & { close(): void };
  /**
   * The pull that an object belongs to. Its Move Originator tells when there is one: ours, or somebody else's request.
   * Without it, the calling AE title has to be one of the source's.
   * @param others - Pulls of the study by other processes.
   */
  match(
    object: {
      readonly studyInstanceUid: string;
      readonly callingAeTitle: string;
      readonly moveOriginatorAeTitle: string | undefined;
    },
    others?: readonly PullFacts[],
  ): PullFacts | undefined;
  /** Tells all who listen to the study that one more object is durable here. */
  arrived(arrival: Arrival): void;
  /** Hears of every object of a study that becomes durable here, whoever sent it. @returns Stops listening. */
  listen(studyInstanceUid: string, listener: (arrival: Arrival) => void): () => void;
}

/** Who waits for which objects. Lives in memory: a pull ends with its process, and is asked for again. */
export function createPulls(ourAeTitle: () => string): Pulls {
  const open = new Map<string, Set<Pull & { arrived: Set<string> }>>();
  const listeners = new Map<string, Set<(arrival: Arrival) => void>>();

  const listen: Pulls['listen'] = (studyInstanceUid, listener) => {
    const ofStudy = listeners.get(studyInstanceUid) ?? new Set();
    listeners.set(studyInstanceUid, ofStudy.add(listener));
    return () => {
      ofStudy.delete(listener);
      if (ofStudy.size === 0 && listeners.get(studyInstanceUid) === ofStudy)
        listeners.delete(studyInstanceUid);
    };
  };

  return {
    open: (facts, onArrival) => {
      const pull = { ...facts, arrived: new Set<string>() };
      const ofStudy = open.get(facts.studyInstanceUid) ?? new Set();
      open.set(facts.studyInstanceUid, ofStudy.add(pull));
      const unlisten = listen(facts.studyInstanceUid, (arrival) => {
        pull.arrived.add(arrival.instance.sopInstanceUid);
        onArrival?.(arrival);
      });
      const close = (): void => {
        unlisten();
        ofStudy.delete(pull);
        if (ofStudy.size === 0 && open.get(facts.studyInstanceUid) === ofStudy)
          open.delete(facts.studyInstanceUid);
      };
      return { ...pull, close };
    },
    match: ({ studyInstanceUid, callingAeTitle, moveOriginatorAeTitle }, others = []) => {
      const candidates = [...(open.get(studyInstanceUid) ?? []), ...others];
      const fromSource = candidates.find((pull) => pull.aeTitles.includes(callingAeTitle));
      if (moveOriginatorAeTitle === undefined || moveOriginatorAeTitle === '') return fromSource;
      if (moveOriginatorAeTitle !== ourAeTitle()) return undefined;
      // Ours, but from an AE title that nobody configured: an archive that answers from another one.
      return fromSource ?? candidates[0];
    },
    arrived: (arrival) => {
      for (const listener of listeners.get(arrival.instance.studyInstanceUid) ?? []) listener(arrival);
    },
    listen,
  };
}
