import { element, tags } from '@isthmus/dicom';
import { requestSubjects } from '@isthmus/domain';
import type {
  DataSetJson,
  FindAnswer,
  FindRequest,
  InstanceStored,
  LocatedInstance,
  LocateAnswer,
  LocateRequest,
} from '@isthmus/domain';
import { connectEventLog } from '@isthmus/event-log';
import { studyInstanceUid } from './objects.ts';

/**
 * The other side of the edge's requests, as cheap as it can be: rows that are ready, and objects as the log has them. Run
 * by the bench in a process of its own: `node scripted-federator.ts NATS_URL CLUSTER ROWS`.
 */
const [servers = '', cluster = '', rowCount = '0'] = process.argv.slice(2);
/** Objects in one answer, which must stay below the size of a message. */
const answerInstances = 100;
const silent = { info() {}, warn() {}, error() {} };
const eventLog = await connectEventLog({ servers, cluster, service: 'query-federator', log: silent });

const rows = Array.from({ length: Number(rowCount) }, (_, index): DataSetJson => {
  return {
    [tags.SOPInstanceUID]: element('UI', `1.2.826.0.1.3680043.10.1561.2.${1_000_000_000 + index}`),
    [tags.SOPClassUID]: element('UI', '1.2.840.10008.5.1.4.1.1.2'),
    [tags.StudyInstanceUID]: element('UI', studyInstanceUid),
    [tags.SeriesInstanceUID]: element('UI', `${studyInstanceUid}.1`),
    [tags.InstanceNumber]: element('IS', index + 1),
  };
});

eventLog.requests.answerStream<FindRequest, FindAnswer>(requestSubjects.find, async function* () {
  for (const row of rows) yield { row };
  const outcome = { cluster, status: 'answered' as const, rows: rows.length, keysNotApplied: [] };
  yield { done: { outcomes: [outcome] } };
});

/** By SOP Instance UID, kept up to date: reading the log for each question would count as the edge's time. */
const instances = new Map<string, LocatedInstance>();
let seen = 0;
let onSeen = Promise.withResolvers<void>();

eventLog.requests.answerStream<LocateRequest, LocateAnswer>(
  requestSubjects.locate,
  async function* ({ payload }) {
    const last = await eventLog.lastSequence('INSTANCES');
    while (seen < last) await onSeen.promise;
    const { sopInstanceUids, studyInstanceUids } = payload;
    const found = [...instances.values()].filter((fact) => studyInstanceUids.includes(fact.studyInstanceUid));
    const asked = sopInstanceUids && new Set(sopInstanceUids);
    const wanted = asked ? found.filter((fact) => asked.has(fact.sopInstanceUid)) : found;
    for (let at = 0; at < wanted.length; at += answerInstances) {
      yield { instances: wanted.slice(at, at + answerInstances) };
    }
    yield {
      studies: studyInstanceUids.map((uid) => ({ studyInstanceUid: uid, complete: true, sources: [] })),
    };
  },
);

const never = new AbortController().signal;
const following = (async () => {
  for await (const batch of eventLog.follow('INSTANCES', { after: 0, signal: never })) {
    for (const { event, sequence } of batch) {
      const { header: _header, ...located } = event.data as InstanceStored;
      instances.set(located.sopInstanceUid, located);
      seen = sequence;
    }
    onSeen.resolve();
    onSeen = Promise.withResolvers();
  }
})();
console.log('ready');
await following;
