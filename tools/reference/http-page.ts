import { connectEventLog } from '@isthmus/event-log';
import { configStoreConfig, startConfigStore } from '@isthmus/config-store';
import { consoleConfig, startConsole } from '@isthmus/console';
import { dimseEdgeConfig, startDimseEdge } from '@isthmus/dimse-edge';
import { prefetcherConfig, startPrefetcher } from '@isthmus/prefetcher';
import { queryFederatorConfig, startQueryFederator } from '@isthmus/query-federator';
import { risGatewayConfig, startRisGateway } from '@isthmus/ris-gateway';
import { connectPostgres, createLog, readConfig } from '@isthmus/service-kit';
import type { ConfigSchema } from '@isthmus/service-kit';
import { testServers } from '@isthmus/testing';
import { startUpdateRelay, updateRelayConfig } from '@isthmus/update-relay';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { code, table } from './markdown.ts';

interface Running {
  readonly address: string;
  stop(): Promise<void>;
}
type Start = (parts: never) => Promise<Running>;

const cluster = 'reference';

const behindConsole: readonly (readonly [
  name: string,
  schema: ConfigSchema,
  start: Start,
  schemaName?: string,
])[] = [
  ['config-store', configStoreConfig, startConfigStore, 'config_store'],
  ['update-relay', updateRelayConfig, startUpdateRelay, 'update_relay'],
  ['query-federator', queryFederatorConfig, startQueryFederator, 'query_federator'],
  ['ris-gateway', risGatewayConfig, startRisGateway, 'ris_gateway'],
  ['prefetcher', prefetcherConfig, startPrefetcher, 'prefetcher'],
  ['dimse-edge', dimseEdgeConfig, startDimseEdge],
];

interface Operation {
  readonly tags?: readonly string[];
  readonly summary?: string;
  readonly parameters?: readonly { readonly in: string; readonly name: string }[];
  readonly responses?: { readonly [status: string]: unknown };
}
interface Document {
  readonly paths: { readonly [path: string]: { readonly [method: string]: Operation } };
}

/**
 * `docs/reference/http.md`: what a cluster offers, as its console says. Starts one cluster with servers of its own and
 * stops it again: some seconds.
 */
export async function httpPage(): Promise<string> {
  return pageOf(await mergedOpenApi());
}

async function mergedOpenApi(): Promise<Document> {
  const servers = await testServers();
  const objectStore = mkdtempSync(join(tmpdir(), 'isthmus-reference-'));
  const stops: (() => Promise<unknown>)[] = [
    () => servers.stop(),
    async () => rmSync(objectStore, { recursive: true, force: true }),
  ];
  try {
    const environment: Record<string, string> = {
      ISTHMUS_CLUSTER: cluster,
      NATS_URL: servers.natsUrl,
      DATABASE_URL: servers.databaseUrl,
      LOG_LEVEL: 'silent',
      AE_TITLE: 'REFERENCE',
      DICOM_PORT: '0',
      OBJECT_STORE: objectStore,
    };
    for (const [name, schema, start, schemaName] of behindConsole) {
      const config = readConfig(schema, environment);
      const log = createLog({ service: name, cluster, level: 'silent' });
      const eventLog = await connectEventLog({ servers: servers.natsUrl, cluster, service: name, log });
      stops.unshift(() => eventLog.close());
      const url = servers.databaseUrl;
      const db = schemaName ? await connectPostgres({ url, schema: schemaName, poolMax: 4, log }) : undefined;
      if (db) stops.unshift(() => db.destroy());
      const running = await start({ config, log, eventLog, db } as never);
      stops.unshift(() => running.stop());
      environment[`${name.toUpperCase().replace('-', '_')}_URL`] = running.address;
    }
    const log = createLog({ service: 'console', cluster, level: 'silent' });
    const front = await startConsole({ config: readConfig(consoleConfig, environment), log });
    stops.unshift(() => front.stop());
    return await whole(front.address);
  } finally {
    for (const stop of stops) await stop().catch(() => undefined);
  }
}

/** The document, once the console has heard of every service. */
async function whole(address: string): Promise<Document> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const document = (await (await fetch(`${address}/openapi.json`)).json()) as Document;
    const named = new Set(operationsOf(document).flatMap(({ operation }) => operation.tags ?? []));
    if (behindConsole.every(([name]) => named.has(name))) return document;
    if (performance.now() > deadline) throw new Error(`the console knows only ${[...named].join(', ')}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function operationsOf(document: Document) {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );
}

function pageOf(document: Document): string {
  const rows = operationsOf(document)
    .map(({ path, method, operation }) => ({ path, method: method.toUpperCase(), operation }))
    .sort((a, b) => (a.path === b.path ? order(a.method) - order(b.method) : a.path < b.path ? -1 : 1))
    .map(({ path, method, operation }) => [
      method,
      code(path),
      operation.tags?.join(', ') ?? '',
      operation.summary ?? '',
      queryOf(operation),
      Object.keys(operation.responses ?? {})
        .filter((status) => /^[23]/.test(status))
        .join(', '),
    ]);
  return [
    '# HTTP',
    '',
    'Generated from running services: `npm run reference`. Every route of a cluster, all on the one origin of its console;',
    '`/openapi.json` there has the schemas, `/docs` shows them. Failures are problem details: [errors](errors.md).',
    '',
    table(['Method', 'Path', 'Service', 'What', 'Query', 'Success'], rows),
    '',
    'Besides these the console itself answers `/` (page), `/docs`, `/openapi.json`, `/health/live`, `/health/ready` and',
    '`/metrics` (of all services).',
    '',
  ].join('\n');
}

const methods = ['GET', 'PUT', 'PATCH', 'POST', 'DELETE'];

function order(method: string): number {
  return methods.indexOf(method);
}

function queryOf(operation: Operation): string {
  return (operation.parameters ?? [])
    .filter((one) => one.in === 'query')
    .map((one) => code(one.name))
    .join(', ');
}
