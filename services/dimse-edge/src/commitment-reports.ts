import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isWarning, uids } from '@isthmus/dicom';
import type { EventReport, NOutcome } from '@isthmus/dimse';
import { stationOfAeTitle } from '@isthmus/domain';
import type { Configuration } from '@isthmus/domain';
import { backoff, sleep } from '@isthmus/service-kit';
import type { Log } from '@isthmus/service-kit';
import { checkCommitment } from './commitment-check.ts';
import type { CommitmentCheckParts } from './commitment-check.ts';
import { eventInformation } from './commitment.ts';
import type { CommitmentReport, CommitmentRequest } from './commitment.ts';
import type { Durability } from './durability.ts';
import type { EdgeProcesses } from './edge-processes.ts';
import {
  CommitmentRefusedError,
  objectStoreError,
  StationUnknownError,
  TooMuchWaitingError,
} from './errors.ts';
import { every } from './every.ts';
import type { EdgeMetrics } from './metrics.ts';
import type { Outgoing } from './outgoing.ts';
import { turns } from './turns.ts';

/** Reports that are made and sent at once. */
const runningMax = 4;
/** How often the requests of processes that died are looked for. */
const adoptEveryMs = 30_000;
const firstPauseMs = 1_000;
/** Kept beside those of the processes: nobody sends them any more. */
const undelivered = 'undelivered';
/** A directory of a process. */
const processName = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A request for storage commitment that was accepted and not yet reported on. */
interface Pending extends CommitmentRequest {
  /** Who asked, as it called itself. */
  readonly aeTitle: string;
  /** RFC 3339. */
  readonly receivedAt: string;
}

/** What is kept in memory of a pending request: there may be many, with many objects each. Also its keys in the log. */
interface Facts {
  readonly peer: string;
  readonly transactionUid: string;
  readonly instances: number;
}

/** The way back on the association that asked, until it was tried. */
interface Once {
  send?: ReportOnAssociation | undefined;
}

/** A request as people see it. No patient data. */
export interface CommitmentListing {
  readonly id: string;
  readonly aeTitle: string;
  readonly transactionUid: string;
  /** How many objects it asks about. */
  readonly instances: number;
  readonly receivedAt: string;
  readonly state: 'PENDING' | 'UNDELIVERED';
}

/** Sends a report on the association that asked; rejects when that is over. */
type ReportOnAssociation = (report: EventReport) => Promise<NOutcome>;

export interface CommitmentReports {
  /**
   * Takes a request over: resolves when it is durable. From then on the report is sent, over restarts of this process
   * and its end, until the peer takes it or the tries are used up. The same request again is taken once.
   * @param sameAssociation - Tried first, if the peer keeps the association open.
   * @throws {TooMuchWaitingError} {@link ObjectStoreFullError} {@link ObjectStoreFailedError} Nothing was taken over.
   */
  accept(request: Omit<Pending, 'receivedAt'>, sameAssociation?: ReportOnAssociation): Promise<void>;
  /** Of all processes, newest first; `max` bounds the files that are read. */
  list(max: number): Promise<readonly CommitmentListing[]>;
  /** Takes up again what was given up. @returns False: there is no such report. */
  retry(id: string): Promise<boolean>;
  /** Waits for reports that are being sent. What is pending stays, for the next process. */
  stop(): Promise<void>;
}

export interface CommitmentReportParts extends CommitmentCheckParts {
  readonly ourAeTitle: () => string;
  readonly configuration: () => Configuration;
  readonly outgoing: Outgoing;
  readonly metrics: EdgeMetrics;
  readonly log: Log;
  readonly now: () => Date;
  /** After the answer to N-ACTION: whoever has not released by then waits for the report. 0: never on it. */
  readonly sameAssociationAfterMs: number;
  readonly triesMax: number;
  readonly pauseMaxMs: number;
  readonly pendingMax: number;
}

/**
 * Pending requests are files, `commitments/<process>/<SHA-256 of AE title and Transaction UID>.json` in the object
 * store, there before N-ACTION is answered. Those of a process that died are taken over by another, at its start or
 * a little later. What cannot be delivered ends in `commitments/undelivered/`, and in the log as an error.
 *
 * What is committed is looked up anew for each try, so that a report is true when it is sent.
 * @throws {ObjectStoreFailedError} The directory cannot be made or read.
 */
export async function openCommitmentReports(
  root: string,
  durable: Durability,
  processes: Pick<EdgeProcesses, 'id' | 'isAlive'>,
  parts: CommitmentReportParts,
): Promise<CommitmentReports> {
  const reports = new Reports(join(root, 'commitments'), durable, processes, parts);
  await reports.open();
  return reports;
}

class Reports implements CommitmentReports {
  readonly #all: string;
  readonly #own: string;
  readonly #durable: Durability;
  readonly #processes: Pick<EdgeProcesses, 'id' | 'isAlive'>;
  readonly #parts: CommitmentReportParts;
  readonly #turns: ReturnType<typeof turns>;
  readonly #underWay = new Map<string, Promise<void>>();
  /** On their way to the disk. */
  readonly #accepting = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();
  #stopAdopting: () => void = () => {};

