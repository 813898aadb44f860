import { configSubject } from '@isthmus/domain';
import type { ConfigurationChangedEvent } from '@isthmus/domain';
import { connectEventLog } from '@isthmus/event-log';
import type { EventLog } from '@isthmus/event-log';
import { connectPostgres, createLog, readConfig } from '@isthmus/service-kit';
import type { Database } from '@isthmus/service-kit';
import { requestJson, testServers } from '@isthmus/testing';
import type { JsonAnswer, TestContextLike, TestServers } from '@isthmus/testing';
import { risGatewayConfig, startRisGateway } from '../src/app.ts';
import type { RisGatewayTables } from '../src/tables.ts';

/** An order or a visit as the tests read it. */
export interface RecordBody {
  readonly accessionIssuer?: string;
  readonly visitNumber: string;
  readonly patient: { readonly issuer: string };
  readonly location?: string;
  readonly scheduledAt?: string;
  readonly status: string;
  readonly placedAt: string;
}

export interface RunningGateway {
  readonly servers: TestServers;
  readonly eventLog: EventLog;
  post<Body = RecordBody>(path: string, body: unknown, key?: string): Promise<JsonAnswer<Body>>;
  get<Body = RecordBody>(path: string): Promise<JsonAnswer<Body>>;
  readonly db: Database<RisGatewayTables>;
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
  return {
    servers,
    eventLog,
    db,
    post: (path, body, key) =>
      requestJson(
        'POST',
        `${service.address}${path}`,
        body,
        key === undefined ? {} : { 'idempotency-key': key },
      ),
    get: (path) => requestJson('GET', `${service.address}${path}`),
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
