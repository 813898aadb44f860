import { createMetrics, startHttp, stopInOrder } from '@isthmus/service-kit';
import type { Log } from '@isthmus/service-kit';
import { upstreamsOf } from './config.ts';
import type { ConsoleConfig } from './config.ts';
import { startDirectory } from './directory.ts';
import { registerRoutes } from './http.ts';

export { consoleConfig } from './config.ts';
export type { ConsoleConfig } from './config.ts';

export interface ConsoleParts {
  readonly config: ConsoleConfig;
  readonly log: Log;
}

/**
 * Starts the front door. It answers at once; services behind it may come later, or go and come back.
 *
 * @throws {InsecureListenError} The host is not loopback and there is no authentication.
 */
export async function startConsole({
  config,
  log,
}: ConsoleParts): Promise<{ address: string; stop(): Promise<void> }> {
  const cluster = config.ISTHMUS_CLUSTER;
  const service = 'console';
  const upstreams = upstreamsOf(config);
  const info = {
    title: `Isthmus cluster ${cluster}`,
    version: '0.1.0',
    description: 'Everything that this cluster offers over HTTP. Failures are problem details (RFC 9457).',
  };
  const directory = startDirectory({ upstreams, info, log });
  const metrics = createMetrics({ service, cluster });
  try {
    const http = await startHttp({
      service,
      cluster,
      host: config.HTTP_HOST,
      port: config.HTTP_PORT,
      log,
      standardRoutes: false,
      ready: async () => ({ ok: true, checks: {} }),
      register: (app) =>
        registerRoutes(app, {
          directory,
          upstreams,
          metrics,
          answerTimeoutMs: config.ANSWER_TIMEOUT_MS,
          connectionsMax: config.UPSTREAM_CONNECTIONS_MAX,
        }),
    });
    return {
      address: http.url,
      stop: () =>
        stopInOrder(log, [
          ['http', () => http.stop()],
          ['directory', () => directory.stop()],
        ]),
    };
  } catch (error) {
    await directory.stop();
    throw error;
  }
}
