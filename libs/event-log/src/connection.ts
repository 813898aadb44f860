import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { NatsConnection } from '@nats-io/transport-node';

import { Acknowledgements } from './acknowledgements.ts';
import type { EventLogLogger } from './capabilities.ts';
import { LogUnavailableError } from './errors.ts';

const reconnectWaitMs = 250;
const connectAttemptMs = 2000;
const pingIntervalMs = 10_000;
const apiTimeoutMs = 5000;
const drainTimeoutMs = 2000;

/**
 * One connection for the life of a service. It reconnects for ever; whoever waits for an answer learns of it.
 */
export interface Connection {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  /** For what is published to streams. */
  readonly acknowledgements: Acknowledgements;
  readonly connected: boolean;
  /** Called after each reconnect. @returns Stops listening. */
  onReconnect(listener: () => void): () => void;
  /**
   * Resolves at the next moment when there is a connection; at once when there is one. False: not within
   * `timeoutMs`, or closed.
   */
  awaitConnected(timeoutMs: number): Promise<boolean>;
  /**
   * The outcome of `work`, or a rejection when the connection was lost meanwhile: an answer lost with it
   * never comes.
   */
  orReconnect<T>(work: Promise<T>): Promise<T>;
  /** Waits, but not longer than until the next reconnect. */
  pause(ms: number): Promise<void>;
  close(): Promise<void>;
}

export interface ConnectionOptions {
  readonly servers: string | readonly string[];
  readonly name: string;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** How long the first connection may take. */
  readonly connectTimeoutMs: number;
  readonly log: EventLogLogger;
}

/** @throws {LogUnavailableError} No server could be reached within `connectTimeoutMs`. */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const nc = await firstConnection(options);
  const jsm = await jetstreamManager(nc, { timeout: apiTimeoutMs, checkAPI: false });
  const listeners = new Set<() => void>();
  let connected = true;
  void (async () => {
    for await (const status of nc.status()) {
      if (status.type === 'disconnect') {
        connected = false;
        options.log.warn({}, 'event log: connection to nats-server lost, reconnecting');
      } else if (status.type === 'reconnect') {
        connected = true;
        options.log.info({ natsServer: nc.info?.version }, 'event log: connected again');
        for (const listener of [...listeners]) listener();
      } else if (status.type === 'error') {
        options.log.warn({ err: status.error }, 'event log: nats-server reports an error');
      }
    }
  })();
  const onReconnect = (listener: () => void): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  return {
    nc,
    jsm,
    js: jetstream(nc, { timeout: apiTimeoutMs }),
    acknowledgements: new Acknowledgements(nc, onReconnect),
    get connected() {
      return connected && !nc.isClosed();
    },
    onReconnect,
    awaitConnected(timeoutMs) {
      if (nc.isClosed()) return Promise.resolve(false);
      if (connected) return Promise.resolve(true);
      return new Promise((resolve) => {
        const settle = (outcome: boolean): void => {
          clearTimeout(timer);
          stop();
          resolve(outcome);
        };
        const timer = setTimeout(() => settle(false), timeoutMs);
        const stop = onReconnect(() => settle(true));
        void nc.closed().then(() => settle(false));
      });
    },
    orReconnect: (work) =>
      new Promise((resolve, reject) => {
        const stop = onReconnect(() => reject(new Error('the connection was lost meanwhile')));
        work.then(resolve, reject).finally(stop);
      }),
    pause: (ms) =>
      new Promise((resolve) => {
        const settle = (): void => {
          clearTimeout(timer);
          stop();
          resolve();
        };
        const timer = setTimeout(settle, ms);
        const stop = onReconnect(settle);
      }),
    async close() {
      // Draining needs the server; without one there is nothing to drain.
      const drained = connected && !nc.isClosed() ? nc.drain().catch(() => {}) : Promise.resolve();
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([drained, new Promise((resolve) => (timer = setTimeout(resolve, drainTimeoutMs)))]);
      clearTimeout(timer);
      await nc.close();
    },
  };
}

async function firstConnection(options: ConnectionOptions): Promise<NatsConnection> {
  const deadline = performance.now() + options.connectTimeoutMs;
  const servers = typeof options.servers === 'string' ? options.servers.split(',') : [...options.servers];
  for (let attempt = 1; ; attempt++) {
    try {
      return await connect({
        servers,
        name: options.name,
        ...(options.user === undefined ? {} : { user: options.user, pass: options.password }),
        ...(options.token === undefined ? {} : { token: options.token }),
        maxReconnectAttempts: -1,
        reconnectTimeWait: reconnectWaitMs,
        pingInterval: pingIntervalMs,
        timeout: connectAttemptMs,
        // A server that is being replaced may refuse our password for a moment; giving up would need a
        // restart of the service.
        ignoreAuthErrorAbort: true,
        // A stack trace made for every request, in case it fails, costs a tenth of a C-STORE's time.
        noAsyncTraces: true,
      });
    } catch (cause) {
      if (performance.now() > deadline) {
        throw new LogUnavailableError(`no nats-server at ${servers.join(', ')}`, { cause });
      }
      if (attempt === 1)
        options.log.warn({ servers }, 'event log: nats-server cannot be reached yet, trying again');
      await new Promise((resolve) => {
        setTimeout(resolve, reconnectWaitMs);
      });
    }
  }
}
