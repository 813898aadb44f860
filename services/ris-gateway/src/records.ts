import type { OrderPlaced, OrderPlacedEvent, VisitBooked, VisitBookedEvent } from '@isthmus/domain';
import { orderSubject } from '@isthmus/domain';

/** The two kinds of thing that a RIS books here, and how each is named. */
export type RecordKind = 'order' | 'visit';

export interface RecordOf {
  readonly order: OrderPlaced;
  readonly visit: VisitBooked;
}
export type RisRecord = OrderPlaced | VisitBooked;
export type RisEvent = OrderPlacedEvent | VisitBookedEvent;

/** Number and issuer of an order or a visit: together they name it. */
export interface RecordName {
  readonly number: string;
  readonly issuer: string;
}

export function orderName(order: OrderPlaced): RecordName {
  return { number: order.accessionNumber, issuer: order.accessionIssuer ?? '' };
}
export function visitName(visit: VisitBooked): RecordName {
  return { number: visit.visitNumber, issuer: '' };
}

/** The same number of two issuers is two orders. */
export function recordSubject(kind: RecordKind, name: RecordName): string {
  return orderSubject(kind, name.issuer === '' ? name.number : JSON.stringify([name.number, name.issuer]));
}

/** The record that an event of this service carries; undefined for any other event. */
export function recordOf(event: {
  readonly type: string;
  readonly data: unknown;
}): { readonly kind: RecordKind; readonly name: RecordName; readonly record: RisRecord } | undefined {
  if (event.type === 'OrderPlaced') {
    const record = event.data as OrderPlaced;
    return { kind: 'order', name: orderName(record), record };
  }
  if (event.type === 'VisitBooked') {
    const record = event.data as VisitBooked;
    return { kind: 'visit', name: visitName(record), record };
  }
  return undefined;
}
