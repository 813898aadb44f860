import { createMetrics } from '@isthmus/service-kit';
import type { Metrics } from '@isthmus/service-kit';
import { Counter, Gauge } from 'prom-client';

/** What dimse-edge counts. Labels never carry AE titles or UIDs off the wire: strangers must not make new series. */
export interface EdgeMetrics {
  readonly registry: Metrics;
  /** Objects that came in by C-STORE. `outcome`: stored, duplicate, identical, conflict, refused, failed. */
  received(outcome: string, bytes: number): void;
  /** Objects sent by C-STORE. `outcome`: sent, failed. */
  sent(outcome: string, bytes: number): void;
  /** DIMSE requests answered, by operation and class of status (success, warning, failure, cancel). */
  answered(operation: string, outcome: string): void;
  associations(open: number): void;
  /** Requests for storage commitment that are done. `outcome`: committed (all of it), failed (some or all), undelivered. */
  commitment(outcome: string): void;
  commitmentsPending(count: number): void;
  /** Our certificate for DICOM over TLS is valid until then. */
  certificateExpires(validTo: Date): void;
}

/** One registry per service, served at `/metrics`. */
export function createEdgeMetrics(cluster: string): EdgeMetrics {
  const registry = createMetrics({ service: 'dimse-edge', cluster });
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[]): Counter =>
    new Counter({ name, help, labelNames, registers });
  const receivedObjects = counter('isthmus_objects_received_total', 'Objects that came in by C-STORE', [
    'outcome',
  ]);
  const receivedBytes = counter('isthmus_object_bytes_received_total', 'Bytes of data sets that came in', []);
  const sentObjects = counter('isthmus_objects_sent_total', 'Objects sent by C-STORE', ['outcome']);
  const sentBytes = counter('isthmus_object_bytes_sent_total', 'Bytes of files whose data set was sent', []);
  const answers = counter('isthmus_dimse_answers_total', 'DIMSE requests answered', ['operation', 'outcome']);
  const open = new Gauge({ name: 'isthmus_associations_open', help: 'Associations from peers', registers });
  const expires = new Gauge({
    name: 'isthmus_tls_certificate_expires_timestamp_seconds',
    help: 'End of validity of the certificate for DICOM over TLS; 0 without one',
    registers,
  });
  const commitments = counter('isthmus_storage_commitments_total', 'Requests for storage commitment done', [
    'outcome',
  ]);
  const pending = new Gauge({
    name: 'isthmus_storage_commitments_pending',
    help: 'Requests for storage commitment that are to be reported on',
    registers,
  });
  return {
    registry,
    received: (outcome, bytes) => {
      receivedObjects.inc({ outcome });
      receivedBytes.inc(bytes);
    },
    sent: (outcome, bytes) => {
      sentObjects.inc({ outcome });
      sentBytes.inc(bytes);
    },
    answered: (operation, outcome) => answers.inc({ operation, outcome }),
    associations: (count) => open.set(count),
    commitment: (outcome) => commitments.inc({ outcome }),
    commitmentsPending: (count) => pending.set(count),
    certificateExpires: (validTo) => expires.set(validTo.getTime() / 1_000),
  };
}
