import { canonicalJson, nextStamp } from '@isthmus/domain';
import type { StoredEvent } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import { newUuid, Problem } from '@isthmus/service-kit';
import { recordSubject } from './records.ts';
import type { RecordKind, RecordName, RisEvent, RisRecord } from './records.ts';

export interface PlaceParts {
  readonly eventLog: Pick<EventLog, 'readSubject' | 'appendExpecting'>;
  readonly cluster: string;
  readonly attemptsMax: number;
  readonly now: () => Date;
}

export interface Placed {
  /**
   * `created`: nobody had placed it before; `changed`: other content than before; `unchanged`: nothing was
   * appended.
   */
  readonly outcome: 'created' | 'changed' | 'unchanged';
  /** Where the log has it. */
  readonly sequence: number;
  readonly record: RisRecord;
  readonly placedAt: string;
  readonly changedAt: string;
}

/**
 * Records an order or a visit, whole, and returns once the log has it. The same content again appends
 * nothing; other content is a change, whatever the status. Two writers at one time are put in order by the
 * log.
 *
 * @param eventId - Derived from the Idempotency-Key: the same id again gives what was placed then.
 * @throws {Problem} 409 when others kept changing it `attemptsMax` times. Errors of the log pass through.
 */
export async function place(
  entry: { readonly kind: RecordKind; readonly name: RecordName; readonly record: RisRecord },
  eventId: string | undefined,
  parts: PlaceParts,
): Promise<Placed> {
  const subject = recordSubject(entry.kind, entry.name);
  for (let attempt = 1; attempt <= parts.attemptsMax; attempt++) {
    const history = (await parts.eventLog.readSubject(
      'STUDY',
      subject,
      0,
    )) as readonly StoredEvent<RisEvent>[];
    const first = history[0];
    const last = history.at(-1);
    const earlier = eventId === undefined ? undefined : history.find(({ event }) => event.id === eventId);
    if (earlier) return placed(earlier === first ? 'created' : 'changed', earlier, first ?? earlier);
    if (first && last && canonicalJson(last.event.data) === canonicalJson(entry.record))
      return placed('unchanged', last, first);

    const event = placedEvent(entry, eventId, last?.event, parts);
    const appended = await parts.eventLog.appendExpecting(subject, event, last?.sequence ?? 0);
    if (!appended.ok) continue;
    const stored = { sequence: appended.sequence, logSubject: subject, event };
    return placed(first ? 'changed' : 'created', stored, first ?? stored);
  }
  throw new Problem(409, undefined, {
    detail: 'Others changed it at the same time; send it again.',
    code: 'TOO_MANY_WRITERS',
  });
}

function placed(
  outcome: Placed['outcome'],
  stored: StoredEvent<RisEvent>,
  first: StoredEvent<RisEvent>,
): Placed {
  return {
    outcome,
    sequence: stored.sequence,
    record: stored.event.data,
    placedAt: first.event.time,
    changedAt: stored.event.time,
  };
}

function placedEvent(
  entry: { readonly kind: RecordKind; readonly name: RecordName; readonly record: RisRecord },
  eventId: string | undefined,
  replaced: RisEvent | undefined,
  parts: PlaceParts,
): RisEvent {
  const now = parts.now();
  return {
    id: eventId ?? newUuid(now.getTime()),
    type: entry.kind === 'order' ? 'OrderPlaced' : 'VisitBooked',
    source: `${parts.cluster}/ris-gateway`,
    subject: entry.name.number,
    time: now.toISOString(),
    origin: parts.cluster,
    // Orders are ordered by the log of the one cluster that takes them, so the stamp before is all there is
    // to beat.
    hlc: nextStamp({ clock: '', nowMs: now.getTime(), register: replaced?.hlc }),
    path: [parts.cluster],
    ...(replaced ? { basis: replaced.hlc } : {}),
    v: 1,
    data: entry.record,
  } as RisEvent;
}
