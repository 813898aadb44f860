import fastifyStatic from '@fastify/static';
import swaggerUi from '@fastify/swagger-ui';
import type { HttpApp, Metrics } from '@isthmus/service-kit';
import { fileURLToPath } from 'node:url';
import type { Upstream } from './config.ts';
import { mergeMetrics } from './metrics-text.ts';
import { registerProxy } from './proxy.ts';
import type { ProxyParts } from './proxy.ts';
import { askHealth } from './services-health.ts';

export interface RouteParts extends ProxyParts {
  readonly metrics: Metrics;
}

const page = fileURLToPath(new URL('../page/', import.meta.url));
const metricsTimeoutMs = 3_000;

/** Nothing from elsewhere, nothing inline, in no frame. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const securityHeaders = {
  'content-security-policy': contentSecurityPolicy,
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=()',
};

export async function registerRoutes(app: HttpApp, parts: RouteParts): Promise<void> {
  app.addHook('onSend', async (_request, reply) => {
    reply.headers(securityHeaders);
  });
  const { directory } = parts;
  registerHealth(app, parts);
  app.get('/openapi.json', async () => directory.openApi());
  await app.register(fastifyStatic, {
    root: page,
    prefix: '/',
    cacheControl: false,
    wildcard: false,
    index: 'index.html',
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { url: '/openapi.json', validatorUrl: null, tryItOutEnabled: true, docExpansion: 'none' },
    theme: {
      title: 'Isthmus API',
      css: [{ filename: 'isthmus.css', content: '.swagger-ui .topbar { display: none }' }],
    },
    transformSpecification: () => ({ ...directory.openApi() }),
    // Ours stands: theirs would have been a second header.
    staticCSP: false,
  });
  await registerProxy(app, parts);
}

function registerHealth(app: HttpApp, { directory, upstreams, metrics }: RouteParts): void {
  app.get('/health/live', async () => ({ status: 'ok' }));
  app.get('/health/ready', async (_request, reply) => {
    const { ok, checks } = await askHealth(upstreams);
    const unknown = directory.unknown();
    const routes = {
      ok: unknown.length === 0,
      detail: unknown.length === 0 ? 'known' : `not known: ${unknown.join(', ')}`,
    };
    const ready = ok && routes.ok;
    return reply
      .code(ready ? 200 : 503)
      .send({ status: ready ? 'ok' : 'not ready', checks: { ...checks, routes } });
  });
  app.get('/metrics', async (_request, reply) => {
    const sources = await Promise.all(upstreams.map(readMetrics));
    const up = upstreams.map(
      ({ name }, at) => `isthmus_up{service="${name}"} ${sources[at] === undefined ? 0 : 1}`,
    );
    const head = '# HELP isthmus_up Whether a service gave its metrics\n# TYPE isthmus_up gauge\n';
    const text = mergeMetrics([
      { service: 'console', text: `${head}${up.join('\n')}\n${await metrics.metrics()}` },
      ...sources.flatMap((source, at) =>
        source === undefined ? [] : [{ service: upstreams[at]?.name ?? '', text: source }],
      ),
    ]);
    return reply.type(metrics.contentType).send(text);
  });
}

async function readMetrics({ url }: Upstream): Promise<string | undefined> {
  try {
    const answer = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(metricsTimeoutMs) });
    return answer.ok ? await answer.text() : undefined;
  } catch {
    return undefined;
  }
}
