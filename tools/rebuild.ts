/**
 * Asks a running cluster to fold its projections anew from the log, while it serves:
 *
 *     npm run rebuild -- http://127.0.0.1:8080 [service[/name]]
 *
 * The address is the console's; what can be rebuilt is read from its OpenAPI document. One line for each projection; exit
 * code 1 when one was refused or failed, 2 when nothing was asked for.
 */
import { setTimeout as pause } from 'node:timers/promises';

interface Outcome {
  readonly name: string;
  readonly state: string;
  readonly checkpoints: { readonly [log: string]: number };
  readonly rebuild: string;
  /** Of problem details. */
  readonly code?: string;
  readonly detail?: string;
}

/** What others read goes first; services that are not named here follow. */
const order = ['config-store', 'update-relay', 'query-federator', 'ris-gateway'];
/** Services and the console answer late when there is much to fold. */
const answerTimeoutMs = 100_000;
const lookMs = 1_000;
/** So often in a row a service may fail to say how far it is. */
const failuresMax = 30;

const [address = '', wanted = ''] = process.argv.slice(2);
if (!/^https?:$/.test(URL.parse(address)?.protocol ?? '')) {
  quit('npm run rebuild -- <address of the cluster, as http://127.0.0.1:8080> [service[/name]]');
}
const [wantedService = '', wantedName = ''] = wanted.split('/');
const services = (await offered()).filter((name) => wantedService === '' || name === wantedService);
let asked = 0;
for (const service of services) {
  for (const name of await namesOf(service)) {
    if (wantedName !== '' && wantedName !== name) continue;
    asked++;
    const { done, text } = await rebuild(service, name);
    console.log(`${service}/${name}: ${text}`);
    if (!done) process.exitCode = 1;
  }
}
if (asked === 0) quit(`${address} offers no rebuild${wanted === '' ? '' : ` of ${wanted}`}.`);

/** Services that can be rebuilt, in the order to do it. */
async function offered(): Promise<string[]> {
  const { paths = {} } = (await read('/openapi.json')) as { paths?: object };
  const names = Object.keys(paths).flatMap(
    (path) => /^\/api\/v1\/projections\/([a-z-]+)$/.exec(path)?.[1] ?? [],
  );
  const rank = (name: string): number => (order.includes(name) ? order.indexOf(name) : order.length);
  return names.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

async function namesOf(service: string): Promise<string[]> {
  const { items } = (await read(`/api/v1/projections/${service}`)) as { items: Outcome[] };
  return items.map(({ name }) => name);
}

async function rebuild(service: string, name: string): Promise<{ done: boolean; text: string }> {
  const answer = await ask('POST', `/api/v1/projections/${service}/${name}:rebuild`).catch((error: Error) => {
    if (error.name === 'TimeoutError') return undefined;
    return { status: 0, body: { detail: reasonOf(error) } as Outcome };
  });
  // Late: it goes on without us.
  if (!answer || answer.status === 504) return told(await untilEnded(service, name));
  if (answer.status === 200) return told(answer.body);
  const { code, detail = `HTTP ${answer.status}` } = answer.body;
  return { done: false, text: code === undefined ? `failed: ${detail}` : `${code}: ${detail}` };
}

function told({ rebuild: outcome, state, checkpoints }: Outcome): { done: boolean; text: string } {
  if (outcome !== 'done') return { done: false, text: `broken off, now ${state}: ask again, or see the log` };
  const positions = Object.entries(checkpoints).map(([log, sequence]) => `event ${sequence} of ${log}`);
  return { done: true, text: `rebuilt up to ${positions.join(' and ')}` };
}

async function untilEnded(service: string, name: string): Promise<Outcome> {
  for (let failures = 0; ;) {
    await pause(lookMs);
    try {
      const { items } = (await read(`/api/v1/projections/${service}`)) as { items: Outcome[] };
      const found = items.find((item) => item.name === name);
      if (found && found.rebuild !== 'running') return found;
      failures = 0;
    } catch (error) {
      if (++failures < failuresMax) continue;
      return { name, state: `silent (${reasonOf(error)})`, checkpoints: {}, rebuild: 'unknown' };
    }
  }
}

async function read(path: string): Promise<unknown> {
  const answer = await ask('GET', path);
  if (answer.status !== 200) throw new Error(`${path}: HTTP ${answer.status} ${answer.body.detail ?? ''}`);
  return answer.body;
}

async function ask(method: string, path: string): Promise<{ status: number; body: Outcome }> {
  const signal = AbortSignal.timeout(answerTimeoutMs);
  const answer = await fetch(new URL(path, address), { method, signal });
  return { status: answer.status, body: (await answer.json()) as Outcome };
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}

function quit(text: string): never {
  console.error(text);
  process.exit(2);
}
