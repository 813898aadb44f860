import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { derivedUuid, newUuid } from '../ids/uuid.ts';
import type { SqlConnection } from '../postgres/connect.ts';
import type { Migration } from '../postgres/migrate.ts';
import { Problem } from './problem.ts';

/** What a write answers, in a form that can be repeated. */
export interface WriteAnswer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: { readonly [name: string]: string };
}

export interface Idempotency {
  /**
   * Does the work once per `Idempotency-Key` and route, and answers. A retry with the same key and body gets
   * the first answer again (header `idempotency-replayed: true`). Without a key the work is simply done.
   *
   * The work gets an event id: random without a key, else derived from service, route and key, so that even a
   * retry after a crash between append and answer is the same event. Only answers below 400 are kept; after
   * an error the key is free.
   *
   * @throws {Problem} 400 bad key; 422 same key, other body; 409 the first request is still being worked on.
   */
  once(
    request: FastifyRequest,
    reply: FastifyReply,
    work: (eventId: string | undefined) => Promise<WriteAnswer>,
  ): Promise<FastifyReply>;
}

/** Add to a service's migrations. */
export const idempotencyMigration: Migration = {
  name: 'kit-0001-idempotency-key',
  up: (db) =>
    sql`create table if not exists idempotency_key (
      key_hash text primary key, body_hash text not null, started_at timestamptz not null default now(),
      worker uuid not null, status integer, headers jsonb, body jsonb)`.execute(db),
};

const keptHours = 24;
/**
 * After this long without an answer the process at work is taken for dead. Short, since a second go at living work does
 * no harm: it makes the same event.
 */
const abandonedSeconds = 10;
const keyPattern = /^[\x21-\x7e]{1,255}$/;

type Row = {
  body_hash: string;
  status: number | null;
  headers: Record<string, string> | null;
  body: unknown;
};

/** @param options.service - Part of every derived event id. */
export function createIdempotency(options: { db: SqlConnection; service: string }): Idempotency {
  const { db, service } = options;
  let cleanedAt = Number.NEGATIVE_INFINITY;
  const worker = newUuid();
  /** Keys at work in this process now. A row of ours that is not among them was left behind by a lost database. */
  const working = new Set<string>();

  const clean = async (): Promise<void> => {
    if (performance.now() - cleanedAt < 600_000) return;
    cleanedAt = performance.now();
    await sql`delete from idempotency_key where started_at < now() - make_interval(hours => ${keptHours})`.execute(
      db,
    );
  };

  /** @returns The answer to repeat; undefined when the work is ours to do. */
  const begin = async (keyHash: string, bodyHash: string, alone: boolean): Promise<Row | undefined> => {
    const begun = await sql`insert into idempotency_key (key_hash, body_hash, worker)
      values (${keyHash}, ${bodyHash}, ${worker})
      on conflict (key_hash) do update set started_at = now(), body_hash = excluded.body_hash,
        worker = excluded.worker, status = null, headers = null, body = null
      where idempotency_key.started_at < now() - make_interval(hours => ${keptHours})
        or (idempotency_key.status is null and idempotency_key.body_hash = excluded.body_hash
            and (idempotency_key.started_at < now() - make_interval(secs => ${abandonedSeconds})
              or (idempotency_key.worker = excluded.worker and ${alone})))
      returning key_hash`.execute(db);
    if (begun.rows.length === 1) return undefined;
    const found = await sql<Row>`select body_hash, status, headers, body from idempotency_key
      where key_hash = ${keyHash}`.execute(db);
    const row = found.rows[0];
    if (row && row.body_hash !== bodyHash) {
      const detail = 'This Idempotency-Key was used with another body.';
      throw new Problem(422, undefined, { detail, code: 'IDEMPOTENCY_KEY_REUSED' });
    }
    if (!row || row.status === null) {
      const detail = 'The first request with this Idempotency-Key is still being worked on.';
      throw new Problem(409, undefined, { detail, code: 'IN_PROGRESS', headers: { 'retry-after': '1' } });
    }
    return row;
  };

  const doOnce = async (keyHash: string, work: () => Promise<WriteAnswer>): Promise<WriteAnswer> => {
    let answer: WriteAnswer;
    try {
      answer = await work();
    } catch (error) {
      await sql`delete from idempotency_key where key_hash = ${keyHash} and status is null`.execute(db);
      throw error;
    }
    await sql`update idempotency_key set status = ${answer.status},
      headers = ${JSON.stringify(answer.headers ?? {})}::jsonb,
      body = ${JSON.stringify(answer.body ?? null)}::jsonb where key_hash = ${keyHash}`.execute(db);
    return answer;
  };

  return {
    once: async (request, reply, work) => {
      const key = request.headers['idempotency-key'];
      if (key === undefined) return send(reply, await work(undefined));
      if (typeof key !== 'string' || !keyPattern.test(key)) {
        throw new Problem(400, undefined, { detail: 'Idempotency-Key: 1 to 255 visible ASCII characters.' });
      }
      await clean();
      const route = `${request.method} ${request.url.split('?')[0]}`;
      const keyHash = sha256(JSON.stringify([route, key]));
      const bodyHash = sha256(JSON.stringify(request.body ?? null));
      const alone = !working.has(keyHash);
      if (alone) working.add(keyHash);
      try {
        const earlier = await begin(keyHash, bodyHash, alone);
        if (!earlier) return send(reply, await doOnce(keyHash, () => work(derivedUuid(service, route, key))));
        reply.header('idempotency-replayed', 'true');
        const { status, body, headers } = earlier;
        return send(reply, { status: status ?? 200, body, headers: headers ?? {} });
      } finally {
        if (alone) working.delete(keyHash);
      }
    },
  };
}

function send(reply: FastifyReply, answer: WriteAnswer): FastifyReply {
  return reply
    .code(answer.status)
    .headers(answer.headers ?? {})
    .send(answer.body ?? undefined);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