  constructor(
    all: string,
    durable: Durability,
    processes: Pick<EdgeProcesses, 'id' | 'isAlive'>,
    parts: CommitmentReportParts,
  ) {
    this.#all = all;
    this.#own = join(all, processes.id);
    this.#durable = durable;
    this.#processes = processes;
    this.#parts = parts;
    this.#turns = turns({ runningMax, waitingMax: Number.MAX_SAFE_INTEGER, what: 'commitment reports' });
  }

  async open(): Promise<void> {
    try {
      await mkdir(this.#own, { recursive: true });
      await mkdir(join(this.#all, undelivered), { recursive: true });
      await this.#durable.directory(this.#all);
      await this.#adopt();
    } catch (error) {
      throw objectStoreError(error);
    }
    this.#stopAdopting = every(adoptEveryMs, async () => {
      await this.#adopt().catch((error: unknown) => {
        this.#parts.log.error(
          { err: error },
          'storage commitment: requests of other processes cannot be read',
        );
      });
    });
  }

  async accept(request: Omit<Pending, 'receivedAt'>, sameAssociation?: ReportOnAssociation): Promise<void> {
    const name = `${keyOf(request)}.json`;
    if (this.#underWay.has(name)) return;
    // The same request on two associations at once: both are answered when it is durable.
    const accepting = this.#accepting.get(name) ?? this.#take(name, request, sameAssociation);
    this.#accepting.set(name, accepting);
    try {
      await accepting;
    } finally {
      this.#accepting.delete(name);
    }
  }

  async #take(
    name: string,
    request: Omit<Pending, 'receivedAt'>,
    sameAssociation: ReportOnAssociation | undefined,
  ): Promise<void> {
    const { pendingMax, now } = this.#parts;
    if (this.#underWay.size + this.#accepting.size >= pendingMax) {
      throw new TooMuchWaitingError('storage commitments (COMMITMENTS_PENDING_MAX)', pendingMax);
    }
    const pending = { ...request, receivedAt: now().toISOString() };
    await this.#write(name, pending);
    this.#begin(name, factsOf(pending), { send: sameAssociation });
  }

  async list(max: number): Promise<readonly CommitmentListing[]> {
    const listed: CommitmentListing[] = [];
    for (const directory of await readdir(this.#all)) {
      const state = directory === undelivered ? 'UNDELIVERED' : 'PENDING';
      for (const name of await readdir(join(this.#all, directory)).catch(() => [])) {
        if (!name.endsWith('.json') || listed.length === max) continue;
        // Done, taken over, or unreadable a moment later.
        const pending = await readPending(join(this.#all, directory, name)).catch(() => undefined);
        if (pending === undefined) continue;
        const { aeTitle, transactionUid, instances, receivedAt } = pending;
        const id = name.slice(0, -'.json'.length);
        listed.push({ id, aeTitle, transactionUid, instances: instances.length, receivedAt, state });
      }
    }
    return listed.sort((a, b) => b.receivedAt.localeCompare(a.receivedAt));
  }

  async retry(id: string): Promise<boolean> {
    const name = `${id}.json`;
    if (this.#underWay.has(name)) return false;
    return this.#adoptOne(join(this.#all, undelivered), name);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#stopAdopting();
    await Promise.all(this.#underWay.values());
    await rmdir(this.#own).catch(() => {});
  }

  async #write(name: string, pending: Pending): Promise<void> {
    const path = join(this.#own, name);
    try {
      const handle = await open(`${path}.draft`, 'w', 0o640);
      try {
        await handle.writeFile(JSON.stringify(pending));
        await this.#durable.file(handle.fd);
      } finally {
        await handle.close();
      }
      await rename(`${path}.draft`, path);
      await this.#durable.directory(this.#own);
    } catch (error) {
      await unlink(`${path}.draft`).catch(() => {});
      throw objectStoreError(error);
    }
  }

  /** Takes over what dead processes left. Of two that try the same file, one gets it. */
  async #adopt(): Promise<void> {
    for (const process of await readdir(this.#all)) {
      if (!processName.test(process) || process === this.#processes.id) continue;
      if (await this.#processes.isAlive(process)) continue;
      const theirs = join(this.#all, process);
      for (const name of await readdir(theirs).catch(() => [])) {
        if (name.endsWith('.json') && !this.#underWay.has(name)) await this.#adoptOne(theirs, name);
        // Already ours, or never promised to anybody.
        else await unlink(join(theirs, name)).catch(() => {});
      }
      await rmdir(theirs).catch(() => {});
    }
  }

  /** @returns False: it is not there (any more), or cannot be read. */
  async #adoptOne(theirs: string, name: string): Promise<boolean> {
    const path = join(this.#own, name);
    try {
      await rename(join(theirs, name), path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
    await this.#durable.directory(this.#own);
    let pending: Pending;
    try {
      pending = await readPending(path);
    } catch (error) {
      this.#parts.log.error(
        { file: name, err: error },
        'storage commitment: a request cannot be read; kept aside',
      );
      await rename(path, join(this.#all, undelivered, name));
      return false;
    }
    this.#begin(name, factsOf(pending), {});
    return true;
  }

  #begin(name: string, facts: Facts, sameAssociation: Once): void {
    const { log, metrics } = this.#parts;
    const done = this.#untilDelivered(name, facts, sameAssociation)
      .catch((error: unknown) => log.error({ ...facts, err: error }, 'storage commitment: failed'))
      .finally(() => {
        this.#underWay.delete(name);
        metrics.commitmentsPending(this.#underWay.size);
      });
    this.#underWay.set(name, done);
    metrics.commitmentsPending(this.#underWay.size);
  }

  /** Ends when the peer has the report, when the tries are used up, or when this process stops. */
  async #untilDelivered(name: string, facts: Facts, sameAssociation: Once): Promise<void> {
    const { log, metrics, triesMax, pauseMaxMs } = this.#parts;
    const { signal } = this.#stopping;
    if (await this.#reportedThere(name, facts, sameAssociation)) return this.#finished(name);
    const pause = backoff({ baseMs: Math.min(firstPauseMs, pauseMaxMs), maxMs: pauseMaxMs });
    for (let tries = 1; !signal.aborted; tries++) {
      try {
        await this.#report(name, facts, (report) => this.#onNewAssociation(facts.peer, report));
        return await this.#finished(name);
      } catch (error) {
        const { message: why, code } = error as Error & { code?: unknown };
        if (tries < triesMax)
          log.warn({ ...facts, tries, code, why }, 'storage commitment: not reported; again later');
        else {
          log.error(
            { ...facts, tries, code, why },
            'storage commitment: given up, kept in commitments/undelivered',
          );
          metrics.commitment('undelivered');
          return await rename(join(this.#own, name), join(this.#all, undelivered, name));
        }
      }
      await pause.wait(signal);
    }
  }

  /** On the association that asked, when the peer keeps it open: then it waits for the report there (PS3.4 J.3.3). */
  async #reportedThere(name: string, facts: Facts, sameAssociation: Once): Promise<boolean> {
    const { signal } = this.#stopping;
    try {
      if (sameAssociation.send === undefined || this.#parts.sameAssociationAfterMs === 0) return false;
      await sleep(this.#parts.sameAssociationAfterMs, signal);
      if (signal.aborted) return false;
      await this.#report(name, facts, sameAssociation.send);
      return true;
    } catch (error) {
      const why = (error as Error).message;
      this.#parts.log.debug({ ...facts, why }, 'storage commitment: not on the same association');
      return false;
    } finally {
      // It holds on to the request and its data set.
      sameAssociation.send = undefined;
    }
  }

  async #report(name: string, facts: Facts, send: ReportOnAssociation): Promise<void> {
    const { log, metrics, ourAeTitle } = this.#parts;
    const release = await this.#turns.take(this.#stopping.signal);
    try {
      const pending = await readPending(join(this.#own, name));
      const report: CommitmentReport = await checkCommitment(pending, this.#parts);
      const { status, errorComment } = await send({
        sopClassUid: uids.StorageCommitmentPushModel,
        sopInstanceUid: uids.StorageCommitmentPushModelInstance,
        ...eventInformation(report, ourAeTitle()),
      });
      if (status !== 0 && !isWarning(status)) throw new CommitmentRefusedError(status, errorComment);
      const [committed, failed] = [report.committed.length, report.failed.length];
      log.info({ ...facts, committed, failed, status }, 'storage commitment: reported');
      metrics.commitment(failed === 0 ? 'committed' : 'failed');
    } finally {
      release();
    }
  }

  async #onNewAssociation(aeTitle: string, report: EventReport): Promise<NOutcome> {
    const station = stationOfAeTitle(this.#parts.configuration(), aeTitle);
    if (!station) throw new StationUnknownError(aeTitle);
    const contexts = [
      {
        sopClassUid: uids.StorageCommitmentPushModel,
        transferSyntaxUids: [uids.ExplicitVrLittleEndian, uids.ImplicitVrLittleEndian],
        role: 'scp' as const,
      },
    ];
    return this.#parts.outgoing.use(station.aeTitle, contexts, (association) =>
      association.nEventReport(report),
    );
  }

  async #finished(name: string): Promise<void> {
    await unlink(join(this.#own, name)).catch((error: unknown) => {
      // It will be reported once more after the next start: twice is no harm, and better than never.
      this.#parts.log.warn({ err: error }, 'storage commitment: a request that is done cannot be removed');
    });
  }
}

async function readPending(path: string): Promise<Pending> {
  return JSON.parse(await readFile(path, 'utf8')) as Pending;
}

function factsOf({ aeTitle: peer, transactionUid, instances }: Pending): Facts {
  return { peer, transactionUid, instances: instances.length };
}

function keyOf({ aeTitle, transactionUid }: Omit<Pending, 'receivedAt'>): string {
  return createHash('sha256')
    .update(JSON.stringify([aeTitle, transactionUid]))
    .digest('hex');
}
