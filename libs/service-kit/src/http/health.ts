import { sql } from 'kysely';
import { sleep } from '../lifecycle/backoff.ts';
import type { SqlConnection } from '../postgres/connect.ts';

export interface CheckResult {
  readonly ok: boolean;
  /** For the operator. Without patient data. */
  readonly detail?: string;
}

export interface Readiness {
  readonly ok: boolean;
  readonly checks: { readonly [name: string]: CheckResult };
}

/**
 * A named check: a value, or a function that may throw (then it failed) or take too long (then it failed as
 * well).
 */
export type Check = () => CheckResult | boolean | Promise<CheckResult | boolean | void>;

const checkTimeoutMs = 2_000;

/** Runs named checks side by side, each within 2 s. Give the result to `startHttp` as `ready`. */
export function readiness(checks: { readonly [name: string]: Check }): () => Promise<Readiness> {
  return async () => {
    const entries = await Promise.all(
      Object.entries(checks).map(async ([name, check]) => [name, await runCheck(check)] as const),
    );
    return { ok: entries.every(([, result]) => result.ok), checks: Object.fromEntries(entries) };
  };
}

async function runCheck(check: Check): Promise<CheckResult> {
  const done = new AbortController();
  try {
    const result = await Promise.race([
      Promise.resolve().then(check),
      sleep(checkTimeoutMs, done.signal).then(() => ({ ok: false, detail: 'no answer in time' })),
    ]);
    return typeof result === 'object' ? result : { ok: result ?? true };
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    return { ok: false, detail: typeof code === 'string' ? code : (error as Error).constructor.name };
  } finally {
    done.abort();
  }
}

/** The database answers. */
export function postgresCheck(db: SqlConnection): Check {
  return async () => void (await sql`select 1`.execute(db));
}
