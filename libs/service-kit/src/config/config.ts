import { ConfigError } from './errors.ts';

/**
 * One setting: how it is named, what it may be, and what it is for. Made by `text`, `integer`, `choice`,
 * `flag`, `url`.
 */
export interface Setting<Value> {
  /** One sentence for the reference page. */
  readonly about: string;
  /** What is allowed, in words: `0 to 65535`, `one of a, b`. */
  readonly bounds: string;
  readonly unit: string | undefined;
  /** Never printed, neither in an error nor in a log. */
  readonly secret: boolean;
  readonly required: boolean;
  readonly default: Value | undefined;
  /** @returns `undefined` when the text is out of bounds. */
  parse(text: string): Value | undefined;
}

export type ConfigSchema = { readonly [name: string]: Setting<unknown> };

/** The configuration that a schema describes: same names, typed values. */
export type ConfigOf<Schema extends ConfigSchema> = {
  readonly [Name in keyof Schema]: Schema[Name] extends Setting<infer Value> ? Value : never;
};

interface Common {
  readonly about: string;
  readonly secret?: boolean;
}

/** Free text. Without a default it is required, unless `optional` is set (then it may be `undefined`). */
export function text(options: Common & { pattern?: RegExp; default?: string }): Setting<string>;
export function text(options: Common & { pattern?: RegExp; optional: true }): Setting<string | undefined>;
export function text(
  options: Common & { pattern?: RegExp; default?: string; optional?: boolean },
): Setting<string | undefined> {
  const pattern = options.pattern;
  return setting(options, {
    bounds: pattern ? `text that matches ${pattern.source}` : 'text',
    parse: (raw) => (pattern === undefined || pattern.test(raw) ? raw : undefined),
  });
}

/** A whole number within bounds, both included. */
export function integer(
  options: Common & { min: number; max: number; unit?: string; default?: number },
): Setting<number> {
  return setting<number>(options, {
    bounds: `a whole number from ${options.min} to ${options.max}`,
    unit: options.unit,
    parse: (raw) => {
      const value = /^-?\d{1,15}$/.test(raw) ? Number(raw) : Number.NaN;
      return value >= options.min && value <= options.max ? value : undefined;
    },
  });
}

/** One of a few words. */
export function choice<const Word extends string>(
  words: readonly Word[],
  options: Common & { default?: NoInfer<Word> },
): Setting<Word> {
  return setting<Word>(options, {
    bounds: `one of ${words.join(', ')}`,
    parse: (raw) => words.find((word) => word === raw),
  });
}

/** `true` or `false`. */
export function flag(options: Common & { default?: boolean }): Setting<boolean> {
  return setting<boolean>(options, {
    bounds: 'true or false',
    parse: (raw) => (raw === 'true' ? true : raw === 'false' ? false : undefined),
  });
}

/** An absolute URL with one of the given schemes (without the colon). A password in it is never printed. */
export function url(options: Common & { schemes: readonly string[]; default?: string }): Setting<string>;
export function url(
  options: Common & { schemes: readonly string[]; optional: true },
): Setting<string | undefined>;
export function url(
  options: Common & { schemes: readonly string[]; default?: string; optional?: boolean },
): Setting<string | undefined> {
  return setting(
    { ...options, secret: options.secret ?? true },
    {
      bounds: `a URL that starts with ${options.schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
      parse: (raw) => {
        const parsed = URL.canParse(raw) ? new URL(raw) : undefined;
        return parsed && options.schemes.includes(parsed.protocol.slice(0, -1)) ? raw : undefined;
      },
    },
  );
}

function setting<Value>(
  options: Common & { default?: Value; optional?: boolean },
  rest: { bounds: string; unit?: string | undefined; parse(raw: string): Value | undefined },
): Setting<Value> {
  return {
    about: options.about,
    secret: options.secret ?? false,
    required: options.default === undefined && options.optional !== true,
    default: options.default,
    unit: rest.unit,
    bounds: rest.bounds,
    parse: rest.parse,
  };
}

/**
 * Reads a service's configuration from an environment. An empty value counts as absent. Names that the schema
 * does not know are ignored: an environment is full of other programs' names.
 *
 * @throws {ConfigError} One error for all settings that are missing or out of bounds; nothing is half-read.
 */
export function readConfig<Schema extends ConfigSchema>(
  schema: Schema,
  env: { readonly [name: string]: string | undefined },
): ConfigOf<Schema> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, one] of Object.entries(schema)) {
    const raw = env[name];
    if (raw === undefined || raw === '') {
      if (one.required) problems.push(`${name} is not set. It is: ${one.about} (${boundsOf(one)})`);
      values[name] = one.default;
      continue;
    }
    values[name] = one.parse(raw);
    if (values[name] === undefined) {
      const shown = one.secret ? 'the value given (not shown)' : JSON.stringify(raw.slice(0, 80));
      problems.push(`${name}: ${shown} is not ${boundsOf(one)}`);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return values as ConfigOf<Schema>;
}

function boundsOf(one: Setting<unknown>): string {
  return one.unit === undefined ? one.bounds : `${one.bounds} (${one.unit})`;
}

/** Settings of every service. Spread them into a service's schema. */
export const serviceSettings = {
  ISTHMUS_CLUSTER: text({
    pattern: /^[a-z][a-z0-9-]{0,31}$/,
    about: 'Id of the cluster that this service belongs to',
  }),
  NATS_URL: url({
    schemes: ['nats', 'tls'],
    default: 'nats://127.0.0.1:4222',
    about: 'The cluster’s own NATS server',
  }),
  HTTP_HOST: text({ default: '127.0.0.1', about: 'Address that the HTTP server listens on' }),
  HTTP_PORT: integer({
    default: 0,
    min: 0,
    max: 65535,
    about: 'Port of the HTTP server; 0 takes a free one',
  }),
  LOG_LEVEL: choice(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    default: 'info',
    about: 'Least severe log line that is written',
  }),
} as const;

/** Settings of every service with tables of its own. */
export const databaseSettings = {
  DATABASE_URL: url({
    schemes: ['postgres', 'postgresql'],
    about: 'The cluster’s PostgreSQL database',
  }),
  DATABASE_POOL_MAX: integer({
    default: 8,
    min: 2,
    max: 100,
    unit: 'connections',
    about: 'Connections that this service opens at most',
  }),
} as const;
