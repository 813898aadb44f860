import type { FastifyError } from 'fastify';
import { isDatabaseUnreachable } from '../postgres/errors.ts';
import { Problem } from './problem.ts';
import type { ProblemPart } from './problem.ts';

/**
 * The one place where errors become HTTP statuses. Anything unknown is 500, without a word of its message.
 */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const { code, statusCode, validation } = error as Partial<FastifyError>;
  if (validation) return fromValidation(error as FastifyError);
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new Problem(413, undefined, {
      detail: 'The body is larger than this resource takes.',
      cause: error,
    });
  }
  // JSON.parse quotes the text that it could not read, and a person's name may be in it: never its message.
  if (code === 'FST_ERR_CTP_INVALID_JSON_BODY' || code === 'FST_ERR_CTP_EMPTY_JSON_BODY') {
    return new Problem(400, undefined, { detail: 'The body is not well-formed JSON.', cause: error });
  }
  if (typeof code === 'string' && code.startsWith('FST_') && statusCode !== undefined && statusCode < 500) {
    const detail = statusCode === 415 ? 'Send the body as application/json.' : 'The request cannot be read.';
    return new Problem(statusCode, undefined, { detail, cause: error });
  }
  const away = isDatabaseUnreachable(error) ? 'The database is not available.' : awayByCode.get(String(code));
  if (away !== undefined) {
    return new Problem(503, undefined, { detail: away, headers: { 'retry-after': '1' }, cause: error });
  }
  return new Problem(500, undefined, { detail: 'See the log of the service.', cause: error });
}

/** Operating errors of the event log, by their stable code: this library does not import it. */
const awayByCode = new Map([
  [
    'log-unavailable',
    'The event log is not available. Whether the change was stored is unknown; send it again.',
  ],
  ['log-full', 'The event log is full; nothing was stored.'],
  ['no-responder', 'A service that is needed for this is not running.'],
  ['request-timeout', 'A service that is needed for this did not answer in time.'],
]);

function fromValidation(error: FastifyError): Problem {
  const inBody = error.validationContext === 'body';
  const errors = (error.validation ?? []).map((one): ProblemPart => {
    const params = one.params as {
      missingProperty?: string;
      additionalProperty?: string;
      allowedValues?: unknown[];
    };
    const field = params.missingProperty ?? params.additionalProperty;
    const pointer = one.instancePath + (field === undefined ? '' : `/${escapePointer(field)}`);
    const detail =
      params.additionalProperty === undefined ? (one.message ?? 'is not valid') : 'is not known here';
    return {
      pointer: inBody ? pointer : pointer.replace(/^\//, ''),
      detail: params.missingProperty === undefined ? detail : 'is required',
      ...(params.allowedValues ? { allowed: params.allowedValues.map(String) } : {}),
    };
  });
  const first = errors[0];
  const where = first && first.pointer !== '' ? first.pointer : `the ${error.validationContext ?? 'request'}`;
  const detail = `${where} ${first?.detail ?? 'is not valid'}`;
  return new Problem(inBody ? 422 : 400, 'Validation failed', { detail, errors, cause: error });
}

function escapePointer(name: string): string {
  return name.slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1');
}
