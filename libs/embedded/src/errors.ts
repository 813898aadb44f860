/** What an operator needs to know when a server that we start ourselves does not come up. */
export type EmbeddedErrorCode =
  | 'nats-server-missing'
  | 'nats-server-fetch-failed'
  | 'postgres-binaries-missing'
  | 'data-directory-in-use'
  | 'server-start-failed'
  | 'server-start-timeout';

/** A server that we start as a child process is missing or does not come up. Nothing is left running. */
export class EmbeddedServerError extends Error {
  override readonly name = 'EmbeddedServerError';
  readonly code: EmbeddedErrorCode;
  /** What to do about it, in one or two sentences. */
  readonly remedy: string;
  readonly facts: Readonly<Record<string, string | number | undefined>>;

  constructor(
    code: EmbeddedErrorCode,
    message: string,
    remedy: string,
    options: { facts?: Record<string, string | number | undefined>; cause?: unknown } = {},
  ) {
    super(`${message}. ${remedy}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = remedy;
    this.facts = options.facts ?? {};
  }
}
