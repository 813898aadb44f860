import type { EventEnvelope, StoredEvent } from '@isthmus/domain';
import type { EventSource } from '../src/index.ts';

/**
 * A stream of events that a test writes by hand, and can take away. Not a bus: the real log is tested in
 * libs/event-log.
 */
export class ScriptedSource implements EventSource {
  incarnation = 'first';
  away = false;
  readonly events: StoredEvent[] = [];
  #changed = Promise.withResolvers<void>();

  add(...data: unknown[]): void {
    for (const one of data) {
      const sequence = (this.events.at(-1)?.sequence ?? 0) + 1;
      this.events.push({ sequence, logSubject: 'study.0.1-2', event: envelope(sequence, one) });
    }
    this.wake();
  }

  /** Makes those who follow look again: after `away` or `incarnation` were set. */
  wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  async lastSequence(): Promise<number> {
    if (this.away) throw new Error('scripted: the log is away');
    return this.events.at(-1)?.sequence ?? 0;
  }

  async *follow(
    _stream: string,
    options: { after: number; batchMax?: number; signal: AbortSignal },
  ): AsyncIterable<readonly StoredEvent[]> {
    let at = options.after;
    const aborted = new Promise<void>((resolve) =>
      options.signal.addEventListener('abort', () => resolve(), { once: true }),
    );
    while (!options.signal.aborted) {
      if (this.away) throw new Error('scripted: the log is away');
      const changed = this.#changed.promise;
      const batch = this.events.filter(({ sequence }) => sequence > at).slice(0, options.batchMax ?? 500);
      if (batch.length === 0) {
        await Promise.race([changed, aborted]);
        continue;
      }
      at = batch.at(-1)?.sequence ?? at;
      yield batch;
    }
  }
}

function envelope(sequence: number, data: unknown): EventEnvelope {
  return {
    id: `id-${sequence}`,
    type: 'Counted',
    source: 'north/test',
    subject: '1.2',
    time: '2025-01-01T00:00:00.000Z',
    origin: 'north',
    hlc: '0000000000000000',
    path: ['north'],
    v: 1,
    data,
  };
}
