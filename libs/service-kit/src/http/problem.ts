import { STATUS_CODES } from 'node:http';
import { Type } from 'typebox';

/** One fault of a body, named by where it is (RFC 6901), never by what was sent. */
export interface ProblemPart {
  /** JSON Pointer into the body, or the name of a path or query parameter. */
  readonly pointer: string;
  readonly detail: string;
  /** The words that would have been right. */
  readonly allowed?: readonly string[];
}

export interface ProblemFacts {
  /** One sentence for the person who reads it. Without patient data and without values that were sent. */
  readonly detail?: string;
  readonly errors?: readonly ProblemPart[];
  /** Stable word for programs, e.g. `STATUS_WOULD_REGRESS`. */
  readonly code?: string;
  readonly headers?: { readonly [name: string]: string };
  /** Further members of the problem document. */
  readonly extra?: { readonly [name: string]: unknown };
  readonly cause?: unknown;
}

/** Thrown in a route: becomes an answer in `application/problem+json` (RFC 9457). */
export class Problem extends Error {
  readonly status: number;
  readonly title: string;
  readonly detail: string | undefined;
  readonly errors: readonly ProblemPart[] | undefined;
  readonly code: string | undefined;
  readonly headers: { readonly [name: string]: string };
  readonly extra: { readonly [name: string]: unknown };

  /** @param title - @default The name of the status, e.g. `Not Found`. */
  constructor(status: number, title?: string, facts: ProblemFacts = {}) {
    super(facts.detail ?? title ?? STATUS_CODES[status] ?? 'Problem', { cause: facts.cause });
    this.name = 'Problem';
    this.status = status;
    this.title = title ?? STATUS_CODES[status] ?? 'Problem';
    this.detail = facts.detail;
    this.errors = facts.errors;
    this.code = facts.code;
    this.headers = facts.headers ?? {};
    this.extra = facts.extra ?? {};
  }
}

/** The document that a problem is sent as. */
export function problemBody(problem: Problem, requestId?: string): object {
  return {
    type: 'about:blank',
    title: problem.title,
    status: problem.status,
    ...(problem.detail === undefined ? {} : { detail: problem.detail }),
    ...(problem.code === undefined ? {} : { code: problem.code }),
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
    ...problem.extra,
    ...(requestId === undefined ? {} : { requestId }),
  };
}

/** Nothing of that name is here. */
export function notFound(detail: string): Problem {
  return new Problem(404, undefined, { detail });
}

/** The body is understood, but cannot be done as it says. @param pointer - JSON Pointer to the field. */
export function unprocessable(pointer: string, detail: string, facts: ProblemFacts = {}): Problem {
  return new Problem(422, 'Validation failed', { ...facts, detail, errors: [{ pointer, detail }] });
}

/** What every failure looks like. */
export const ProblemSchema = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.Optional(Type.String()),
    code: Type.Optional(Type.String()),
    requestId: Type.Optional(Type.String()),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.String(),
          detail: Type.String(),
          allowed: Type.Optional(Type.Array(Type.String())),
        }),
      ),
    ),
  },
  { additionalProperties: true, description: 'RFC 9457 problem details' },
);

/** For `response` schemas: any failure. */
export const failures = { '4xx': ProblemSchema, '5xx': ProblemSchema };
