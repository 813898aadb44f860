import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';

export type Log = Logger;
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

/**
 * Fields that hold, or may hold, patient data or secrets. A second fence: the first is not to log them at
 * all.
 */
const secretFields = [
  'patient',
  'patientId',
  'patientName',
  'name',
  'birthDate',
  'identifier',
  'header',
  'registers',
  'body',
  'payload',
  'password',
  'authorization',
  'cookie',
  'token',
];

/**
 * A service's log: JSON lines on standard output with `service` and `cluster` in each, times in ISO 8601,
 * errors without the values that PostgreSQL quotes in them. Patient data and secrets are cut out of known
 * fields, one level deep too.
 *
 * @param options.destination - Where lines go instead of standard output (tests).
 */
export function createLog(options: {
  service: string;
  cluster: string;
  level: LogLevel;
  destination?: DestinationStream;
}): Log {
  const settings = {
    level: options.level,
    base: { service: options.service, cluster: options.cluster },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: describeError },
    redact: {
      paths: [...secretFields, ...secretFields.map((field) => `*.${field}`)],
      censor: '[redacted]',
    },
  };
  return options.destination ? pino(settings, options.destination) : pino(settings);
}

/** What a log says about an error: its class, code, message, remedy and where it came from. */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const { code, remedy } = error as Error & { code?: unknown; remedy?: unknown };
  const fromDatabase = 'severity' in error;
  return {
    type: error.constructor.name,
    ...(code === undefined ? {} : { code }),
    message: fromDatabase ? withoutValues(error.message) : error.message,
    ...(remedy === undefined ? {} : { remedy }),
    stack: (error.stack ?? '')
      .split('\n')
      .filter((line) => /^\s+at /.test(line))
      .slice(0, 8)
      .join('\n'),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}

/** PostgreSQL quotes what it could not digest: `invalid input syntax for type date: "…"`. */
function withoutValues(message: string): string {
  return message.replace(/: ".*"?$/s, ': (value not shown)');
}
