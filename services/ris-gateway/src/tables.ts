import type { OrderPlaced, VisitBooked } from '@isthmus/domain';

export interface RisRecordTable {
  kind: 'order' | 'visit';
  number: string;
  /** Empty when the number has none. */
  issuer: string;
  status: string;
  body: OrderPlaced | VisitBooked;
  placed_at: Date;
  changed_at: Date;
  /** Sequence of the event that placed it: the order of the lists. */
  first_sequence: number;
  last_sequence: number;
}

export interface RisGatewayTables {
  ris_record: RisRecordTable;
}
