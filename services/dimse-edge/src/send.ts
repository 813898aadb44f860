import { dimseStatus, isWarning } from '@isthmus/dicom';
import { NoPresentationContextError, requestAssociation } from '@isthmus/dimse';
import type { RequestedAssociation } from '@isthmus/dimse';
import type { LocatedInstance, Station } from '@isthmus/domain';
import type { Log } from '@isthmus/service-kit';
import type { EdgeMetrics } from './metrics.ts';
import type { ObjectStore } from './object-store.ts';
import { addressOf } from './outgoing.ts';
import type { CallingTls } from './outgoing.ts';

/** PS3.8 9.3.2.2: presentation context ids are the odd numbers from 1 to 255. */
const contextsMax = 128;

/** What became of one object. `warning`: taken, with something to know. */
export interface Sent {
  readonly outcome: 'sent' | 'warning' | 'failed';
  readonly status?: number;
  readonly why?: string;
}

export interface Sender {
  /**
   * Sends one object as it lies on disk, in the transfer syntax it came in. Never throws: a destination that does
   * not take that syntax, or does not answer, fails this object.
   * @param upcoming - Objects that will follow, so that their contexts are proposed in the same association.
   */
  send(instance: LocatedInstance, upcoming: readonly LocatedInstance[]): Promise<Sent>;
  /** Releases the association. Never throws. */
  end(): Promise<void>;
}

export interface SenderParts {
  readonly ourAeTitle: () => string;
  readonly store: ObjectStore;
  readonly tls: CallingTls;
  readonly metrics: EdgeMetrics;
  readonly log: Log;
}

type MoveOriginator = { readonly aeTitle: string; readonly messageId: number };

/**
 * C-STORE to one destination, one object at a time over one association. A context holds one SOP class with one
 * transfer
 * syntax: the stored one. The association is made anew when an object needs a context that was not proposed, and once
 * more when it is lost.
 *
 * @param options.moveOriginator - Set when this is a sub-operation of a C-MOVE: who asked, and its message id.
 */
export function createSender(
  destination: Station,
  parts: SenderParts,
  options: { readonly moveOriginator?: MoveOriginator } = {},
): Sender {
  return new StationSender(destination, parts, options.moveOriginator);
}

class StationSender implements Sender {
  readonly #destination: Station;
  readonly #parts: SenderParts;
  readonly #moveOriginator: MoveOriginator | undefined;
  #association: RequestedAssociation | undefined;
  /** By context; an object of each. */
  #proposed = new Map<string, LocatedInstance>();
  /** Once the destination cannot be reached, the objects behind are not tried one by one against its timeout. */
  #unreachable: string | undefined;

  constructor(destination: Station, parts: SenderParts, moveOriginator: MoveOriginator | undefined) {
    this.#destination = destination;
    this.#parts = parts;
    this.#moveOriginator = moveOriginator;
  }

  async send(instance: LocatedInstance, upcoming: readonly LocatedInstance[]): Promise<Sent> {
    const sent = await this.#try(instance, upcoming);
    const ok = sent.outcome !== 'failed';
    this.#parts.metrics.sent(ok ? 'sent' : 'failed', ok ? instance.fileBytes : 0);
    const { sopInstanceUid } = instance;
    const facts = { peer: this.#destination.aeTitle, sopInstanceUid, status: sent.status, why: sent.why };
    this.#parts.log[ok ? 'debug' : 'warn'](facts, 'c-store sent');
    return sent;
  }

  async end(): Promise<void> {
    await this.#association?.release();
    this.#association = undefined;
  }

  async #try(instance: LocatedInstance, upcoming: readonly LocatedInstance[]): Promise<Sent> {
    // Before anything is sent: a file that is gone is no reason to end the association.
    const offset = await this.#parts.store.dataSetOffset(instance.file).catch(() => undefined);
    if (offset === undefined) return { outcome: 'failed', why: 'The stored object cannot be read' };
    for (let tries = 1; ; tries++) {
      if (this.#unreachable !== undefined) return { outcome: 'failed', why: this.#unreachable };
      try {
        return await this.#store(instance, offset, upcoming);
      } catch (error) {
        if (error instanceof NoPresentationContextError) return { outcome: 'failed', why: error.message };
        this.#association?.abort();
        this.#association = undefined;
        if (tries === 2) return { outcome: 'failed', why: (error as Error).message };
      }
    }
  }

  async #store(
    instance: LocatedInstance,
    offset: number,
    upcoming: readonly LocatedInstance[],
  ): Promise<Sent> {
    const ready = this.#proposed.has(contextOf(instance)) ? this.#association : undefined;
    const association = ready ?? (await this.#open(instance, upcoming));
    const { sopClassUid, sopInstanceUid, transferSyntaxUid } = instance;
    const { status, errorComment } = await association.cStore({
      sopClassUid,
      sopInstanceUid,
      transferSyntaxUid,
      dataSet: { file: this.#parts.store.absolute(instance.file), offset },
      ...(this.#moveOriginator ? { moveOriginator: this.#moveOriginator } : {}),
    });
    if (status === dimseStatus.Success) return { outcome: 'sent', status };
    return { outcome: isWarning(status) ? 'warning' : 'failed', status, why: errorComment };
  }

  async #open(
    instance: LocatedInstance,
    upcoming: readonly LocatedInstance[],
  ): Promise<RequestedAssociation> {
    const wanted = new Map<string, LocatedInstance>();
    for (const one of [instance, ...upcoming, ...this.#proposed.values()]) {
      if (wanted.size < contextsMax) wanted.set(contextOf(one), one);
    }
    await this.end();
    this.#proposed = wanted;
    try {
      this.#association = await requestAssociation({
        ...addressOf(this.#destination, this.#parts.tls),
        callingAeTitle: this.#parts.ourAeTitle(),
        contexts: [...wanted.values()].map(({ sopClassUid, transferSyntaxUid }) => ({
          sopClassUid,
          transferSyntaxUids: [transferSyntaxUid],
        })),
      });
      return this.#association;
    } catch (error) {
      this.#unreachable = (error as Error).message;
      throw error;
    }
  }
}

function contextOf(instance: LocatedInstance): string {
  return `${instance.sopClassUid} ${instance.transferSyntaxUid}`;
}
