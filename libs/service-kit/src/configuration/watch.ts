import { emptyConfiguration, evolveConfiguration } from '@isthmus/domain';
import type { Configuration, ConfigurationChangedEvent, StoredEvent } from '@isthmus/domain';
import { backoff } from '../lifecycle/backoff.ts';
import type { Log } from '../log/log.ts';

/** The part of an event log that configuration needs; an `EventLog` fits. */
export interface ConfigurationSource {
  watchLast(filter: string, signal: AbortSignal): AsyncIterable<StoredEvent | 'caughtUp'>;
}

export type ConfigurationListener = (now: Configuration, before: Configuration) => void;

export interface ConfigurationWatch {
  /** What is configured as far as this service knows; empty until `ready`. */
  current(): Configuration;
  /**
   * Calls the listener after each change, with the whole configuration before and after. Listeners that are
   * there before
   * `ready` are called once for everything that was configured at start. @returns Unsubscribes.
   */
  onChange(listener: ConfigurationListener): () => void;
  /**
   * Resolves when all that was configured at start is in `current()`. Never rejects; pends while the log is
   * away.
   */
  readonly ready: Promise<void>;
  isReady(): boolean;
  stop(): void;
}

/**
 * Keeps a service's view of the configuration: reads the newest event of every entity, then follows the
 * changes.
 */
export function watchConfiguration(options: { source: ConfigurationSource; log: Log }): ConfigurationWatch {
  const { source, log } = options;
  const stopping = new AbortController();
  const listeners = new Set<ConfigurationListener>();
  const ready = Promise.withResolvers<void>();
  let configuration = emptyConfiguration;
  let caughtUp = false;

  const tell = (before: Configuration): void => {
    if (configuration === before) return;
    for (const listener of listeners) {
      try {
        listener(configuration, before);
      } catch (error) {
        log.error({ err: error }, 'a listener of configuration changes failed');
      }
    }
  };
  const take = (stored: StoredEvent): void => {
    const before = configuration;
    const event = stored.event as ConfigurationChangedEvent;
    if (event.type !== 'ConfigurationChanged') return;
    configuration = evolveConfiguration(configuration, event.data);
    if (caughtUp) tell(before);
  };
  const follow = async (): Promise<void> => {
    for await (const item of source.watchLast('config.>', stopping.signal)) {
      if (item !== 'caughtUp') {
        take(item);
      } else if (!caughtUp) {
        caughtUp = true;
        ready.resolve();
        tell(emptyConfiguration);
      }
    }
  };

  const run = async (): Promise<void> => {
    const pause = backoff({ baseMs: 100, maxMs: 5_000 });
    while (!stopping.signal.aborted) {
      try {
        await follow();
        pause.reset();
      } catch (error) {
        if (!stopping.signal.aborted) log.warn({ err: error }, 'lost the configuration watch; trying again');
      }
      if (!stopping.signal.aborted) await pause.wait(stopping.signal);
    }
  };
  void run();

  return {
    current: () => configuration,
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    ready: ready.promise,
    isReady: () => caughtUp,
    stop: () => stopping.abort(),
  };
}
