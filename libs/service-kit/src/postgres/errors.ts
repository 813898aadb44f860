/**
 * SQLSTATE classes that speak of the server's condition, not of our statement or data (PostgreSQL manual,
 * appendix A).
 */
const operatingClasses = new Set(['08', '40', '53', '55', '57', '58']);

const socketCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** Messages of the driver `pg`, which gives no code when a connection dies under a query or cannot be had. */
const driverMessages =
  /connection terminated|connection error and is not queryable|timeout (exceeded|expired)|client was closed/i;

/**
 * Whether an error means "the database is away, restarting, full or busy": the same statement can succeed
 * later. A deadlock or serialization failure counts too. Constraint violations, bad values and bugs do not.
 */
export function isDatabaseUnreachable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code;
  if (error instanceof AggregateError) return error.errors.some(isDatabaseUnreachable);
  if (typeof code === 'string') {
    if (socketCodes.has(code)) return true;
    if ('severity' in error && operatingClasses.has(code.slice(0, 2))) return true;
  }
  return driverMessages.test(error.message);
}
