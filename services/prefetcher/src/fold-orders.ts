import type { OrderPlaced, OrderPlacedEvent, StoredEvent } from '@isthmus/domain';
import { derivedUuid } from '@isthmus/service-kit';
import type { SqlConnection } from '@isthmus/service-kit';
import { sql } from 'kysely';

/** Id of the job of an order: the same trigger is the same job, however often it comes. */
export function jobId(order: Pick<OrderPlaced, 'accessionNumber' | 'accessionIssuer'>): string {
  return derivedUuid('prefetcher', 'order', order.accessionNumber, order.accessionIssuer ?? '');
}

/**
 * Turns orders into jobs. Scheduled: a job. Changed in patient, study or place of reading: the job begins
 * anew. Changed otherwise: it goes on. Cancelled or completed: it is cancelled, unless it is done. Orders
 * that another cluster took are that cluster's to act on. An event that was folded already changes nothing.
 */
export function foldOrders(
  cluster: string,
): (tx: SqlConnection, events: readonly StoredEvent[]) => Promise<void> {
  return async (tx, events) => {
    for (const { event, sequence } of events) {
      if (event.type !== 'OrderPlaced' || event.origin !== cluster) continue;
      const { data, time } = event as OrderPlacedEvent;
      if (data.status === 'SCHEDULED') await schedule(tx, data, { cluster, sequence, time });
      else await cancel(tx, data, sequence, time);
    }
  };
}

interface At {
  readonly cluster: string;
  readonly sequence: number;
  readonly time: string;
}

async function schedule(tx: SqlConnection, order: OrderPlaced, at: At): Promise<void> {
  await sql`insert into prefetch_job as job
    (id, accession_number, accession_issuer, patient_id, patient_issuer, study_instance_uid, read_at, scheduled_at,
     state, next_attempt_at, first_sequence, trigger_sequence, created_at, updated_at)
    values (${jobId(order)}, ${order.accessionNumber}, ${order.accessionIssuer ?? ''}, ${order.patient.id},
      ${order.patient.issuer}, ${order.studyInstanceUid ?? null}, ${order.readAt ?? at.cluster},
      ${order.scheduledAt ?? null}, 'NEW', now(), ${at.sequence}, ${at.sequence}, ${at.time}, ${at.time})
    on conflict (id) do update set
      patient_id = excluded.patient_id, patient_issuer = excluded.patient_issuer,
      study_instance_uid = excluded.study_instance_uid, read_at = excluded.read_at,
      scheduled_at = excluded.scheduled_at, trigger_sequence = excluded.trigger_sequence,
      updated_at = excluded.updated_at,
      ${anew('state', sql`'NEW'`)}, ${anew('reason', sql`null`)}, ${anew('attempts', sql`0`)},
      ${anew('next_attempt_at', sql`now()`)}, ${anew('lease_until', sql`null`)},
      ${anew('priors', sql`'[]'::jsonb`)}, ${anew('revision', sql`job.revision + 1`)}
    where job.trigger_sequence < excluded.trigger_sequence`.execute(tx);
}

/** `column = value` when the job must begin anew, else as it is. */
function anew(column: string, value: ReturnType<typeof sql>): ReturnType<typeof sql> {
  return sql`${sql.ref(column)} = case when job.state in ('FAILED', 'CANCELLED')
      or (job.patient_id, job.patient_issuer, job.study_instance_uid, job.read_at) is distinct from
         (excluded.patient_id, excluded.patient_issuer, excluded.study_instance_uid, excluded.read_at)
    then ${value} else ${sql.ref(`job.${column}`)} end`;
}

async function cancel(tx: SqlConnection, order: OrderPlaced, sequence: number, time: string): Promise<void> {
  const reason = order.status === 'CANCELLED' ? 'the order was cancelled' : 'the order was completed';
  await sql`update prefetch_job set trigger_sequence = ${sequence}, updated_at = ${time},
      state = case when state = 'DONE' then state else 'CANCELLED' end,
      reason = case when state = 'DONE' then reason else ${reason} end,
      lease_until = null, revision = revision + 1
    where id = ${jobId(order)} and trigger_sequence < ${sequence}`.execute(tx);
}
