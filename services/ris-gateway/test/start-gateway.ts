import { configSubject } from '@isthmus/domain';
import type { ConfigurationChangedEvent } from '@isthmus/domain';
import { connectEventLog } from '@isthmus/event-log';
import type { EventLog } from '@isthmus/event-log';
import { connectPostgres, createLog, readConfig } from '@isthmus/service-kit';
import type { Database } from '@isthmus/service-kit';
import { testServers } from '@isthmus/testing';
import type { TestContextLike, TestServers } from '@isthmus/testing';
import { risGatewayConfig, startRisGateway } from '../src/app.ts';
import type { RisGatewayTables } from '../src/tables.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly body: any;
}

export interface RunningGateway {
  readonly servers: TestServers;
  readonly eventLog: EventLog;
  readonly db: Database<RisGatewayTables>;
  post(path: string, body: unknown, key?: string): Promise<Answer>;
  get(path: string): Promise<Answer>;
  /** Stops the service and starts it again on the same servers. */
  restart(): Promise<void>;
}

/** A gateway of cluster `north` with servers of its own; everything ends with the test. */
export async function startGateway(test: TestContextLike): Promise<RunningGateway> {
  const servers = await testServers();
  const log = createLog({ service: 'ris-gateway', cluster: 'north', level: 'silent' });
  const eventLog = await connectEventLog({
    servers: servers.natsUrl,
    cluster: 'north',
    service: 'ris-gateway',
    log,
  });
  const db = await connectPostgres<RisGatewayTables>({
    url: servers.databaseUrl,
    schema: 'ris_gateway',
    poolMax: 6,
    log,
  });
  const config = readConfig(risGatewayConfig, {
    ISTHMUS_CLUSTER: 'north',
    NATS_URL: servers.natsUrl,
    DATABASE_URL: servers.databaseUrl,
    PROJECTION_WAIT_MS: '10000',
  });
  let service = await startRisGateway({ config, log, eventLog, db });
  test.after(async () => {
    await service.stop();
    await eventLog.close();
    await db.destroy();
    await servers.stop();
  });
  const read = async (response: Response): Promise<Answer> => ({
    status: response.status,
    headers: response.headers,
    body: await response.json(),
  });
  return {
    servers,
    eventLog,
    db,
    post: async (path, body, key) =>
      read(
        await fetch(`${service.address}${path}`, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            ...(key === undefined ? {} : { 'idempotency-key': key }),
          },
          body: JSON.stringify(body),
        }),
      ),
    get: async (path) => read(await fetch(`${service.address}${path}`)),
    restart: async () => {
      await service.stop();
      service = await startRisGateway({ config, log, eventLog, db });
    },
  };
}

/** Gives the cluster a patient domain, as config-store would. */
export async function configurePatientDomain(eventLog: EventLog, patientDomain: string): Promise<void> {
  const event: ConfigurationChangedEvent = {
    id: `configuration-${patientDomain}`,
    type: 'ConfigurationChanged',
    source: 'north/config-store',
    subject: 'cluster/north',
    time: '2026-01-01T00:00:00.000Z',
    origin: 'north',
    hlc: '0000000000000001',
    path: ['north'],
    v: 1,
    data: {
      kind: 'cluster',
      name: 'north',
      version: 1,
      author: 'test',
      reason: 'test',
      value: { id: 'north', name: 'North', aeTitle: 'NORTH', patientDomain },
    },
  };
  await eventLog.append('STUDY', configSubject('cluster', 'north'), event);
}
