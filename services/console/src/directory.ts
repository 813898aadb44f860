import { backoff, sleep } from '@isthmus/service-kit';
import type { Log } from '@isthmus/service-kit';
import type { Upstream } from './config.ts';
import type { OpenApiDocument } from './openapi.ts';
import { mergeOpenApi } from './openapi.ts';
import { routeTable } from './route-table.ts';
import type { RouteTable } from './route-table.ts';

/** What the services behind the console offer, as they say themselves. */
export interface Directory {
  routes(): RouteTable;
  openApi(): OpenApiDocument;
  /** Names of services whose document was never read. */
  unknown(): readonly string[];
  /** Reads the documents soon: something was asked for that nobody seems to offer. */
  refreshSoon(): void;
  stop(): Promise<void>;
}

const answerTimeoutMs = 2_000;
/** A restarted service may have other routes: its document is read again this often. */
const refreshMs = 15_000;
const documentBytesMax = 8 * 1024 * 1024;

export function startDirectory(parts: {
  upstreams: readonly Upstream[];
  info: OpenApiDocument['info'];
  log: Log;
}): Directory {
  const { upstreams, info, log } = parts;
  const stopping = new AbortController();
  const documents = new Map<string, { text: string; document: OpenApiDocument }>();
  let routes = routeTable([]);
  let merged = mergeOpenApi(info, []);
  let wake = new AbortController();

  const unknown = (): string[] => upstreams.map(({ name }) => name).filter((name) => !documents.has(name));
  const build = (): void => {
    const known = upstreams.flatMap(({ name }) => {
      const entry = documents.get(name);
      return entry ? [{ service: name, document: entry.document }] : [];
    });
    routes = routeTable(known);
    merged = mergeOpenApi(info, known);
    if (routes.conflicts.length > 0)
      log.error({ conflicts: routes.conflicts }, 'several services offer the same');
  };
  const readOne = async ({ name, url }: Upstream): Promise<boolean> => {
    const text = await readText(`${url}/openapi.json`, stopping.signal).catch(() => undefined);
    const before = documents.get(name);
    if (text === undefined || text === before?.text) return false;
    try {
      documents.set(name, { text, document: JSON.parse(text) as OpenApiDocument });
    } catch {
      return false;
    }
    log.info({ upstream: name }, before ? 'its routes have changed' : 'its routes are known');
    return true;
  };
  const refresh = async (): Promise<void> => {
    const changed = await Promise.all(upstreams.map(readOne));
    if (changed.includes(true)) build();
  };
  const run = async (): Promise<void> => {
    const pause = backoff({ baseMs: 100, maxMs: 1_000 });
    while (!stopping.signal.aborted) {
      wake = new AbortController();
      await refresh();
      const restMs = unknown().length > 0 ? pause.next() : refreshMs;
      await sleep(restMs, AbortSignal.any([stopping.signal, wake.signal]));
      // Nobody makes the console read more often than this, whatever is asked of it.
      await sleep(250, stopping.signal);
    }
  };
  const finished = run();

  return {
    routes: () => routes,
    openApi: () => merged,
    unknown,
    refreshSoon: () => wake.abort(),
    stop: async () => {
      stopping.abort();
      await finished;
    },
  };
}

async function readText(url: string, signal: AbortSignal): Promise<string> {
  const answer = await fetch(url, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(answerTimeoutMs)]),
  });
  if (!answer.ok || Number(answer.headers.get('content-length') ?? 0) > documentBytesMax) {
    await answer.body?.cancel();
    throw new Error(`no document: ${answer.status}`);
  }
  return answer.text();
}
