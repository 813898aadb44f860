import { requestAssociation } from '@isthmus/dimse';
import type { RequestAssociationOptions, RequestedAssociation, ResponseOutcome } from '@isthmus/dimse';
import type { LocatedInstance } from '@isthmus/domain';
import { kindOf } from './proposal.ts';
import type { Proposal } from './proposal.ts';

const unwanted = new Error('nothing is left to send');

/** One of the associations over which objects go to a destination. */
export class Lane<Job extends object> {
  /** In the order in which they are sent: the first `window` have begun, the others are being read. */
  readonly underWay = new Set<Job>();
  /** Gives its place among all associations back. */
  giveBack: (() => void) | undefined;
  /** When it ends for want of work. */
  idleTimer: NodeJS.Timeout | undefined;
  /** The peer has answered something on it. */
  hasAnswered = false;
  readonly #givenUp = new AbortController();
  #state: 'opening' | 'standing' | 'closing' = 'opening';
  #kinds: ReadonlySet<string> = new Set();
  #association: RequestedAssociation | undefined;

  get isStanding(): boolean {
    return this.#state === 'standing';
  }

  get isOpening(): boolean {
    return this.#state === 'opening';
  }

  /** It was given up before it stood, since there was nothing left to send. */
  get isUnwanted(): boolean {
    return this.signal.aborted && this.signal.reason === unwanted;
  }

  /** Aborted when nobody waits for it to open any more. */
  get signal(): AbortSignal {
    return this.#givenUp.signal;
  }

  /** Requests that may be unanswered at a time (PS3.7 D.3.3.3). */
  get window(): number {
    return this.#association?.operationsInvokedMax ?? 1;
  }

  /** The window, and one more that is read meanwhile. */
  get hasRoom(): boolean {
    return this.isStanding && this.#association?.isOpen === true && this.underWay.size <= this.window;
  }

  /** Its contexts were proposed, whatever the peer has answered. */
  fits(instance: LocatedInstance): boolean {
    return this.#kinds.has(kindOf(instance));
  }

  /** @throws What `requestAssociation` throws. */
  async open(
    proposal: Proposal,
    options: Omit<RequestAssociationOptions, 'contexts' | 'signal'>,
    onClosed: () => void,
  ): Promise<void> {
    this.#kinds = proposal.kinds;
    const association = await requestAssociation({
      ...options,
      contexts: proposal.contexts,
      signal: this.#givenUp.signal,
    });
    this.#association = association;
    this.#state = 'standing';
    void association.closed.then(() => {
      if (this.#association === association && this.isStanding) onClosed();
    });
  }

  /** Stops trying to open it. @param why - Default: nothing is left to send. */
  giveUp(why: Error = unwanted): void {
    this.#givenUp.abort(why);
  }

  /** Releases the association, so that it can be opened for other contexts. Never throws. */
  async renegotiate(): Promise<void> {
    this.#state = 'opening';
    await this.#end();
  }

  /** Never throws. */
  async close(): Promise<void> {
    clearTimeout(this.idleTimer);
    this.#state = 'closing';
    await this.#end();
  }

  /** At once; what is under way rejects. */
  abort(): void {
    clearTimeout(this.idleTimer);
    this.#state = 'closing';
    this.#association?.abort();
  }

  /** @throws What `work` throws, as when the association is lost. */
  async use(work: (association: RequestedAssociation) => Promise<ResponseOutcome>): Promise<ResponseOutcome> {
    const answer = await work(this.#association as RequestedAssociation);
    this.hasAnswered = true;
    return answer;
  }

  async #end(): Promise<void> {
    const association = this.#association;
    this.#association = undefined;
    await association?.release();
  }
}
