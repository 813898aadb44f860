import { code, paragraph, table } from './markdown.ts';
import { servicesBehindConsole, startOneCluster } from './one-cluster.ts';

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
  const running = await startOneCluster('reference');
  try {
    return await whole(running.consoleUrl);
  } finally {
    await running.stop();
  }
}

/** The document, once the console has heard of every service. */
async function whole(address: string): Promise<Document> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const document = (await (await fetch(`${address}/openapi.json`)).json()) as Document;
    const named = new Set(operationsOf(document).flatMap(({ operation }) => operation.tags ?? []));
    if (servicesBehindConsole.every((name) => named.has(name))) return document;
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
    paragraph(
      'Generated from running services: `npm run reference`. Every route of a cluster, all',
      'on the one origin of its console;',
      '`/openapi.json` there has the schemas, `/docs` shows them. Failures are problem details: [errors](errors.md).',
    ),
    '',
    table(['Method', 'Path', 'Service', 'What', 'Query', 'Success'], rows),
    '',
    paragraph(
      'Besides these the console itself answers `/` (page), `/docs`, `/openapi.json`,',
      '`/health/live`, `/health/ready` and',
      '`/metrics` (of all services).',
    ),
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
