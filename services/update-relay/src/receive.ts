import { dimseStatus } from '@isthmus/dicom';
import {
  linkAllows,
  linkOfStation,
  manifestObjects,
  mergeRegisters,
  nextStamp,
  patientSubject,
  stationOfAeTitle,
  studySubject,
} from '@isthmus/domain';
import type {
  ChangeEvent,
  Configuration,
  EventEnvelope,
  LinkedUpdateAnswer,
  LinkedUpdateReceived,
  ObjectManifest,
  RegisterMap,
} from '@isthmus/domain';
import { EventTooLargeError, LogFullError } from '@isthmus/event-log';
import type { EventLog } from '@isthmus/event-log';
import { newUuid } from '@isthmus/service-kit';
import type { Log } from '@isthmus/service-kit';
import type { Batch, BatchItem } from './batch.ts';
import { changeOf } from './fold.ts';
import { decodeLinkedUpdate } from './linked-update.ts';
import { foldPatient, foldStudy } from './state.ts';
import type { SubjectLog } from './state.ts';
import { identityKey } from './store/rows.ts';
import type { RelayStore } from './store/rows.ts';
import { columnText } from './tables.ts';

export interface ReceiveParts {
  readonly cluster: string;
  readonly store: RelayStore;
  readonly eventLog: SubjectLog & Pick<EventLog, 'appendAll'>;
  readonly configuration: () => Configuration;
  readonly log: Log;
  readonly now?: () => Date;
  readonly newId?: (nowMs: number) => string;
  /** A manifest brought objects that are not here. */
  onObjects(): void;
}

/** A linked update that came in by C-STORE. */
export interface Incoming extends LinkedUpdateReceived {
  readonly dataSet: Uint8Array;
}

/**
 * Takes in a linked update: checks who sends and what, stores manifests, appends what is new to this cluster,
 * and answers success only after the log has acknowledged every event. A repeat appends nothing.
 *
 * Status: 0000 durable · A700 log full · A900 not what it claims to be · C102 format · C104 link off · 0124
 * not a linked cluster · 0110 a passing failure of ours. After any other than 0000 a part may be stored: the
 * same batch completes it.
 */
export async function receiveLinkedUpdate(
  parts: ReceiveParts,
  incoming: Incoming,
): Promise<LinkedUpdateAnswer> {
  const { log, configuration } = parts;
  const { callingAeTitle, sopInstanceUid } = incoming;
  const sender = senderOf(configuration(), callingAeTitle);
  const refuse = (answer: LinkedUpdateAnswer): LinkedUpdateAnswer => {
    log.warn({ callingAeTitle, sopInstanceUid, ...answer }, 'receive: refused a linked update');
    return answer;
  };
  if (typeof sender === 'number') return refuse({ status: sender });
  const dataSet = Buffer.from(incoming.dataSet);
  const decoded = decodeLinkedUpdate(dataSet, incoming.transferSyntaxUid);
  if ('status' in decoded) return refuse(decoded);
  const { batch } = decoded;
  if (batch.sender !== sender) {
    return refuse({
      status: dimseStatus.NotAuthorised,
      errorComment: 'the sender is not whom this AE title names',
    });
  }
  if (decoded.sopInstanceUid !== sopInstanceUid) {
    return refuse({
      status: dimseStatus.DataSetDoesNotMatchSopClass,
      errorComment: 'SOP Instance UID differs',
    });
  }
  try {
    const appended = await takeIn(parts, batch);
    const facts = { peer: sender, items: batch.items.length, appended, upto: batch.upto };
    log.info(facts, 'receive: a linked update is durable');
    return { status: dimseStatus.Success };
  } catch (error) {
    if (error instanceof LogFullError) {
      return refuse({ status: dimseStatus.OutOfResources, errorComment: 'the event log is full' });
    }
    if (error instanceof EventTooLargeError) {
      return refuse({
        status: dimseStatus.CannotUnderstand,
        errorComment: 'an event is too large for the log',
      });
    }
    log.warn(
      { err: error, peer: sender },
      'receive: could not take in a linked update; the sender tries again',
    );
    return { status: dimseStatus.ProcessingFailure, errorComment: 'try again' };
  }
}

/**
 * The cluster that sends under this AE title over a link that lets it, or the status word that refuses it.
 */
function senderOf(configuration: Configuration, callingAeTitle: string): string | number {
  const station = stationOfAeTitle(configuration, callingAeTitle);
  if (station?.kind !== 'cluster' || station.cluster === undefined) return dimseStatus.NotAuthorised;
  const link = linkOfStation(configuration, station);
  return linkAllows(link, 'updates', 'in') ? station.cluster : dimseStatus.LinkOff;
}

/** @returns How many events were appended. */
async function takeIn(parts: ReceiveParts, batch: Batch): Promise<number> {
  const { cluster, store, eventLog } = parts;
  // Objects first: whoever sees the event that announces them finds them known.
  const manifests = batch.items.flatMap((item) => (item.kind === 'manifest' ? [item.manifest] : []));
  const brought = await storeManifests(store, manifests, batch.sender);
  const entries = await eventsToAppend(parts, batch);
  const place = (event: EventEnvelope): string => {
    const { aggregate } = event.data as { aggregate?: unknown };
    return aggregate === 'study' ? studySubject(event.subject) : patientSubject(event.subject);
  };
  if (entries.length > 0) {
    await eventLog.appendAll(
      'STUDY',
      entries.map((event) => ({ subject: place(event), event })),
    );
  }
  if (brought) parts.onObjects();
  for (const event of entries) {
    const { id, type, subject } = event;
    if (event.data.aggregate === 'study') {
      parts.log.debug(
        { cluster, peer: batch.sender, eventId: id, type, study: subject },
        'receive: appended',
      );
    }
  }
  return entries.length;
}

