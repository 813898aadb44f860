import { sql } from 'kysely';
import { Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import type { StoredEvent } from '@isthmus/domain';
import type { CheckResult } from '../http/health.ts';
import { backoff, sleep } from '../lifecycle/backoff.ts';
import type { Log } from '../log/log.ts';
import type { Database, DatabaseTransaction, SqlConnection } from '../postgres/connect.ts';
import { isDatabaseUnreachable } from '../postgres/errors.ts';
import {
  adoptIncarnation,
  CheckpointMovedError,
  createCheckpoint,
  ensureCheckpointTable,
  moveCheckpoint,
  readCheckpoint,
  resetProjection,
} from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';
import { ProjectionHaltedError } from './errors.ts';
import { waiters } from './waiters.ts';

/** The part of an event log that a projection needs; an `EventLog` fits. */
export interface EventSource {
  readonly incarnation: string;
  follow(
    stream: 'STUDY' | 'INSTANCES',
    options: {
      readonly after: number;
      readonly filter?: string;
      readonly batchMax?: number;
      readonly signal: AbortSignal;
    },
  ): AsyncIterable<readonly StoredEvent[]>;
  lastSequence(stream: 'STUDY' | 'INSTANCES'): Promise<number>;
  /** Newest event under a subject, wildcards allowed. Lets a projection with a filter tell its lag exactly. */
  lastOf?(stream: 'STUDY' | 'INSTANCES', subject: string): Promise<StoredEvent | undefined>;
}

export interface ProjectionOptions<Tables = unknown> {
  readonly db: Database<Tables>;
  readonly log: Log;
  /** Names checkpoint, lock and metrics. Unique in the service's schema. */
  readonly name: string;
  readonly source: EventSource;
  readonly stream: 'STUDY' | 'INSTANCES';
  /**
   * One NATS subject filter. Events that do not match never move the checkpoint: it stays behind the stream's
   * last sequence, and `lag` is exact only while it is 0.
   */
  readonly filter?: string;
  /** Events per transaction at most. @default 500 */
  readonly batchMax?: number;
  /**
   * Writes the rows that follow from the events, in order, through `tx` only: events can be given again after
   * a rollback, so nothing outside the transaction may be touched. Must bear an event whose id it has seen
   * already.
   */
  apply(tx: DatabaseTransaction<Tables>, events: readonly StoredEvent[]): Promise<void>;
  /** Emptied by `rebuild`. Every table that `apply` writes, and none with what cannot be derived. */
  readonly tables: readonly string[];
  /** Where lag and checkpoint are published. */
  readonly metrics?: Registry;
  /** Tries of an event that fails alone before the projection halts. @default 3 */
  readonly triesMax?: number;
  /**
   * How often a stand-by asks for the lock, and an idle projector looks for a rebuild by others.
   * @default 500
   */
  readonly pollMs?: number;
}

export type ProjectionState = 'starting' | 'standby' | 'running' | 'retrying' | 'halted' | 'stopped';

export interface Projection {
  /** Sequence of the last event whose rows are committed, as far as this instance knows. */
  checkpoint(): number;
  state(): ProjectionState;
  /** For readiness: not ok while starting, halted or without database or log. */
  health(): CheckResult;
  /**
   * @returns Whether the checkpoint reached the sequence within the time. False at once when halted or
   * stopped.
   */
  waitFor(sequence: number, timeoutMs: number): Promise<boolean>;
  /**
   * Calls the listener after each commit, and when the checkpoint falls back to 0 for a rebuild.
   * @returns Unsubscribes.
   */
  onAdvance(listener: (checkpoint: number) => void): () => void;
  /** Events of the stream that are not projected yet. @throws When the log cannot be asked. */
  lag(): Promise<number>;
  /**
   * Empties the tables and folds the log anew, while the service goes on serving what is there. Also the way
   * out of a halt. Resolves when the old position is reached again.
   * @throws {ProjectionHaltedError} It halted on the way.
   */
  rebuild(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Folds a stream into tables: rows and checkpoint in one transaction, compare-and-set on the checkpoint, one
 * projector at a time by advisory lock (further instances stand by and follow the checkpoint). Starts in the
 * background and heals by itself when PostgreSQL or the log come back.
 *
 * It halts, for good and with a log line, when the log is not the one that the rows follow from (other
 * incarnation, or shorter than the checkpoint), and when one event cannot be applied: no event is ever passed
 * over.
 */
export function startProjection<Tables>(options: ProjectionOptions<Tables>): Projection {
  const projector = new Projector(options);
  if (options.metrics) publish(projector, options.name, options.metrics);
  projector.start();
  return projector;
}

type Halt = { readonly reason: string; readonly remedy: string };

class Projector<Tables> implements Projection {
  readonly #options: ProjectionOptions<Tables>;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  readonly #waiters = waiters();
  /** Aborted to make the running session begin anew; replaced with each session. */
  #session = new AbortController();
  #state: ProjectionState = 'starting';
  #detail = '';
  #position: Checkpoint = { sequence: 0, incarnation: '' };
  #halt: Halt | undefined;
  #finished: Promise<void> = Promise.resolve();

  constructor(options: ProjectionOptions<Tables>) {
    this.#options = options;
    this.#log = options.log.child({ projection: options.name });
  }

  start(): void {
    this.#finished = this.#run();
  }

  checkpoint(): number {
    return this.#position.sequence;
  }

  state(): ProjectionState {
    return this.#state;
  }

  health(): CheckResult {
    const ok = this.#state === 'running' || this.#state === 'standby';
    return { ok, detail: this.#detail === '' ? this.#state : `${this.#state}: ${this.#detail}` };
  }

  waitFor(sequence: number, timeoutMs: number): Promise<boolean> {
    return this.#waiters.waitFor(sequence, timeoutMs);
  }

  onAdvance(listener: (checkpoint: number) => void): () => void {
    return this.#waiters.onAdvance(listener);
  }

  async lag(): Promise<number> {
    const { source, stream, filter } = this.#options;
    if (filter !== undefined && source.lastOf) {
      // Events of others never move this checkpoint: caught up means that the newest of ours is projected.
      const newest = await source.lastOf(stream, filter);
      if ((newest?.sequence ?? 0) <= this.checkpoint()) return 0;
    }
    return Math.max(0, (await source.lastSequence(stream)) - this.checkpoint());
  }

  async rebuild(): Promise<void> {
    const { db, name, stream, source, tables } = this.#options;
    const last = await source.lastSequence(stream);
    const target = Math.min(this.#position.sequence, last);
    await ensureCheckpointTable(db);
    await resetProjection(db, { name, stream, incarnation: source.incarnation, tables });
    this.#log.warn({ target }, 'rebuilding: tables emptied, folding the log anew');
    this.#halt = undefined;
    this.#setState('starting', 'rebuilding');
    this.#position = { sequence: 0, incarnation: source.incarnation };
    // Also when it had halted at 0: whoever waits from now on has reason to.
    this.#waiters.advance(0, this.#log);
    this.#session.abort();
    while (!(await this.#waiters.waitFor(target, 60_000))) {
      const halt = this.#halt as Halt | undefined;
      if (halt) throw new ProjectionHaltedError(name, halt.reason, halt.remedy);
      if (this.#stopping.signal.aborted)
        throw new ProjectionHaltedError(name, 'stopped', 'Start the service.');
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#session.abort();
    await this.#finished;
    this.#setState('stopped');
    this.#waiters.fail();
  }

  async #run(): Promise<void> {
    const pause = backoff({ baseMs: 50, maxMs: 2_000 });
    while (!this.#stopping.signal.aborted) {
      this.#session = new AbortController();
      try {
        await this.#runSession(() => pause.reset());
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        if (this.#session.signal.aborted || error instanceof CheckpointMovedError) continue;
        this.#setState('retrying', 'database or event log is away');
        this.#log.warn({ err: error, attempt: pause.attempts }, 'projection interrupted; trying again');
        await pause.wait(this.#stopping.signal);
      }
    }
  }

  /**
   * One life with one database connection, which holds the lock: when it dies, so does the lock, and so does
   * the write.
   */
  async #runSession(succeeded: () => void): Promise<void> {
    const { db } = this.#options;
    if (this.#halt) return this.#waitHalted();
    await ensureCheckpointTable(db);
    await db.connection().execute(async (connection) => {
      const locked = await this.#awaitLock(connection);
      if (!locked) return;
      try {
        if (!(await this.#open(connection))) return;
        succeeded();
        await this.#fold(connection);
      } finally {
        // Fails when the connection is dead, and then there is no lock to give back.
        await sql`select pg_advisory_unlock_all()`.execute(connection).catch(() => undefined);
      }
    });
  }

  async #waitHalted(): Promise<void> {
    this.#setState('halted', this.#halt?.reason ?? '');
    this.#waiters.fail();
    const either = AbortSignal.any([this.#session.signal, this.#stopping.signal]);
    await sleep(24 * 3_600_000, either);
  }

  #stopHere(halt: Halt, facts: object = {}): void {
    this.#halt = halt;
    this.#log.error({ ...facts, remedy: halt.remedy }, `projection halted: ${halt.reason}`);
  }

  async #awaitLock(connection: SqlConnection): Promise<boolean> {
    const key = `isthmus projection ${this.#options.name}`;
    const { pollMs = 500 } = this.#options;
    while (!this.#session.signal.aborted) {
      // The key is made unique per schema: every service may name a projection `state`.
      const asked = await sql<{ locked: boolean }>`select pg_try_advisory_lock(
        hashtextextended(current_schema() || ' ' || ${key}, 0)) as locked`.execute(connection);
      if (asked.rows[0]?.locked === true) return true;
      if (this.#state !== 'standby') this.#log.info('another instance projects; standing by');
      this.#setState('standby');
      const row = await readCheckpoint(connection, this.#options.name);
      if (row) this.#setPosition(row);
      await sleep(pollMs, this.#session.signal);
    }
    return false;
  }

  /** Reads the checkpoint and compares it with the log. @returns Whether folding may begin. */
  async #open(connection: Database<Tables>): Promise<boolean> {
    const { name, stream, source } = this.#options;
    await createCheckpoint(connection, { name, stream, incarnation: source.incarnation });
    let row = await readCheckpoint(connection, name);
    if (row?.sequence === 0 && row.incarnation !== source.incarnation) {
      await adoptIncarnation(connection, name, source.incarnation);
      row = await readCheckpoint(connection, name);
    }
    if (!row) throw new CheckpointMovedError(name);
    const last = await source.lastSequence(stream);
    const remedy = 'Restore the log, or rebuild this projection once the log is known to be right.';
    const facts = { checkpoint: row, log: { incarnation: source.incarnation, lastSequence: last } };
    this.#setPosition(row);
    if (row.incarnation !== source.incarnation) {
      this.#stopHere({ reason: 'the event log is another one than the rows follow from', remedy }, facts);
      return false;
    }
    if (last < row.sequence) {
      this.#stopHere({ reason: 'the event log is shorter than the checkpoint', remedy }, facts);
      return false;
    }
    this.#setState('running');
    return true;
  }

  async #fold(connection: Database<Tables>): Promise<void> {
    const { source, stream, filter, batchMax = 500 } = this.#options;
    const signal = AbortSignal.any([this.#session.signal, this.#stopping.signal]);
    const ended = new AbortController();
    const watching = this.#watchCheckpoint(AbortSignal.any([signal, ended.signal]));
    try {
      const options = {
        after: this.#position.sequence,
        batchMax,
        signal,
        ...(filter === undefined ? {} : { filter }),
      };
      for await (const batch of source.follow(stream, options)) {
        if (signal.aborted) return;
        const events = batch.filter((stored) => stored.sequence > this.#position.sequence);
        if (events.length === 0) continue;
        if (!(await this.#applyBatch(connection, events))) return;
      }
      if (!signal.aborted) throw new Error('the event log ended its stream of events');
    } finally {
      ended.abort();
      await watching;
    }
  }

  /**
   * Notices, on a connection of its own, that the database is gone or that somebody else began a rebuild,
   * while no event comes.
   */
  async #watchCheckpoint(signal: AbortSignal): Promise<void> {
    const { db, name, pollMs = 500 } = this.#options;
    while (!signal.aborted) {
      await sleep(Math.max(pollMs, 500) * 4, signal);
      if (signal.aborted) return;
      const before = this.#position.sequence;
      const row = await readCheckpoint(db, name).catch(() => undefined);
      const moved =
        row === undefined || row.sequence < before || row.incarnation !== this.#position.incarnation;
      if (moved && !signal.aborted) {
        this.#log.warn('lost the database, or the projection was reset elsewhere; beginning anew');
        this.#session.abort();
      }
    }
  }

  /** @returns False when the projection has halted on an event of the batch. */
  async #applyBatch(connection: Database<Tables>, events: readonly StoredEvent[]): Promise<boolean> {
    try {
      await this.#applyOnce(connection, events);
      return true;
    } catch (error) {
      if (isDatabaseUnreachable(error) || error instanceof CheckpointMovedError) throw error;
      this.#log.warn({ err: error, events: events.length }, 'a batch failed; applying its events one by one');
    }
    for (const event of events) if (!(await this.#applyAlone(connection, event))) return false;
    return true;
  }

  async #applyAlone(connection: Database<Tables>, stored: StoredEvent): Promise<boolean> {
    const { triesMax = 3 } = this.#options;
    const pause = backoff({ baseMs: 50, maxMs: 1_000 });
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#applyOnce(connection, [stored]);
        return true;
      } catch (error) {
        if (isDatabaseUnreachable(error) || error instanceof CheckpointMovedError) throw error;
        if (attempt >= triesMax) {
          const { sequence, logSubject, event } = stored;
          const facts = { err: error, sequence, logSubject, id: event.id, type: event.type, v: event.v };
          const remedy =
            'Install a version that can apply this event and start again. Nothing after it is projected.';
          this.#stopHere({ reason: `event ${sequence} (${event.type}) cannot be applied`, remedy }, facts);
          return false;
        }
        await pause.wait(this.#stopping.signal);
      }
    }
  }

  async #applyOnce(connection: Database<Tables>, events: readonly StoredEvent[]): Promise<void> {
    const { name, apply } = this.#options;
    const to = events.at(-1)?.sequence ?? this.#position.sequence;
    await connection.transaction().execute(async (tx) => {
      await moveCheckpoint(tx, name, this.#position, to);
      await apply(tx, events);
    });
    if (this.#session.signal.aborted) return; // A rebuild may have begun meanwhile: the position is its.
    this.#setPosition({ ...this.#position, sequence: to });
  }

  #setState(state: ProjectionState, detail = ''): void {
    this.#state = state;
    this.#detail = detail;
  }

  #setPosition(position: Checkpoint): void {
    const moved = position.sequence !== this.#position.sequence;
    this.#position = position;
    if (moved) this.#waiters.advance(position.sequence, this.#log);
  }
}

/** Several projections of one service share the two gauges. */
function publish(projection: Projection, name: string, registry: Registry): void {
  const labelNames = ['projection'] as const;
  const gauge = (metric: string, help: string, read: () => Promise<number> | number): void => {
    const existing = registry.getSingleMetric(metric) as (Gauge & { sources?: Sources }) | undefined;
    if (existing?.sources) return void existing.sources.set(name, read);
    const sources: Sources = new Map([[name, read]]);
    const made = new Gauge({
      name: metric,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        for (const [projectionName, source] of sources) {
          const value = await Promise.resolve()
            .then(source)
            .catch(() => Number.NaN);
          this.set({ projection: projectionName }, value);
        }
      },
    });
    Object.assign(made, { sources });
  };
  gauge('isthmus_projection_lag_events', 'Events of the log that are not projected yet', () =>
    projection.lag(),
  );
  gauge('isthmus_projection_checkpoint', 'Sequence of the last event projected', () =>
    projection.checkpoint(),
  );
}

type Sources = Map<string, () => Promise<number> | number>;
