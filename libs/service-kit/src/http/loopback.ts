import { isIP } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { Problem } from './problem.ts';

/** A server without authentication was told to listen where others can reach it. */
export class InsecureListenError extends Error {
  readonly code = 'insecure-listen';
  readonly remedy = 'Set HTTP_HOST to 127.0.0.1, or switch authentication on.';
  constructor(host: string) {
    super(
      `refusing to listen on ${host} without authentication: everyone who reaches it could read and change all`,
    );
    this.name = 'InsecureListenError';
  }
}

/** Whether an address or name means this machine only. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (bare === 'localhost' || bare === '::1') return true;
  return isIP(bare) === 4 && bare.startsWith('127.');
}

/**
 * Without authentication, being on this machine is the only credential, and a browser on this machine lends
 * it to any web page. So the Host must be a loopback name (against DNS rebinding) and a write must not come
 * from another origin.
 */
export function guardLoopback(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    const host = request.headers.host;
    if (host !== undefined && !isLoopback(host.replace(/:\d+$/, ''))) {
      throw new Problem(421, undefined, { detail: 'This server answers to loopback names only.' });
    }
    const origin = request.headers.origin;
    const safe = request.method === 'GET' || request.method === 'HEAD' || request.method === 'OPTIONS';
    const foreign = origin !== undefined && !sameHost(origin, host);
    if (!safe && (foreign || request.headers['sec-fetch-site'] === 'cross-site')) {
      throw new Problem(403, undefined, { detail: 'Writes from pages of another origin are refused.' });
    }
  });
}

function sameHost(origin: string, host: string | undefined): boolean {
  return URL.canParse(origin) && new URL(origin).host === host;
}
