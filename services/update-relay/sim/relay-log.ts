import type { EventEnvelope, StoredEvent } from '@isthmus/domain';
import { LogUnavailableError } from '@isthmus/event-log';
import type { EventLog, StreamName } from '@isthmus/event-log';
import type { Life, Scheduler } from './scheduler.ts';

/** What of an event log outlives its readers and writers. */
export interface LogDisk {
  readonly incarnation: string;
  readonly streams: { readonly [stream in StreamName]: StoredEvent[] };
}

export function emptyLogDisk(incarnation: string): LogDisk {
  return { incarnation, streams: { STUDY: [], INSTANCES: [] } };
}

/** What of the event log's interface the relay's logic uses, without requests. */
export type RelayLog = Pick<
  EventLog,
  'incarnation' | 'append' | 'appendAll' | 'appendExpecting' | 'readSubject' | 'lastOf' | 'lastSequence'
>;

/** What becomes of appends. */
export interface AppendFate {
  /** Asked for each: whether its acknowledgement is lost, and whether it is stored all the same. */
  appendFails(): 'no' | 'stored' | 'lost';
  readonly without: {
    decided?(event: EventEnvelope): EventEnvelope;
    readonly acknowledgesWhatIsLost?: boolean;
  };
}

/** A log as one process sees it. The process can be stopped, or lose the answer, before and after every append. */
export function relayLog(disk: LogDisk, scheduler: Scheduler, life: Life, fate: AppendFate): RelayLog {
  const put = (stream: StreamName, subject: string, event: EventEnvelope): number => {
    const sequence = disk.streams[stream].length + 1;
    disk.streams[stream].push({ sequence, logSubject: subject, event });
    return sequence;
  };
  const pretend = <Result>(store: () => Result): Result => {
    const before = { ...disk.streams };
    const lengths = [before.STUDY.length, before.INSTANCES.length] as const;
    const result = store();
    before.STUDY.length = lengths[0];
    before.INSTANCES.length = lengths[1];
    return result;
  };
  /** The acknowledgement may be lost: whoever appended does not know whether it is stored. */
  const appending = async <Result>(store: () => Result): Promise<Result> => {
    await scheduler.turn(life);
    const failure = fate.appendFails();
    if (failure === 'lost' && fate.without.acknowledgesWhatIsLost === true) return pretend(store);
    const result = failure === 'lost' ? undefined : store();
    await scheduler.turn(life);
    if (failure !== 'no' || result === undefined) throw new LogUnavailableError('no acknowledgement');
    return result;
  };
  const last = (stream: StreamName, subject: string): StoredEvent | undefined =>
    disk.streams[stream].findLast((entry) => entry.logSubject === subject);
  return {
    incarnation: disk.incarnation,
    append: (stream, subject, event) =>
      appending(() => ({ sequence: put(stream, subject, event), duplicate: false })),
    appendAll: async (stream, entries) => {
      const done: { sequence: number; duplicate: boolean }[] = [];
      for (const { subject, event } of entries)
        done.push(await appending(() => ({ sequence: put(stream, subject, event), duplicate: false })));
      return done;
    },
    appendExpecting: (subject, event, expected) =>
      appending(() => {
        const before = last('STUDY', subject);
        const lastSequence = before?.sequence ?? 0;
        if (before?.event.id === event.id) return { ok: true, sequence: lastSequence, duplicate: true };
        if (lastSequence !== expected) return { ok: false, lastSequence };
        return {
          ok: true,
          sequence: put('STUDY', subject, fate.without.decided?.(event) ?? event),
          duplicate: false,
        };
      }),
    readSubject: async (stream, subject, after) => {
      await scheduler.turn(life);
      return disk.streams[stream].filter((entry) => entry.logSubject === subject && entry.sequence > after);
    },
    lastOf: async (stream, subject) => {
      await scheduler.turn(life);
      return last(stream, subject);
    },
    lastSequence: async (stream) => disk.streams[stream].length,
  };
}
