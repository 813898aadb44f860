import { stringOf, tags } from '@isthmus/dicom';
import { requestSubjects } from '@isthmus/domain';
import type {
  ClusterOutcome,
  FindAnswer,
  FindRequest,
  InstanceStored,
  LocateAnswer,
  LocateRequest,
} from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';

export interface ScriptedFederator {
  /** Objects in the log, by SOP Instance UID. */
  readonly instances: ReadonlyMap<string, InstanceStored>;
  /** Every InstanceStored in the log, repeats included. */
  readonly events: readonly InstanceStored[];
  /** Questions that came in. */
  readonly asked: FindRequest[];
  /** Outcomes that end the next queries. */
  outcomes: readonly ClusterOutcome[];
  /** What each study needs from elsewhere; a study that is not named is complete. */
  readonly elsewhere: Map<
    string,
    { expectedInstances?: number; sources: { peer: string; aeTitle: string; holder: string }[] }
  >;
  /** Resolves when so many different objects are in the log. */
  seen(count: number): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Answers `query.find` and `query.locate` from the INSTANCES log, as query-federator does, with a test's own word on
 * what lies elsewhere. Only what the edge needs from the other side of the log's requests.
 */
export function scriptFederator(eventLog: EventLog): ScriptedFederator {
  const instances = new Map<string, InstanceStored>();
  const events: InstanceStored[] = [];
  const stopping = new AbortController();
  let changed = Promise.withResolvers<void>();
  const following = (async () => {
    for await (const batch of eventLog.follow('INSTANCES', { after: 0, signal: stopping.signal })) {
      for (const { event } of batch) {
        const fact = event.data as InstanceStored;
        instances.set(fact.sopInstanceUid, fact);
        events.push(fact);
      }
      changed.resolve();
      changed = Promise.withResolvers<void>();
    }
  })();
  const federator: ScriptedFederator = {
    instances,
    events,
    asked: [],
    outcomes: [{ cluster: 'here', status: 'answered', rows: 0, keysNotApplied: [] }],
    elsewhere: new Map(),
    seen: async (count) => {
      while (instances.size < count) await changed.promise;
    },
    stop: async () => {
      stopping.abort();
      await Promise.all([stopFind(), stopLocate(), following.catch(() => undefined)]);
    },
  };

  const stopFind = eventLog.requests.answerStream<FindRequest, FindAnswer>(
    requestSubjects.find,
    async function* (one) {
      federator.asked.push(one.payload);
      const wanted = stringOf(one.payload.identifier, tags.StudyInstanceUID);
      const level = one.payload.level;
      const told = new Set<string>();
      for (const fact of instances.values()) {
        const key = level === 'IMAGE' ? fact.sopInstanceUid : fact.studyInstanceUid;
        if (told.has(key) || (wanted !== undefined && wanted !== fact.studyInstanceUid)) continue;
        told.add(key);
        yield { row: fact.header };
      }
      yield { done: { outcomes: federator.outcomes } };
    },
  );

  const stopLocate = eventLog.requests.answerStream<LocateRequest, LocateAnswer>(
    requestSubjects.locate,
    async function* ({ payload }) {
      const found = [...instances.values()].filter((fact) => isIn(payload, fact));
      const studies = new Set([...payload.studyInstanceUids, ...found.map((fact) => fact.studyInstanceUid)]);
      yield { instances: found };
      yield {
        studies: [...studies].map((studyInstanceUid) => {
          const other = federator.elsewhere.get(studyInstanceUid);
          const here = found.some((fact) => fact.studyInstanceUid === studyInstanceUid);
          return { studyInstanceUid, complete: !other && here, sources: [], ...other };
        }),
      };
    },
  );
  return federator;
}

function isIn(scope: LocateRequest, fact: InstanceStored): boolean {
  if (scope.patientId !== undefined) return stringOf(fact.header, tags.PatientID) === scope.patientId;
  if (!scope.studyInstanceUids.includes(fact.studyInstanceUid)) return false;
  if (scope.sopInstanceUids) return scope.sopInstanceUids.includes(fact.sopInstanceUid);
  return scope.seriesInstanceUids?.includes(fact.seriesInstanceUid) ?? true;
}
