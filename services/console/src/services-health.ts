import type { CheckResult, Readiness } from '@isthmus/service-kit';
import type { Upstream } from './config.ts';

export interface ServiceHealth extends CheckResult {
  /** The service's own checks by name; absent when it does not answer. */
  readonly checks?: Readiness['checks'];
}

export interface ClusterHealth {
  readonly ok: boolean;
  readonly checks: { readonly [service: string]: ServiceHealth };
}

const answerTimeoutMs = 3_000;

/** Asks every service whether it is ready. */
export async function askHealth(upstreams: readonly Upstream[]): Promise<ClusterHealth> {
  const entries = await Promise.all(
    upstreams.map(async (upstream) => [upstream.name, await askOne(upstream)] as const),
  );
  return { ok: entries.every(([, { ok }]) => ok), checks: Object.fromEntries(entries) };
}

async function askOne({ url }: Upstream): Promise<ServiceHealth> {
  try {
    const answer = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(answerTimeoutMs) });
    const body = (await answer.json()) as Partial<Readiness>;
    const failing = Object.entries(body.checks ?? {}).filter(([, check]) => !check.ok);
    const detail = failing.map(([name, check]) => `${name}: ${check.detail ?? 'not ok'}`).join('; ');
    return { ok: answer.ok, detail: answer.ok ? 'ready' : detail || 'not ready', checks: body.checks ?? {} };
  } catch (error) {
    return {
      ok: false,
      detail: (error as Error).name === 'TimeoutError' ? 'no answer in time' : 'cannot be reached',
    };
  }
}