async function eventsToAppend(parts: ReceiveParts, batch: Batch): Promise<ChangeEvent[]> {
  const known = await knownEvents(parts.store, batch.items);
  const states = stateMerger(parts);
  const events: ChangeEvent[] = [];
  for (const item of batch.items) {
    if (item.kind === 'manifest') continue;
    const path = item.kind === 'event' ? item.event.path : item.path;
    // What passed us once is in our log; only whole states may have to come back, and they come with a fresh
    // path.
    if (path.includes(parts.cluster)) continue;
    if (item.kind === 'state') {
      for (const [key, registers] of Object.entries(item.patients)) {
        events.push(...(await states.merge('patient', key, registers, path, batch.sender)));
      }
      events.push(...(await states.merge('study', item.study, item.registers, path, batch.sender)));
      continue;
    }
    const event = changeOf(item.event);
    if (!event) continue;
    const { aggregate, registers } = event.data;
    if (event.type === 'StateMerged') {
      events.push(...(await states.merge(aggregate, event.subject, registers, path, batch.sender)));
    } else if (!known.has(identity(event.subject, event.id))) {
      known.add(identity(event.subject, event.id));
      events.push(event);
      states.note(aggregate, event.subject, registers);
    }
  }
  return events;
}

/** As the timeline knows it. */
function identity(subject: string, id: string): string {
  return identityKey({ subject: columnText(subject), id: columnText(id) });
}

/**
 * Ids that the timeline has already. What the projection has not folded yet is appended again, and ignored
 * when folded.
 */
async function knownEvents(store: RelayStore, items: readonly BatchItem[]): Promise<Set<string>> {
  const events = items.flatMap((item) => (item.kind === 'event' ? [item.event] : []));
  return store.knownEvents(
    events.map(({ subject, id }) => ({ subject: columnText(subject), id: columnText(id) })),
  );
}

interface StateMerger {
  /** `StateMerged` with what the state would change here; nothing when it changes nothing. */
  merge(
    aggregate: 'study' | 'patient',
    subject: string,
    registers: RegisterMap,
    path: readonly string[],
    sender: string,
  ): Promise<ChangeEvent[]>;
  /** An event of the same batch that is about to be appended. */
  note(aggregate: 'study' | 'patient', subject: string, registers: RegisterMap): void;
}

/** Compares incoming states with ours, as they stand after everything before them in the batch. */
function stateMerger(parts: ReceiveParts): StateMerger {
  const { cluster, store, eventLog, now: clock = () => new Date(), newId = newUuid } = parts;
  const states = new Map<string, RegisterMap>();
  const pending = new Map<string, RegisterMap>();
  const current = async (aggregate: 'study' | 'patient', subject: string): Promise<RegisterMap> => {
    const key = `${aggregate} ${subject}`;
    const present = states.get(key);
    if (present) return present;
    const fold = aggregate === 'study' ? foldStudy : foldPatient;
    const { registers } = await fold(store, eventLog, subject);
    const state = mergeRegisters(registers, pending.get(key) ?? {});
    states.set(key, state);
    return state;
  };
  return {
    note: (aggregate, subject, registers) => {
      const key = `${aggregate} ${subject}`;
      const state = states.get(key);
      if (state) states.set(key, mergeRegisters(state, registers));
      else pending.set(key, mergeRegisters(pending.get(key) ?? {}, registers));
    },
    merge: async (aggregate, subject, registers, path, sender) => {
      const before = await current(aggregate, subject);
      const after = mergeRegisters(before, registers);
      if (after === before) return [];
      states.set(`${aggregate} ${subject}`, after);
      // Whole registers that changed: what travels on is what was news here.
      const news = Object.fromEntries(
        Object.entries(after).filter(([name, value]) => before[name] !== value),
      );
      const now = clock();
      const event: ChangeEvent = {
        id: newId(now.getTime()),
        type: 'StateMerged',
        source: `${cluster}/update-relay`,
        subject,
        time: now.toISOString(),
        origin: cluster,
        hlc: nextStamp({ clock: '', nowMs: now.getTime() }),
        path: [...new Set([...path, cluster])],
        v: 1,
        data: { aggregate, registers: news, intent: { from: sender } },
      };
      return [event];
    },
  };
}

/**
 * Adds the objects that manifests name to those known. Studies of which we hold a part are then looked at:
 * what is missing is pulled from who told us.
 *
 * @returns Whether any object was new.
 */
async function storeManifests(
  store: RelayStore,
  manifests: readonly ObjectManifest[],
  peer: string,
): Promise<boolean> {
  const objects = manifests.flatMap((manifest) =>
    manifestObjects(manifest).map((object) => ({
      study: manifest.studyInstanceUid,
      ...object,
      modality: columnText(object.modality.slice(0, 16)),
    })),
  );
  if (objects.length === 0) return false;
  return store.write(async (rows) => {
    const fresh = await rows.addNamedObjects(objects);
    await rows.markDirty(new Map(fresh.map((study) => [study, { headerChanged: false }])));
    await rows.pullFrom(peer, fresh);
    return fresh.length > 0;
  });
}
